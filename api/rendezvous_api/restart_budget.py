"""The restart budget of a run: what each limit of ``spec.restarts`` counts (rule "restart budget").

A limit is a function, and a line in `LIMITS`. The operator asks for the counts when a failure has ended a round, and
``kubectl rdzv`` for what is left, so both count in the same way. All times are those of the status, by the clock of the
operator.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rendezvous_api.codec import json_name
from rendezvous_api.meta import parse_time
from rendezvous_api.node_names import is_same_node
from rendezvous_api.rendezvous import Failure
from rendezvous_api.rendezvous_spec import Restarts


@dataclass(frozen=True)
class Count:
    """How much of one limit is used."""

    limit: str
    """Its field in ``spec.restarts``: ``max``, ``perNode``, ``perReason.memberLost``."""
    allowed: int
    failures: tuple[Failure, ...]
    """Those that count, as far as they are listed."""
    used: int
    """How many count. There is one more than are allowed when that one has closed the run."""
    of: str = ""
    """The node or the reason whose failures count; empty: all do."""

    @property
    def exceeded(self) -> bool:
        """Whether there was one failure too many."""
        return self.used > self.allowed


Limit = Callable[[Restarts, Sequence[Failure], int, Failure], Count | None]
"""From the limits, the failures that are not too old, the number of all failures of the run, and one failure: the count
that has this failure. None: the spec has no such limit."""


def _of_all(restarts: Restarts, recent: Sequence[Failure], total: int, _: Failure) -> Count | None:
    if restarts.max is None:
        return None
    used = total if restarts.window_seconds is None else len(recent)
    return Count("max", restarts.max, tuple(recent), used)


def _of_node(restarts: Restarts, recent: Sequence[Failure], _: int, failure: Failure) -> Count | None:
    if restarts.per_node is None:
        return None
    of_node = failure.node, failure.pod_index
    found = tuple(other for other in recent if is_same_node(other.node, other.pod_index, *of_node))
    return Count("perNode", restarts.per_node, found, len(found), failure.node)


def _of_reason(restarts: Restarts, recent: Sequence[Failure], _: int, failure: Failure) -> Count | None:
    reason = failure.reason
    allowed = restarts.per_reason.of(reason) if restarts.per_reason is not None else None
    if allowed is None:
        return None
    found = tuple(other for other in recent if other.reason is reason)
    return Count(f"perReason.{json_name(reason.name.lower())}", allowed, found, len(found), reason.value)


LIMITS: tuple[Limit, ...] = (_of_all, _of_node, _of_reason)
"""All of them hold. The first one that is exceeded is named."""


def counts(
    restarts: Restarts, failures: Sequence[Failure], total: int, failure: Failure, at: datetime
) -> tuple[Count, ...]:
    """What the limits have counted that one failure belongs to.

    Args:
        restarts: the limits.
        failures: ``status.failures``.
        total: failures of the run, also those that are listed no more.
        failure: one of them.
        at: the time, by the clock of the operator.
    """
    recent = [other for other in failures if (until := until_when(restarts, other)) is None or until > at]
    found = (limit(restarts, recent, total, failure) for limit in LIMITS)
    return tuple(count for count in found if count is not None)


def until_when(restarts: Restarts, failure: Failure) -> datetime | None:
    """Until when a failure counts; None: as long as the run lasts."""
    if restarts.window_seconds is None or (began := parse_time(failure.time)) is None:
        return None
    return began + timedelta(seconds=restarts.window_seconds)
