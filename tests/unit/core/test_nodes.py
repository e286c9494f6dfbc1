"""Rule "waiting": who asks for a place."""

from dataclasses import replace
from typing import Any

from tests.unit.core.started import running, three, two
from tests.unit.core.worlds import Scenario

from rendezvous_api.reasons import AttemptReason, LeaveReason, ParticipantState
from rendezvous_operator.core.nodes import see_node
from rendezvous_operator.core.run_of_node import KnownRuns
from rendezvous_operator.core.world import Memory, Pod, SeenParticipant
from rendezvous_operator.watch.seen import NOTHING_KNOWN


def test_a_fresh_object_waits_without_any_heartbeat() -> None:
    scenario = Scenario(2, 2)
    scenario.join("a", "b")
    assert scenario.group == ["a", "b"]


def test_a_state_of_a_later_release_is_alive_and_does_not_wait() -> None:
    scenario = Scenario(2, 2)
    scenario.complete = False
    scenario.join("a", "b")
    scenario.restart("b", state=ParticipantState("Draining"))
    scenario.complete = True
    scenario.settle()
    assert (scenario.status.round, scenario.refused, scenario.status.spares) == (0, {}, ())
    scenario.restart("b")
    assert scenario.group == ["a", "b"]
    seen = scenario.seen["b"]
    spec = replace(seen.object.spec, state=ParticipantState("Draining"))
    scenario.seen["b"] = replace(seen, object=replace(seen.object, spec=spec))
    scenario.after(60)
    assert (scenario.group, scenario.asks) == (["a", "b"], False), "a member goes on"


def test_the_attempt_of_a_member_does_not_wait_again() -> None:
    scenario = running("a", "b")
    scenario.after(100)
    assert scenario.status.round == 1
    assert not scenario.asks


def test_a_participant_whose_pod_is_terminating_does_not_wait() -> None:
    scenario = Scenario(2, 3, last_call_seconds=0)
    scenario.pod("a", "b", "c")
    scenario.join_from_pods("a")
    scenario.pod("b", leaving="its pod is being deleted")
    scenario.join_from_pods("b")
    assert scenario.status.round == 0
    scenario.join_from_pods("c")
    assert scenario.group == ["a", "c"]


def test_a_participant_of_a_deleted_rendezvous_of_this_name_does_not_wait() -> None:
    scenario = Scenario(2, 2)
    scenario.join("a")
    scenario.join("b", rendezvous_uid="another")
    assert scenario.status.round == 0


def test_a_pod_that_succeeded_has_left_with_success() -> None:
    scenario = Scenario(2, 2)
    scenario.pod("a", "b", workload="run")
    scenario.join_from_pods("a", "b")
    scenario.pod("b", workload="run", phase="Succeeded")
    assert scenario.closed_runs == {"run": "RunSucceeded"}


def test_who_is_silent_does_not_wait() -> None:
    scenario = Scenario(2, 3, last_call_seconds=30)
    scenario.join("a", "b")
    scenario.silent("b")
    scenario.after(30)
    assert scenario.status.round == 0


def with_spec(scenario: Scenario, name: str, **changes: Any) -> None:
    """An agent writes its object, and the operator has not decided on it."""
    seen = scenario.seen[name]
    spec = replace(seen.object.spec, **changes)
    scenario.seen[name] = replace(seen, object=replace(seen.object, spec=spec))


def test_who_says_that_it_runs_a_round_does_not_wait() -> None:
    scenario = two()
    with_spec(scenario, "b", attempt=2)
    nodes = {
        name: see_node(scenario.world(), name, seen, KnownRuns.of(scenario.status))
        for name, seen in scenario.seen.items()
    }
    entries = {member.name: member for member in scenario.status.participants}
    assert not nodes["a"].waits(entries["a"])
    assert nodes["b"].waits(entries["b"]), "what it said of its attempt before means nothing"
    claims = nodes["b"]._replace(reported_round=1)
    assert not claims.waits(entries["b"])


def test_only_what_is_certain_is_death() -> None:
    scenario = Scenario(3, 3)
    scenario.pod("a", "b", "c")
    scenario.join_from_pods("a", "b", "c")
    scenario.pod("a", phase="Failed")
    scenario.pod_gone("b")
    del scenario.pods["uid-of-c"]  # a watch lags behind
    nodes = {
        name: see_node(scenario.world(), name, seen, KnownRuns.of(scenario.status))
        for name, seen in scenario.seen.items()
    }
    assert {name: node.dead for name, node in nodes.items()} == {
        "a": "its pod a has failed",
        "b": "its pod b is gone",
        "c": None,
    }


def test_a_pod_that_succeeded_does_not_hide_how_its_agent_left() -> None:
    scenario = two()
    scenario.leave("a", reason=LeaveReason.FAILED)
    with_spec(scenario, "a", pod_name="a", pod_uid="uid-of-a")
    scenario.pods["uid-of-a"] = Pod("uid-of-a", "a", phase="Succeeded")
    assert see_node(scenario.world(), "a", scenario.seen["a"], KnownRuns.of(scenario.status)).left is LeaveReason.FAILED


def not_understood(scenario: Scenario, name: str) -> None:
    """The agent of this node writes what the operator does not understand."""
    seen = scenario.seen[name]
    scenario.seen[name] = replace(seen, understood=False)
    scenario.settle()


def test_a_member_that_cannot_be_understood_is_alive() -> None:
    scenario = three()
    not_understood(scenario, "c")
    scenario.after(3600)
    assert scenario.group == ["a", "b", "c"]
    assert not scenario.asks


def test_a_member_that_cannot_be_understood_holds_the_others_no_longer_than_any_other_one() -> None:
    scenario = three(reentry_seconds=330)
    not_understood(scenario, "c")
    scenario.reenter("a", "b", reason=AttemptReason.WORKER_FAILURE)
    scenario.after(329)
    assert scenario.status.round == 1
    scenario.after(1)
    assert scenario.group == ["a", "b"]


def test_a_member_that_cannot_be_understood_is_lost_by_its_silence_and_by_its_pod() -> None:
    scenario = three(suspect_seconds=120)
    not_understood(scenario, "c")
    scenario.silent("c")
    scenario.after(20)
    assert scenario.status.holds("Degraded")
    scenario.after(100)
    assert scenario.ended_because == "MemberLost"
    scenario = Scenario(2, 3)
    scenario.pod("a", "b", "c", workload="run")
    scenario.join_from_pods("a", "b", "c")
    not_understood(scenario, "c")
    scenario.pod("c", workload="run", phase="Failed")
    assert scenario.ended_because == "MemberLost"


def test_a_node_that_cannot_be_understood_is_no_member_of_a_new_round() -> None:
    scenario = Scenario(2, 3, last_call_seconds=30)
    scenario.join("c")
    not_understood(scenario, "c")
    scenario.join("a", "b")
    scenario.after(30)
    assert scenario.group == ["a", "b"]
    assert scenario.refused == {}


def test_who_asks_for_another_round_and_then_ends_well_has_not_finished_the_work() -> None:
    """It has stopped its workers before, so its last word says nothing of the round that they ran."""
    scenario = two()
    scenario.reenter("a", reason=AttemptReason.WORKER_FAILURE)
    scenario.leave("a", reason=LeaveReason.SUCCEEDED)
    assert scenario.closed_runs == {}


def test_a_new_leader_keeps_the_round_of_a_member_of_which_it_knows_nothing() -> None:
    """It has read only what it cannot understand of c. All members are cut off, so their round may train on."""
    scenario = Scenario(3, 3, isolated_round_seconds=600, suspect_seconds=120)
    scenario.join("a", "b", "c")
    scenario.join("spare")
    scenario.silent("a", "b", "c")
    nothing = replace(NOTHING_KNOWN, metadata=scenario.seen["c"].object.metadata)
    scenario.memory = Memory()
    scenario.seen = {name: SeenParticipant(seen.object, scenario.clock) for name, seen in scenario.seen.items()}
    scenario.seen["c"] = SeenParticipant(nothing, scenario.clock, understood=False)
    scenario.settle()
    assert scenario.reads == [], "another read would say no more"
    scenario.after(500)
    assert not scenario.asks
    assert scenario.group == ["a", "b", "c"]
