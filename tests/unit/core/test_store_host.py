"""Rule "store host": a host at which check-ins fail does not stay rank 0."""

import pytest
from tests.unit.core.worlds import Scenario

from rendezvous_api import names
from rendezvous_api.participant import CheckIn
from rendezvous_api.reasons import AttemptReason, LeaveReason

CHECK_IN_FAILED = AttemptReason.CHECK_IN_FAILED


def test_after_two_failed_check_ins_at_one_host_another_member_becomes_rank_0() -> None:
    scenario = Scenario(3, 3)
    scenario.join("a", "b", "c")
    for _ in range(2):
        assert scenario.group == ["a", "b", "c"]
        scenario.reenter("a", "b", "c", reason=CHECK_IN_FAILED)
    assert scenario.group == ["b", "a", "c"]
    assert scenario.status.store is not None
    assert scenario.status.store.host == "b.local"


def test_a_good_round_in_between_forgives_the_host() -> None:
    scenario = Scenario(2, 2)
    scenario.join("a", "b")
    for reason in (CHECK_IN_FAILED, AttemptReason.WORKER_FAILURE, CHECK_IN_FAILED):
        scenario.reenter("a", "b", reason=reason)
    assert scenario.group == ["a", "b"]


def test_a_loss_in_between_says_nothing_about_the_host() -> None:
    scenario = Scenario(2, 3, replacement_seconds=0)
    scenario.join("a", "b", "c")
    scenario.reenter("a", "b", "c", reason=CHECK_IN_FAILED)
    scenario.gone("c")
    scenario.all_join_again()
    assert scenario.group == ["a", "b"]
    scenario.reenter("a", "b", reason=CHECK_IN_FAILED)
    assert scenario.group == ["b", "a"]


def test_a_round_that_checked_in_ends_the_row_even_if_it_then_lost_a_member() -> None:
    scenario = Scenario(2, 3, replacement_seconds=0)
    scenario.join("a", "b", "c")
    scenario.reenter("a", "b", "c", reason=CHECK_IN_FAILED)
    scenario.settle()
    assert scenario.status.history[-1].checked_in is not None
    scenario.gone("c")
    scenario.all_join_again()
    scenario.reenter("a", "b", reason=CHECK_IN_FAILED)
    assert scenario.group == ["a", "b"]


def test_a_failure_that_is_older_than_the_history_does_not_count() -> None:
    """All members have met after it, and nothing tells that any more."""
    scenario = Scenario(2, 2)
    scenario.join("a", "b")
    scenario.reenter("a", "b", reason=CHECK_IN_FAILED)
    scenario.settle()
    assert scenario.status.history[-1].checked_in is not None
    for number in range(names.MAX_HISTORY + 1):
        scenario.meets = False
        scenario.request_restart(str(number))
        scenario.all_join_again()
    scenario.reenter("a", "b", reason=CHECK_IN_FAILED)
    assert scenario.group == ["a", "b"]


def test_another_run_begins_with_none() -> None:
    scenario = Scenario(2, 2)
    scenario.join("a", "b", run="one")
    scenario.reenter("a", "b", reason=CHECK_IN_FAILED)
    scenario.leave("a", "b", reason=LeaveReason.SUCCEEDED)
    scenario.join("a", "b", run="two", incarnation="second")
    scenario.reenter("a", "b", reason=CHECK_IN_FAILED)
    assert scenario.status.run_id == "two"
    assert scenario.group == ["a", "b"]


def test_a_new_operator_goes_on_counting() -> None:
    scenario = Scenario(2, 2)
    scenario.join("a", "b")
    scenario.meets = False
    scenario.reenter("a", "b", reason=CHECK_IN_FAILED)
    scenario.new_leader()
    scenario.reenter("a", "b", reason=CHECK_IN_FAILED)
    assert scenario.group == ["b", "a"]


@pytest.mark.parametrize("end", ["scale-up", "eviction"])
def test_an_end_that_says_nothing_about_the_host_does_not_start_the_count_again(end: str) -> None:
    scenario = Scenario(2, 4, scale_up_interval_seconds=0, replacement_seconds=0)
    scenario.pod("a", "b", "c", "d", workload="run")
    scenario.meets = False
    scenario.join_from_pods("a", "b", "c")
    scenario.after(30)
    assert scenario.group == ["a", "b", "c"]
    scenario.reenter("a", "b", "c", reason=CHECK_IN_FAILED)
    if end == "scale-up":
        scenario.join_from_pods("d")
    else:
        scenario.pod("c", workload="run", leaving="it is evicted")
    scenario.all_join_again()
    assert scenario.status.round == 3
    scenario.reenter(*scenario.group, reason=CHECK_IN_FAILED)
    assert scenario.group[0] == "b"


def test_a_host_that_nobody_reaches_is_changed_at_once() -> None:
    scenario = Scenario(5, 5)
    scenario.join("a", "b", "c", "d", "e")
    hosts = []
    while scenario.group[0] not in "cde":
        hosts.append(scenario.group[0])
        scenario.fail_to_check_in(host_is_reached=False)
    assert hosts == ["a", "b"]
    assert scenario.group == ["c", "a", "b", "d", "e"]
    assert scenario.status.restarts == 2, "that is nobody else's fault"
    assert scenario.held_out == {}
    assert [(failure.round, failure.node) for failure in scenario.status.failures] == [(1, "a"), (2, "b")]


def test_a_new_leader_does_not_try_a_host_again_that_has_failed() -> None:
    scenario = Scenario(3, 3)
    scenario.join("a", "b", "c")
    scenario.meets = False
    for _ in range(2):
        scenario.fail_to_check_in(host_is_reached=False)
        scenario.new_leader()
    assert scenario.group[0] == "c"


@pytest.mark.parametrize("size", [3, 9, 30])
def test_each_member_is_tried_before_any_is_tried_again(size: int) -> None:
    nodes = [f"n{number:02}" for number in range(size)]
    scenario = Scenario(size, size)
    scenario.join(*nodes)
    hosts = []
    for _ in range(size):
        hosts.append(scenario.group[0])
        scenario.fail_to_check_in(host_is_reached=False)
    assert sorted(hosts) == nodes


def test_the_others_say_nothing_that_is_clear() -> None:
    """One of three others is silent about a check-in in which another one did not reach the store."""
    scenario = Scenario(4, 4)
    scenario.join("a", "b", "c", "d")
    for group in (["a", "b", "c", "d"], ["a", "b", "c", "d"], ["b", "a", "c", "d"]):
        assert scenario.group == group
        says = CheckIn(scenario.status.round, reached_store=False)
        scenario.reenter("a", "b", "c", "d", reason=CHECK_IN_FAILED, check_ins={"d": says})


def test_a_host_in_the_place_of_a_lost_one_has_not_failed_before() -> None:
    scenario = Scenario(2, 4, replacement_seconds=0)
    scenario.join("a", "b", "c", "d")
    scenario.fail_to_check_in(host_is_reached=False)
    assert scenario.group == ["b", "a", "c", "d"]
    scenario.gone("b")
    scenario.all_join_again()
    assert scenario.group[0] == "d", "it stands in for the lost one"
    scenario.gone("c", "d")
    assert scenario.group == ["d", "a", "c"]


def test_who_is_alone_stays_rank_0() -> None:
    scenario = Scenario(1, 1)
    scenario.join("a")
    for _ in range(3):
        scenario.reenter("a", reason=CHECK_IN_FAILED)
    assert scenario.group == ["a"]


def test_a_host_that_has_failed_is_tried_after_the_others_although_the_one_before_has_gone() -> None:
    scenario = Scenario(2, 5, replacement_seconds=0)
    scenario.meets = False
    scenario.join("a", "b", "c", "d", "e")
    for _ in range(2):
        scenario.fail_to_check_in(host_is_reached=False)
    assert scenario.group == ["c", "a", "b", "d", "e"]
    scenario.gone("b")
    scenario.all_join_again()
    assert scenario.group[:2] == ["c", "a"]
    scenario.fail_to_check_in(host_is_reached=False)
    assert scenario.group[0] not in "abc"


def test_a_crash_is_no_failed_check_in() -> None:
    scenario = Scenario(3, 3)
    scenario.meets = False
    scenario.join("a", "b", "c")
    scenario.restart("b")
    scenario.all_join_again()
    assert [failure.node for failure in scenario.status.failures] == ["b"]
    scenario.fail_to_check_in(host_is_reached=False)
    assert scenario.group[0] == "b"


def test_a_host_is_kept_while_all_others_have_failed_more_often() -> None:
    scenario = Scenario(2, 3, scale_up_interval_seconds=0)
    scenario.meets = False
    scenario.join("a", "b")
    scenario.after(60)
    hosts = []
    for _ in range(4):
        hosts.append(scenario.group[0])
        scenario.fail_to_check_in(host_is_reached=False)
    assert hosts == ["a", "b", "a", "b"]
    scenario.join("c")
    scenario.all_join_again()
    assert scenario.group == ["a", "b", "c"]
    scenario.fail_to_check_in(host_is_reached=False)
    assert scenario.group[0] == "c", "it has never failed"
    scenario.fail_to_check_in(host_is_reached=False)
    assert scenario.group[0] == "c", "b has failed twice, and a three times"
    scenario.fail_to_check_in(host_is_reached=False)
    assert scenario.group[0] == "b"
