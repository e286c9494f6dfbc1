"""ScaleUp: the round ends so that waiting nodes become members.

Every new round costs all members the work since their last checkpoint. So waiting nodes are gathered until the round
has run for ``scaleUp.intervalSeconds``, or until they fill the group.
"""

from collections.abc import Iterator

from rendezvous_api.reasons import RoundEndReason
from rendezvous_operator.core.select.select import grown
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.timers import Timer, Timers
from rendezvous_operator.core.verdict import Cause
from rendezvous_operator.core.words import more_nodes


def causes(s: Situation, timers: Timers) -> Iterator[Cause[RoundEndReason]]:
    """At most one, which may count only later."""
    size = grown(s, len(s.waiting))
    if size <= s.status.nodes:
        return
    fills = size == s.sizes.most
    at = timers.now if fills else timers.began(Timer.ROUND, s.status.round) + s.spec.scale_up.interval_seconds
    yield Cause(RoundEndReason.SCALE_UP, f"{more_nodes(len(s.waiting))} joined", at=at)
