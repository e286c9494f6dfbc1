"""MemberUnhealthy: a health check of a member has failed, so that it stays out. The training has not failed by that.

Its workers may have failed before, and those of others with them: then that ends the round, and costs no restart,
either; see `fault`.
"""

from collections.abc import Iterator

from rendezvous_api.reasons import RoundEndReason
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.timers import Timers
from rendezvous_operator.core.verdict import Cause


def causes(s: Situation, _: Timers) -> Iterator[Cause[RoundEndReason]]:
    """One for each member that says so."""
    for view in s.members_not_running:
        if view.unhealthy:
            yield Cause(RoundEndReason.MEMBER_UNHEALTHY, f"{view.name}: {view.why}", node=view.name)
