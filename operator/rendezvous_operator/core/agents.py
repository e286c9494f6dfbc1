"""What is known of one agent, and of one member of the current round (rules "waiting" and "liveness")."""

from enum import Enum, IntEnum
from typing import NamedTuple

from rendezvous_api import names
from rendezvous_api.participant import Participant
from rendezvous_api.reasons import LeaveReason, ParticipantState
from rendezvous_api.rendezvous import Member, RendezvousSpec
from rendezvous_operator.core.world import Pod, SeenParticipant, Target, World

POD_KIND = "Pod"


class Silence(IntEnum):
    """For how long no heartbeat was seen; `silence` measures it."""

    NONE = 0
    KEEP_ALIVE = 1
    """keepAliveIntervalSeconds x keepAliveMaxAttempts: death while a round is formed, suspicion while one runs."""
    SUSPECT = 2
    """suspectTimeoutSeconds: death in any case."""


class Agent(NamedTuple):
    """One participant object and what is known of its life."""

    name: str
    """Of the participant object."""
    object: Participant
    run_id: str
    claimed_round: int = 0
    """The round that its heartbeat says it runs, 0 when it is inside next_rendezvous."""
    pod: Pod | None = None
    left: LeaveReason | None = None
    dead: str | None = None
    """Why it is certainly dead, for people; silence is not in here."""
    silence: Silence = Silence.NONE
    run_unread: Target | None = None
    """Its pod must be read before its run is certain."""
    addressed: bool = True
    """It has joined this very Rendezvous, not a deleted one of the same name."""

    @property
    def present(self) -> bool:
        """Has not left, is not dead, is not silent."""
        return self.left is None and self.dead is None and self.silence is Silence.NONE

    @property
    def leaving(self) -> str | None:
        """Why its pod will end soon, or None."""
        return self.pod.leaving if self.pod else None

    def is_admitted_as(self, member: Member | None) -> bool:
        """Whether its present attempt is the one that was admitted as that member."""
        if member is None:
            return False
        spec = self.object.spec
        return spec.attempt == member.attempt and spec.incarnation == member.incarnation

    def waits(self, member: Member | None) -> bool:
        """Rule "waiting": it asks for a place. ``member`` is the entry of its name in the current round, if any."""
        if self.claimed_round or not self.addressed or self.is_admitted_as(member):
            return False
        return self.present and self.leaving is None


class MemberState(Enum):
    """What has become of a member of the current round."""

    RUNNING = "is running"
    SUSPECT = "is silent"
    LEAVING = "is leaving"
    REENTERED = "asks to join again"
    SUCCEEDED = "has succeeded"
    FAILED = "left"
    LOST = "was lost"

    @property
    def blocks(self) -> bool:
        """Rule "exclusivity": no other round may be published while a member is in this state."""
        return self in _BLOCKING


_BLOCKING = frozenset({MemberState.RUNNING, MemberState.SUSPECT, MemberState.LEAVING})


class MemberView(NamedTuple):
    """A member of the current round, its agent if that can be seen, and what has become of it."""

    member: Member
    agent: Agent | None
    state: MemberState
    why: str = ""
    silent: str = ""
    """For how long nothing was heard of it, for people; empty if it is heard."""

    @property
    def name(self) -> str:
        """Name of the participant object."""
        return self.member.name

    @property
    def evicted(self) -> str | None:
        """Why it has to go, if its pod ends: also when its agent has left, fails or is dead, which follows from it."""
        stays = self.state in (MemberState.RUNNING, MemberState.SUSPECT, MemberState.SUCCEEDED)
        return self.agent.leaving if self.agent is not None and not stays else None

    def lost_if_silent(self) -> "MemberView":
        """The same where a short silence is death."""
        return self._replace(state=MemberState.LOST, why=self.silent) if self.silent else self


def see_agent(world: World, name: str, seen: SeenParticipant) -> Agent:
    """Judge one participant object, by its name in the world, by all but its silence."""
    participant = seen.object
    spec, heartbeat = participant.spec, participant.status
    pod, missing_pod = None, None
    if spec.pod_uid:
        pod = world.pods.get(spec.pod_uid)
        missing_pod = _owner(participant) if pod is None else None

    left = spec.leave_reason if spec.state is ParticipantState.LEFT else None
    dead = None
    if pod is not None and pod.phase == "Succeeded":
        left = left or LeaveReason.SUCCEEDED
    elif pod is not None and pod.phase == "Failed":
        dead = f"its pod {pod.name} has failed"
    elif missing_pod in world.absent:
        dead = f"its pod {spec.pod_name} is gone"

    run_id, run_unread = spec.run_id, None
    if run_id is None:
        run_id = (pod.run_id if pod is not None and pod.known else None) or names.UNNAMED_RUN
        run_unread = missing_pod if dead is None else None
    speaks = heartbeat.attempt == spec.attempt and heartbeat.incarnation == spec.incarnation
    return Agent(
        name=name,
        object=participant,
        run_id=run_id,
        claimed_round=heartbeat.round if speaks else 0,
        pod=pod,
        left=left,
        dead=dead,
        run_unread=run_unread,
        addressed=spec.rendezvous_uid == world.rendezvous.metadata.uid,
    )


def _owner(participant: Participant) -> Target | None:
    """The pod that owns a participant, if one does."""
    spec = participant.spec
    owned = any((owner.kind, owner.uid) == (POD_KIND, spec.pod_uid) for owner in participant.metadata.owner_references)
    return Target(POD_KIND, spec.pod_name or "", spec.pod_uid or "") if owned else None


def see_member(member: Member, agent: Agent | None, rendezvous: RendezvousSpec) -> MemberView:
    """What has become of a member while nothing has ended its round.

    Args:
        member: its entry in the current round.
        agent: of the same name; None: its object is gone, which was read.
        rendezvous: the spec of its Rendezvous; says how long a silence is.
    """
    if agent is None:
        return MemberView(member, None, MemberState.LOST, "its participant object is gone")
    spec = agent.object.spec
    if spec.incarnation != member.incarnation:
        return MemberView(member, agent, MemberState.LOST, "its agent was started anew")
    if agent.left is LeaveReason.SUCCEEDED and spec.attempt == member.attempt:
        return MemberView(member, agent, MemberState.SUCCEEDED)
    if agent.left is not None:
        return MemberView(member, agent, MemberState.FAILED, f"it left: {agent.left}")
    if agent.dead is not None:
        return MemberView(member, agent, MemberState.LOST, agent.dead)
    if spec.attempt != member.attempt:
        return MemberView(member, agent, MemberState.REENTERED)
    if agent.silence is Silence.NONE and agent.leaving is None:
        return MemberView(member, agent, MemberState.RUNNING)
    seconds = rendezvous.suspect_seconds if agent.silence is Silence.SUSPECT else rendezvous.keep_alive_seconds
    silent = f"nothing was heard of it for over {seconds} s" if agent.silence else ""
    if agent.silence is Silence.SUSPECT:
        return MemberView(member, agent, MemberState.LOST, silent, silent)
    if agent.leaving is not None:
        return MemberView(member, agent, MemberState.LEAVING, agent.leaving, silent)
    return MemberView(member, agent, MemberState.SUSPECT, silent, silent)
