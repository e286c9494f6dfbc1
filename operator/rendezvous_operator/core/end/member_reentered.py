"""WorkerFailed, CheckInFailed, MemberReentered: a member asks to join again by itself, and says why."""

from collections.abc import Iterator

from rendezvous_api.reasons import AttemptReason, RoundEndReason
from rendezvous_operator.core.agents import MemberState
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.timers import Timers
from rendezvous_operator.core.verdict import Cause

_REASONS = {
    AttemptReason.WORKER_FAILURE: RoundEndReason.WORKER_FAILED,
    AttemptReason.CHECK_IN_FAILED: RoundEndReason.CHECK_IN_FAILED,
}


def worker_failed(s: Situation, _: Timers) -> Iterator[Cause[RoundEndReason]]:
    """Its workers failed."""
    return _causes(s, RoundEndReason.WORKER_FAILED)


def check_in_failed(s: Situation, _: Timers) -> Iterator[Cause[RoundEndReason]]:
    """It was admitted, and not all members came to the store of the round."""
    return _causes(s, RoundEndReason.CHECK_IN_FAILED)


def for_another_reason(s: Situation, _: Timers) -> Iterator[Cause[RoundEndReason]]:
    """It gives another reason, as one that was told to come although nothing had ended the round."""
    return _causes(s, RoundEndReason.MEMBER_REENTERED)


def _causes(s: Situation, reason: RoundEndReason) -> Iterator[Cause[RoundEndReason]]:
    for view in s.members_not_running:
        if view.state is MemberState.REENTERED and view.agent is not None:
            said = view.agent.object.spec.attempt_reason
            if _REASONS.get(said, RoundEndReason.MEMBER_REENTERED) is reason:
                yield Cause(reason, f"{view.name} asks to join again: {said}")
