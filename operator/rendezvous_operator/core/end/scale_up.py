"""ScaleUp: the round ends so that waiting nodes become members.

Every new round costs all members the work since their last checkpoint. So waiting nodes are gathered until the round
has run for ``scaleUp.intervalSeconds``, or until they fill the group, not counting those that were held out before.
They are not taken in while a member trains that does not reach the API server.
"""

from collections.abc import Iterator

from rendezvous_api.reasons import RoundEndReason
from rendezvous_operator.core.select import held_out
from rendezvous_operator.core.select.select import grown
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.timers import Timer, Timers
from rendezvous_operator.core.verdict import Cause
from rendezvous_operator.core.words import more_nodes


def causes(s: Situation, timers: Timers) -> Iterator[Cause[RoundEndReason]]:
    """At most one, which may count only later."""
    if s.liveness.by_peers_only or s.liveness.rare:
        return  # they train well, but may not learn of the next round, so it would lose them
    waiting = held_out.waiting_without(s, held_out.counting(s, timers))
    if not waiting or grown(s, waiting) <= s.status.nodes:
        return
    # Who was held out before may fail again, so the others have at least the interval.
    known = {entry.name for entry in s.run.held_out}
    fills = grown(s, [node for node in waiting if node.name not in known]) == s.sizes.most
    at = timers.now if fills else timers.began(Timer.ROUND, s.status.round) + s.spec.scale_up.interval_seconds
    yield Cause(RoundEndReason.SCALE_UP, f"{more_nodes(len(waiting))} joined", at=at)
