"""The machines that a decision needs, and the machine of a silent member as evidence of its loss (rule "liveness").

A member is lost by its silence alone only after a long time, since its path to the API server may be broken. If its
machine is down, too, it is lost sooner. A machine that is down says nothing of a member that is not silent: its kubelet
may have stopped while its containers run. And both are by one path, so a round that is isolated is kept.

Of silent members only a few machines are read at a time: the first loss ends the round. Those come first whose pods
ought to have ended (see `overdue`). The machines of other nodes are read only for a policy that chooses by them.
"""

from collections.abc import Callable, Iterator, Mapping

from rendezvous_api.reasons import ParticipantState
from rendezvous_api.rendezvous_spec import RendezvousSpec
from rendezvous_operator.core import marks, topology
from rendezvous_operator.core.nodes import late_seconds, silent_seconds, suspect_seconds
from rendezvous_operator.core.timers import Fact, Timer
from rendezvous_operator.core.world import SeenParticipant, World

MOST = 10
"""So many machines are read for one decision: of the silent members of the lowest ranks."""
LOOK_AGAIN_SECONDS = 5.0
"""While a member is silent, and how long an answer counts."""


CHOOSE_BY_MACHINE: tuple[Callable[[RendezvousSpec], bool], ...] = (topology.by_machines, marks.need_machines)
"""Whether a policy chooses nodes by their machines: a line for each such policy."""


def to_know(now: float, world: World) -> tuple[str, ...]:
    """The names of the machines that the decision needs.

    Args:
        now: monotonic seconds.
        world: what is seen.
    """
    return tuple(dict.fromkeys((*of_silent_members(now, world), *_of_nodes_to_choose_from(world))))


def _of_nodes_to_choose_from(world: World) -> Iterator[str]:
    """Those of the nodes that a next round may have, if nodes are chosen by their machines.

    While a round is being formed these are all that have not left. Otherwise they are those that wait: members that
    train on cost no reads, unless their ranks go by their machines.
    """
    if not any(chooses(world.rendezvous.spec) for chooses in CHOOSE_BY_MACHINE):
        return
    status = world.rendezvous.status
    trains_on = status.running or status.closed_reason(status.run_id) is not None
    trains_on = trains_on and not topology.by_machines(world.rendezvous.spec)
    members = {member.name: member for member in status.participants} if trains_on else {}
    for name, seen in world.participants.items():
        spec, member = seen.object.spec, members.get(name)
        trains = member is not None and (spec.incarnation, spec.attempt) == (member.incarnation, member.attempt)
        if spec.node_name is not None and spec.state is ParticipantState.JOINED and not trains:
            yield spec.node_name


def of_silent_members(now: float, world: World) -> tuple[str, ...]:
    """Those of members of which no heartbeat was received for so long that they may be silent."""
    spec, found, first = world.rendezvous.spec, dict[str, None](), dict[str, None]()
    shortest = spec.heartbeat.interval_seconds * spec.heartbeat.max_missed
    for member in world.rendezvous.status.participants:
        seen = world.participants.get(member.name)
        if seen is None or now - seen.beat_at < shortest or seen.object.spec.state is ParticipantState.LEFT:
            continue
        machine = seen.object.spec.node_name
        if machine is not None and now - seen.beat_at >= late_seconds(seen.object, spec):
            pod = world.pods.get(seen.object.spec.pod_uid or "")
            ought_to_end = pod is not None and pod.ends_by is not None
            (first if ought_to_end else found)[machine] = None
    return tuple(first | found)[:MOST]


def why_down(world: World, seen: SeenParticipant) -> str:
    """Why the machine of a participant is down, for people; empty: it is not, as far as is known."""
    name = seen.object.spec.node_name
    machine = (world.machines or {}).get(name) if name is not None else None
    return "" if machine is None or machine.problem is None else f"its machine {name} {machine.problem}"


def lost_seconds(now: float, began: float, seen: SeenParticipant, world: World, since: Mapping[Fact, float]) -> float:
    """The time without a heartbeat after which a member is lost, in seconds; shorter if its machine is down.

    It is silent then, and no heartbeat has come for ``timeouts.confirmSeconds`` since its machine was seen to be down.
    An agent does not know that its machine is reported as down, so it sends no heartbeat sooner: to be silent takes the
    usual time.

    Args:
        now: monotonic seconds.
        began: when its silence begins to count (monotonic seconds).
        seen: the participant.
        world: what is seen.
        since: since when facts have been true.
    """
    spec = world.rendezvous.spec
    longest = suspect_seconds(seen.object, spec)
    if not why_down(world, seen):
        return longest
    down_since = min(since.get(fact(seen.object.spec.node_name), now), now)
    confirm = spec.timeouts.confirm_seconds
    return min(longest, max(silent_seconds(seen.object, spec), confirm, down_since + confirm - began))


def fact(name: str | None) -> Fact:
    """The fact that a machine is down."""
    return Timer.MACHINE_DOWN, name
