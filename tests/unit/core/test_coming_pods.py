"""Rule "replacements": the wait ends early when no pod can bring a replacement."""

from typing import Any

import pytest
from tests.unit.core.worlds import Scenario

from rendezvous_api.reasons import FormationReason, LeaveReason
from rendezvous_api.rendezvous import Owner
from rendezvous_operator.core.world import ContainerEnd

MACHINES = "Pending (0/3 nodes are available: 3 Insufficient nvidia.com/gpu.)"
STATEFUL_SET, JOB = Owner("StatefulSet", "train"), Owner("Job", "train")


def in_pods(owner: Owner | None = None, **spec: Any) -> Scenario:
    """A round of a, b and c runs, each in a known pod of its own name; one loss leaves enough nodes."""
    scenario = Scenario(2, 3, **{"last_call_seconds": 0, **spec})
    scenario.pod("a", "b", "c", owner=owner, owner_uid="job" if owner else None)
    scenario.join_from_pods("a", "b", "c")
    assert scenario.status.round == 1
    return scenario


def lose(scenario: Scenario, name: str = "c") -> None:
    """The pod of a member is gone, and after one second all others have joined again."""
    scenario.pod_gone(name)
    scenario.gone(name)
    scenario.after(1)
    scenario.reenter(*(other for other in scenario.group if other in scenario.seen))


def waits(scenario: Scenario, seconds: float) -> bool:
    """Whether the group still waits just before that time has passed since the loss, and goes on then."""
    start = scenario.clock
    scenario.after(seconds - 0.1)
    assert scenario.clock - start < seconds
    waited = scenario.status.round == 1
    assert scenario.condition("Running").reason == FormationReason.WAITING_FOR_REPLACEMENTS or not waited
    scenario.after(0.1)
    return waited and scenario.status.round == 2


@pytest.mark.parametrize("owner", [None, STATEFUL_SET, Owner("ReplicaSet", "train")])
def test_the_group_goes_on_when_no_other_pod_is_made_within_some_seconds_of_the_loss(owner: Owner | None) -> None:
    scenario = in_pods(owner)
    lose(scenario)
    assert "no pod is on its way that could replace a lost one, so waiting only until" in scenario.explanation
    assert waits(scenario, 4)
    assert scenario.group == ["a", "b"]


def test_a_job_makes_its_pods_only_after_a_delay() -> None:
    scenario = in_pods(JOB)
    lose(scenario)
    assert waits(scenario, 30)


def test_the_time_is_that_of_the_spec_and_the_longer_one_never_counts() -> None:
    scenario = in_pods(replacement_pod_seconds=12)
    lose(scenario)
    assert waits(scenario, 11)
    scenario = in_pods(replacement_pod_seconds=60)
    lose(scenario)
    assert "waiting for replacements until" in scenario.explanation
    assert waits(scenario, 30)


def test_a_jobset_that_has_no_name_is_a_workload_like_others() -> None:
    scenario = Scenario(2, 3, last_call_seconds=0)
    scenario.pod("a", "b", "c", owner_uid="jobset-uid")
    scenario.join_from_pods("a", "b", "c")
    lose(scenario)
    assert waits(scenario, 30)


def test_a_pod_on_its_way_is_waited_for() -> None:
    scenario = in_pods(STATEFUL_SET)
    lose(scenario)
    scenario.after(3)
    scenario.pod("c2", phase="Pending", problem="Pending (ContainerCreating)", owner=STATEFUL_SET)
    scenario.after(20)
    assert scenario.status.round == 1
    assert "waiting for replacements until" in scenario.explanation
    scenario.join_from_pods("c2")
    assert set(scenario.group) == {"a", "b", "c2"}


@pytest.mark.parametrize("owner", [STATEFUL_SET, JOB])
def test_a_pod_for_which_there_is_no_machine_is_not_waited_for(owner: Owner) -> None:
    scenario = in_pods(owner)
    lose(scenario)
    scenario.after(3)
    scenario.pod("c2", phase="Pending", owner=owner)
    scenario.pod("c2", phase="Pending", problem=MACHINES, unschedulable=True, owner=owner)
    assert MACHINES in scenario.explanation
    assert waits(scenario, 5)
    # It may join later, like every other node.
    scenario.pod("c2", owner=owner)
    scenario.join_from_pods("c2")
    assert scenario.asks


def test_a_pod_of_a_job_that_has_no_machine_says_nothing_about_another_one() -> None:
    scenario = Scenario(1, 3, last_call_seconds=0)
    scenario.pod("a", "b", "c", owner=JOB)
    scenario.join_from_pods("a", "b", "c")
    scenario.pod_gone("b", "c")
    scenario.gone("b", "c")
    scenario.pod("b2", phase="Pending", problem=MACHINES, unschedulable=True, owner=JOB)
    scenario.reenter("a")
    assert waits(scenario, 30)


def test_a_pod_that_has_got_a_machine_after_all_is_waited_for() -> None:
    scenario = in_pods(STATEFUL_SET)
    lose(scenario)
    scenario.pod("c2", phase="Pending", problem=MACHINES, unschedulable=True, owner=STATEFUL_SET)
    scenario.after(2)
    scenario.pod("c2", phase="Pending", owner=STATEFUL_SET)
    scenario.after(20)
    assert scenario.status.round == 1


def test_a_pod_that_is_ending_holds_the_place_of_the_next_one() -> None:
    """A StatefulSet makes the next one then, and the devices of the old one are free only then."""
    scenario = in_pods(STATEFUL_SET)
    scenario.pod("c", leaving="its pod is being deleted", owner=STATEFUL_SET)
    scenario.leave("c", reason=LeaveReason.TERMINATED)
    scenario.reenter("a", "b")
    scenario.after(20)
    assert scenario.status.round == 1
    scenario.pod_gone("c")
    scenario.gone("c")
    assert waits(scenario, 5)


@pytest.mark.parametrize("over", [False, True])
def test_a_container_that_is_started_again_is_waited_for(over: bool) -> None:
    scenario = in_pods()
    end = ContainerEnd("torchrun", 137, "OOMKilled, exit code 137", over=over)
    scenario.pod("c", ended=(end,), only_container="torchrun", owner_uid=None)
    scenario.leave("c")
    scenario.reenter("a", "b")
    assert waits(scenario, 5 if over else 30)


def test_where_a_node_is_outside_of_known_pods_the_pods_are_no_evidence() -> None:
    scenario = Scenario(2, 3, last_call_seconds=0)
    scenario.pod("a", "c", owner_uid=None)
    scenario.join_from_pods("a", "c")
    scenario.join("b")
    if scenario.asks:
        scenario.reenter("a", "c")
    before = scenario.status.round
    assert set(scenario.group) == {"a", "b", "c"}
    scenario.pod_gone("c")
    scenario.gone("c")
    scenario.reenter("a", "b")
    scenario.after(29)
    assert scenario.status.round == before
    scenario.after(1)
    assert scenario.group == ["a", "b"]


def test_a_lost_agent_of_a_live_pod_may_come_back() -> None:
    """It is silent, and nothing says that it is dead: the time since its last heartbeat decides."""
    scenario = in_pods()
    scenario.silent("c")
    lost_at = scenario.clock
    scenario.after(5)
    scenario.reenter("a", "b")
    scenario.at(lost_at - 1000 + 29)
    assert scenario.status.round == 1
    scenario.at(lost_at - 1000 + 30)
    assert scenario.group == ["a", "b"]


def test_the_time_begins_again_with_each_loss() -> None:
    scenario = Scenario(1, 4, last_call_seconds=0)
    scenario.pod("a", "b", "c", "d", owner_uid=None)
    scenario.edit(last_call_seconds=1)
    scenario.join_from_pods("a", "b", "c", "d")
    scenario.after(1)
    assert set(scenario.group) == {"a", "b", "c", "d"}
    lose(scenario, "c")
    scenario.after(3)
    scenario.pod_gone("d")
    scenario.gone("d")
    assert waits(scenario, 5)
    assert scenario.group == ["a", "b"]


def test_a_new_leader_waits_for_the_whole_time() -> None:
    scenario = in_pods()
    lose(scenario)
    scenario.after(2)
    scenario.new_leader()
    assert waits(scenario, 5)
