"""One node, and one member of the current round, as the operator sees them (rules "waiting" and "liveness")."""

import ipaddress
from collections.abc import Iterable
from enum import Enum, IntEnum
from typing import NamedTuple

from rendezvous_api import names
from rendezvous_api.participant import LONGEST_INTERVAL_SECONDS, Participant
from rendezvous_api.reasons import LeaveReason, ParticipantState
from rendezvous_api.rendezvous import Member
from rendezvous_api.rendezvous_spec import RendezvousSpec
from rendezvous_operator.core.run_of_node import KnownRuns, RunOfNode, run_of
from rendezvous_operator.core.world import (
    Concluded,
    ContainerEnd,
    Excused,
    Pod,
    SeenParticipant,
    Target,
    Vouched,
    World,
)

_WHOLE_SECONDS = len("2026-01-01T00:00:00")


def interval_seconds(participant: Participant, spec: RendezvousSpec) -> int:
    """The time between two heartbeats of an agent: what it says, but not less than the spec allows.

    After a change, the agent learns of it later than the operator. One that says nothing may keep the longest one, and
    so may a new agent whose status is still that of the one before it.
    """
    said = participant.status.interval_seconds
    if said is None or participant.status.incarnation != participant.spec.incarnation:
        return spec.heartbeat_seconds
    return max(min(said, LONGEST_INTERVAL_SECONDS), spec.heartbeat.interval_seconds)


def silent_seconds(participant: Participant, spec: RendezvousSpec) -> int:
    """The time without a heartbeat after which that agent is silent."""
    return interval_seconds(participant, spec) * spec.heartbeat.max_missed


def late_seconds(participant: Participant, spec: RendezvousSpec) -> int:
    """The time without a heartbeat after which one is late, whoever vouches for that agent."""
    return silent_seconds(participant, spec) + participant.rare_seconds


def suspect_seconds(participant: Participant, spec: RendezvousSpec) -> int:
    """The time without a heartbeat after which that agent is lost, also in a round that runs."""
    return max(spec.suspect_seconds, silent_seconds(participant, spec))


def silence_begins(seen: SeenParticipant, excused: Excused | None, vouched: Vouched | None) -> float:
    """When the silence after the last heartbeat begins to count (monotonic seconds), whatever all others do."""
    began = seen.beat_at
    if excused is not None and excused.beat_at == seen.beat_at:
        began += excused.seconds
    if vouched is not None and vouched.beat_at == seen.beat_at:
        began = max(began, vouched.at)
    return began


class Silence(IntEnum):
    """For how long no heartbeat was received; `liveness` measures it."""

    NONE = 0
    SILENT = 1
    """heartbeat.intervalSeconds x heartbeat.maxMissed: lost while a round is formed, suspect while one runs."""
    LOST = 2
    """timeouts.suspectSeconds: lost, unless the round is isolated. Or other evidence says so, see `peers`."""


class Node(NamedTuple):
    """One torchrun agent as a part of a group: its participant object, its pod, and whether it is alive."""

    name: str
    """Of the participant object."""
    object: Participant
    run: RunOfNode
    reported_round: int = 0
    """The round that its last heartbeat reports; 0 while the agent is inside next_rendezvous."""
    pod: Pod | None = None
    left: LeaveReason | None = None
    dead: str | None = None
    """Why it is certainly dead, for people; silence alone never is."""
    silence: Silence = Silence.NONE
    run_unread: Target | None = None
    """Its pod, which must be read before its run is certain."""
    life_unread: Target | None = None
    """Its pod, which must be read before it is certain that it is gone: it may only have lost its label."""
    end_unread: Target | None = None
    """Itself, which must be read before the end of its pod or container counts: its last word may not have been shown
    yet."""
    addressed: bool = True
    """It has joined this Rendezvous, not a deleted one of the same name."""
    over: bool = False
    """It has left or died, and its container is not started again: nothing more comes from this pod by that name."""
    understood: bool = True
    """See `SeenParticipant`. If not, it is what it was last known to be as long as its heartbeats arrive."""

    @property
    def run_id(self) -> str:
        """Its run."""
        return self.run.id

    @property
    def lives(self) -> bool:
        """Has not left and is not dead, as far as is known; it may be silent."""
        return self.left is None and self.dead is None

    @property
    def unhealthy(self) -> str | None:
        """What its health checks have found, for which it stays out; None: nothing, or it takes part."""
        return self.object.spec.unhealthy if self.left is not None else None

    @property
    def present(self) -> bool:
        """Lives, and is not silent."""
        return self.lives and self.silence is Silence.NONE

    @property
    def has_wrong_address(self) -> bool:
        """Whether it gives an IP address that its known pod does not have: other nodes would connect to a third party.

        A name is not looked up here.
        """
        pod, address = self.pod, self.object.spec.address
        if pod is None or not pod.known or not pod.addresses or address in pod.addresses:
            return False
        given = _ip_address(address)
        return given is not None and given not in {_ip_address(found) for found in pod.addresses}

    @property
    def leaving(self) -> str | None:
        """Why its pod will end soon, or None."""
        return self.pod.leaving if self.pod else None

    def is_member(self, member: Member | None) -> bool:
        """Whether its present attempt is that member of the current round; None: its name is not among the members."""
        if member is None:
            return False
        if not self.understood:
            return True
        spec = self.object.spec
        # Attempts only grow, so a lower one is what a watch that lags behind still shows of that member.
        return spec.attempt <= member.attempt and spec.incarnation == member.incarnation

    def waits(self, member: Member | None) -> bool:
        """Rule "waiting": it has joined and is not a member.

        An agent of a later release may have a state that is neither Joined nor Left: it is alive, and does not wait.

        Args:
            member: the entry of its name in the current round; None: there is none.
        """
        if self.object.spec.state is not ParticipantState.JOINED:
            return False
        if self.reported_round or not self.addressed or not self.understood or self.is_member(member):
            return False
        return self.present and self.leaving is None


class MemberState(Enum):
    """The state of a member of the current round."""

    RUNNING = "is running"
    SUSPECT = "is silent"
    LEAVING = "is leaving"
    REENTERED = "asks to join again"
    SUCCEEDED = "has succeeded"
    LEFT = "left"
    LOST = "was lost"

    @property
    def blocks(self) -> bool:
        """Rule "exclusivity": no other round may be published while a member is in this state."""
        return self in _BLOCKING


_BLOCKING = frozenset({MemberState.RUNNING, MemberState.SUSPECT, MemberState.LEAVING})


class MemberView(NamedTuple):
    """A member of the current round, its node if its object exists, and its state."""

    member: Member
    node: Node | None
    state: MemberState
    why: str = ""
    silent: str = ""
    """For how long no heartbeat was received, for people; empty if it is not silent. Not of one that may be dead only
    because another member says so."""

    @property
    def name(self) -> str:
        """Name of the participant object."""
        return self.member.name

    @property
    def evicted(self) -> str | None:
        """Why its pod ends; None: it does not.

        Also set when its agent has left, failed or died: the end of the pod causes that.
        """
        return self.node.leaving if self.node is not None else None

    @property
    def unhealthy(self) -> bool:
        """Whether it stays out since one of its health checks has failed, and has not died since or before."""
        return self.state is MemberState.LEFT and self.node is not None and self.node.unhealthy is not None

    @property
    def terminated(self) -> bool:
        """Whether its agent has left because of a signal."""
        return self.node is not None and self.node.left is LeaveReason.TERMINATED

    def lost_if_silent(self) -> "MemberView":
        """The same, lost if it is silent at all."""
        return self._replace(state=MemberState.LOST, why=self.silent) if self.silent else self


def names_of(nodes: Iterable[Node]) -> tuple[str, ...]:
    """The names of nodes, in their order."""
    return tuple(node.name for node in nodes)


def nodes_of(views: Iterable[MemberView]) -> list[Node]:
    """The nodes of members whose objects exist."""
    return [view.node for view in views if view.node is not None]


def _ip_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, ipaddress.IPv6Address) else found


def see_node(world: World, name: str, seen: SeenParticipant, known: KnownRuns) -> Node:
    """Derive a node from its participant object and its pod. Its silence is measured later, by `liveness`."""
    participant = seen.object
    spec, heartbeat = participant.spec, participant.status
    pod, missing_pod = None, None
    if spec.pod_uid:
        pod = world.pods.get(spec.pod_uid)
        missing_pod = _owner(participant) if pod is None else None

    left = spec.leave_reason if spec.state is ParticipantState.LEFT else None
    dead, succeeded, end = None, False, _end_of_container(participant, pod)
    if pod is not None and pod.phase == "Succeeded":
        succeeded = True
    elif pod is not None and pod.phase == "Failed":
        dead = f"its pod {pod.name} has failed"
    elif pod is not None and end is not None and _ended_with(end, seen):
        if end.over and end.exit_code == 0:
            succeeded = True
        else:
            dead = f"container {end.container} of its pod {pod.name} has ended ({end.why})"
    elif missing_pod in world.absent:
        dead = f"its pod {spec.pod_name} is gone"
    # What has become of a member counts at once, and for good, so its last word must have been read by then.
    says_nothing = left is None and name in known.members
    end_unread = says_nothing and (succeeded or dead is not None) and not _is_read_since_its_end(world, seen)
    if succeeded:
        left = left or LeaveReason.SUCCEEDED

    run = run_of(name, spec, pod, known)
    current = heartbeat.attempt == spec.attempt and heartbeat.incarnation == spec.incarnation
    return Node(
        name=name,
        object=participant,
        run=run,
        reported_round=heartbeat.round if current else 0,
        pod=pod,
        left=left,
        dead=dead,
        run_unread=missing_pod if dead is None and not run.certain else None,
        life_unread=missing_pod if missing_pod in world.vanished and left is None else None,
        end_unread=Target(names.PARTICIPANT_KIND, name) if end_unread else None,
        addressed=spec.rendezvous_uid == world.rendezvous.metadata.uid,
        over=end is not None and end.over and (left is not None or dead is not None),
        understood=seen.understood,
    )


def _end_of_container(participant: Participant, pod: Pod | None) -> ContainerEnd | None:
    """The last end of the container of an agent, if it is known which one that is."""
    if pod is None or not pod.ended:
        return None
    name = participant.spec.container or pod.only_container
    return next((end for end in pod.ended if end.container == name), None)


def _ended_with(end: ContainerEnd, seen: SeenParticipant) -> bool:
    """Whether the container has ended with this incarnation of the agent in it, not with an earlier one. In doubt, no.

    The times of heartbeat and container are of the clock of one machine, in UTC; the kubelet gives whole seconds. That
    clock may have been set back since the container started again. So a heartbeat that was seen to arrive after that
    start is one of the agent that runs now, whatever its time.
    """
    if end.over:
        return True
    heartbeat = seen.object.status
    if heartbeat.heartbeat_time is None or heartbeat.incarnation != seen.object.spec.incarnation:
        return False
    second = heartbeat.heartbeat_time[:_WHOLE_SECONDS]
    if end.runs_since is None:
        return end.finished_at is None or second <= end.finished_at[:_WHOLE_SECONDS]
    return end.seen_at is not None and seen.beat_at < end.seen_at and second < end.runs_since[:_WHOLE_SECONDS]


def _is_read_since_its_end(world: World, seen: SeenParticipant) -> bool:
    ended_at = world.ended_at.get(seen.object.spec.pod_uid or "", 0.0)
    return seen.read_at is not None and seen.read_at >= ended_at


def _owner(participant: Participant) -> Target | None:
    """The pod that owns a participant; None: no pod does."""
    spec = participant.spec
    owned = any(
        (owner.kind, owner.uid) == (names.POD_KIND, spec.pod_uid) for owner in participant.metadata.owner_references
    )
    return Target(names.POD_KIND, spec.pod_name or "", spec.pod_uid or "") if owned else None


def see_member(
    member: Member,
    node: Node | None,
    rendezvous: RendezvousSpec,
    *,
    isolated: bool,
    concluded: Concluded | None = None,
    suspected: str = "",
    machine: str = "",
) -> MemberView:
    """The state of a member as long as nothing has ended its round.

    Args:
        member: its entry in the current round.
        node: of the same name; None: its object does not exist, by a read.
        rendezvous: the spec of its Rendezvous; gives the limits of silence.
        isolated: its round is, so no silence loses it (see `liveness`).
        concluded: what follows from what other members say of it.
        suspected: why another member says that it may be dead, for people.
        machine: why its machine is down, for people, if it is silent for too long only since that is so.
    """
    if node is None:
        return MemberView(member, None, MemberState.LOST, "its participant object is gone")
    spec = node.object.spec
    if node.understood and spec.incarnation != member.incarnation:
        return MemberView(member, node, MemberState.LOST, "its agent restarted")
    if node.left is LeaveReason.SUCCEEDED and spec.attempt == member.attempt:
        return MemberView(member, node, MemberState.SUCCEEDED)
    if node.left is not None and spec.attempt >= member.attempt:
        why = f"it is unhealthy: {node.unhealthy}" if node.unhealthy else f"it left: {node.left}"
        return MemberView(member, node, MemberState.LEFT, why)
    if node.dead is not None:
        return MemberView(member, node, MemberState.LOST, node.dead)
    if node.understood and spec.attempt > member.attempt:
        return MemberView(member, node, MemberState.REENTERED)
    if concluded is not None:
        if concluded.dead:
            return MemberView(member, node, MemberState.LOST, concluded.why, concluded.why)
        return MemberView(member, node, MemberState.REENTERED, concluded.why)
    if suspected and node.leaving is None and node.silence is Silence.NONE:
        return MemberView(member, node, MemberState.SUSPECT, suspected)
    if node.silence is Silence.NONE and node.leaving is None:
        return MemberView(member, node, MemberState.RUNNING)
    limit = suspect_seconds if node.silence is Silence.LOST and not machine else silent_seconds
    seconds = limit(node.object, rendezvous)
    silent = f"no heartbeat for more than {seconds} s" if node.silence else ""
    if machine:
        silent += f", and {machine}"
    if node.silence is Silence.LOST and not isolated:
        return MemberView(member, node, MemberState.LOST, silent, silent)
    if node.leaving is not None:
        return MemberView(member, node, MemberState.LEAVING, node.leaving, silent)
    return MemberView(member, node, MemberState.SUSPECT, silent, silent)
