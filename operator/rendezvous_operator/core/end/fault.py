"""Whose fault the end of a round was, once no member runs it any more (rule "hold-outs").

A check-in that fails is the fault of those that did not reach a store that more than half of the others reached; else
it is that of the host, until other hosts were no better. A node that failed soon after its admission, and had failed
before, is at fault for the end of that round. Who is at fault, and is not the host, is held out, and then that end
costs no restart; unless too few nodes would be left, or hold-outs do not help. What all have seen is known only when
all have joined again.
"""

from collections.abc import Sequence

from rendezvous_api import names
from rendezvous_api.node_names import is_same_node
from rendezvous_api.reasons import FAILURES, HeldOutReason, RoundEndReason
from rendezvous_operator.core import check_in, failures
from rendezvous_operator.core.blocking import blocking
from rendezvous_operator.core.check_in import FailedCheckIn
from rendezvous_operator.core.nodes import MemberState, MemberView, names_of
from rendezvous_operator.core.rank import store_host
from rendezvous_operator.core.select import held_out
from rendezvous_operator.core.select.choose import fitting
from rendezvous_operator.core.select.held_out import Blame
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.timers import Timer, Timers
from rendezvous_operator.core.verdict import Cause

_CRASHES = frozenset({RoundEndReason.MEMBER_LOST, RoundEndReason.MEMBER_FAILED})
_ENOUGH_HOSTS = 5
"""After so many hosts in vain, the next one is not at fault. `failures` has a place for twice as many."""


def is_to_be_found(s: Situation, timers: Timers) -> bool:
    """Whether this is the decision that notices that no member runs the round any more."""
    asked = s.run.open and s.run.has_round and s.run.asked
    return asked and s.status.history[-1].ended is None and not blocking(s, timers)


def found(s: Situation, timers: Timers) -> Situation:
    """The situation after the fault was found for the end of the round, if that was a failure."""
    reason, _ = s.why_ended
    if reason not in FAILURES:
        return s
    crashed = [view for view in s.members_not_running if _has_crashed(view)]
    if crashed:
        return _of_crashed(s, timers, crashed)
    if any(view.unhealthy for view in s.members_not_running) and not _goes_on_and_on(s):
        return failures.without_current(s)  # workers of others, or a check-in, fail with a node that is unhealthy
    return _of_check_in(s, timers) if reason == RoundEndReason.CHECK_IN_FAILED else s


def node_of(s: Situation, cause: Cause[RoundEndReason]) -> str:
    """The name of the node that a failure is listed with: of a check-in it is the host, whoever reports it first."""
    return s.status.participants[0].name if cause.reason is RoundEndReason.CHECK_IN_FAILED else cause.node


def may_be_excused(s: Situation, timers: Timers, cause: Cause[RoundEndReason]) -> bool:
    """Whether a failure may turn out to cost no restart, so that the budget is not judged before all is known."""
    if cause.reason is RoundEndReason.CHECK_IN_FAILED:
        return check_in.said_by(s, s.nodes.get(cause.node)) is not None
    # Workers of others fail with a node that crashes, and often that is seen first.
    stay = (MemberState.REENTERED, MemberState.LEAVING)
    suspects = {view.name for view in s.members if view.state not in stay and _crashes_again(s, timers, view)}
    others = {view.name for view in s.members if not _has_crashed(view)}
    others |= {*names_of(held_out.waiting_without(s, held_out.counting(s, timers)))}
    return bool(suspects) and fitting(s, others - suspects) > 0


def _of_check_in(s: Situation, timers: Timers) -> Situation:
    seen = check_in.seen_together(s)
    store = s.status.store
    where = f" ({store.host}:{store.port})" if store is not None else ""
    message = (
        f"it did not reach the store of round {s.status.round}{where}, "
        f"which {seen.reached} of {seen.others} others reached"
    )
    blamed = [Blame(name, HeldOutReason.STORE_NOT_REACHED, message) for name in _at_fault(s, seen)]
    excused = held_out.hold_out(s, timers, blamed)
    if excused is None or _goes_on_and_on(s):
        return failures.with_current(excused or s, s.status.participants[0].name, RoundEndReason.CHECK_IN_FAILED)
    return excused


def _at_fault(s: Situation, seen: FailedCheckIn) -> tuple[str, ...]:
    """Who did not reach the store, if those are at fault and not its host.

    Where most did not reach it, only their own word counts against them, and only when other hosts were no better: else
    a group of three that has one sick node would never meet.
    """
    if seen.most_reached:
        return seen.missing
    members = {member.name for member in s.status.participants}
    tried = {*store_host.failed_check_ins(s)}
    others_tried = tried - {s.status.participants[0].name}
    if 2 * seen.reached == seen.others:
        known = {entry.name for entry in s.run.held_out if entry.reason is HeldOutReason.STORE_NOT_REACHED}
        no_better = bool(others_tried) or known.issuperset(seen.not_reached)
    else:
        no_better = len(others_tried) >= _ENOUGH_HOSTS or members <= tried
    return seen.not_reached if no_better else ()


def _goes_on_and_on(s: Situation) -> bool:
    """Whether all rounds that are remembered have ended with a failure of this run, so that hold-outs do not help."""
    *earlier, _ = s.status.history
    failed = (record.reason in FAILURES and record.run_id == s.run.id for record in earlier)
    return len(earlier) + 1 == names.MAX_HISTORY and all(failed)


def _of_crashed(s: Situation, timers: Timers, crashed: Sequence[MemberView]) -> Situation:
    again = [view for view in crashed if _crashes_again(s, timers, view)]
    number = s.status.round
    message = f"it failed soon after round {number} began, and not for the first time"
    blamed = [Blame(view.name, HeldOutReason.CRASH_LOOP, f"{message} ({view.why})") for view in again]
    excused = held_out.hold_out(s, timers, blamed)
    others = [view for view in crashed if excused is None or view not in again or _goes_on_and_on(s)]
    if others:
        reason = RoundEndReason.MEMBER_LOST if others[0].state is MemberState.LOST else RoundEndReason.MEMBER_FAILED
        return failures.with_current(excused or s, others[0].name, reason)
    return failures.without_current(excused or s)


def _has_crashed(view: MemberView) -> bool:
    """Whether it is lost, or has left without success; not by an eviction or a signal."""
    gone = view.state is MemberState.LOST or (view.state is MemberState.LEFT and not view.terminated)
    return gone and view.evicted is None


def _crashes_again(s: Situation, timers: Timers, view: MemberView) -> bool:
    """Whether its crash is one more of a row: it was admitted with the first attempt of its agent, not long ago."""
    number = s.status.round
    lasted = timers.began(Timer.ASKED, number) - held_out.round_began(s, timers)
    if view.member.attempt != 1 or lasted > held_out.SOON_SECONDS:
        return False
    # Only as many as are listed without a budget that counts more of them.
    last = s.run.failures[-names.MAX_HISTORY :]
    before = (failure for failure in last if failure.round != number and failure.reason in _CRASHES)
    this = view.name, view.member.pod_index
    if any(is_same_node(failure.node, failure.pod_index, *this) for failure in before):
        return True
    return any(entry.name == view.name and entry.reason is HeldOutReason.CRASH_LOOP for entry in s.run.held_out)
