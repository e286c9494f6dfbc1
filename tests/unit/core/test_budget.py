"""Rule "restart budget"."""

import pytest
from tests.unit.core.started import two
from tests.unit.core.worlds import Scenario

from rendezvous_api.reasons import AttemptReason, LeaveReason, RefusalReason

WORKER_FAILURE = AttemptReason.WORKER_FAILURE


@pytest.mark.parametrize("allowed", [0, 2])
def test_max_restarts_closes_the_run_and_calls_all_members_to_tell_them(allowed: int) -> None:
    scenario = two("one", max_restarts=allowed)
    for _ in range(allowed):
        scenario.reenter("a", "b", reason=WORKER_FAILURE)
    assert scenario.status.restarts == allowed
    scenario.reenter("a", reason=WORKER_FAILURE)
    assert scenario.closed_runs == {"one": "RestartBudgetExhausted"}
    assert scenario.refused == {"a": RefusalReason.RUN_CLOSED}
    assert scenario.asks, "b has lost its group and must hear of it"
    scenario.reenter("b")
    assert scenario.refused == {"a": RefusalReason.RUN_CLOSED, "b": RefusalReason.RUN_CLOSED}
    assert "RestartBudgetExhausted" in scenario.status.refused[1].message
    assert not scenario.asks


def test_what_is_no_failure_does_not_count_against_max_restarts() -> None:
    scenario = Scenario(2, 3, max_restarts=0, scale_up_interval_seconds=0, last_call_seconds=0)
    scenario.pod("a", "b", "c", workload="run")
    scenario.join_from_pods("a", "b")
    scenario.join_from_pods("c")  # scale-up
    scenario.all_join_again()
    scenario.request_restart("now")
    scenario.all_join_again()
    scenario.edit(max_nodes=2)  # too many
    scenario.all_join_again()
    scenario.pod("a", workload="run", leaving="its pod is being deleted")  # eviction
    assert [record.reason for record in scenario.status.history] == [
        "ScaleUp",
        "RestartRequested",
        "TooManyNodes",
        "MemberEvicted",
    ]
    assert scenario.status.restarts == 0
    assert scenario.closed_runs == {}


def test_a_failure_is_counted_by_any_leader_when_the_next_round_is_published() -> None:
    scenario = two("one", max_restarts=5)
    scenario.reenter("a", reason=WORKER_FAILURE)
    assert scenario.status.restarts == 0
    scenario.new_leader()
    scenario.reenter("b")
    assert scenario.status.restarts == 1


def test_a_new_run_has_a_budget_of_its_own() -> None:
    scenario = two("one", max_restarts=1)
    scenario.reenter("a", "b", reason=WORKER_FAILURE)
    scenario.leave("a", "b", reason=LeaveReason.SUCCEEDED)
    scenario.join("c", "d", run="two")
    assert scenario.status.restarts == 0
    scenario.reenter("c", "d", reason=WORKER_FAILURE)
    assert scenario.closed_runs == {"one": "RunSucceeded"}
    assert scenario.status.restarts == 1


@pytest.mark.parametrize("the_other_trains", [False, True])
def test_an_abandoned_run_that_comes_back_has_a_new_budget(the_other_trains: bool) -> None:
    scenario = two("one", max_restarts=4)
    for _ in range(3):
        scenario.reenter("a", "b", reason=WORKER_FAILURE)
    assert scenario.status.restarts == 3
    scenario.gone("a", "b")
    assert scenario.ended_because == "MemberLost"
    others = ("c", "d") if the_other_trains else ("c",)
    scenario.join(*others, run="two")
    assert scenario.closed_runs == {"one": "Abandoned"}
    scenario.gone(*others)
    scenario.join("a", "b", run="one", incarnation="second")
    assert (scenario.status.run_id, scenario.status.restarts) == ("one", 0)
