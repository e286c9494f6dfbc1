"""People are told at once of members that become suspects, and when their heartbeats arrive again.

The condition Degraded names the suspects of each moment. Events are for those who look later, and for tools that
forward them. A group that loses its path to the API server has a thousand suspects within some seconds, and a path may
come and go: so between two times of telling there are `TELL_SECONDS`, and one Event is about all that has changed.
"""

from collections.abc import Sequence

from rendezvous_api.reasons import EventReason
from rendezvous_api.rendezvous import Missing
from rendezvous_operator.core.machines import why_down
from rendezvous_operator.core.nodes import MemberState, MemberView
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.words import SHOWN, listing
from rendezvous_operator.core.world import Event, Memory, Told

TELL_SECONDS = 30
"""The recorder sends one Event about a Rendezvous in 20 s, after a burst: those of rounds must not wait for these."""


def suspects(s: Situation) -> list[MemberView]:
    """The suspects of the round that runs."""
    return [view for view in s.members_not_running if view.state is MemberState.SUSPECT] if s.round_runs else []


def described(s: Situation, found: Sequence[MemberView]) -> str:
    """Who is silent, and since when: since the last heartbeat that was seen, on the clock of the operator.

    Or what another member says of it.
    """
    shown = tuple(Missing(view.name, _why(s, view)) for view in found[:SHOWN])
    return listing(shown, len(found))


def _why(s: Situation, view: MemberView) -> str:
    if not view.silent:
        return view.why
    seen = s.world.participants[view.name]
    machine = why_down(s.world, seen)
    return f"is silent since {s.now.clock_time(seen.beat_at)}" + (f", and {machine}" if machine else "")


def on_one_path(s: Situation) -> str:
    """The members that live and are reached on one of the two paths only; empty: there are none."""
    if not s.round_runs:
        return ""
    peers, entries = s.liveness.peers, s.entries
    parts = []
    silent = [name for name in s.liveness.by_peers_only if name in entries]
    if silent:
        shown = [
            Missing(name, f"sends no heartbeats since {s.now.clock_time(s.world.participants[name].beat_at)}")
            for name in silent[:SHOWN]
        ]
        parts.append(f"{listing(shown, len(silent))}, but trains on with the others")
    apart = [one for one in peers.accused.values() if one.contradicted and not one.left]
    by_host = [Missing(one.name, "") for one in apart if not one.is_host]
    if by_host:
        host = s.status.participants[0].name
        parts.append(f"{host} (rank 0) gets no beats of {listing(by_host)}, whose heartbeats arrive")
    # What the host says of its accuser is the same, seen from the other side.
    parts += [
        f"{one.by} gets no answers from {one.name} (rank 0), whose heartbeats arrive"
        for one in apart
        if one.is_host and one.by not in peers.accused
    ]
    return "; ".join(parts)


def tell(s: Situation, memory: Memory) -> tuple[Situation, Told]:
    """The situation with an Event about members that have become suspects or are none any more; and who is told of now.

    What ends with its round, or is lost, is told by the end of the round.
    """
    if not s.round_runs:
        return s, Told()
    told = memory.told
    found = suspects(s)
    silent = {view.name: s.world.participants[view.name].beat_at for view in found}
    new = [view for view in found if told.suspects.get(view.name) != silent[view.name]]
    # While all are silent, nobody is a suspect, and nobody has been heard.
    over = [name for name, beat_at in told.suspects.items() if name not in silent and _is_heard_since(s, name, beat_at)]
    if not new and not over:
        return s, told
    if s.now.monotonic < told.at + TELL_SECONDS:
        return s.with_run(s.run.checked_again_at(told.at + TELL_SECONDS)), told
    again = listing([Missing(name, "sends heartbeats again") for name in over])
    if new:
        text = "; ".join([f"round {s.status.round} goes on, but {described(s, new)}", *([again] if over else [])])
        event = Event(EventReason.MEMBER_SUSPECTED, text, warning=True)
    else:
        event = Event(EventReason.MEMBER_RESPONDS, f"round {s.status.round}: {again}")
    kept = {name: beat_at for name, beat_at in told.suspects.items() if name not in over}
    return s.with_run(s.run.with_event(event)), Told({**kept, **silent}, s.now.monotonic)


def _is_heard_since(s: Situation, name: str, beat_at: float) -> bool:
    seen = s.world.participants.get(name)
    return seen is not None and seen.beat_at != beat_at
