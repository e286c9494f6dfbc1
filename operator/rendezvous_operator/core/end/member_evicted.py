"""MemberEvicted: the pod of a member is being deleted or evicted, which is no failure.

That its agent leaves or dies, or that its workers fail, follows from it. A machine that is only cordoned is no reason.
"""

from collections.abc import Iterator

from rendezvous_api.reasons import RoundEndReason
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.timers import Timers
from rendezvous_operator.core.verdict import Cause


def causes(s: Situation, _: Timers) -> Iterator[Cause[RoundEndReason]]:
    """One for each member that has to go."""
    for view in s.members_not_running:
        if view.evicted is not None:
            yield Cause(RoundEndReason.MEMBER_EVICTED, f"{view.name}: {view.evicted}")
