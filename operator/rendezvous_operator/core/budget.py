"""Rule "restart budget": when more failures have ended rounds of a run than ``spec.restarts`` allows, it is closed.

`rendezvous_api.restart_budget` has the limits, and what each of them counts.
"""

from rendezvous_api.meta import parse_time
from rendezvous_api.restart_budget import Count, counts
from rendezvous_operator.core import failures
from rendezvous_operator.core.situation import Situation


def spent(s: Situation) -> Count | None:
    """The first limit that the failure which has ended the current round exceeds; None: it exceeds none.

    The failure is the newest one, and what counts is counted at its time: so the answer stays the same when the run is
    closed, for all leaders.
    """
    failure = failures.of_current(s)
    if failure is None:
        return None
    found = counts(s.spec.restarts, s.run.failures, s.run.restarts + 1, failure, parse_time(failure.time) or s.now.wall)
    return next((count for count in found if count.exceeded), None)


def restarts(s: Situation) -> int:
    """``status.restarts`` of a round that is published now: one more if the end of the last one is a listed failure."""
    return s.run.restarts + (failures.of_current(s) is not None)
