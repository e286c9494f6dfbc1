"""Rule "restart budget": when failures have ended more rounds of a run than ``restarts.max``, the run is closed."""

from collections.abc import Sequence

from rendezvous_api.reasons import FAILURES, RoundEndReason
from rendezvous_api.rendezvous import RoundRecord
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.verdict import Cause

_FAILURES = frozenset(reason.value for reason in FAILURES)


def is_spent(s: Situation, cause: Cause[RoundEndReason]) -> bool:
    """Whether this cause is a failure and no restart is left for it."""
    return cause.failure and s.spec.restarts.max is not None and s.run.restarts >= s.spec.restarts.max


def restarts(s: Situation, history: Sequence[RoundRecord]) -> int:
    """``status.restarts`` of a round that is published after this history: one more if a failure ended the last."""
    failed = s.run.has_round and history[-1].reason in _FAILURES
    return s.run.restarts + failed
