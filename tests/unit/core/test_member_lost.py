"""MemberLost: the rule "liveness" says who is dead."""

from dataclasses import replace

import pytest
from tests.unit.core.builders import now
from tests.unit.core.started import three
from tests.unit.core.worlds import Scenario

from rendezvous_operator.core.world import ContainerEnd


def test_a_failed_pod_overrides_heartbeats() -> None:
    scenario = Scenario(2, 2)
    scenario.pod("a", "b", workload="run")
    scenario.join_from_pods("a", "b")
    scenario.pod("b", workload="run", phase="Failed")
    assert scenario.ended_because == "MemberLost"
    assert "its pod b has failed" in scenario.explanation


def test_a_pod_that_is_gone_is_death_before_its_participant_is_collected() -> None:
    scenario = Scenario(2, 2)
    scenario.pod("a", "b", workload="run")
    scenario.join_from_pods("a", "b")
    scenario.pod_gone("b")
    assert scenario.ended_because == "MemberLost"


def test_a_restarted_agent_is_a_loss_and_keeps_its_rank() -> None:
    scenario = three()
    scenario.restart("b")
    assert scenario.ended_because == "MemberLost"
    assert scenario.status.history[-1].message == "b: its agent restarted"
    scenario.all_join_again()
    assert scenario.group == ["a", "b", "c"]


def test_of_several_losses_the_one_of_the_lowest_rank_is_named() -> None:
    scenario = three()
    scenario.complete = False
    scenario.gone("c")
    scenario.gone("b")
    scenario.complete = True
    scenario.settle()
    assert scenario.status.history[-1].message == "b: its participant object is gone"


def of_two_pods(container: str | None = "train") -> Scenario:
    """A round of a and b in pods of one Job; their agents run in that container."""
    scenario = Scenario(1, 2, join_seconds=600)
    scenario.pod("a", "b", workload="job", owner_uid="job")
    scenario.complete = False
    scenario.join_from_pods("a", "b", run=None)
    for name, seen in scenario.seen.items():
        spec = replace(seen.object.spec, container=container)
        scenario.seen[name] = replace(seen, object=replace(seen.object, spec=spec))
    scenario.complete = True
    scenario.settle()
    scenario.after(10)
    assert scenario.group == ["a", "b"]
    return scenario


def end(scenario: Scenario, container: str = "train", *, seconds_ago: float = 0.0, over: bool = True) -> ContainerEnd:
    at = now(scenario.clock - seconds_ago).timestamp
    return ContainerEnd(container, 137, "OOMKilled, exit code 137", at, over=over, seen_at=scenario.clock)


def ended(scenario: Scenario, *ends: ContainerEnd, only: str | None = None) -> None:
    scenario.pod("b", workload="job", owner_uid="job", ended=ends, only_container=only)


def test_the_end_of_the_agents_container_is_death_although_its_pod_goes_on() -> None:
    scenario = of_two_pods()
    scenario.silent("b")
    ended(scenario, end(scenario, "proxy"), end(scenario))
    assert scenario.ended_because == "MemberLost"
    assert scenario.status.history[-1].message == "b: container train of its pod b has ended (OOMKilled, exit code 137)"
    # Nothing more comes from this pod, so it is not waited for.
    scenario.all_join_again()
    scenario.after(30)
    assert scenario.group == ["a"]
    assert "b is Running" not in scenario.explanation


def test_the_end_of_another_container_is_no_death() -> None:
    scenario = of_two_pods()
    scenario.silent("b")
    ended(scenario, end(scenario, "proxy"), only="train")
    assert not scenario.asks


@pytest.mark.parametrize("only", ["train", None])
def test_an_agent_that_does_not_know_its_container_is_in_the_only_one(only: str | None) -> None:
    scenario = of_two_pods(container=None)
    scenario.silent("b")
    ended(scenario, end(scenario), only=only)
    assert scenario.asks is (only is not None)


def test_an_agent_that_was_heard_since_is_that_of_the_restarted_container() -> None:
    scenario = of_two_pods()
    ended(scenario, end(scenario, seconds_ago=5, over=False))
    assert not scenario.asks
    scenario.silent("b")
    scenario.after(5)
    ended(scenario, end(scenario, over=False))
    assert scenario.ended_because == "MemberLost"
    # The next agent has joined, and what is known of its pod is of the time before.
    scenario.restart("b")
    scenario.reenter("a")
    scenario.after(30)
    assert scenario.group == ["a", "b"]


@pytest.mark.parametrize("over", [True, False])
def test_a_pod_whose_agent_has_ended_for_good_holds_no_run(over: bool) -> None:
    scenario = of_two_pods()
    scenario.leave("a", "b")
    scenario.pod_gone("a")
    ended(scenario, end(scenario, over=over))
    scenario.after(600)
    assert (scenario.closed_runs == {"job": "RunFailed"}) is over
