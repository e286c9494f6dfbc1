"""Rule "hold-outs": whose fault a failed check-in is."""

from dataclasses import replace

import pytest
from tests.unit.core.peer_worlds import peers
from tests.unit.core.started import trains_and_x_comes, x_is_held_out
from tests.unit.core.worlds import Scenario

from rendezvous_api.reasons import AttemptReason, HeldOutReason, LeaveReason

STORE_NOT_REACHED, CRASH_LOOP = HeldOutReason.STORE_NOT_REACHED, HeldOutReason.CRASH_LOOP


def test_a_node_that_says_nothing_is_missing_if_most_who_reached_the_store_say_so() -> None:
    scenario = trains_and_x_comes()
    scenario.fail_to_check_in("x", silent=["x"])
    assert scenario.group == ["a", "b", "c", "x"], "it may still come"
    scenario.after(330)
    assert scenario.group == ["a", "b", "c"]
    assert scenario.held_out == {"x": (STORE_NOT_REACHED, 1)}
    assert scenario.status.restarts == 0


def test_one_that_lies_makes_no_other_node_missing() -> None:
    scenario = Scenario(2, 4)
    scenario.join("a", "b", "c", "x")
    scenario.complete = False
    scenario.fail_to_check_in()
    for name in "bc":
        seen = scenario.seen[name]
        assert seen.object.spec.check_in is not None
        assert seen.object.spec.check_in.reached_store
    liar = scenario.seen["x"]
    assert liar.object.spec.check_in is not None
    lie = replace(liar.object.spec.check_in, missing=("b", "c"))
    scenario.seen["x"] = replace(liar, object=replace(liar.object, spec=replace(liar.object.spec, check_in=lie)))
    scenario.complete = True
    scenario.settle()
    assert scenario.held_out == {}
    assert scenario.group == ["a", "b", "c", "x"]


def test_in_a_group_of_three_another_host_is_tried_before_one_is_held_out() -> None:
    scenario = Scenario(2, 3)
    scenario.join("a", "b", "x")
    scenario.fail_to_check_in("x")
    assert scenario.group == ["b", "a", "x"], "one of two others reached it: that says little"
    scenario.fail_to_check_in("x")
    assert scenario.group == ["b", "a"]
    assert scenario.held_out == {"x": (STORE_NOT_REACHED, 1)}
    assert scenario.status.restarts == 1


@pytest.mark.parametrize("cut_off", [*"bcde"])
def test_a_node_that_half_of_the_others_are_without_is_not_the_next_host(cut_off: str) -> None:
    """More than half of the group reach the first host, and so each other."""
    scenario = Scenario(2, 5)
    scenario.join("a", "b", "c", "d", "e")
    another = "c" if cut_off in "bd" else "b"
    away = {cut_off, another}
    scenario.fail_to_check_in(*away)
    assert scenario.group[0] not in {"a", *away}
    scenario.fail_to_check_in(*away)
    assert {*scenario.group} == {*"abcde"} - away, "two check-ins have failed, and no third one"


def test_where_fewer_than_half_reach_the_host_the_next_one_may_be_elsewhere() -> None:
    scenario = Scenario(2, 5)
    scenario.join("a", "b", "c", "d", "e")
    scenario.fail_to_check_in("b", "c", "d")
    assert scenario.group[0] == "b", "it may reach most of the others, and e reaches no more than a does"


def test_the_old_host_is_not_tried_again_before_one_that_is_reached() -> None:
    """The host of three nodes loses its path to the others while they train. Later a worker fails."""
    scenario = peers("a", "b", "c", min_nodes=2)
    scenario.view("Missed", "b", "c")
    scenario.at(20)
    scenario.reenter("c", reason=AttemptReason.WORKER_FAILURE)
    scenario.all_join_again()
    hosts = [scenario.group[0]]
    while len(scenario.group) == 3:
        scenario.fail_to_check_in("a")
        hosts.append(scenario.group[0])
    assert hosts[:2] == ["b", "c"]
    assert len(hosts) == 3
    assert {*scenario.held_out} == {"a"}


def test_the_larger_part_goes_on_when_every_host_has_been_tried() -> None:
    """Of five nodes two reach each other, and nobody else reaches anybody."""
    scenario = Scenario(2, 5)
    scenario.join("a", "b", "x", "y", "z")
    hosts = []
    while len(scenario.group) == 5:
        hosts.append(scenario.group[0])
        met = {"a", "b"} if scenario.group[0] in "ab" else {scenario.group[0]}
        scenario.fail_to_check_in(*(name for name in scenario.group if name not in met))
    assert hosts == ["a", "b", "x", "y", "z", "a"]
    assert scenario.group == ["a", "b"]
    assert {*scenario.held_out} == {"x", "y", "z"}


def test_agents_that_say_nothing_hold_out_nobody() -> None:
    scenario = trains_and_x_comes(max_restarts=3)
    for restarts in range(1, 4):
        scenario.reenter(*scenario.group, reason=AttemptReason.CHECK_IN_FAILED)
        assert scenario.status.restarts == restarts
        assert set(scenario.group) == {*"abcx"}
        assert scenario.held_out == {}
    scenario.reenter("a", reason=AttemptReason.CHECK_IN_FAILED)
    assert scenario.closed_runs == {"run": "RestartBudgetExhausted"}, "without waiting for the others"


def test_a_spent_budget_closes_the_run_when_the_host_is_at_fault() -> None:
    scenario = Scenario(2, 2, max_restarts=0)
    scenario.join("a", "b")
    scenario.complete = False
    scenario.fail_to_check_in(host_is_reached=False)
    scenario.complete = True
    scenario.settle()
    assert scenario.closed_runs == {"run": "RestartBudgetExhausted"}
    assert [(failure.node, str(failure.reason)) for failure in scenario.status.failures] == [("a", "CheckInFailed")]
    assert {*scenario.refused} == {"a", "b"}


def test_a_member_that_dies_in_the_check_in_is_lost_and_its_host_is_not_at_fault() -> None:
    scenario = Scenario(2, 4, replacement_seconds=0)
    scenario.join("a", "b", "c", "x")
    scenario.meets = False
    scenario.fail_to_check_in("x", silent=["x"])
    scenario.gone("x")
    assert scenario.group == ["a", "b", "c"]
    assert scenario.held_out == {}
    assert scenario.status.restarts == 1
    assert [(failure.node, str(failure.reason)) for failure in scenario.status.failures] == [("x", "MemberLost")]


def test_what_was_seen_in_a_round_that_ended_for_another_cause_is_no_evidence() -> None:
    scenario = trains_and_x_comes()
    scenario.edit(max_nodes=3)
    assert scenario.ended_because == "TooManyNodes"
    scenario.fail_to_check_in("x")
    assert scenario.held_out == {}


def test_the_first_crash_of_a_node_that_reached_no_store_is_only_remembered() -> None:
    scenario = x_is_held_out(scale_up_interval_seconds=0, replacement_seconds=0)
    scenario.restart("x")
    scenario.after(30)
    scenario.all_join_again()
    assert scenario.group == ["a", "b", "c", "x"]
    scenario.after(20)
    scenario.leave("x", reason=LeaveReason.FAILED)
    scenario.all_join_again()
    assert scenario.held_out == {"x": (STORE_NOT_REACHED, 1)}
    assert scenario.status.restarts == 1


def test_a_crash_loop_says_nothing_about_the_store() -> None:
    """So in a group of three another host is tried first."""
    scenario = Scenario(2, 3, scale_up_interval_seconds=0, replacement_seconds=0)
    scenario.join("a", "b", "x")
    for _ in range(2):
        scenario.after(20)
        scenario.restart("x")
        scenario.all_join_again()
    assert scenario.held_out == {"x": (CRASH_LOOP, 1)}
    scenario.after(30)
    scenario.meets = False
    scenario.all_join_again()
    assert scenario.group == ["a", "b", "x"]
    scenario.fail_to_check_in("x")
    assert scenario.group == ["b", "a", "x"]
    assert scenario.held_out == {"x": (CRASH_LOOP, 1)}


def test_a_failed_check_in_is_nobodys_failure_before_all_have_said_what_they_saw() -> None:
    scenario = trains_and_x_comes()
    scenario.fail_to_check_in("x", silent=["b", "c"])
    assert scenario.asks
    assert scenario.status.failures == ()


def test_the_host_is_named_for_a_check_in_that_spends_the_budget_at_once() -> None:
    scenario = Scenario(2, 2, max_restarts=0)
    scenario.join("a", "b")
    scenario.reenter("b", reason=AttemptReason.CHECK_IN_FAILED)
    assert scenario.closed_runs == {"run": "RestartBudgetExhausted"}
    assert [failure.node for failure in scenario.status.failures] == ["a"]
