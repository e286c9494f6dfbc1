"""WorkerFailed, CheckInFailed, MemberReentered: a member joins again without being asked, and gives its reason."""

from collections.abc import Iterator

from rendezvous_api.reasons import AttemptReason, RoundEndReason
from rendezvous_operator.core.nodes import MemberState
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.timers import Timers
from rendezvous_operator.core.verdict import Cause

_REASONS = {
    AttemptReason.WORKER_FAILURE: RoundEndReason.WORKER_FAILED,
    AttemptReason.CHECK_IN_FAILED: RoundEndReason.CHECK_IN_FAILED,
}


def worker_failed(s: Situation, _: Timers) -> Iterator[Cause[RoundEndReason]]:
    """One for each member whose workers failed."""
    return _causes(s, RoundEndReason.WORKER_FAILED)


def check_in_failed(s: Situation, _: Timers) -> Iterator[Cause[RoundEndReason]]:
    """One for each member whose check-in failed: not all members reached the store of the round."""
    return _causes(s, RoundEndReason.CHECK_IN_FAILED)


def for_another_reason(s: Situation, _: Timers) -> Iterator[Cause[RoundEndReason]]:
    """One for each member with another reason, such as one that saw a request to join again that was then dropped."""
    return _causes(s, RoundEndReason.MEMBER_REENTERED)


def _causes(s: Situation, reason: RoundEndReason) -> Iterator[Cause[RoundEndReason]]:
    for view in s.members_not_running:
        if view.state is MemberState.REENTERED and view.node is not None:
            spec = view.node.object.spec
            if spec.attempt <= view.member.attempt:
                # Its peers know of it; its own word, which has the reason, cannot reach the API server.
                if reason is RoundEndReason.MEMBER_REENTERED:
                    yield Cause(reason, f"{view.name}: {view.why}", node=view.name)
                continue
            # Between the member and this attempt there was another one, so the reason is that of another round. A
            # restore of etcd has lost that round.
            of_another = spec.attempt > view.member.attempt + 1
            found = None if of_another else _REASONS.get(spec.attempt_reason)
            if (found or RoundEndReason.MEMBER_REENTERED) is reason:
                after = " after a round that the status does not have" if of_another else ""
                yield Cause(reason, f"{view.name} asks to join again{after}: {spec.attempt_reason}", node=view.name)
