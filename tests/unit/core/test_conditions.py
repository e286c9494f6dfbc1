"""The conditions."""

import pytest
from tests.unit.core.started import three, two
from tests.unit.core.worlds import Scenario

from rendezvous_api.reasons import AttemptReason, LeaveReason


def words(scenario: Scenario, condition_type: str) -> tuple[str, str, str]:
    condition = scenario.condition(condition_type)
    return condition.status, condition.reason, condition.message


def test_from_the_first_look_to_the_running_round() -> None:
    scenario = Scenario(2, 2)
    scenario.settle()
    assert words(scenario, "Running") == ("False", "WaitingForNodes", "0 of at least 2 nodes")
    assert words(scenario, "Complete") == ("False", "NotEnded", "")
    assert words(scenario, "Failed") == ("False", "NotEnded", "")
    assert words(scenario, "Degraded") == ("False", "AsExpected", "")
    assert words(scenario, "Reconciling") == ("False", "AsExpected", "")
    assert words(scenario, "Stalled") == ("False", "AsExpected", "")
    scenario.join("a")
    assert words(scenario, "Running") == ("False", "WaitingForNodes", "1 of at least 2 nodes")
    scenario.join("b")
    assert words(scenario, "Running") == ("True", "Running", "round 1 runs with 2 nodes")


def test_pods_that_are_missing_are_named_before_any_node_has_joined() -> None:
    scenario = Scenario(2, 2)
    scenario.pod("a", phase="Pending", problem="Pending (Insufficient nvidia.com/gpu)")
    message = "0 of at least 2 nodes; a is Pending (Insufficient nvidia.com/gpu)"
    assert words(scenario, "Running") == ("False", "WaitingForNodes", message)
    assert scenario.explanation == f"WaitingForNodes: {message}"


def test_a_run_that_has_succeeded() -> None:
    scenario = two("one")
    scenario.leave("a", "b", reason=LeaveReason.SUCCEEDED)
    succeeded = ("RunSucceeded", "run 'one' is closed: it has succeeded")
    assert words(scenario, "Complete") == ("True", *succeeded)
    assert words(scenario, "Failed") == ("False", *succeeded)
    assert words(scenario, "Running") == ("False", *succeeded)
    assert words(scenario, "Stalled") == ("False", "AsExpected", "")


@pytest.mark.parametrize("cause", ["RunFailed", "CloseRequested", "RestartBudgetExhausted"])
def test_a_run_that_has_failed(cause: str) -> None:
    scenario = two("one", max_restarts=0)
    match cause:
        case "RunFailed":
            scenario.leave("a", "b", reason=LeaveReason.FAILED)
            scenario.after(scenario.spec.timeouts.join_seconds)
        case "CloseRequested":
            scenario.request_close("a")
        case "RestartBudgetExhausted":
            scenario.reenter("a", "b", reason=AttemptReason.WORKER_FAILURE)
    failed = scenario.condition("Failed")
    assert (failed.status, failed.reason) == ("True", cause if cause != "RunFailed" else "RestartBudgetExhausted")
    assert words(scenario, "Stalled") == words(scenario, "Failed")
    assert words(scenario, "Complete") == ("False", failed.reason, failed.message)
    assert words(scenario, "Running") == ("False", failed.reason, failed.message)
    assert not scenario.status.holds("Reconciling")


def test_the_end_of_a_run_is_forgotten_when_another_one_claims_the_rendezvous() -> None:
    scenario = two("one")
    scenario.leave("a", "b", reason=LeaveReason.SUCCEEDED)
    scenario.join("c", run="two")
    assert not scenario.status.holds("Complete")
    assert words(scenario, "Running") == ("False", "WaitingForNodes", "1 of at least 2 nodes")


def test_a_closed_spec() -> None:
    scenario = Scenario(2, 2)
    scenario.edit(closed=True)
    assert words(scenario, "Running") == ("False", "ClosedBySpec", "spec.closed is true: no node may join")
    # It may be opened again, so this is no end of a run.
    assert words(scenario, "Failed") == ("False", "NotEnded", "")


def test_only_a_round_that_ran_is_in_progress_while_it_is_formed_again() -> None:
    scenario = Scenario(2, 3, replacement_seconds=30, last_call_seconds=30)
    reconciling = []

    def note() -> None:
        reconciling.append(scenario.status.holds("Reconciling"))

    for node in "abc":
        scenario.join(node)
        note()
    assert reconciling == [False, False, False]
    scenario.gone("c")
    assert scenario.status.holds("Reconciling")
    assert words(scenario, "Reconciling")[1:] == words(scenario, "Running")[1:]
    scenario.reenter("a", "b")
    assert scenario.status.holds("Reconciling")
    scenario.after(30)
    assert scenario.status.holds("Running")
    assert not scenario.status.holds("Reconciling")


def test_a_group_that_nobody_is_left_of_waits_for_nodes() -> None:
    """As when the Job was suspended: its pods come back at some time, and nothing is wrong until then."""
    scenario = two("one")
    scenario.gone("a", "b")
    assert words(scenario, "Running")[:2] == ("False", "WaitingForNodes")
    assert not scenario.status.holds("Reconciling")
    scenario.join("a", run="one")
    assert scenario.status.holds("Reconciling")


def test_the_time_of_a_transition_is_that_of_the_last_change_of_the_status() -> None:
    scenario = three()
    began = scenario.condition("Running").last_transition_time
    scenario.silent("c")
    scenario.at(20)
    assert words(scenario, "Degraded") == ("True", "MemberSuspected", "c is silent since 2030-01-01T00:16:40Z")
    assert scenario.condition("Running").message.endswith("; c is silent since 2030-01-01T00:16:40Z")
    assert scenario.condition("Running").last_transition_time == began
    scenario.at(121)
    assert scenario.condition("Running").status == "False"
    assert scenario.condition("Running").last_transition_time > began


def test_they_say_of_which_spec_they_speak() -> None:
    scenario = three()
    scenario.edit(max_nodes=4)
    assert {condition.observed_generation for condition in scenario.status.conditions} == {2}
