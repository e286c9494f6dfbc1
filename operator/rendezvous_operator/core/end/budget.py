"""Rule "restart budget": when failures have ended more rounds of a run than ``maxRestarts``, the run is closed."""

from collections.abc import Sequence

from rendezvous_api.reasons import FAILURES, RoundEndReason
from rendezvous_api.rendezvous import RoundRecord
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.verdict import Cause

_FAILURES = frozenset(reason.value for reason in FAILURES)


def is_spent(s: Situation, cause: Cause[RoundEndReason]) -> bool:
    """Whether this cause would be one failure too many."""
    return cause.failure and s.spec.max_restarts is not None and s.run.restarts >= s.spec.max_restarts


def restarts(s: Situation, history: Sequence[RoundRecord]) -> int:
    """``status.restarts`` when a round is published after those: one more if a failure has ended the last of them."""
    failed = s.run.has_round and history[-1].reason in _FAILURES
    return s.run.restarts + failed
