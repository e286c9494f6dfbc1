"""Rules 6, 7 and 10: when the next round is asked for, and who is a spare."""

import pytest
from tests.unit.worlds import Scenario, running

from rendezvous_api.reasons import AttemptReason, FormationReason, LeaveReason

WORKER_FAILURE = AttemptReason.WORKER_FAILURE
CHECK_IN_FAILED = AttemptReason.CHECK_IN_FAILED


# Rule 6


@pytest.mark.parametrize(
    ("happening", "reason"),
    [
        ("a member asks again after a failure", "WorkerFailed"),
        ("a member's check-in failed", "CheckInFailed"),
        ("a member comes back by itself", "MemberReentered"),
        ("a member leaves with a failure", "MemberFailed"),
        ("a member's object is gone", "MemberLost"),
        ("a member is started anew", "MemberLost"),
        ("a member's pod is being deleted", "MemberEvicted"),
        ("a member's pod has failed", "MemberLost"),
        ("the spec allows fewer", "TooManyNodes"),
        ("the user asks", "RestartRequested"),
    ],
)
def test_rule_06_a_new_round_is_asked_for_when(happening: str, reason: str) -> None:
    scenario = Scenario(2, 3)
    scenario.pod("a", "b", "c", run_id="run")
    scenario.join_from_pods("a", "b", "c")
    match happening:
        case "a member asks again after a failure":
            scenario.reenter("b", reason=WORKER_FAILURE)
        case "a member's check-in failed":
            scenario.reenter("b", reason=CHECK_IN_FAILED)
        case "a member comes back by itself":
            scenario.reenter("b")
        case "a member leaves with a failure":
            scenario.leave("b")
        case "a member's object is gone":
            scenario.gone("b")
        case "a member is started anew":
            scenario.restart("b")
        case "a member's pod is being deleted":
            scenario.pod("b", run_id="run", leaving="its pod is being deleted")
        case "a member's pod has failed":
            scenario.pod("b", run_id="run", phase="Failed")
        case "the spec allows fewer":
            scenario.edit(max_nodes=2)
        case "the user asks":
            scenario.request_restart("today")
    assert scenario.asks
    assert scenario.ended_because == reason
    assert scenario.condition("Ready").status == "False"


def test_rule_06_everyone_is_asked_until_the_next_round_is_published() -> None:
    scenario = running("a", "b", "c", "d")
    scenario.reenter("a", reason=WORKER_FAILURE)
    for waiting, node in enumerate(["b", "c"], start=2):
        scenario.after(50)
        scenario.reenter(node)
        assert scenario.status.waiting_nodes == waiting
    scenario.reenter("d")
    assert not scenario.asks


def test_rule_06_a_member_that_succeeded_asks_for_nothing() -> None:
    scenario = running("a", "b")
    scenario.leave("a", reason=LeaveReason.SUCCEEDED)
    assert not scenario.asks


def test_rule_06_newcomers_are_gathered_while_training_goes_on() -> None:
    scenario = running("a", "b", max_nodes=5, scale_up_interval_seconds=60)
    for seconds, node in [(10, "c"), (30, "d")]:
        scenario.at(seconds)
        scenario.join(node)
        assert not scenario.asks
        assert scenario.condition("Ready").status == "True"
        assert scenario.status.formation is not None
        assert scenario.status.formation.reason is FormationReason.GATHERING
    scenario.at(60)
    assert not scenario.asks
    scenario.at(61)
    assert scenario.ended_because == "ScaleUp"
    scenario.everyone_comes_back()
    assert scenario.group == ["a", "b", "c", "d"]
    assert scenario.status.restarts == 0


def test_rule_06_newcomers_that_fill_the_group_are_taken_in_at_once() -> None:
    scenario = running("a", "b", max_nodes=4, scale_up_interval_seconds=600)
    scenario.join("c")
    assert not scenario.asks
    scenario.join("d")
    assert scenario.asks


def test_rule_06_one_request_of_the_user_is_one_round_and_an_old_one_is_none() -> None:
    scenario = Scenario(2, 2)
    scenario.request_restart("before")
    scenario.join("a", "b")
    assert not scenario.asks
    scenario.request_restart("now")
    scenario.everyone_comes_back()
    assert scenario.status.round == 2
    scenario.after(1000)
    assert not scenario.asks


# Rule 7


def test_rule_07_spares_never_count_as_waiting_and_are_listed() -> None:
    scenario = Scenario(2, 2)
    scenario.join("a", "b")
    scenario.join("s", "t")
    scenario.after(5000)
    assert scenario.status.spares == ("s", "t")
    assert not scenario.asks
    assert scenario.condition("Ready").status == "True"


def test_rule_07_a_spare_takes_a_lost_members_rank_at_once() -> None:
    scenario = Scenario(2, 2)
    scenario.join("a", "b")
    scenario.join("s")
    scenario.gone("a")
    scenario.reenter("b")
    assert scenario.group == ["s", "b"]
    assert scenario.status.spares == ()


def test_rule_07_a_silent_spare_is_none() -> None:
    scenario = Scenario(2, 2, replacement_timeout_seconds=0)
    scenario.join("a", "b")
    scenario.join("s")
    scenario.silent("s")
    scenario.after(16)
    assert scenario.status.spares == ()
    scenario.gone("a")
    scenario.reenter("b")
    assert scenario.status.round == 1


# Rule 10, as far as the operator is concerned


def test_rule_10_a_failed_check_in_of_one_brings_all_back_and_drops_who_is_silent() -> None:
    scenario = running("a", "b", "c", replacement_timeout_seconds=0)
    scenario.silent("c")
    scenario.after(60)
    scenario.reenter("a", reason=CHECK_IN_FAILED)
    assert scenario.ended_because == "MemberLost"
    scenario.reenter("b", reason=CHECK_IN_FAILED)
    assert set(scenario.group) == {"a", "b"}
