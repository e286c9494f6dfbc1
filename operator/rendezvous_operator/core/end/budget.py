"""Rule "restart budget": when failures have ended more rounds of a run than ``restarts.max``, the run is closed."""

from rendezvous_api.reasons import RoundEndReason
from rendezvous_operator.core import failures
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.verdict import Cause


def is_spent(s: Situation, cause: Cause[RoundEndReason]) -> bool:
    """Whether this cause is a failure and no restart is left for it."""
    return cause.failure and s.spec.restarts.max is not None and s.run.restarts >= s.spec.restarts.max


def restarts(s: Situation) -> int:
    """``status.restarts`` of a round that is published now: one more if the end of the last one is a listed failure."""
    return s.run.restarts + (failures.of_current(s) is not None)
