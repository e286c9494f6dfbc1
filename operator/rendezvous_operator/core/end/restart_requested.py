"""RestartRequested: the user has set the annotation ``rdzv.dev/restart-requested-at`` to a new value."""

from collections.abc import Iterator

from rendezvous_api import names
from rendezvous_api.reasons import RoundEndReason
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.timers import Timers
from rendezvous_operator.core.verdict import Cause
from rendezvous_operator.core.words import quoted


def causes(s: Situation, _: Timers) -> Iterator[Cause[RoundEndReason]]:
    """At most one."""
    request = s.restart_request
    if request is not None and request != s.run.restart_request:
        value = quoted(s.metadata.annotations[names.ANNOTATION_RESTART_REQUESTED_AT])
        yield Cause(RoundEndReason.RESTART_REQUESTED, f"the annotation was set to {value}")
