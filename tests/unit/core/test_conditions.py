"""The conditions Ready and Closed."""

from tests.unit.core.worlds import Scenario, three, two

from rendezvous_api.reasons import AttemptReason, LeaveReason


def words(scenario: Scenario, condition_type: str) -> tuple[str, str, str]:
    condition = scenario.condition(condition_type)
    return condition.status, condition.reason, condition.message


def test_from_the_first_look_to_the_running_round() -> None:
    scenario = Scenario(2, 2)
    scenario.settle()
    assert words(scenario, "Ready") == ("False", "WaitingForNodes", "0 of at least 2 nodes")
    assert words(scenario, "Closed") == ("False", "Open", "")
    scenario.join("a")
    assert words(scenario, "Ready") == ("False", "WaitingForNodes", "1 of at least 2 nodes")
    scenario.join("b")
    assert words(scenario, "Ready") == ("True", "Running", "round 1 runs with 2 nodes")


def test_pods_that_are_missing_are_named_before_any_node_has_joined() -> None:
    scenario = Scenario(2, 2)
    scenario.pod("a", phase="Pending", problem="Pending (Insufficient nvidia.com/gpu)")
    message = "0 of at least 2 nodes; a is Pending (Insufficient nvidia.com/gpu)"
    assert words(scenario, "Ready") == ("False", "WaitingForNodes", message)
    assert scenario.explanation == f"WaitingForNodes: {message}"


def test_a_run_that_is_over() -> None:
    scenario = two("one")
    scenario.leave("a", "b", reason=LeaveReason.SUCCEEDED)
    assert words(scenario, "Closed") == ("True", "RunSucceeded", "run 'one' is closed: it has succeeded")
    scenario = two("one", max_restarts=0)
    scenario.reenter("a", "b", reason=AttemptReason.WORKER_FAILURE)
    spent = "run 'one' is closed: 1 round ended with a failure, and spec.restarts.max allows no more"
    assert words(scenario, "Closed") == ("True", "RestartBudgetExhausted", spent)
    assert words(scenario, "Ready") == ("False", "RestartBudgetExhausted", spent)


def test_a_closed_spec() -> None:
    scenario = Scenario(2, 2)
    scenario.edit(closed=True)
    closed = ("ClosedBySpec", "spec.closed is true: no node may join")
    assert words(scenario, "Closed") == ("True", *closed)
    assert words(scenario, "Ready") == ("False", *closed)


def test_the_time_of_a_transition_is_that_of_the_last_change_of_the_status() -> None:
    scenario = three()
    began = scenario.condition("Ready").last_transition_time
    scenario.silent("c")
    scenario.at(20)
    assert scenario.condition("Ready").reason == "MemberSuspected"
    assert scenario.condition("Ready").last_transition_time == began
    scenario.at(121)
    assert scenario.condition("Ready").status == "False"
    assert scenario.condition("Ready").last_transition_time > began


def test_they_say_of_which_spec_they_speak() -> None:
    scenario = three()
    scenario.edit(max_nodes=4)
    for condition_type in ("Ready", "Closed"):
        assert scenario.condition(condition_type).observed_generation == scenario.metadata.generation == 2
