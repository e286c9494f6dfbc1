"""Rule "store host": a host at which check-ins fail does not stay rank 0."""

from tests.unit.core.worlds import Scenario

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


def test_another_run_begins_with_none() -> None:
    scenario = Scenario(2, 2)
    scenario.join("a", "b", run="one")
    scenario.reenter("a", "b", reason=CHECK_IN_FAILED)
    scenario.leave("a", "b", reason=LeaveReason.SUCCEEDED)
    scenario.join("a", "b", run="two", incarnation="second")
    scenario.reenter("a", "b", reason=CHECK_IN_FAILED)
    assert scenario.status.run_id == "two"
    assert scenario.group == ["a", "b"]


def test_a_new_operator_starts_to_count_again() -> None:
    scenario = Scenario(2, 2)
    scenario.join("a", "b")
    scenario.reenter("a", "b", reason=CHECK_IN_FAILED)
    scenario.new_leader()
    scenario.reenter("a", "b", reason=CHECK_IN_FAILED)
    assert scenario.group == ["a", "b"]


def test_who_is_alone_stays_rank_0() -> None:
    scenario = Scenario(1, 1)
    scenario.join("a")
    for _ in range(3):
        scenario.reenter("a", reason=CHECK_IN_FAILED)
    assert scenario.group == ["a"]
