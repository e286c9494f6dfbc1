"""MemberLost: the rule "liveness" says who is dead."""

from tests.unit.core.started import three
from tests.unit.core.worlds import Scenario


def test_a_failed_pod_overrides_heartbeats() -> None:
    scenario = Scenario(2, 2)
    scenario.pod("a", "b", run_id="run")
    scenario.join_from_pods("a", "b")
    scenario.pod("b", run_id="run", phase="Failed")
    assert scenario.ended_because == "MemberLost"
    assert "its pod b has failed" in scenario.explanation


def test_a_pod_that_is_gone_is_death_before_its_participant_is_collected() -> None:
    scenario = Scenario(2, 2)
    scenario.pod("a", "b", run_id="run")
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
