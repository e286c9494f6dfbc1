"""The conditions Ready and Closed, whose messages people read first."""

from dataclasses import replace

from rendezvous_api import names
from rendezvous_api.meta import Condition
from rendezvous_api.reasons import ClosedReason, ConditionReason, FormationReason, Reason
from rendezvous_api.rendezvous import Missing, RendezvousStatus
from rendezvous_operator.core.nodes import MemberState
from rendezvous_operator.core.run import Run
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.words import budget_is_spent, cut, listing, with_listing

Answer = tuple[bool, Reason, str]


def with_conditions(s: Situation, status: RendezvousStatus) -> RendezvousStatus:
    """The status with Ready and Closed; a transition time changes only with its condition (API conventions)."""
    closed = _closed(s, status)
    found = ((names.CONDITION_READY, _ready(s, status, closed)), (names.CONDITION_CLOSED, closed))
    return replace(status, conditions=tuple(_condition(s, name, answer) for name, answer in found))


def explanation(status: RendezvousStatus) -> str:
    """What the Rendezvous does or waits for, in one line."""
    ready = status.condition(names.CONDITION_READY)
    return f"{ready.reason}: {ready.message}" if ready else "not evaluated yet"


def _ready(s: Situation, status: RendezvousStatus, closed: Answer) -> Answer:
    run = Run.of(status)
    runs = run.has_round and not run.asked
    is_closed, closed_reason, closed_message = closed
    if is_closed and not runs:
        return False, closed_reason, closed_message
    closed_run = run.closed_reason(run.id)
    if closed_run is not None:
        return False, closed_run, closed_message
    if runs:
        return _running(s, status)
    if status.formation is not None:
        return False, status.formation.reason, status.formation.message
    message = f"0 of at least {s.sizes.fewest} nodes"
    missing = s.known_but_missing
    return False, FormationReason.WAITING_FOR_NODES, with_listing(message, missing)


def _running(s: Situation, status: RendezvousStatus) -> Answer:
    text = f"round {status.round} runs with {status.nodes} nodes"
    if status.formation is not None:
        text += f"; {status.formation.message}"
    published = status.round > s.status.round
    suspects = [view for view in s.members_not_running if view.state is MemberState.SUSPECT] if not published else []
    if suspects:
        silent = listing([Missing(view.name, "is silent") for view in suspects])
        return True, ConditionReason.MEMBER_SUSPECTED, f"{text}; {silent}"
    return True, ConditionReason.RUNNING, text


def _closed(s: Situation, status: RendezvousStatus) -> Answer:
    if s.spec.closed:
        return True, ConditionReason.CLOSED_BY_SPEC, "spec.closed is true: no node may join"
    reason = status.closed_reason(status.run_id)
    if reason is None:
        return False, ConditionReason.OPEN, ""
    text = f"run {status.run_id!r} is closed"
    if reason is ClosedReason.RESTART_BUDGET_EXHAUSTED:
        text += f": {budget_is_spent(status.restarts)}"
    elif reason is ClosedReason.RUN_SUCCEEDED:
        text += ": it has succeeded"
    return True, reason, text


def _condition(s: Situation, name: str, answer: Answer) -> Condition:
    holds, reason, message = answer
    before = s.status.condition(name)
    status = "True" if holds else "False"
    return Condition(
        type=name,
        status=status,
        reason=reason.value,
        message=cut(message),
        last_transition_time=(
            before.last_transition_time if before is not None and before.status == status else s.now.timestamp
        ),
        observed_generation=s.metadata.generation,
    )
