"""Rule "hold-outs": a node that made the others fail is held out for a while, so that they can go on without it.

It is held out for 30 s, and for twice as long each further time in a row, up to 10 minutes. `status.heldOut` has it, so
a new leader knows it, too. Nobody is held out if the nodes that are left could form no round. `end/fault.py` finds the
nodes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from rendezvous_api import names
from rendezvous_api.meta import moment_of
from rendezvous_api.node_names import place_in_job, place_of
from rendezvous_api.reasons import EventReason, HeldOutReason
from rendezvous_api.rendezvous import LONGEST_HOLD_OUT_SECONDS, HeldOut, Missing
from rendezvous_operator.core.blocking import blocking
from rendezvous_operator.core.nodes import Node, names_of
from rendezvous_operator.core.select.choose import fitting
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.timers import Timer, Timers
from rendezvous_operator.core.verdict import earliest
from rendezvous_operator.core.words import cut, first_of
from rendezvous_operator.core.world import Event

SOON_SECONDS = 600
"""A node that fails within this time of its admission fails soon. After the same time, the kubelet forgets that a
container has crashed before."""


@dataclass(frozen=True)
class Blame:
    """A node that is to be held out, and why."""

    name: str
    reason: HeldOutReason
    message: str


def renew_hold_outs(s: Situation, timers: Timers) -> Situation:
    """The situation after the user has ended all hold-outs, and without those that need not be remembered any more.

    A hold-out goes on for the pod in the place of the one that was held out.
    """
    request = s.retry_request
    if request is not None and request != s.run.retry_request:
        return s.with_run(replace(s.run, held_out=(), retry_request=request))
    kept = _of_successors(s, tuple(entry for entry in s.run.held_out if not _is_forgotten(s, timers, entry)))
    return s if kept == s.run.held_out else s.with_run(replace(s.run, held_out=kept))


def hold_out(s: Situation, timers: Timers, blamed: Sequence[Blame]) -> Situation | None:
    """The situation in which all of these nodes are held out, too.

    None: none of them is, since too few would be left, or the list has no place for all of them. An end of a round that
    is not explained by those in the list must not look as if it were.
    """
    who = {blame.name for blame in blamed}
    left = [name for name in names_of(waiting_without(s, counting(s, timers))) if name not in who]
    if not who or not fitting(s, left):
        return None
    before = {entry.name: entry for entry in s.run.held_out}
    new = tuple(_entry(s, before.get(blame.name), blame) for blame in blamed)
    others = sorted(
        (entry for entry in s.run.held_out if entry.name not in who), key=lambda entry: ends_at(s, timers, entry)
    )
    if len(new) + sum(entry.name not in who for entry in active(s, timers)) > names.MAX_HELD_OUT:
        return None
    # Those that ended first make room.
    run = replace(s.run, held_out=(*others, *new)[-names.MAX_HELD_OUT :])
    told = as_missing(new)[0]
    message = first_of(len(new), f"{told.name} {told.message}")
    return s.with_run(run.with_event(Event(EventReason.NODE_HELD_OUT, message, warning=True)))


def active(s: Situation, timers: Timers) -> tuple[HeldOut, ...]:
    """The hold-outs that have not ended yet."""
    return tuple(entry for entry in s.run.held_out if not timers.passed(ends_at(s, timers, entry)))


def counting(s: Situation, timers: Timers) -> tuple[HeldOut, ...]:
    """The hold-outs that count now: none does while the nodes that are left could form no round."""
    found = active(s, timers)
    if not found or s.round_runs:
        return found
    left = [*names_of(waiting_without(s, found)), *(view.name for view in blocking(s, timers))]
    return found if fitting(s, left) else ()


def waiting_without(s: Situation, entries: Sequence[HeldOut]) -> tuple[Node, ...]:
    """The nodes that wait for the next round of the run, without those held out by these, or kept out by a mark."""
    who = {entry.name for entry in entries}
    return tuple(node for node in s.unmarked if node.name not in who) if who else s.unmarked


def ends_at(s: Situation, timers: Timers, entry: HeldOut) -> float:
    """When a hold-out ends (monotonic seconds).

    A new leader goes by the time in the status. The clocks of two operators may differ, so a hold-out never lasts
    longer than its length from when this operator first saw it.
    """
    by_status = s.now.monotonic + (moment_of(entry.until) - s.now.wall).total_seconds()
    began = timers.began(Timer.HELD_OUT, (entry.name, entry.until))
    return min(by_status, began + entry.seconds)


def changes_at(s: Situation, timers: Timers) -> float | None:
    """When the next hold-out ends or is forgotten by time (monotonic seconds); None: never."""
    moments = (_changes_at(s, timers, entry) for entry in s.run.held_out)
    return earliest(*(moment for moment in moments if moment is not None and not timers.passed(moment)))


def round_began(s: Situation, timers: Timers) -> float:
    """When the current round began (monotonic seconds): by this operator's timer or by the status, what is earlier.

    The timer begins again with a new leader, and after all nodes have been silent. Who crashes late must not count as
    one that crashes soon, so the longer time counts.
    """
    by_timer = timers.began(Timer.ROUND, s.status.round)
    if s.status.round_start_time is None:
        return by_timer
    age = s.now.wall - moment_of(s.status.round_start_time)
    return min(by_timer, s.now.monotonic - age.total_seconds())


def as_missing(entries: Iterable[HeldOut]) -> tuple[Missing, ...]:
    """Who is held out, why, and until when, for people."""
    return tuple(Missing(entry.name, f"is held out until {entry.until}: {entry.message}") for entry in entries)


def _of_successors(s: Situation, entries: tuple[HeldOut, ...]) -> tuple[HeldOut, ...]:
    """The hold-outs, each with the name that its node has now."""
    if all(_is_present(s, entry) for entry in entries):
        return entries
    listed = {entry.name for entry in entries}
    nodes = [node for node in s.nodes.values() if node.present and node.run_id == s.run.id and node.name not in listed]
    names_now = {place_of(node.name, node.object.spec.pod_index): node.name for node in nodes}
    return tuple(
        entry
        if _is_present(s, entry) or (place := place_in_job(entry.name)) is None
        else replace(entry, name=names_now.pop(place, entry.name))
        for entry in entries
    )


def _entry(s: Situation, before: HeldOut | None, blame: Blame) -> HeldOut:
    times = before.times + 1 if before is not None else 1
    entry = HeldOut(blame.name, blame.reason, cut(blame.message), until="", times=times)
    return replace(entry, until=s.now.clock_time(s.now.monotonic + entry.seconds))


def _is_forgotten(s: Situation, timers: Timers, entry: HeldOut) -> bool:
    """Whether the next time would be the first one again: the node has trained, or has been away for long."""
    if s.round_runs and entry.name in s.entries:
        return timers.passed(_proved_at(s, timers))
    return not _is_present(s, entry) and timers.passed(_forgotten_at(s, timers, entry))


def _changes_at(s: Situation, timers: Timers, entry: HeldOut) -> float | None:
    ends = ends_at(s, timers, entry)
    if not timers.passed(ends):
        return ends
    if s.round_runs and entry.name in s.entries:
        return _proved_at(s, timers)
    return None if _is_present(s, entry) else _forgotten_at(s, timers, entry)


def _proved_at(s: Situation, timers: Timers) -> float:
    return round_began(s, timers) + SOON_SECONDS


def _forgotten_at(s: Situation, timers: Timers, entry: HeldOut) -> float:
    return ends_at(s, timers, entry) + LONGEST_HOLD_OUT_SECONDS


def _is_present(s: Situation, entry: HeldOut) -> bool:
    node = s.nodes.get(entry.name)
    return node is not None and node.present
