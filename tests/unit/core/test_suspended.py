"""Rule "suspend": the user ends the round, and its nodes wait until the user takes that back."""

import pytest
from tests.unit.core.started import running, three, two
from tests.unit.core.worlds import Scenario

from rendezvous_api.reasons import AttemptReason, LeaveReason, RoundEndReason


def suspended(scenario: Scenario) -> bool:
    assert scenario.status.summary is not None
    holds = scenario.status.holds("Suspended")
    assert holds == (scenario.status.summary.state == "Suspended")
    return holds


def test_the_round_ends_at_once_and_goes_on_with_the_same_run_and_ranks() -> None:
    # With fewer heartbeats, fewer decisions are made while time passes.
    scenario = running("a", "b", "c", max_nodes=3, heartbeat_interval_seconds=60)
    ranks, run = scenario.group, scenario.status.run
    scenario.edit(suspend=True)
    assert scenario.asks
    assert scenario.ended_because == RoundEndReason.SUSPENDED
    assert scenario.condition("Running").reason == "WaitingForMembers"
    assert scenario.status.holds("Reconciling"), "its members stop"
    assert not suspended(scenario)
    scenario.reenter("a", "b", "c")
    assert suspended(scenario)
    assert scenario.condition("Running").message == "spec.suspend is true; 3 nodes wait"
    assert not scenario.status.holds("Reconciling")
    scenario.after(100_000)
    assert (scenario.status.round, scenario.deletions) == (1, [])
    scenario.edit(suspend=False)
    assert (scenario.status.round, scenario.group, scenario.status.run) == (2, ranks, run)
    assert scenario.condition("Suspended").reason == "NotSuspended"


def test_it_costs_no_restart() -> None:
    scenario = two(max_restarts=0)
    for _ in range(3):
        scenario.edit(suspend=True)
        scenario.all_join_again()
        scenario.edit(suspend=False)
    assert (scenario.status.round, scenario.status.restarts, scenario.status.failures) == (4, 0, ())
    scenario.edit(suspend=True)
    scenario.reenter("a", reason=AttemptReason.WORKER_FAILURE)
    assert scenario.closed_runs == {}, "the round had been ended before"


def test_a_failure_that_is_seen_at_the_same_time_is_one() -> None:
    scenario = two()
    scenario.complete = False
    scenario.edit(suspend=True)
    scenario.reenter("a", reason=AttemptReason.WORKER_FAILURE)
    scenario.complete = True
    scenario.settle()
    assert scenario.ended_because == RoundEndReason.WORKER_FAILED


def test_no_first_round_starts_and_nodes_are_gathered_afterwards() -> None:
    scenario = Scenario(2, 4, suspend=True, last_call_seconds=30)
    scenario.settle()
    assert suspended(scenario)
    scenario.join("a", "b")
    scenario.after(1000)
    assert scenario.status.round == 0
    assert suspended(scenario)
    scenario.edit(suspend=False)
    scenario.join("c")
    scenario.after(29)
    assert scenario.status.round == 0
    scenario.after(1)
    assert scenario.group == ["a", "b", "c"]


def test_lost_nodes_are_replaced_for_the_usual_time_afterwards() -> None:
    scenario = three(replacement_seconds=30)
    scenario.edit(suspend=True)
    scenario.reenter("a", "b", "c")
    scenario.gone("c")
    scenario.after(1000)
    scenario.edit(suspend=False)
    scenario.after(29)
    assert scenario.status.round == 1
    scenario.after(1)
    assert scenario.group == ["a", "b"]


def test_a_member_that_does_not_stop_holds_nothing_up_for_longer_than_usual() -> None:
    scenario = three(reentry_seconds=330)
    scenario.edit(suspend=True)
    scenario.reenter("a", "b")
    scenario.after(329)
    assert not suspended(scenario)
    scenario.after(1)
    assert suspended(scenario)


def test_it_is_taken_back_before_all_have_stopped() -> None:
    scenario = two()
    scenario.edit(suspend=True)
    scenario.reenter("a")
    scenario.edit(suspend=False)
    assert scenario.asks
    scenario.reenter("b")
    assert (scenario.status.round, scenario.group) == (2, ["a", "b"])


def test_a_run_does_not_fail_while_it_is_suspended() -> None:
    scenario = two("one", join_seconds=600)
    scenario.edit(suspend=True)
    scenario.leave("a", "b", reason=LeaveReason.FAILED)
    scenario.after(3000)
    assert scenario.closed_runs == {}
    assert suspended(scenario)
    scenario.edit(suspend=False)
    scenario.after(600)
    assert scenario.closed_runs == {"one": "RunFailed"}
    assert not suspended(scenario)


@pytest.mark.parametrize("first", ["closed", "suspend"])
def test_a_closed_spec_wins(first: str) -> None:
    scenario = two()
    scenario.edit(**{first: True})
    scenario.edit(closed=True, suspend=True)
    assert not suspended(scenario)
    assert scenario.condition("Running").reason == ("Running" if first == "closed" else "ClosedBySpec")
