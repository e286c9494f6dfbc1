"""What is deleted because nobody needs it any more (rule 12). No finalizers: losing a deletion loses nothing."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from tests.unit.former_core.liveness import Agent
from tests.unit.former_core.turn import Turn
from tests.unit.former_core.world import Deletion, Now, SeenParticipant, Target

from rendezvous_api import names
from rendezvous_api.meta import ObjectMeta
from rendezvous_api.rendezvous import RendezvousStatus

RETENTION_SECONDS = 3600
"""How long a participant that has left or is silent, and an empty Rendezvous that an agent made, are kept."""


def delete_what_is_over(turn: Turn, status: RendezvousStatus, agents: Mapping[str, Agent]) -> None:
    """Name what is to be deleted now, or say when to look again."""
    for agent in agents.values():
        _participant(turn, agent)
    _rendezvous(turn, status)


def _participant(turn: Turn, agent: Agent) -> None:
    seen = turn.world.participants[agent.name]
    spec = agent.object.spec
    if agent.left is not None:
        since = turn.since("left", agent.name, spec.incarnation)
        if turn.reached(since + RETENTION_SECONDS):
            turn.deletions.append(_deletion(names.PARTICIPANT_KIND, seen.object.metadata, "it left an hour ago"))
        return
    silent_until = max(seen.heard_at, turn.world.answering_since) + RETENTION_SECONDS
    if not turn.reached(silent_until):
        return
    if seen.read_at is None or seen.read_at < silent_until:
        turn.confirm.add(Target(names.PARTICIPANT_KIND, agent.name))
    else:
        turn.deletions.append(_deletion(names.PARTICIPANT_KIND, seen.object.metadata, "it has been silent for an hour"))


def _rendezvous(turn: Turn, status: RendezvousStatus) -> None:
    metadata = turn.world.rendezvous.metadata
    made_by_agent = metadata.labels.get(names.LABEL_CREATED_BY) == names.CREATED_BY_AGENT
    if made_by_agent and not turn.world.participants and turn.reached(turn.since("empty") + RETENTION_SECONDS):
        turn.deletions.append(_deletion(names.RENDEZVOUS_KIND, metadata, "its last participant went an hour ago"))
        return
    ttl = turn.spec.ttl_seconds_after_closed
    closed = status.condition(names.CONDITION_CLOSED)
    if ttl is None or closed is None or closed.status != "True":
        return
    # The only decision that rests on a time from the status: it must survive a restart of the operator.
    over = datetime.fromisoformat(closed.last_transition_time.replace("Z", "+00:00")) + timedelta(seconds=ttl)
    if turn.reached(turn.now.monotonic + (over - turn.now.wall).total_seconds()):
        turn.deletions.append(_deletion(names.RENDEZVOUS_KIND, metadata, f"it was closed {ttl} s ago"))


def _deletion(kind: str, metadata: ObjectMeta, why: str) -> Deletion:
    return Deletion(kind, metadata.name, metadata.uid, metadata.resource_version, why)


def orphans(now: Now, participants: Mapping[str, SeenParticipant]) -> tuple[list[Deletion], float | None]:
    """Participants without a Rendezvous: those of which nothing was heard for an hour, and when to look again."""
    deletions = []
    wake_at: float | None = None
    for seen in participants.values():
        over_at = seen.heard_at + RETENTION_SECONDS
        if now.monotonic >= over_at:
            deletions.append(_deletion(names.PARTICIPANT_KIND, seen.object.metadata, "its rendezvous is gone"))
        else:
            wake_at = over_at if wake_at is None else min(wake_at, over_at)
    return deletions, wake_at
