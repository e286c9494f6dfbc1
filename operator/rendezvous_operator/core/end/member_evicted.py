"""MemberEvicted: the pod of a member is being deleted or evicted, which is no failure.

The end of the pod also explains why its agent leaves or dies, or why its workers fail. A cordon of the machine alone
does not end a pod.
"""

from collections.abc import Iterator

from rendezvous_api.reasons import RoundEndReason
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.timers import Timers
from rendezvous_operator.core.verdict import Cause


def causes(s: Situation, _: Timers) -> Iterator[Cause[RoundEndReason]]:
    """One for each member whose pod ends."""
    for view in s.members_not_running:
        if view.evicted is not None:
            yield Cause(RoundEndReason.MEMBER_EVICTED, f"{view.name}: {view.evicted}", node=view.name)
