"""The status that people read: conditions, and the words for what a Rendezvous waits for."""

from collections.abc import Sequence
from dataclasses import replace

from tests.unit.former_core.liveness import MemberState, MemberView
from tests.unit.former_core.runs import has_round, is_open
from tests.unit.former_core.turn import Turn

from rendezvous_api import names
from rendezvous_api.meta import Condition
from rendezvous_api.reasons import ClosedReason, ConditionReason, FormationReason, Reason
from rendezvous_api.rendezvous import Formation, Missing, RendezvousStatus


def formation(
    turn: Turn, status: RendezvousStatus, reason: FormationReason, message: str, joined: int, missing: Sequence[Missing]
) -> Formation:
    """``status.formation``; its start time is kept from turn to turn until a round is published."""
    before = turn.world.rendezvous.status.formation
    # Gathering is no stage of a formation: nothing is waited for by those who train.
    goes_on = before is not None and (before.reason is FormationReason.GATHERING) == (
        reason is FormationReason.GATHERING
    )
    start_time = before.start_time if before is not None and goes_on else turn.now.timestamp
    return Formation(reason, _cut(message), start_time, joined, tuple(missing[: names.MAX_MISSING]))


def with_conditions(
    turn: Turn, status: RendezvousStatus, members: Sequence[MemberView], missing: Sequence[Missing]
) -> RendezvousStatus:
    """Add Ready and Closed, with the transition times that the API conventions ask for."""
    ready, reason, message = _ready(turn, status, members, missing)
    closed, closed_reason, closed_message = _closed(turn, status)
    return replace(
        status,
        observed_generation=turn.world.rendezvous.metadata.generation,
        conditions=(
            _condition(turn, names.CONDITION_READY, ready, reason, message),
            _condition(turn, names.CONDITION_CLOSED, closed, closed_reason, closed_message),
        ),
    )


def explanation(status: RendezvousStatus) -> str:
    """One line: what the Rendezvous does or waits for."""
    ready = status.condition(names.CONDITION_READY)
    return f"{ready.reason}: {ready.message}" if ready else "not looked at yet"


def listing(found: Sequence[Missing], most: int = 3) -> str:
    """``a is Pending (...), b was lost (...) and 4 more``."""
    shown = [f"{item.name} {item.message}" for item in found[:most]]
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(shown) + more


def meaning(status: RendezvousStatus) -> RendezvousStatus:
    """The status without what may be written a little later: counts and messages.

    Agents watch the Rendezvous, so each write of it is sent to all of them.
    """
    return replace(
        status,
        waiting_nodes=min(status.waiting_nodes, 1),
        formation=None if status.formation is None else replace(status.formation, message="", joined=0, missing=()),
        conditions=tuple(replace(condition, message="") for condition in status.conditions),
    )


def within_bounds(status: RendezvousStatus) -> RendezvousStatus:
    """Cut what others have written to what the schema allows: one long word must not make a status unwritable."""
    formation = status.formation
    if formation is not None:
        missing = tuple(replace(node, message=_cut(node.message)) for node in formation.missing)
        formation = replace(formation, missing=missing)
    return replace(
        status,
        refused=tuple(replace(refusal, message=_cut(refusal.message)) for refusal in status.refused),
        spares=status.spares[: names.MAX_NODES],
        formation=formation,
    )


def _ready(
    turn: Turn, status: RendezvousStatus, members: Sequence[MemberView], missing: Sequence[Missing]
) -> tuple[bool, Reason, str]:
    closed, closed_reason, closed_message = _closed(turn, status)
    runs = has_round(status) and status.waiting_nodes == 0
    if closed and not runs:
        return False, closed_reason, closed_message
    closed_run = status.closed_reason(status.run_id)
    if closed_run is not None:
        return False, closed_run, closed_message
    if runs:
        text = f"round {status.round} runs with {status.nodes} nodes"
        if status.formation is not None:
            text += f"; {status.formation.message}"
        suspects = [
            Missing(view.member.name, "is silent")
            for view in members
            if view.state is MemberState.SUSPECT and view.member in status.participants
        ]
        if suspects:
            return True, ConditionReason.MEMBER_SUSPECTED, f"{text}; {listing(suspects)}"
        return True, ConditionReason.RUNNING, text
    if status.formation is not None:
        return False, status.formation.reason, status.formation.message
    message = f"0 of at least {turn.spec.min_nodes} nodes"
    return False, FormationReason.WAITING_FOR_NODES, f"{message}; {listing(missing)}" if missing else message


def _closed(turn: Turn, status: RendezvousStatus) -> tuple[bool, Reason, str]:
    if turn.spec.closed:
        return True, ConditionReason.CLOSED_BY_SPEC, "spec.closed is true: nobody may join"
    reason = None if is_open(status) else status.closed_reason(status.run_id)
    if reason is None:
        return False, ConditionReason.OPEN, ""
    text = f"run {status.run_id!r} is closed"
    if reason is ClosedReason.RESTART_BUDGET_EXHAUSTED:
        text += f": {status.restarts} rounds were lost to failures and spec.maxRestarts allows no more"
    elif reason is ClosedReason.RUN_SUCCEEDED:
        text += ": it has succeeded"
    return True, reason, text


def _condition(turn: Turn, condition_type: str, holds: bool, reason: Reason, message: str) -> Condition:
    before = turn.world.rendezvous.status.condition(condition_type)
    status = "True" if holds else "False"
    changed = before is None or before.status != status
    return Condition(
        type=condition_type,
        status=status,
        reason=reason.value,
        message=_cut(message),
        last_transition_time=turn.now.timestamp if before is None or changed else before.last_transition_time,
        observed_generation=turn.world.rendezvous.metadata.generation,
    )


def _cut(message: str) -> str:
    most = names.MAX_MESSAGE_LENGTH
    return message if len(message) <= most else message[: most - 3] + "..."
