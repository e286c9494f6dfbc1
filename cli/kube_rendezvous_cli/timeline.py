"""The rounds of a group on one axis of time: when it trained, and when it stood still and why."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from itertools import zip_longest

from kube_rendezvous_cli.group import Group
from rendezvous_api.meta import parse_time
from rendezvous_api.rendezvous import RoundRecord


class Kind(str, Enum):
    """What a group does in a span of time."""

    STARTING = "starting"
    """A round was published, and not all members have reported yet that their workers run it."""
    TRAINING = "training"
    DETECTING = "detecting"
    """A member is lost, and the operator does not know it yet."""
    STOPPING = "stopping"
    """The members were asked to join again, and stop their workers."""
    FORMING = "forming"
    """No member runs the old round, and the next one waits for nodes."""


@dataclass(frozen=True)
class Span:
    """What a group did from one moment to another."""

    kind: Kind
    begin: datetime
    end: datetime

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.end - self.begin).total_seconds()


@dataclass(frozen=True)
class Round:
    """A round with the time up to the next one of its run."""

    record: RoundRecord
    spans: tuple[Span, ...]
    """Without gaps, from the moment when the round was published."""
    going_on: bool
    """Whether the last span ends only because it is now."""

    @property
    def begin(self) -> datetime:
        """When it was published."""
        return self.spans[0].begin

    @property
    def end(self) -> datetime:
        """When the next one was published, or the run ended."""
        return self.spans[-1].end

    def seconds(self, *kinds: Kind) -> float:
        """How long the group did any of these."""
        return sum(span.seconds for span in self.spans if span.kind in kinds)


def timeline(group: Group, now: datetime) -> list[Round]:
    """The rounds that the status still has, the oldest first. One whose beginning cannot be read is left out."""
    records = [record for record in group.status.history if parse_time(record.formed) is not None]
    found = []
    for record, following in zip_longest(records, records[1:]):
        same_run = following if following is not None and following.run_id == record.run_id else None
        closed = group.status.closed_reason(record.run_id) is not None or following is not None
        found.append(_round(record, same_run, closed, now))
    return found


def _round(record: RoundRecord, following: RoundRecord | None, closed: bool, now: datetime) -> Round:
    """One round.

    Args:
        record: of the status.
        following: the next round of the same run, if there is one.
        closed: whether the run can have no further round, if `following` is None.
        now: the end of what has not ended.
    """
    spans: list[Span] = []
    at = parse_time(record.formed)
    assert at is not None
    goes_on = following is None and not closed
    stop = _first(record.asked, record.ended, following.formed if following is not None else None)
    if stop is None:
        stop = now if record.running or goes_on else at
    heard = parse_time(record.last_heard) or stop
    checked_in = parse_time(record.checked_in)
    limits = [
        (Kind.STARTING, checked_in or min(heard, stop)),
        (Kind.TRAINING, min(heard, stop)),
        (Kind.DETECTING, stop),
    ]
    if not record.running:
        until = parse_time(following.formed) if following is not None else None
        ended = parse_time(record.ended)
        limits.append((Kind.STOPPING, ended or until or (now if goes_on else stop)))
        if until is not None or (goes_on and ended is not None):
            limits.append((Kind.FORMING, until or now))
    for kind, end in limits:
        if end > at or not spans:
            spans.append(Span(kind, at, max(at, end)))
            at = max(at, end)
    return Round(record, tuple(spans), goes_on)


def _first(*moments: str | None) -> datetime | None:
    return next((found for text in moments if (found := parse_time(text)) is not None), None)


def time_lost(rounds: Sequence[Round], number: int) -> float | None:
    """For how many seconds the group stood still because that round ended, up to when the next one trained.

    None: the round still runs, or its run ended with it.
    """
    for this, following in zip_longest(rounds, rounds[1:]):
        if this.record.round == number and not this.record.running:
            lost = this.seconds(Kind.DETECTING, Kind.STOPPING, Kind.FORMING)
            if following is not None and following.record.run_id == this.record.run_id:
                return lost + following.seconds(Kind.STARTING)
            return lost if this.going_on else None
    return None


def totals(rounds: Sequence[Round]) -> dict[Kind, float]:
    """Seconds of each kind."""
    return {kind: sum(each.seconds(kind) for each in rounds) for kind in Kind}


def last_run(rounds: Sequence[Round]) -> list[Round]:
    """The rounds of the run that the last of them belongs to."""
    return [each for each in rounds if each.record.run_id == rounds[-1].record.run_id] if rounds else []


def columns(rounds: Sequence[Round], width: int) -> Iterator[Kind | None]:
    """The axis of time in so many parts of the same length: what fills most of each; None: no round."""
    begin, end = rounds[0].begin, rounds[-1].end
    part = (end - begin) / width
    spans = [span for each in rounds for span in each.spans]
    for number in range(width):
        lower, upper = begin + number * part, begin + (number + 1) * part
        covered = {
            span.kind: (min(span.end, upper) - max(span.begin, lower)).total_seconds()
            for span in spans
            if span.begin < upper and span.end > lower
        }
        yield max(covered, key=lambda kind: covered[kind]) if covered else None
