"""MemberLost: a member is dead. Its pod or object is gone, its agent was restarted, or it is silent for too long.

A member whose pod was evicted is not lost: see `member_evicted`.
"""

from collections.abc import Iterator

from rendezvous_api.reasons import RoundEndReason
from rendezvous_operator.core.nodes import MemberState
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.timers import Timers
from rendezvous_operator.core.verdict import Cause


def causes(s: Situation, _: Timers) -> Iterator[Cause[RoundEndReason]]:
    """One for each lost member."""
    for view in s.members_not_running:
        if view.state is MemberState.LOST and view.evicted is None:
            same_agent = view.node is not None and view.node.object.spec.incarnation == view.member.incarnation
            yield Cause(
                RoundEndReason.MEMBER_LOST,
                f"{view.name}: {view.why}",
                node=view.name,
                last_heard=s.world.participants[view.name].beat_at if same_agent else None,
            )
