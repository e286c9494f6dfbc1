"""Rule "hold-outs": a node that fails soon after each admission interrupts the others ever more seldom."""

import pytest
from tests.unit.core.builders import now
from tests.unit.core.worlds import Scenario

from rendezvous_api import names
from rendezvous_api.reasons import AttemptReason, HeldOutReason, LeaveReason
from rendezvous_operator.core.select.held_out import SOON_SECONDS

CRASH_LOOP = HeldOutReason.CRASH_LOOP


def with_x(min_nodes: int = 2, max_nodes: int = 4, **spec: object) -> Scenario:
    """The round of a, b, c and x runs."""
    scenario = Scenario(min_nodes, max_nodes, **{"replacement_seconds": 0, **spec})
    scenario.join("a", "b", "c", "x")
    assert scenario.group == ["a", "b", "c", "x"]
    return scenario


def crash(scenario: Scenario, after: float = 20, name: str = "x") -> None:
    """A member crashes, and the workers of the others fail with it, which is seen first."""
    scenario.after(after)
    others = [member for member in scenario.group if member != name]
    scenario.silent(name)
    scenario.reenter(*others, reason=AttemptReason.WORKER_FAILURE)
    scenario.after(15)
    assert name not in scenario.group


def comes_back(scenario: Scenario, name: str = "x") -> None:
    """A crashed node is started anew and becomes a member, as soon as it may."""
    scenario.restart(name)
    while name not in scenario.group:
        scenario.after(5)
        if scenario.asks:
            scenario.all_join_again()


def test_the_first_crash_is_only_remembered() -> None:
    scenario = with_x()
    crash(scenario)
    assert scenario.held_out == {}
    assert [(failure.node, str(failure.reason)) for failure in scenario.status.failures] == [("x", "MemberLost")]
    scenario.restart("x")
    assert scenario.ended_because == "ScaleUp", "it fills the group"
    assert scenario.status.restarts == 1


def test_from_the_second_crash_on_it_is_held_out_and_costs_no_restart() -> None:
    scenario = with_x(max_restarts=1)
    crash(scenario)
    for times in range(1, 4):
        comes_back(scenario)
        crash(scenario)
        assert scenario.held_out == {"x": (CRASH_LOOP, times)}
        assert scenario.status.restarts == 1
    (entry,) = scenario.status.held_out
    assert entry.message.startswith(f"it failed soon after round {scenario.status.round - 1} began, and not for the")
    assert entry.until == now(scenario.clock + 120).timestamp
    assert scenario.closed_runs == {}


def test_the_longest_undisturbed_stretch_grows() -> None:
    """The node lives for 20 s; its container is started again after 10 s, 20 s ... 300 s, as the kubelet does it."""
    scenario = with_x()
    stretches: list[float] = []
    pause = 10
    while sum(stretches) < 2 * 3600:
        crash(scenario)
        published = scenario.clock
        scenario.after(pause)
        pause = min(300, 2 * pause)
        comes_back(scenario)
        stretches.append(scenario.clock - published)
    assert max(stretches[:3]) <= 65
    assert min(stretches[6:]) >= 590
    assert len(stretches) > 8
    assert scenario.status.restarts == 1


def test_it_is_the_node_that_left_with_an_error() -> None:
    scenario = with_x()
    for held_out in ({}, {"x": (CRASH_LOOP, 1)}):
        scenario.after(20)
        scenario.leave("x", reason=LeaveReason.FAILED)
        scenario.all_join_again()
        assert scenario.held_out == held_out
        comes_back(scenario)


def test_a_node_that_fails_in_two_ways_in_turn_is_held_out_for_longer_each_time() -> None:
    scenario = with_x(max_restarts=1)
    crash(scenario)
    for times in range(1, 7):
        scenario.meets = times % 2 == 1
        comes_back(scenario)
        if scenario.meets:
            crash(scenario, after=1)
            assert scenario.held_out == {"x": (CRASH_LOOP, times)}
        else:
            scenario.after(61)
            scenario.fail_to_check_in("x")
            assert scenario.held_out == {"x": (HeldOutReason.STORE_NOT_REACHED, times)}
            scenario.meets = True
    assert scenario.status.restarts == 1


def test_what_is_no_crash_does_not_count() -> None:
    scenario = with_x()
    for _ in range(3):
        scenario.after(20)
        scenario.leave("x", reason=LeaveReason.TERMINATED)
        scenario.all_join_again()
        comes_back(scenario)
    assert scenario.held_out == {}
    assert scenario.status.failures == ()


def test_a_crash_long_after_the_admission_is_not_soon() -> None:
    scenario = with_x()
    crash(scenario)
    comes_back(scenario)
    crash(scenario, after=SOON_SECONDS + 1)
    assert scenario.held_out == {}
    assert scenario.status.restarts == 2


@pytest.mark.parametrize("before", ["a new leader", "a silence of all"])
def test_a_crash_is_not_soon_because_the_operator_has_not_seen_the_round_for_long(before: str) -> None:
    scenario = with_x()
    crash(scenario)
    comes_back(scenario)
    scenario.after(2 * SOON_SECONDS)
    if before == "a new leader":
        scenario.new_leader()
    else:
        scenario.silent(*scenario.group)
        scenario.after(200)
        scenario.beat(*scenario.group)
    crash(scenario)
    assert scenario.held_out == {}
    assert scenario.status.restarts == 2


@pytest.mark.parametrize("reason", [AttemptReason.WORKER_FAILURE, AttemptReason.CHECK_IN_FAILED])
def test_the_first_crash_of_a_node_that_has_failed_otherwise_is_only_remembered(reason: AttemptReason) -> None:
    scenario = with_x()
    scenario.leave("a", reason=LeaveReason.TERMINATED)
    scenario.all_join_again()
    assert scenario.group[0] == "x", "so it is named for a failed check-in, too"
    scenario.meets = reason is not AttemptReason.CHECK_IN_FAILED
    scenario.reenter("x", reason=reason)
    scenario.reenter("b", "c", reason=reason)
    scenario.meets = True
    assert [failure.node for failure in scenario.status.failures] == ["x"]
    scenario.leave("x", reason=LeaveReason.TERMINATED)
    scenario.all_join_again()
    comes_back(scenario)
    crash(scenario)
    assert scenario.held_out == {}
    assert scenario.status.restarts == 2


def test_a_node_that_trains_for_long_is_forgiven() -> None:
    scenario = with_x()
    for _ in range(2):
        crash(scenario)
        comes_back(scenario)
    assert scenario.held_out == {"x": (CRASH_LOOP, 1)}
    scenario.after(SOON_SECONDS)
    assert scenario.held_out == {}


def test_nobody_is_held_out_if_too_few_would_be_left() -> None:
    scenario = with_x(min_nodes=4, max_restarts=3)
    for restarts in range(1, 4):
        scenario.after(20)
        scenario.restart("x")
        scenario.all_join_again()
        assert scenario.group == ["a", "b", "c", "x"]
        assert scenario.held_out == {}
        assert scenario.status.restarts == restarts
    scenario.restart("x")
    assert scenario.closed_runs == {"run": "RestartBudgetExhausted"}


def test_a_spent_budget_waits_for_the_fault_only_where_a_node_may_be_at_fault() -> None:
    scenario = with_x(max_restarts=1)
    crash(scenario)
    comes_back(scenario)
    scenario.after(20)
    scenario.reenter("a", reason=AttemptReason.WORKER_FAILURE)
    assert scenario.closed_runs == {}, "maybe x has crashed again"
    scenario.all_join_again()
    assert scenario.closed_runs == {"run": "RestartBudgetExhausted"}, "it has not"
    assert [(failure.node, str(failure.reason)) for failure in scenario.status.failures][-1] == ("a", "WorkerFailed")


def test_the_fault_of_another_node_in_the_same_round_still_costs_a_restart() -> None:
    scenario = with_x()
    crash(scenario)
    comes_back(scenario)
    scenario.after(20)
    scenario.leave("c", "x")
    scenario.all_join_again()
    assert scenario.held_out == {"x": (CRASH_LOOP, 1)}
    assert scenario.group == ["a", "b"]
    assert scenario.status.restarts == 2
    assert [failure.node for failure in scenario.status.failures] == ["x", "c"]


def test_the_pod_of_an_indexed_job_is_the_same_node_under_each_name() -> None:
    """Its pods have ``restartPolicy: Never``, so each is replaced by one of another name."""
    scenario = Scenario(2, 4, replacement_seconds=0, max_restarts=1)
    for index, other in enumerate("abc"):
        scenario.join_from_pods(f"train-{index}-{other * 5}", index=index)
    for times in range(5):
        name = f"train-3-{times:05}"
        scenario.join_from_pods(name, index=3)
        assert {*scenario.held_out} <= {name}, "its agent reads that it is held out"
        while name not in scenario.group:
            scenario.after(5)
            if scenario.asks:
                scenario.all_join_again()
        scenario.after(20)
        scenario.leave(name, reason=LeaveReason.FAILED)
        scenario.all_join_again()
        assert scenario.held_out == ({name: (CRASH_LOOP, times)} if times else {})
    assert scenario.status.restarts == 1


@pytest.mark.parametrize(
    ("first", "index", "second", "other_index"),
    [
        ("train-3-aaaaa", 3, "train-2-bbbbb", 2),
        ("one-3-aaaaa", 3, "two-3-bbbbb", 3),
        ("train-aaaaa", None, "train-bbbbb", None),
        ("deploy-7965-aaaaa", None, "deploy-7965-bbbbb", None),
        ("set-0-10000", 10000, "set-0-10001", 10001),
        ("train-3-aaaaa", 3, "train-3-bbbbb.1", 3),
    ],
)
def test_another_node_has_not_crashed_before(
    first: str, index: int | None, second: str, other_index: int | None
) -> None:
    scenario = Scenario(2, 4, replacement_seconds=0)
    scenario.join("a", "b", "c")
    for name, its_index in ((first, index), (second, other_index)):
        scenario.join_from_pods(name, index=its_index)
        if scenario.asks:
            scenario.all_join_again()
        assert name in scenario.group
        scenario.after(20)
        scenario.leave(name, reason=LeaveReason.FAILED)
        scenario.all_join_again()
        assert scenario.held_out == {}


def test_a_new_leader_knows_who_has_failed_before() -> None:
    scenario = with_x()
    crash(scenario)
    scenario.new_leader()
    comes_back(scenario)
    crash(scenario)
    assert scenario.held_out == {"x": (CRASH_LOOP, 1)}
    scenario.new_leader()
    comes_back(scenario)
    crash(scenario)
    assert scenario.held_out == {"x": (CRASH_LOOP, 2)}


def test_who_is_ended_by_a_signal_or_an_eviction_after_a_failure_of_others_is_not_at_fault() -> None:
    for end in ("a signal", "an eviction"):
        scenario = Scenario(2, 4, replacement_seconds=0)
        scenario.pod("a", "b", "c", "x", workload="run")
        scenario.join_from_pods("a", "b", "c", "x")
        crash(scenario)
        comes_back(scenario)
        scenario.after(20)
        scenario.reenter("a", reason=AttemptReason.WORKER_FAILURE)
        if end == "an eviction":
            scenario.pod("x", workload="run", leaving="its pod is being deleted")
        scenario.leave("x", reason=LeaveReason.TERMINATED if end == "a signal" else LeaveReason.FAILED)
        scenario.all_join_again()
        assert scenario.group == ["a", "b", "c"]
        assert scenario.held_out == {}
        assert scenario.status.failures[-1].node == "a"


def test_who_crashes_once_its_round_was_asked_to_end_costs_nobody_a_restart() -> None:
    scenario = with_x()
    crash(scenario)
    comes_back(scenario)
    scenario.after(20)
    scenario.request_restart("now")
    scenario.leave("x", reason=LeaveReason.FAILED)
    scenario.all_join_again()
    assert scenario.held_out == {}
    assert scenario.status.restarts == 1


def test_a_crash_soon_after_a_round_into_which_it_was_not_admitted_is_none_of_a_row() -> None:
    scenario = with_x()
    crash(scenario)
    comes_back(scenario)
    scenario.after(SOON_SECONDS - 1)
    scenario.reenter("a", reason=AttemptReason.WORKER_FAILURE)
    scenario.all_join_again()
    crash(scenario)
    assert scenario.held_out == {}
    assert scenario.status.restarts == 3


def test_it_is_held_out_once_for_one_crash() -> None:
    scenario = with_x(replacement_seconds=60)
    scenario.restart("x")
    scenario.all_join_again()
    scenario.after(20)
    scenario.leave("x", reason=LeaveReason.FAILED)
    scenario.leave("c", reason=LeaveReason.TERMINATED)
    scenario.all_join_again()
    scenario.after(59)
    assert scenario.asks, "c is waited for"
    assert scenario.held_out == {"x": (CRASH_LOOP, 1)}
    scenario.after(1)
    assert scenario.group == ["a", "b"]
    assert scenario.held_out == {"x": (CRASH_LOOP, 1)}


def test_a_spent_budget_does_not_wait_for_a_node_that_has_joined_again() -> None:
    scenario = with_x(max_restarts=1)
    crash(scenario)
    comes_back(scenario)
    scenario.after(20)
    scenario.reenter("x", reason=AttemptReason.WORKER_FAILURE)
    assert scenario.closed_runs == {"run": "RestartBudgetExhausted"}


def fails_all_the_time(scenario: Scenario, rounds: int) -> None:
    for _ in range(rounds):
        scenario.reenter("a", reason=AttemptReason.WORKER_FAILURE)
        scenario.all_join_again()


def test_a_budget_that_lists_more_failures_remembers_no_more_crashes() -> None:
    scenario = with_x(max_restarts=50, restarts_per_node=50)
    crash(scenario)
    fails_all_the_time(scenario, names.MAX_HISTORY)
    assert [failure.node for failure in scenario.status.failures] == ["x", *"a" * names.MAX_HISTORY]
    comes_back(scenario)
    crash(scenario)
    assert scenario.held_out == {}


def test_where_all_rounds_fail_a_crash_loop_costs_restarts() -> None:
    """Else hold-outs would hide that nothing gets better."""
    scenario = with_x()
    fails_all_the_time(scenario, names.MAX_HISTORY - 2)
    scenario.restart("x")
    scenario.all_join_again()
    assert (scenario.held_out, scenario.status.restarts) == ({}, names.MAX_HISTORY - 1)
    scenario.restart("x")
    scenario.all_join_again()
    assert scenario.held_out == {"x": (CRASH_LOOP, 1)}
    assert scenario.status.restarts == names.MAX_HISTORY


def test_where_all_rounds_fail_a_node_that_reaches_no_store_is_held_out_and_costs_a_restart() -> None:
    scenario = with_x()
    fails_all_the_time(scenario, names.MAX_HISTORY - 1)
    scenario.meets = False
    scenario.fail_to_check_in("x")
    assert scenario.held_out == {"x": (HeldOutReason.STORE_NOT_REACHED, 1)}
    assert scenario.group == ["a", "b", "c"]
    assert scenario.status.restarts == names.MAX_HISTORY


def test_a_crash_is_known_from_the_hold_out_when_its_failure_is_not_listed_any_more() -> None:
    scenario = with_x()
    crash(scenario)
    comes_back(scenario)
    crash(scenario)
    assert scenario.held_out == {"x": (CRASH_LOOP, 1)}
    fails_all_the_time(scenario, names.MAX_HISTORY)
    assert {failure.node for failure in scenario.status.failures} == {"a"}
    comes_back(scenario)
    crash(scenario)
    assert scenario.held_out == {"x": (CRASH_LOOP, 2)}
