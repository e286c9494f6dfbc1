"""Deletes objects that are not needed any more (rule "retention"). Without finalizers: a lost deletion is made later.

No object is read for this. Each deletion carries the UID and the resourceVersion that were seen, so an object that has
changed since then is kept. A member of a round that may still be running is never deleted, however long it is silent,
and the participant of a live known pod goes with its pod. No participant is deleted while all are silent: maybe only
their path to the API server is broken. The hour of a member for which its peers have vouched begins when they did so
last.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from rendezvous_api import names
from rendezvous_api.meta import Condition, ObjectMeta, moment_of
from rendezvous_operator.core.situation import RETENTION_SECONDS, Situation
from rendezvous_operator.core.timers import Timer, Timers
from rendezvous_operator.core.verdict import earliest
from rendezvous_operator.core.world import Deletion, Now, SeenParticipant


@dataclass(frozen=True)
class _Due:
    """An object that is to be deleted, now or later."""

    kind: str
    metadata: ObjectMeta
    at: float
    why: str


@dataclass(frozen=True)
class Garbage:
    """The deletions of now, and the moment of the next one (monotonic seconds; None: there is none)."""

    deletions: tuple[Deletion, ...]
    until: float | None


def collect(s: Situation, timers: Timers) -> Garbage:
    """The garbage of one Rendezvous; the Rendezvous itself may be in it."""
    return _garbage([*_participants(s, timers), *_rendezvous(s, timers)], s.now.monotonic)


def orphans(now: Now, participants: Mapping[str, SeenParticipant]) -> Garbage:
    """The garbage of a Rendezvous that does not exist: participants without a heartbeat for an hour.

    Args:
        now: the time.
        participants: that name this Rendezvous, by name.
    """
    due = [
        _Due(
            names.PARTICIPANT_KIND,
            seen.object.metadata,
            seen.beat_at + RETENTION_SECONDS,
            "its Rendezvous was deleted",
        )
        for seen in participants.values()
    ]
    return _garbage(due, now.monotonic)


def _participants(s: Situation, timers: Timers) -> Iterator[_Due]:
    if s.liveness.all_silent:
        return
    may_run = bool(s.status.history) and s.status.history[-1].ended is None
    for node in s.nodes.values():
        if may_run and node.name in s.entries:
            continue
        if node.pod is not None and node.pod.known and node.pod.live:
            continue  # it goes with its pod; until then the next agent of the container learns from it what has ended
        if node.left is not None:
            left_at = timers.began(Timer.LEFT, (node.name, node.object.spec.incarnation))
            yield _Due(names.PARTICIPANT_KIND, node.object.metadata, left_at + RETENTION_SECONDS, "it left an hour ago")
        else:
            why = "no heartbeat for an hour"
            yield _Due(names.PARTICIPANT_KIND, node.object.metadata, s.silent_since(node) + RETENTION_SECONDS, why)


def _rendezvous(s: Situation, timers: Timers) -> Iterator[_Due]:
    # While it has participants the time would begin now: that they are looked at only saves a decision in an hour.
    if s.world.rendezvous.made_by_agent and not s.nodes:
        empty_since = timers.began(Timer.EMPTY)
        why = "it has had no participants for an hour"
        yield _Due(names.RENDEZVOUS_KIND, s.metadata, empty_since + RETENTION_SECONDS, why)
    ttl, finished = s.spec.ttl_seconds_after_finished, _finished(s)
    if ttl is not None and finished is not None and not _has_present_agent(s):
        # The only decision that depends on a time from the status: it must survive a restart of the operator.
        expires = moment_of(finished.last_transition_time) + timedelta(seconds=ttl)
        at = s.now.monotonic + (expires - s.now.wall).total_seconds()
        yield _Due(names.RENDEZVOUS_KIND, s.metadata, at, f"its run ended {ttl} s ago")


def _has_present_agent(s: Situation) -> bool:
    """Whether somebody is left who has not read its answer yet, or still trains."""
    return bool(s.blocking_members) or any(node.present for node in s.nodes.values())


def _finished(s: Situation) -> Condition | None:
    """The condition that says that the run has ended, as it was written last; None: it has not."""
    for condition_type in (names.CONDITION_COMPLETE, names.CONDITION_FAILED):
        if s.status.holds(condition_type):
            return s.status.condition(condition_type)
    return None


def _garbage(found: list[_Due], now: float) -> Garbage:
    deletions = {(due.kind, due.metadata.name): due for due in found if due.at <= now}
    until = earliest(*(due.at for due in found if due.at > now))
    return Garbage(tuple(_deletion(due) for due in deletions.values()), until)


def _deletion(due: _Due) -> Deletion:
    return Deletion(due.kind, due.metadata.name, due.metadata.uid, due.metadata.resource_version, due.why)
