"""Rule "restart budget"."""

from typing import Any

import pytest
from tests.unit.core.started import three, two, x_is_held_out
from tests.unit.core.worlds import Scenario

from rendezvous_api import names
from rendezvous_api.reasons import AttemptReason, LeaveReason, RefusalReason
from rendezvous_api.rendezvous_spec import RestartsPerReason

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


# Limits that count from the list of failures.

MANY: dict[str, Any] = {"max_restarts": 9}


def fails(scenario: Scenario, node: str, *, after: float = 10) -> None:
    """Some time later workers of this node fail, and all join again."""
    scenario.after(after)
    scenario.reenter(node, reason=WORKER_FAILURE)
    scenario.reenter(*(other for other in scenario.group if other != node and scenario.asks))


def why_failed(scenario: Scenario) -> str:
    return scenario.condition(names.CONDITION_FAILED).message


def test_the_end_of_the_window_gives_new_restarts() -> None:
    scenario = two("one", max_restarts=1, restarts_window_seconds=100)
    for _ in range(3):
        fails(scenario, "a", after=100)
    assert (scenario.status.restarts, scenario.closed_runs) == (3, {})
    fails(scenario, "b", after=99)
    assert scenario.closed_runs == {"one": "RestartBudgetExhausted"}
    because = "2 rounds ended with a failure within 100 s, and spec.restarts.max allows no more"
    assert why_failed(scenario) == f"run 'one' is closed: {because}"
    assert because in scenario.status.refused[0].message
    told = f"run 'one' is closed: RestartBudgetExhausted: WorkerFailed: b asks to join again: WorkerFailure; {because}"
    assert told in [event.message for event in scenario.events]


def test_a_new_leader_knows_what_has_counted() -> None:
    scenario = two("one", max_restarts=2, restarts_window_seconds=100)
    fails(scenario, "a", after=50)
    fails(scenario, "a", after=50)
    scenario.new_leader()
    fails(scenario, "a", after=49)
    assert scenario.closed_runs == {"one": "RestartBudgetExhausted"}


def test_what_is_said_stays_the_same_when_the_window_has_passed() -> None:
    scenario = two("one", max_restarts=0, restarts_window_seconds=10)
    fails(scenario, "a")
    before = why_failed(scenario)
    assert "1 round ended with a failure within 10 s" in before
    scenario.after(1000)
    scenario.new_leader()
    scenario.join("b", run="one", incarnation="second")
    assert scenario.refused["b"] is RefusalReason.RUN_CLOSED
    assert why_failed(scenario) == before
    assert before.partition(": ")[2] in scenario.status.refused[-1].message


def test_a_run_stays_closed_when_more_is_allowed_later() -> None:
    scenario = two("one", max_restarts=0)
    fails(scenario, "a")
    scenario.edit(max_restarts=5)
    assert why_failed(scenario) == "run 'one' is closed: its restart budget was used up"
    assert scenario.closed_runs == {"one": "RestartBudgetExhausted"}


def test_failures_of_one_node_close_the_run() -> None:
    scenario = two("one", **MANY, restarts_per_node=2)
    for node in ("a", "b", "a", "b"):
        fails(scenario, node)
    assert (scenario.status.restarts, scenario.closed_runs) == (4, {})
    fails(scenario, "b")
    assert scenario.closed_runs == {"one": "RestartBudgetExhausted"}
    assert scenario.refused == {"a": RefusalReason.RUN_CLOSED, "b": RefusalReason.RUN_CLOSED}
    assert not scenario.asks
    assert "3 rounds ended with a failure of b, and spec.restarts.perNode allows no more" in why_failed(scenario)


def test_failures_of_one_node_count_in_the_window_only() -> None:
    scenario = two("one", **MANY, restarts_per_node=1, restarts_window_seconds=100)
    fails(scenario, "a", after=100)
    fails(scenario, "a", after=100)
    assert scenario.closed_runs == {}
    fails(scenario, "a", after=99)
    assert "2 rounds ended with a failure of a within 100 s" in why_failed(scenario)


def test_who_fails_first_is_no_culprit_before_all_is_known() -> None:
    """Workers of a fail because c is lost, which is noticed later."""
    scenario = three(**MANY, restarts_per_node=0)
    scenario.silent("c")
    scenario.after(1)
    scenario.reenter("a", reason=WORKER_FAILURE)
    assert scenario.closed_runs == {}, "it may be the failure of another node"
    scenario.reenter("b")
    scenario.after(16)
    assert [failure.node for failure in scenario.status.failures] == ["c"]
    assert "1 round ended with a failure of c" in why_failed(scenario)


def test_the_limit_for_all_nodes_needs_no_culprit() -> None:
    scenario = three(max_restarts=0, restarts_per_node=0)
    scenario.silent("c")
    scenario.after(1)
    scenario.reenter("a", reason=WORKER_FAILURE)
    assert scenario.closed_runs == {"run": "RestartBudgetExhausted"}
    assert "spec.restarts.max" in why_failed(scenario)


def test_the_pod_in_the_place_of_another_one_is_the_same_node() -> None:
    scenario = Scenario(2, 2, replacement_seconds=0, **MANY, restarts_per_node=1)
    scenario.join("train.job-0-aaaaa", index=0)
    scenario.join("train.job-1-aaaaa", index=1)
    scenario.leave("train.job-1-aaaaa")
    scenario.reenter("train.job-0-aaaaa")
    scenario.join("train.job-1-bbbbb", index=1)
    assert (scenario.status.round, scenario.status.restarts) == (2, 1)
    scenario.after(700)  # longer ago than a crash loop lasts
    scenario.leave("train.job-1-bbbbb")
    scenario.reenter("train.job-0-aaaaa")
    assert [failure.pod_index for failure in scenario.status.failures] == [1, 1]
    assert "2 rounds ended with a failure of train.job-1-bbbbb" in why_failed(scenario)


def test_failures_of_one_kind_close_the_run() -> None:
    limits = RestartsPerReason(worker_failed=3, member_failed=1)
    scenario = Scenario(2, 3, replacement_seconds=0, **MANY, restarts_per_reason=limits)
    scenario.join("a", "b", "c", run="one")
    for node in ("a", "b"):
        fails(scenario, node)
    scenario.leave("c")
    scenario.reenter("a", "b")
    assert [failure.reason for failure in scenario.status.failures[-2:]] == ["WorkerFailed", "MemberFailed"]
    fails(scenario, "a")
    assert (scenario.status.restarts, scenario.closed_runs) == (4, {})
    fails(scenario, "a")
    assert scenario.closed_runs == {"one": "RestartBudgetExhausted"}
    assert "4 rounds ended with WorkerFailed, and spec.restarts.perReason.workerFailed allows" in why_failed(scenario)


def test_an_eviction_is_no_failure_of_a_node() -> None:
    limits = RestartsPerReason(0, 0, 0, 0)
    scenario = Scenario(2, 2, **MANY, restarts_per_node=0, restarts_per_reason=limits)
    scenario.pod("a", "b", workload="run")
    scenario.join_from_pods("a", "b")
    scenario.pod("a", workload="run", leaving="its pod is being deleted")
    scenario.reenter("b")
    assert scenario.ended_because == "MemberEvicted"
    assert scenario.closed_runs == {}


def test_the_fault_of_a_node_that_is_held_out_counts_for_no_limit() -> None:
    limits = RestartsPerReason(check_in_failed=0)
    scenario = x_is_held_out(**MANY, restarts_per_node=0, restarts_per_reason=limits)
    assert scenario.group == ["a", "b", "c"]
    assert (scenario.status.failures, scenario.closed_runs) == ((), {})


@pytest.mark.parametrize(("limits", "kept"), [({}, 10), ({"restarts_per_node": 15}, 16)])
def test_as_many_failures_are_listed_as_are_counted(limits: dict[str, Any], kept: int) -> None:
    scenario = two("one", max_restarts=15, **limits)
    for number in range(15):
        fails(scenario, "ab"[number % 2])
    assert (scenario.status.restarts, scenario.closed_runs) == (15, {})
    assert len(scenario.status.failures) == min(kept, 15)
    fails(scenario, "a")
    assert scenario.closed_runs == {"one": "RestartBudgetExhausted"}
    assert len(scenario.status.failures) == kept


def test_the_last_one_that_may_count_is_counted() -> None:
    """The most that the schema allows, all of one kind."""
    limits = RestartsPerReason(worker_failed=names.MAX_FAILURES - 1)
    scenario = two("one", max_restarts=names.MAX_FAILURES - 1, restarts_per_reason=limits)
    for _ in range(names.MAX_FAILURES - 1):
        fails(scenario, "a")
    assert scenario.closed_runs == {}
    fails(scenario, "a")
    assert scenario.closed_runs == {"one": "RestartBudgetExhausted"}
    assert len(scenario.status.failures) == names.MAX_FAILURES
