"""MemberUnhealthy: a health check of a member has failed."""

import pytest
from tests.unit.core.healths import FOUND, comes_back, stays_out
from tests.unit.core.started import running

from rendezvous_api.reasons import AttemptReason
from rendezvous_operator.core.world import Decision

WORKER_FAILURE = AttemptReason.WORKER_FAILURE


def test_it_is_no_failure_and_names_what_was_found() -> None:
    scenario = running("a", "b", "c", max_restarts=0)
    stays_out(scenario, "b")
    assert scenario.asks
    assert scenario.ended_because == "MemberUnhealthy"
    assert scenario.status.history[-1].message == f"b: it is unhealthy: {FOUND}"
    scenario.all_join_again()
    assert scenario.group == ["a", "c"]
    assert scenario.status.restarts == 0


def test_it_is_a_loss_of_its_own_in_the_metrics() -> None:
    scenario = running("a", "b", "c")
    stays_out(scenario, "b")
    decision = scenario.decide()
    assert isinstance(decision, Decision)
    assert {**decision.lost} == {"b": "MemberUnhealthy"}


@pytest.mark.parametrize("others_first", [True, False])
def test_workers_of_others_that_fail_with_it_cost_no_restart(others_first: bool) -> None:
    """Its GPU has failed: so have the workers of all others, which often is seen first."""
    scenario = running("a", "b", "c", max_restarts=3)
    if others_first:
        scenario.reenter("a", "c", reason=WORKER_FAILURE)
        assert scenario.ended_because == "WorkerFailed"
        stays_out(scenario, "b")
    else:
        stays_out(scenario, "b")
        scenario.reenter("a", "c", reason=WORKER_FAILURE)
    assert scenario.group == ["a", "c"]
    assert (scenario.status.restarts, scenario.status.failures) == (0, ())


def test_a_failure_beside_a_loss_costs_one() -> None:
    scenario = running("a", "b", "c", "d", max_restarts=3, replacement_seconds=0)
    scenario.gone("d")
    stays_out(scenario, "b")
    scenario.reenter("a", "c")
    assert scenario.group == ["a", "c"]
    assert scenario.status.restarts == 1


def test_a_group_that_fails_with_it_again_and_again_spends_its_budget() -> None:
    """The last ten rounds have ended with failures, so it helps nobody that this node stays out for a while."""
    scenario = running("a", "b", "c", min_nodes=3, max_nodes=3, max_restarts=1)
    for number in range(1, 12):
        assert (scenario.status.round, scenario.status.restarts) == (number, max(0, number - 10))
        scenario.reenter("a", "c", reason=WORKER_FAILURE)
        stays_out(scenario, "b")
        comes_back(scenario, "b")
    assert scenario.closed_runs == {"run": "RestartBudgetExhausted"}
