"""Who is alive (rule 9).

Silence is no change of a heartbeat *seen* on the operator's own monotonic clock; clocks of two machines are never
compared (compare client-go's leader election, which "only acts on timestamps captured locally"). Nobody is called
silent or gone from what a watch has not said: the object is read from the API server first.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, IntEnum

from tests.unit.former_core.turn import Turn
from tests.unit.former_core.world import Pod, SeenParticipant, Target

from rendezvous_api import names
from rendezvous_api.participant import Participant
from rendezvous_api.reasons import LeaveReason, ParticipantState
from rendezvous_api.rendezvous import Member

POD_KIND = "Pod"


class Silence(IntEnum):
    """How long nothing was heard of an agent."""

    NONE = 0
    KEEP_ALIVE = 1
    """keepAliveIntervalSeconds x keepAliveMaxAttempts: death while a round is formed, suspicion while one runs."""
    SUSPECT = 2
    """suspectTimeoutSeconds: death in any case."""


@dataclass(frozen=True)
class Agent:
    """One participant object and what is known of its life."""

    object: Participant
    run_id: str
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
    def name(self) -> str:
        """Name of the participant object."""
        return self.object.metadata.name

    @property
    def present(self) -> bool:
        """Has not left, is not dead, is not silent."""
        return self.left is None and self.dead is None and self.silence is Silence.NONE

    @property
    def leaving(self) -> str | None:
        """Why its pod will end soon, or None."""
        return self.pod.leaving if self.pod else None

    @property
    def claimed_round(self) -> int:
        """The round that its heartbeat says it runs, 0 when it is inside next_rendezvous."""
        spec, heartbeat = self.object.spec, self.object.status
        same_attempt = (heartbeat.incarnation, heartbeat.attempt) == (spec.incarnation, spec.attempt)
        return heartbeat.round if same_attempt else 0

    def is_admitted_as(self, member: Member | None) -> bool:
        """Whether its present attempt is the one that was admitted as that member."""
        spec = self.object.spec
        return member is not None and (spec.incarnation, spec.attempt) == (member.incarnation, member.attempt)

    def waits(self, member: Member | None) -> bool:
        """Rule 1: it asks for a place. ``member`` is the entry of its name in the current round, if there is one."""
        asks = self.addressed and self.claimed_round == 0 and not self.is_admitted_as(member)
        return asks and self.present and self.leaving is None


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
    def holds(self) -> bool:
        """Rule 2: no other round may be published while a member is in this state."""
        return self in (MemberState.RUNNING, MemberState.SUSPECT, MemberState.LEAVING)


@dataclass(frozen=True)
class MemberView:
    """A member of the current round, its agent if that can be seen, and what has become of it."""

    member: Member
    agent: Agent | None
    state: MemberState
    why: str = ""


def see_agents(turn: Turn) -> dict[str, Agent]:
    """Judge every participant object. Asks for what must be read first."""
    agents = {name: _see(turn, seen) for name, seen in turn.world.participants.items()}
    return _hear(turn, agents)


def see_members(turn: Turn, agents: Mapping[str, Agent], *, forming: bool) -> list[MemberView]:
    """What has become of each member of the current round, in the order of ranks.

    Args:
        turn: the decision being taken.
        agents: from `see_agents`.
        forming: the round has been asked to end, so that a short silence is death.
    """
    members = turn.world.rendezvous.status.participants
    views = [_see_member(turn, member, agents.get(member.name), forming=forming) for member in members]
    if not forming and any(view.state is MemberState.REENTERED for view in views):
        # Somebody's re-entry speaks against whoever is silent: there is nothing left to protect by patience.
        return see_members(turn, agents, forming=True)
    return views


def _see(turn: Turn, seen: SeenParticipant) -> Agent:
    participant = seen.object
    spec = participant.spec
    owners = {(owner.kind, owner.uid) for owner in participant.metadata.owner_references}
    owned_by_pod = (POD_KIND, spec.pod_uid) in owners
    pod = turn.world.pods.get(spec.pod_uid) if spec.pod_uid else None
    pod_target = Target(POD_KIND, spec.pod_name or "", spec.pod_uid or "") if owned_by_pod else None

    left = spec.leave_reason if spec.state is ParticipantState.LEFT else None
    dead = None
    if pod is not None and pod.phase == "Succeeded":
        left = left or LeaveReason.SUCCEEDED
    elif pod is not None and pod.phase == "Failed":
        dead = f"its pod {pod.name} has failed"
    elif pod is None and pod_target in turn.world.absent:
        dead = f"its pod {spec.pod_name} is gone"

    run_id, run_unread = spec.run_id, None
    if run_id is None:
        known = pod if pod is not None and pod.known else None
        run_id = (known.run_id if known else None) or names.UNNAMED_RUN
        if pod is None and dead is None:
            run_unread = pod_target
    return Agent(
        object=participant,
        run_id=run_id,
        pod=pod,
        left=left,
        dead=dead,
        run_unread=run_unread,
        addressed=spec.rendezvous_uid == turn.world.rendezvous.metadata.uid,
    )


def _hear(turn: Turn, agents: dict[str, Agent]) -> dict[str, Agent]:
    """Add who is silent. When all are, something between them and us is broken, and nobody is."""
    expected = [name for name, agent in agents.items() if agent.left is None and agent.dead is None]
    silences = {name: _silence(turn, turn.world.participants[name]) for name in expected}
    all_silent = len(expected) >= 2 and all(silences.values())
    if all_silent:
        turn.counts_from = turn.now.monotonic
        turn.since("all silent")
        return agents
    if ("all silent",) in turn.memory.since:
        # Somebody is heard again: everyone gets a full period to be heard, too, and to do what is waited for.
        turn.memory = replace(turn.memory, grace_from=turn.now.monotonic)
        turn.counts_from = turn.now.monotonic
        silences = {name: _silence(turn, turn.world.participants[name]) for name in expected}
    silent = {name: silence for name, silence in silences.items() if silence}
    return agents | {name: replace(agents[name], silence=silence) for name, silence in silent.items()}


def _silence(turn: Turn, seen: SeenParticipant) -> Silence:
    heard_at = max(seen.heard_at, turn.world.answering_since, turn.memory.grace_from)
    silence = Silence.NONE
    limits = ((Silence.KEEP_ALIVE, turn.spec.keep_alive_seconds), (Silence.SUSPECT, turn.spec.suspect_timeout_seconds))
    for level, limit in limits:
        if not turn.reached(heard_at + limit):
            break
        if seen.read_at is None or seen.read_at < heard_at + limit:
            turn.confirm.add(Target(names.PARTICIPANT_KIND, seen.object.metadata.name))
            break
        silence = level
    return silence


def _see_member(turn: Turn, member: Member, agent: Agent | None, *, forming: bool) -> MemberView:
    if agent is None:
        target = Target(names.PARTICIPANT_KIND, member.name)
        if target in turn.world.absent:
            return MemberView(member, None, MemberState.LOST, "its participant object is gone")
        turn.confirm.add(target)
        return MemberView(member, None, MemberState.RUNNING)
    state, why = _state(member, agent, forming=forming, spec_seconds=turn.spec.keep_alive_seconds)
    return MemberView(member, agent, state, why)


def _state(member: Member, agent: Agent, *, forming: bool, spec_seconds: int) -> tuple[MemberState, str]:
    spec = agent.object.spec
    if spec.incarnation != member.incarnation:
        return MemberState.LOST, "its agent was started anew"
    if agent.left is LeaveReason.SUCCEEDED and spec.attempt == member.attempt:
        return MemberState.SUCCEEDED, ""
    if agent.left is not None:
        return MemberState.FAILED, f"it left: {agent.left}"
    if agent.dead is not None:
        return MemberState.LOST, agent.dead
    if spec.attempt != member.attempt:
        return MemberState.REENTERED, ""
    if agent.silence is Silence.SUSPECT or (agent.silence is Silence.KEEP_ALIVE and forming):
        return MemberState.LOST, f"nothing was heard of it for over {spec_seconds} s"
    if agent.leaving is not None:
        return MemberState.LEAVING, agent.leaving
    if agent.silence is Silence.KEEP_ALIVE:
        return MemberState.SUSPECT, f"nothing was heard of it for over {spec_seconds} s"
    return MemberState.RUNNING, ""
