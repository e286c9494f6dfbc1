"""Rule "suspend", the end of the running round: the user has set ``spec.suspend``.

No new round starts before it is false: see ``start/suspended.py``.
"""

from collections.abc import Iterator

from rendezvous_api.reasons import RoundEndReason
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.timers import Timers
from rendezvous_operator.core.verdict import Cause


def causes(s: Situation, _: Timers) -> Iterator[Cause[RoundEndReason]]:
    """At most one."""
    if s.spec.suspend:
        yield Cause(RoundEndReason.SUSPENDED, "spec.suspend is true")
