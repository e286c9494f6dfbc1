"""``status.failures``: the last failures of the run, so that a new leader knows them, too."""

from rendezvous_api import names
from rendezvous_api.rendezvous import Failure
from rendezvous_operator.core.situation import Situation


def continued(s: Situation) -> tuple[Failure, ...]:
    """The failures of the run, with the one that ends its round now."""
    if s.run.id != s.status.run_id:
        return ()
    failure = s.run.ended.failure if s.run.ended is not None else None
    if failure is None:
        return s.status.failures
    new = Failure(s.status.round, s.now.micro_time(), failure.node, failure.reason)
    return (*s.status.failures, new)[-names.MAX_FAILURES :]
