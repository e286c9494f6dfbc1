"""``status.summary``: what ``kubectl get`` shows of a Rendezvous."""

from dataclasses import replace

from rendezvous_api import names
from rendezvous_api.reasons import ConditionReason, FormationReason, State
from rendezvous_api.rendezvous import RendezvousStatus, Summary
from rendezvous_api.rendezvous_spec import RendezvousSpec
from rendezvous_operator.core.situation import Situation

_OF_CONDITION = (
    (names.CONDITION_COMPLETE, State.COMPLETE),
    (names.CONDITION_FAILED, State.FAILED),
    (names.CONDITION_DEGRADED, State.DEGRADED),
    (names.CONDITION_RUNNING, State.RUNNING),
)
"""The first condition that holds gives the state; if none does, the reason why no round runs."""


def with_summary(s: Situation, status: RendezvousStatus) -> RendezvousStatus:
    """The status, which has its conditions, with its summary."""
    state = _state(status)
    before = s.status.summary
    same = before is not None and before.state is state
    same = same and (s.status.round, s.status.run_id) == (status.round, status.run_id)
    return replace(
        status,
        summary=Summary(
            state=state,
            nodes=f"{_nodes(status)}/{_limits(s.spec)}",
            spares=len(status.spares),
            since=before.since if before is not None and same else s.now.timestamp,
            run=status.run.display_name if status.run is not None else None,
        ),
    )


def _state(status: RendezvousStatus) -> State:
    for condition_type, state in _OF_CONDITION:
        if status.holds(condition_type):
            return state
    running = status.condition(names.CONDITION_RUNNING)
    reason = running.reason if running is not None else FormationReason.WAITING_FOR_NODES.value
    return State.CLOSED if reason == ConditionReason.CLOSED_BY_SPEC else State(reason)


def _nodes(status: RendezvousStatus) -> int:
    """The nodes of a round that runs or was the last one of its run; else those that have joined the next one."""
    shown = (names.CONDITION_RUNNING, names.CONDITION_COMPLETE, names.CONDITION_FAILED)
    if any(status.holds(condition_type) for condition_type in shown):
        return status.nodes
    return status.formation.joined if status.formation is not None else 0


def _limits(spec: RendezvousSpec) -> str:
    return str(spec.max_nodes) if spec.min_nodes == spec.max_nodes else f"{spec.min_nodes}-{spec.max_nodes}"
