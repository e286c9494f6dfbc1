"""MemberFailed: the agent of a member has left without success.

One that a signal has ended has not failed: see `member_terminated`.
"""

from collections.abc import Iterator

from rendezvous_api.reasons import RoundEndReason
from rendezvous_operator.core.nodes import MemberState
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.timers import Timers
from rendezvous_operator.core.verdict import Cause


def causes(s: Situation, _: Timers) -> Iterator[Cause[RoundEndReason]]:
    """One for each member that has left so."""
    for view in s.members_not_running:
        if view.state is MemberState.LEFT and not view.terminated:
            yield Cause(RoundEndReason.MEMBER_FAILED, f"{view.name}: {view.why}", node=view.name)
