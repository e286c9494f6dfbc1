"""TooManyNodes: the round has more nodes than ``maxNodes``, which was reduced."""

from collections.abc import Iterator

from rendezvous_api.reasons import RoundEndReason
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.timers import Timers
from rendezvous_operator.core.verdict import Cause


def causes(s: Situation, _: Timers) -> Iterator[Cause[RoundEndReason]]:
    """At most one."""
    if s.status.nodes > s.spec.max_nodes:
        message = f"{s.status.nodes} nodes, but spec.maxNodes is {s.spec.max_nodes}"
        yield Cause(RoundEndReason.TOO_MANY_NODES, message)
