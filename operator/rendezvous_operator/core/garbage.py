"""What is deleted because nothing needs it any more (rule "retention"). No finalizers: losing a deletion loses nothing.

Nothing is read for this: each deletion carries the UID and the resourceVersion of what was seen, so that an object of
which a watch has not shown the latest is kept. Nobody is deleted who belongs to a round that somebody may still run,
however long it is silent. And nobody is while all are silent: the way to the API server may be all that is broken.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from rendezvous_api import names
from rendezvous_api.meta import ObjectMeta
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.timers import Timer, Timers
from rendezvous_operator.core.verdict import earliest
from rendezvous_operator.core.world import Deletion, Now, SeenParticipant

RETENTION_SECONDS = 3600
"""How long a participant that has left or is silent, and an empty Rendezvous that an agent made, are kept."""


@dataclass(frozen=True)
class _Due:
    """Something that is to be deleted, now or later."""

    kind: str
    metadata: ObjectMeta
    at: float
    why: str


@dataclass(frozen=True)
class Garbage:
    """What is to be deleted now, and when the next is."""

    deletions: tuple[Deletion, ...]
    until: float | None


def collect(s: Situation, timers: Timers) -> Garbage:
    """What of one Rendezvous is to be deleted, the Rendezvous itself included."""
    return _garbage([*_participants(s, timers), *_rendezvous(s, timers)], s.now.monotonic)


def orphans(now: Now, participants: Mapping[str, SeenParticipant], answering_since: float) -> Garbage:
    """Participants without a Rendezvous: those of which nothing was heard for an hour in which they could be heard."""
    due = [
        _Due(
            names.PARTICIPANT_KIND,
            seen.object.metadata,
            max(seen.heard_at, answering_since) + RETENTION_SECONDS,
            "its rendezvous is gone",
        )
        for seen in participants.values()
    ]
    return _garbage(due, now.monotonic)


def _participants(s: Situation, timers: Timers) -> Iterator[_Due]:
    if s.hearing.all_silent:
        return
    may_run = bool(s.status.history) and s.status.history[-1].ended is None
    heard_not_before = max(s.world.answering_since, s.hearing.grace_from)
    for agent in s.agents.values():
        if may_run and agent.name in s.entries:
            continue
        if agent.left is not None:
            left_at = timers.began(Timer.LEFT, (agent.name, agent.object.spec.incarnation))
            yield _Due(
                names.PARTICIPANT_KIND, agent.object.metadata, left_at + RETENTION_SECONDS, "it left an hour ago"
            )
        else:
            heard_at = max(s.world.participants[agent.name].heard_at, heard_not_before)
            why = "nothing has been heard of it for an hour"
            yield _Due(names.PARTICIPANT_KIND, agent.object.metadata, heard_at + RETENTION_SECONDS, why)


def _rendezvous(s: Situation, timers: Timers) -> Iterator[_Due]:
    if s.metadata.labels.get(names.LABEL_CREATED_BY) == names.CREATED_BY_AGENT and not s.agents:
        empty_since = timers.began(Timer.EMPTY)
        why = "its last participant went an hour ago"
        yield _Due(names.RENDEZVOUS_KIND, s.metadata, empty_since + RETENTION_SECONDS, why)
    ttl, closed = s.spec.ttl_seconds_after_closed, s.status.condition(names.CONDITION_CLOSED)
    if ttl is not None and closed is not None and closed.status == "True":
        # The only decision that rests on a time from the status: it must survive a restart of the operator.
        over = datetime.fromisoformat(closed.last_transition_time.replace("Z", "+00:00")) + timedelta(seconds=ttl)
        at = s.now.monotonic + (over - s.now.wall).total_seconds()
        yield _Due(names.RENDEZVOUS_KIND, s.metadata, at, f"it was closed {ttl} s ago")


def _garbage(found: list[_Due], now: float) -> Garbage:
    deletions = {(due.kind, due.metadata.name): due for due in found if due.at <= now}
    until = earliest(*(due.at for due in found if due.at > now))
    return Garbage(tuple(_deletion(due) for due in deletions.values()), until)


def _deletion(due: _Due) -> Deletion:
    return Deletion(due.kind, due.metadata.name, due.metadata.uid, due.metadata.resource_version, due.why)
