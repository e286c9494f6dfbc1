"""To which run a node belongs that gives no id and is in no known pod."""

import pytest
from tests.unit.core.started import two
from tests.unit.core.worlds import Scenario

from rendezvous_api.reasons import AttemptReason, LeaveReason, RefusalReason

WORKER_FAILURE = AttemptReason.WORKER_FAILURE
MEMBERSHIP_CHANGE = AttemptReason.MEMBERSHIP_CHANGE
SUCCEEDED = LeaveReason.SUCCEEDED


def test_without_a_workload_nobody_can_say_that_a_later_launch_is_over() -> None:
    scenario = two(run=None)
    scenario.leave("a", "b", reason=SUCCEEDED)
    scenario.join("liar", run=None)
    scenario.restart("liar", last_run_id=f"none/{10**9 - 1}", attempt_reason=WORKER_FAILURE)
    assert (scenario.status.run_id, scenario.refused) == ("none/2", {})
    scenario.leave("liar", reason=LeaveReason.TIMED_OUT)
    scenario.join("c", "d", run=None)
    assert (scenario.status.run_id, scenario.group) == ("none/2", ["c", "d"])


def test_without_a_workload_members_and_new_nodes_meet_in_a_rendezvous_that_was_made_anew() -> None:
    scenario = Scenario(2, 2)
    scenario.join("new", run=None)
    scenario.join("a", run=None, reason=MEMBERSHIP_CHANGE)
    scenario.restart("a", attempt_reason=MEMBERSHIP_CHANGE, last_run_id="none/3")
    assert (scenario.status.run_id, sorted(scenario.group)) == ("none", ["a", "new"])


def test_without_a_workload_each_launch_is_a_run_once_the_one_before_is_over() -> None:
    scenario = two(run=None)
    assert scenario.status.run_id == "none"
    for launch in (2, 3):
        scenario.leave("a", "b", reason=SUCCEEDED)
        scenario.restart("a")
        scenario.restart("b")
        assert (scenario.status.run_id, scenario.group) == (f"none/{launch}", ["a", "b"])
        assert scenario.status.round == launch
    assert scenario.closed_runs == {"none/2": "RunSucceeded"}


@pytest.mark.parametrize("closed_by", ["a member", "a request", "failures"])
def test_without_a_workload_no_end_of_a_run_is_in_the_way_of_the_next_launch(closed_by: str) -> None:
    scenario = two(run=None, max_restarts=0)
    if closed_by == "a request":
        scenario.request_close("a")
    elif closed_by == "failures":
        scenario.reenter("a", reason=WORKER_FAILURE)
    scenario.leave("a", "b", reason=SUCCEEDED if closed_by == "a member" else LeaveReason.FAILED)
    scenario.join("c", "d", run=None)
    assert (scenario.status.run_id, scenario.group) == ("none/2", ["c", "d"])


def test_without_a_workload_who_still_trains_is_waited_for_and_stays_in_its_run() -> None:
    scenario = two(run=None)
    scenario.leave("a", reason=SUCCEEDED)
    scenario.restart("a")
    assert (scenario.status.run_id, scenario.status.round) == ("none/2", 1)
    scenario.reenter("b", reason=WORKER_FAILURE)
    assert scenario.refused == {"b": RefusalReason.RUN_CLOSED}
    scenario.leave("b")
    scenario.restart("b")
    assert (scenario.group, scenario.status.round) == (["a", "b"], 2)


def test_without_a_workload_a_spare_ends_with_its_run_and_may_start_the_next_one() -> None:
    scenario = two(run=None)
    scenario.join("s", run=None)
    scenario.leave("a", reason=SUCCEEDED)
    assert scenario.refused == {"s": RefusalReason.RUN_SUCCEEDED}
    # It has ended and started again before the operator looks.
    scenario.restart("s")
    assert (scenario.refused, scenario.status.run_id) == ({}, "none/2")


def test_members_of_an_abandoned_run_without_a_workload_have_not_succeeded() -> None:
    scenario = two(run=None)
    scenario.silent("a", "b")
    scenario.join("x", run="X")
    scenario.after(636)
    assert scenario.closed_runs == {"none": "Abandoned"}
    scenario.leave("x", reason=LeaveReason.FAILED)
    scenario.gone("x")
    scenario.join("c", "d", run=None)
    for name in "ab":
        how = {"attempt": 2, "attempt_reason": MEMBERSHIP_CHANGE, "last_run_id": "none"}
        scenario.restart(name, incarnation=scenario.seen[name].object.spec.incarnation, **how)
    assert RefusalReason.RUN_SUCCEEDED not in scenario.refused.values()


def test_without_a_workload_a_failure_before_any_round_is_none_of_the_next_launch() -> None:
    scenario = Scenario(2, 2, join_seconds=60)
    scenario.join("a", run=None)
    scenario.request_close("a")
    scenario.leave("a", reason=LeaveReason.FAILED)
    scenario.join("c", run=None)
    assert scenario.status.run_id == "none/2"
    scenario.leave("c", reason=LeaveReason.TERMINATED)
    scenario.after(120)
    assert scenario.closed_runs == {"none": "CloseRequested"}


def test_without_a_workload_who_joins_again_starts_no_launch() -> None:
    """It comes from a round that this Rendezvous does not know: it was made anew, or etcd was restored."""
    scenario = two(run=None)
    scenario.leave("a", "b", reason=SUCCEEDED)
    scenario.join("c", run=None, attempt=2, reason=WORKER_FAILURE)
    assert (scenario.status.run_id, scenario.refused) == ("none", {"c": RefusalReason.RUN_CLOSED})
