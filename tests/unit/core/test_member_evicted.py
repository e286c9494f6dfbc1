"""MemberEvicted: a member has to go."""

import pytest
from tests.unit.core.worlds import Scenario

from rendezvous_api.reasons import AttemptReason


def test_an_eviction_asks_but_the_member_holds_until_it_is_over() -> None:
    scenario = Scenario(2, 3, replacement_seconds=0)
    scenario.pod("a", "b", "c", workload="run")
    scenario.join_from_pods("a", "b", "c")
    scenario.pod("c", workload="run", leaving="its pod is being evicted (EvictionByEvictionAPI)")
    assert scenario.ended_because == "MemberEvicted"
    scenario.reenter("a", "b")
    assert scenario.status.round == 1
    scenario.gone("c")
    assert scenario.group == ["a", "b"]
    assert scenario.status.restarts == 0


@pytest.mark.parametrize("then", ["it leaves", "it asks to join again", "its pod fails", "it is silent", "it is dead"])
def test_what_follows_from_an_eviction_is_no_failure(then: str) -> None:
    scenario = Scenario(2, 3, max_restarts=0)
    scenario.pod("a", "b", "c")
    scenario.join_from_pods("a", "b", "c")
    scenario.complete = False  # both are seen at once, as after an absence of the operator
    scenario.pod("b", leaving="its pod is being deleted", phase="Failed" if then == "its pod fails" else "Running")
    match then:
        case "it leaves":
            scenario.leave("b")
        case "it asks to join again":
            scenario.reenter("b", reason=AttemptReason.WORKER_FAILURE)
        case "it is silent" | "it is dead":
            scenario.silent("b")
            scenario.after(20 if then == "it is silent" else 130)
    scenario.complete = True
    scenario.settle()
    assert scenario.closed_runs == {}
    assert scenario.ended_because == "MemberEvicted"
    assert scenario.status.history[-1].message == "b: its pod is being deleted"


def test_the_message_says_why_it_has_to_go() -> None:
    scenario = Scenario(2, 2)
    scenario.pod("a", "b", workload="run")
    scenario.join_from_pods("a", "b")
    scenario.pod("b", workload="run", leaving="its pod is being deleted")
    assert scenario.status.history[-1].message == "b: its pod is being deleted"
    assert [event.warning for event in scenario.events if event.reason == "RoundEnded"] == [False]


def test_a_spare_that_has_to_go_ends_nothing() -> None:
    scenario = Scenario(2, 2)
    scenario.pod("a", "b", "s", workload="run")
    scenario.join_from_pods("a", "b")
    scenario.join_from_pods("s")
    scenario.pod("s", workload="run", leaving="its pod is being deleted")
    assert not scenario.asks
    assert scenario.status.spares == ()
