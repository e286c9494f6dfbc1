"""The rules for the end of a round, and what the first cause that counts leads to."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from rendezvous_api.reasons import ClosedReason, EventReason, RoundEndReason
from rendezvous_api.restart_budget import Count
from rendezvous_operator.core import budget, failures
from rendezvous_operator.core.end import (
    fault,
    member_evicted,
    member_failed,
    member_lost,
    member_reentered,
    member_terminated,
    member_unhealthy,
    restart_requested,
    scale_up,
    suspended,
    too_many_nodes,
)
from rendezvous_operator.core.run import Ended
from rendezvous_operator.core.runs import close, refuse
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.timers import Timers
from rendezvous_operator.core.verdict import Cause, first_cause
from rendezvous_operator.core.words import budget_is_spent
from rendezvous_operator.core.world import Event

EndRule = Callable[[Situation, Timers], Iterable[Cause[RoundEndReason]]]

END_RULES: tuple[EndRule, ...] = (
    member_lost.causes,
    member_evicted.causes,
    member_unhealthy.causes,
    member_terminated.causes,
    member_failed.causes,
    member_reentered.worker_failed,
    member_reentered.check_in_failed,
    member_reentered.for_another_reason,
    suspended.causes,
    too_many_nodes.causes,
    restart_requested.causes,
    scale_up.causes,
)
"""The order is the priority. If several causes count at the same time, the first is written to the history, and decides
whether the end counts against the restart budget. So a crash beside an eviction counts as the eviction, which is no
failure; a crash beside a loss counts as the loss, which is one."""

_NOT_WHILE_ISOLATED = (suspended.causes, too_many_nodes.causes, scale_up.causes)
"""Nothing is wrong with the round then. Its members would not learn of it, and others would take their place."""


def rules_for(s: Situation) -> Sequence[EndRule]:
    """The rules that count for the round that runs, in their order."""
    return [rule for rule in END_RULES if not (s.liveness.isolated and rule in _NOT_WHILE_ISOLATED)]


def end_if_due(s: Situation, timers: Timers) -> Situation:
    """The situation after the rules: if a cause counts, the members are asked to join again, or the run is closed."""
    if not s.round_runs:
        return s
    found = first_cause((rule(s, timers) for rule in rules_for(s)), s.now.monotonic)
    if found.cause is None:
        return s.with_run(s.run.checked_again_at(found.until))
    spent = _spent_by(s, found.cause)
    if spent is not None and not fault.may_be_excused(s, timers, found.cause):
        return _closed(s, found.cause, spent)
    return _asked(s, found.cause)


def find_fault(s: Situation, timers: Timers) -> Situation:
    """The situation after the fault for the end of the round was found. Only then some failures spend the budget."""
    if not fault.is_to_be_found(s, timers):
        return s
    s = fault.found(s, timers)
    failure = failures.of_current(s)
    if failure is None:
        return s
    _, message = s.why_ended
    spent = budget.spent(s)
    return _closed(s, Cause(failure.reason, message, node=failure.node), spent) if spent is not None else s


def _spent_by(s: Situation, cause: Cause[RoundEndReason]) -> Count | None:
    """The limit that this cause exceeds, whoever it turns out to have been: only such a limit is judged at once."""
    if not cause.failure:
        return None
    spent = budget.spent(failures.with_current(s, fault.node_of(s, cause), cause.reason))
    return spent if spent is not None and not spent.of else None


def _asked(s: Situation, cause: Cause[RoundEndReason]) -> Situation:
    event = Event(
        EventReason.ROUND_ENDED,
        f"round {s.status.round} ends: {cause.reason}: {cause.message}",
        warning=cause.failure,
    )
    ended = Ended(str(cause.reason), cause.message, asked=True, last_heard=cause.last_heard)
    run = replace(s.run.with_event(event), asked=True, ended=ended, restart_request=s.restart_request)
    # Whose fault a failed check-in was is known only when all say what they have seen.
    listed = cause.failure and cause.reason is not RoundEndReason.CHECK_IN_FAILED
    s = s.with_run(run)
    return failures.with_current(s, cause.node, cause.reason) if listed else s


def _closed(s: Situation, cause: Cause[RoundEndReason], count: Count) -> Situation:
    spent = Cause(
        ClosedReason.RESTART_BUDGET_EXHAUSTED, f"{cause.reason}: {cause.message}", last_heard=cause.last_heard
    )
    s = failures.with_current(s, fault.node_of(s, cause), cause.reason)
    s = s.with_run(close.closed(s.run, spent, because=budget_is_spent(s.spec.restarts, count)))
    return s.with_run(refuse.answer_all(s))
