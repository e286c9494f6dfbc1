"""What agents write when a health check of theirs fails, and when all succeed again."""

from dataclasses import replace

from tests.unit.core.builders import participant
from tests.unit.core.worlds import Scenario

from rendezvous_api.reasons import AttemptReason, LeaveReason, ParticipantState

FOUND = "gpus: 7 of 8 GPUs are there"


def stays_out(scenario: Scenario, *who: str, found: str = FOUND, pod: bool = False) -> None:
    """A check of these agents, which are there or start now, has failed before their next attempt: they stay out."""
    for name in who:
        seen = scenario.seen.get(name)
        agent = (
            seen.object
            if seen is not None
            else participant(
                name, created=scenario.clock, attempt=0, run=None if pod else "run", pod=name if pod else None
            )
        )
        spec = replace(agent.spec, attempt=agent.spec.attempt + 1, state=ParticipantState.LEFT, unhealthy=found)
        spec = replace(spec, leave_reason=LeaveReason.TERMINATED)
        run = scenario._run_of(name) if seen is not None else None
        scenario._put(replace(agent, spec=replace(spec, last_run_id=run)))
    scenario.settle()


def comes_back(scenario: Scenario, *who: str) -> None:
    """All checks of these agents succeed again: they ask for a round, with a further attempt."""
    for name in who:
        agent = scenario.seen[name].object
        spec = replace(agent.spec, attempt=agent.spec.attempt + 1, state=ParticipantState.JOINED, leave_reason=None)
        spec = replace(spec, unhealthy=None, attempt_reason=AttemptReason.MEMBERSHIP_CHANGE)
        scenario._put(replace(agent, spec=spec))
    scenario.settle()
