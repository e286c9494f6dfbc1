"""Rule "runs": how a run is closed."""

import pytest
from tests.unit.core.started import running, two
from tests.unit.core.worlds import Scenario

from rendezvous_api.reasons import AttemptReason, LeaveReason, RefusalReason

WORKER_FAILURE = AttemptReason.WORKER_FAILURE
SUCCEEDED = LeaveReason.SUCCEEDED


def test_a_member_that_succeeded_asks_for_nothing() -> None:
    scenario = running("a", "b")
    scenario.leave("a", reason=LeaveReason.SUCCEEDED)
    assert not scenario.asks


def test_a_member_that_succeeds_closes_the_run_and_the_others_go_on() -> None:
    scenario = two("one")
    scenario.leave("b", reason=SUCCEEDED)
    assert scenario.closed_runs == {"one": "RunSucceeded"}
    assert scenario.status.holds("Complete")
    assert scenario.group == ["a", "b"]
    assert not scenario.asks
    assert scenario.status.spares == (), "a still trains"


def test_a_late_node_does_not_start_a_run_again_that_has_succeeded_many_runs_ago() -> None:
    scenario = Scenario(1, 1, last_call_seconds=0)
    for number in range(30):
        scenario.join(f"n{number}", run=f"run-{number}")
        scenario.leave(f"n{number}", reason=SUCCEEDED)
        scenario.after(1)
    scenario.join("late", run="run-0")
    assert (scenario.refused, scenario.status.round) == ({"late": RefusalReason.RUN_CLOSED}, 30)


def test_a_spare_that_leaves_with_success_closes_nothing() -> None:
    scenario = two("one")
    scenario.join("s", run="one")
    scenario.leave("s", reason=SUCCEEDED)
    assert scenario.closed_runs == {}


def test_an_agent_may_close_its_run() -> None:
    scenario = two("one")
    scenario.request_close("b")
    assert scenario.closed_runs == {"one": "CloseRequested"}
    assert not scenario.asks
    scenario.join("c", run="one")
    assert scenario.refused == {"c": RefusalReason.RUN_CLOSED}


def test_a_run_has_failed_when_no_node_is_left_and_one_has_failed() -> None:
    scenario = two("one", join_seconds=600)
    scenario.leave("a", "b", reason=LeaveReason.FAILED)
    scenario.after(599)
    assert scenario.closed_runs == {}
    scenario.after(1)
    assert scenario.closed_runs == {"one": "RunFailed"}


def test_pods_of_another_job_that_are_pending_do_not_keep_a_run_from_failing() -> None:
    scenario = Scenario(2, 2, join_seconds=600)
    scenario.pod("c", "d", workload="job-2", owner_uid="job-2", phase="Pending")
    scenario.pod("a", "b", workload="job-1", owner_uid="job-1")
    scenario.join_from_pods("a", "b", run=None)
    scenario.leave("a", "b")
    scenario.pod("a", "b", workload="job-1", owner_uid="job-1", phase="Failed")
    scenario.after(599)
    assert scenario.closed_runs == {}
    scenario.after(1)
    assert scenario.closed_runs == {"job-1": "RunFailed"}


def test_a_group_that_was_stopped_as_a_whole_may_come_back() -> None:
    scenario = two("one", join_seconds=60)
    scenario.leave("a", "b", reason=LeaveReason.TERMINATED)
    scenario.after(1000)
    assert scenario.closed_runs == {}
    scenario.restart("a")
    scenario.restart("b")
    assert (scenario.group, scenario.status.round, scenario.status.run_id) == (["a", "b"], 2, "one")


def test_one_failure_among_those_that_were_stopped_is_a_failure() -> None:
    scenario = two("one", join_seconds=60)
    scenario.leave("a", reason=LeaveReason.TERMINATED)
    scenario.leave("b", reason=LeaveReason.FAILED)
    scenario.after(60)
    assert scenario.closed_runs == {"one": "RunFailed"}


def test_a_closed_spec_refuses_all_ends_no_round_and_is_reversible() -> None:
    scenario = two("one")
    scenario.edit(closed=True)
    assert scenario.status.holds("Running")
    scenario.join("c", run="one")
    scenario.reenter("a", reason=WORKER_FAILURE)
    assert scenario.refused == {"a": RefusalReason.RUN_CLOSED, "c": RefusalReason.RUN_CLOSED}
    assert not scenario.asks
    scenario.edit(closed=False)
    assert scenario.refused == {}
    scenario.all_join_again()
    assert scenario.group == ["a", "b"]


def test_a_failure_that_a_later_round_made_good_does_not_close_the_run_of_a_group_that_was_stopped() -> None:
    """Kueue suspends a Job so: its pods are deleted, and others come when it is resumed."""
    scenario = Scenario(2, 3, replacement_seconds=0, join_seconds=600)
    scenario.join("a", "b", "c")
    scenario.leave("c", reason=LeaveReason.FAILED)
    scenario.reenter("a", "b")
    assert (scenario.status.round, scenario.group) == (2, ["a", "b"])
    scenario.leave("a", "b", reason=LeaveReason.TERMINATED)
    scenario.after(601)
    assert scenario.closed_runs == {}
    scenario.join("d", "e", "f")
    assert scenario.group == ["d", "e", "f"]


def test_a_request_of_an_agent_that_was_in_no_round_closes_no_later_launch() -> None:
    scenario = Scenario(2, 2)
    scenario.join("a", run=None)
    scenario.request_close("a")
    scenario.leave("a", reason=LeaveReason.FAILED)
    scenario.join("c", "d", run=None)
    assert (scenario.group, scenario.closed_runs) == (["c", "d"], {"none": "CloseRequested"})


def test_who_was_not_heard_when_the_run_succeeded_is_told_so_as_well() -> None:
    scenario = two("one")
    scenario.join("s", run="one")
    scenario.silent("s")
    scenario.after(16)
    scenario.leave("a", "b", reason=SUCCEEDED)
    scenario.beat("s")
    assert scenario.refused == {"s": RefusalReason.RUN_SUCCEEDED}


@pytest.mark.parametrize("why", ["a node of it is left", "it is suspended"])
def test_a_run_has_not_failed_while(why: str) -> None:
    scenario = two("one", join_seconds=600)
    if why == "it is suspended":
        scenario.edit(suspend=True)
        scenario.leave("a", "b", reason=LeaveReason.FAILED)
    else:
        scenario.leave("a", reason=LeaveReason.FAILED)
        scenario.all_join_again()
    scenario.after(700)
    assert scenario.closed_runs == {}


def test_a_member_of_an_earlier_run_does_not_close_the_present_one() -> None:
    scenario = two("one")
    scenario.request_close("a")
    scenario.join("c", run="two")
    assert scenario.status.run_id == "two"
    scenario.leave("a", reason=SUCCEEDED)
    assert scenario.closed_runs == {"one": "CloseRequested"}


def test_an_agent_of_a_deleted_rendezvous_of_this_name_closes_nothing() -> None:
    scenario = two("one")
    scenario.join("x", run="one", rendezvous_uid="of the deleted one")
    scenario.request_close("x")
    assert scenario.closed_runs == {}


def test_a_dead_node_is_no_spare_of_the_run_that_has_succeeded() -> None:
    scenario = Scenario(2, 2)
    scenario.pod("a", "b", "s", "t", workload="job", owner_uid="job")
    scenario.join_from_pods("a", "b", run=None)
    scenario.join_from_pods("s", "t", run=None)
    scenario.pod("s", workload="job", owner_uid="job", phase="Failed")
    scenario.leave("a", reason=SUCCEEDED)
    assert scenario.status.spares == ("t",)


def test_a_pod_of_the_run_that_is_pending_keeps_it_from_failing() -> None:
    scenario = Scenario(2, 2, join_seconds=600)
    scenario.pod("a", "b", workload="job", owner_uid="job")
    scenario.join_from_pods("a", "b", run=None)
    scenario.pod("a2", workload="job", owner_uid="job", phase="Pending")
    scenario.leave("a", "b")
    scenario.pod("a", "b", workload="job", owner_uid="job", phase="Failed")
    scenario.after(1000)
    assert scenario.closed_runs == {}
    scenario.pod_gone("a2")
    scenario.after(600)
    assert scenario.closed_runs == {"job": "RunFailed"}
