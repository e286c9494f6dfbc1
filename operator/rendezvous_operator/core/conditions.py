"""The conditions: for people, for ``kubectl wait``, and for tools that know kstatus.

Running has the message that people read first. Complete and Failed mean the end of the run that has the Rendezvous, as
they do in a Job. While nodes are waited for, nothing is wrong: kstatus calls a Rendezvous in progress only while
Reconciling is True, and failed only while Stalled is.
"""

from collections.abc import Sequence
from dataclasses import replace

from rendezvous_api import names
from rendezvous_api.meta import Condition
from rendezvous_api.reasons import ClosedReason, ConditionReason, FormationReason, Reason
from rendezvous_api.rendezvous import Missing, RendezvousStatus
from rendezvous_operator.core import budget, suspects, topology
from rendezvous_operator.core.nodes import MemberView
from rendezvous_operator.core.run import Run
from rendezvous_operator.core.select import held_out, passed_over
from rendezvous_operator.core.select.selection import Selection
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.timers import Timers
from rendezvous_operator.core.unhealthy import as_missing
from rendezvous_operator.core.words import budget_is_spent, cut, listing, with_listing

Answer = tuple[bool, Reason, str]
Closed = tuple[ClosedReason, str]
"""Why the run is closed, also in words."""

_NOT_ENDED: Answer = (False, ConditionReason.NOT_ENDED, "")
_AS_EXPECTED: Answer = (False, ConditionReason.AS_EXPECTED, "")


def with_conditions(s: Situation, timers: Timers, picked: Selection, status: RendezvousStatus) -> RendezvousStatus:
    """The status with all conditions; a transition time changes only with its condition (API conventions)."""
    # A round may have been published with a node that is held out, since the others were too few.
    members = {member.name for member in status.participants}
    absent = held_out.as_missing(entry for entry in held_out.active(s, timers) if entry.name not in members)
    spares = {*status.spares}
    kept_out = passed_over.as_missing(entry for entry in status.passed_over if entry.name not in spares)
    closed = _closed(s, status)
    failed = _failed(closed)
    unhealthy = as_missing(s)
    away = [*absent, *kept_out, *unhealthy, *picked.left_out]
    found = (
        (names.CONDITION_RUNNING, _running(s, status, away, closed)),
        (names.CONDITION_COMPLETE, _complete(closed)),
        (names.CONDITION_FAILED, failed),
        (names.CONDITION_SUSPENDED, _suspended(s, status, closed)),
        (names.CONDITION_DEGRADED, _degraded(s, status, absent, unhealthy)),
        (names.CONDITION_RECONCILING, _reconciling(s, status)),
        (names.CONDITION_STALLED, failed if failed[0] else _AS_EXPECTED),
    )
    return replace(status, conditions=tuple(_condition(s, name, answer) for name, answer in found))


def explanation(status: RendezvousStatus) -> str:
    """What the Rendezvous does or waits for, in one line."""
    running = status.condition(names.CONDITION_RUNNING)
    return f"{running.reason}: {running.message}" if running else "not evaluated yet"


def _running(s: Situation, status: RendezvousStatus, absent: Sequence[Missing], closed: Closed | None) -> Answer:
    if closed is not None:
        return False, *closed
    if Run.of(status).round_runs:
        return True, ConditionReason.RUNNING, _what_runs(s, status, absent) + _unlabelled(s)
    if s.spec.closed:
        return False, ConditionReason.CLOSED_BY_SPEC, "spec.closed is true: no node may join"
    if status.formation is not None:
        return False, status.formation.reason, status.formation.message + _unlabelled(s)
    if s.spec.suspend:
        return False, FormationReason.SUSPENDED, "spec.suspend is true"
    message = f"0 of at least {s.sizes.fewest} nodes"
    return False, FormationReason.WAITING_FOR_NODES, with_listing(message, [*as_missing(s), *s.known_but_missing])


def _unlabelled(s: Situation) -> str:
    """Whose machine has no place in the topology, as a part of a message; empty: all have one, or ranks go by none."""
    if s.where is None:
        return ""
    shown = {*s.entries, *s.names_waiting}
    nodes = [node for node in s.nodes.values() if node.present and node.name in shown]
    found = topology.unlabelled(s.where, nodes, s.world)
    return f"; not in the order of machines: {listing(found)}" if found else ""


def _complete(closed: Closed | None) -> Answer:
    return _NOT_ENDED if closed is None else (closed[0] is ClosedReason.RUN_SUCCEEDED, *closed)


def _failed(closed: Closed | None) -> Answer:
    return _NOT_ENDED if closed is None else (closed[0] is not ClosedReason.RUN_SUCCEEDED, *closed)


def _suspended(s: Situation, status: RendezvousStatus, closed: Closed | None) -> Answer:
    """Whether the user has suspended it, and all members of the last round have stopped."""
    if not s.spec.suspend:
        return False, ConditionReason.NOT_SUSPENDED, ""
    holds, reason, message = _running(s, status, (), closed)
    if holds or not isinstance(reason, FormationReason):
        return False, ConditionReason.NOT_SUSPENDED, ""
    return reason is FormationReason.SUSPENDED, reason, message


def _degraded(s: Situation, status: RendezvousStatus, held: Sequence[Missing], unhealthy: Sequence[Missing]) -> Answer:
    silent, absent = suspects_of(s, status), (*held, *unhealthy)
    if silent:
        return True, ConditionReason.MEMBER_SUSPECTED, with_listing(suspects.described(s, silent), absent)
    if apart := _apart(s, status):
        return True, ConditionReason.PATH_BROKEN, with_listing(apart, absent)
    if absent and Run.of(status).round_runs:
        return True, ConditionReason.NODE_HELD_OUT if held else ConditionReason.NODE_UNHEALTHY, listing(absent)
    return _AS_EXPECTED


def _reconciling(s: Situation, status: RendezvousStatus) -> Answer:
    """Whether a round that ran is being formed again, and somebody takes part in that."""
    run, formation = Run.of(status), status.formation
    forms = run.open and run.has_round and run.asked and not s.spec.closed
    if not forms or formation is None or not (formation.joined or s.blocking_members):
        return _AS_EXPECTED
    if formation.reason is FormationReason.SUSPENDED:
        return _AS_EXPECTED
    return True, formation.reason, formation.message


def _what_runs(s: Situation, status: RendezvousStatus, absent: Sequence[Missing]) -> str:
    text = f"round {status.round} runs with {status.nodes} nodes"
    if status.formation is not None:
        text += f"; {status.formation.message}"
    text = with_listing(text, absent)
    silent = suspects_of(s, status)
    if silent and s.liveness.isolated:
        return f"{text}; all its members are silent, so it is kept: they may train on together"
    wrong = suspects.described(s, silent) if silent else _apart(s, status)
    return f"{text}; {wrong}" if wrong else text


def suspects_of(s: Situation, status: RendezvousStatus) -> list[MemberView]:
    """The suspects that the status shows: those of a round that runs on."""
    return suspects.suspects(s) if _goes_on(s, status) else []


def _apart(s: Situation, status: RendezvousStatus) -> str:
    return suspects.on_one_path(s) if _goes_on(s, status) else ""


def _goes_on(s: Situation, status: RendezvousStatus) -> bool:
    """Whether the round of before runs on."""
    return status.round == s.status.round and Run.of(status).round_runs


def _closed(s: Situation, status: RendezvousStatus) -> Closed | None:
    reason = status.closed_reason(status.run_id)
    if reason is None:
        return None
    text = f"run {status.run_id!r} is closed"
    if reason is ClosedReason.RESTART_BUDGET_EXHAUSTED:
        text += f": {budget_is_spent(s.spec.restarts, budget.spent(s))}"
    elif reason is ClosedReason.RUN_SUCCEEDED:
        text += ": it has succeeded"
    return reason, text


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
