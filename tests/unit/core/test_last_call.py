"""Rule "last call": when the first round of a run is published."""

import pytest
from tests.unit.core.worlds import Scenario

from rendezvous_api.reasons import FormationReason, LeaveReason


def test_first_round_is_published_at_once_at_max() -> None:
    scenario = Scenario(2, 3)
    scenario.join("a", "b", "c")
    assert scenario.status.round == 1


def test_the_last_call_begins_at_min_and_later_joins_do_not_extend_it() -> None:
    scenario = Scenario(2, 4, last_call_seconds=30)
    scenario.join("a")
    scenario.at(50)
    scenario.join("b")
    scenario.at(79)
    scenario.join("c")
    assert scenario.status.round == 0
    assert scenario.condition("Running").reason == FormationReason.LAST_CALL
    scenario.at(80)
    assert scenario.group == ["a", "b", "c"]


def test_falling_below_min_cancels_the_last_call() -> None:
    scenario = Scenario(2, 4, last_call_seconds=30)
    scenario.join("a", "b")
    scenario.at(29)
    scenario.leave("b")
    scenario.at(40)
    assert scenario.status.round == 0
    scenario.join("c")
    scenario.at(69)
    assert scenario.status.round == 0
    scenario.at(70)
    assert scenario.group == ["a", "c"]


def test_when_all_known_pods_have_joined_the_last_call_is_cut_short() -> None:
    scenario = Scenario(2, 4, last_call_seconds=30)
    scenario.pod("a", "b", "c", workload="run")
    scenario.join_from_pods("a", "b")
    scenario.at(20)
    scenario.join_from_pods("c")
    scenario.at(24)
    assert scenario.status.round == 0
    scenario.at(25)
    assert scenario.group == ["a", "b", "c"]


@pytest.mark.parametrize("who", ["a pod that has not joined", "a waiter that is in no known pod"])
def test_the_last_call_is_not_cut_short_by(who: str) -> None:
    scenario = Scenario(2, 4, last_call_seconds=30)
    scenario.pod("a", "b", workload="run")
    if who == "a pod that has not joined":
        scenario.pod("c", workload="run", phase="Pending", problem="Pending (Insufficient nvidia.com/gpu)")
        scenario.join_from_pods("a", "b")
        assert "c is Pending (Insufficient nvidia.com/gpu)" in scenario.explanation
    else:
        scenario.join_from_pods("a", "b")
        scenario.join("stranger")
    scenario.at(29)
    assert scenario.status.round == 0
    scenario.at(30)
    assert scenario.status.round == 1


def test_known_pods_below_min_do_not_start() -> None:
    scenario = Scenario(2, 4)
    scenario.pod("a", workload="run")
    scenario.join_from_pods("a")
    scenario.at(100)
    assert scenario.status.round == 0


def test_the_message_names_the_moment_and_stays_as_it_is() -> None:
    scenario = Scenario(2, 4, last_call_seconds=30)
    scenario.join("a", "b")
    message = scenario.condition("Running").message
    assert message == "2 of at most 4 nodes; more nodes may join until 2030-01-01T00:17:10Z"
    writes = scenario.writes
    for _ in range(29):
        scenario.after(1)
        scenario.settle()
    assert scenario.condition("Running").message == message
    assert scenario.writes == writes
    scenario.after(1)
    assert scenario.status.round_start_time == "2030-01-01T00:17:10Z"


def test_when_all_known_pods_wait_the_message_names_the_earlier_moment() -> None:
    scenario = Scenario(2, 4, last_call_seconds=30)
    scenario.pod("a", "b", workload="run")
    scenario.join_from_pods("a", "b")
    message = "2 of at most 4 nodes; all known pods have joined, so more nodes may join only until 2030-01-01T00:16:45Z"
    assert scenario.condition("Running").message == message
    scenario.after(4)
    scenario.settle()
    assert scenario.condition("Running").message == message
    scenario.after(1)
    assert scenario.status.round_start_time == "2030-01-01T00:16:45Z"


def test_when_all_known_pods_wait_the_end_of_the_last_call_may_still_be_the_earlier_moment() -> None:
    scenario = Scenario(2, 4, last_call_seconds=3)
    scenario.pod("a", "b", workload="run")
    scenario.join_from_pods("a", "b")
    assert "more nodes may join until 2030-01-01T00:16:43Z" in scenario.condition("Running").message
    scenario.after(3)
    assert scenario.status.round_start_time == "2030-01-01T00:16:43Z"


def test_while_all_are_silent_there_is_no_such_moment() -> None:
    scenario = Scenario(2, 4, last_call_seconds=30)
    scenario.join("a", "b")
    scenario.silent("a", "b")
    scenario.after(121)
    message = scenario.condition("Running").message
    assert message == "2 of at most 4 nodes; more nodes may join until 30 s after the next heartbeat"
    writes = scenario.writes
    scenario.after(1000)
    scenario.settle()
    assert scenario.condition("Running").message == message
    assert scenario.writes == writes
    assert scenario.wake_at is None, "nothing changes before the next heartbeat"
    scenario.beat("a", "b")
    assert (
        "2 of at most 4 nodes; more nodes may join until 2030-01-01T00:35:51Z" in scenario.condition("Running").message
    )
    scenario.after(29)
    assert scenario.status.round == 0
    scenario.after(1)
    assert scenario.group == ["a", "b"]


def test_a_pod_whose_agent_has_left_is_not_waited_for() -> None:
    scenario = Scenario(2, 4, last_call_seconds=60)
    scenario.pod("a", "b", "c", workload="job", owner_uid="job")
    scenario.join_from_pods("a", "b", "c", run=None)
    scenario.leave("c", reason=LeaveReason.TERMINATED)
    scenario.after(5)
    assert scenario.group == ["a", "b"]
