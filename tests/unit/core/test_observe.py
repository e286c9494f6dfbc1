"""What is read from the API server before anything follows from it."""

from dataclasses import replace

import pytest
from tests.unit.core.started import three, two
from tests.unit.core.worlds import Scenario

from rendezvous_api.reasons import AttemptReason, LeaveReason, ParticipantState, RefusalReason
from rendezvous_operator.core.world import Evidence, Pod, Target


def test_no_node_counts_as_silent_before_the_object_was_read() -> None:
    scenario = three()
    scenario.silent("c")
    scenario.at(14)
    assert scenario.reads == []
    scenario.at(20)
    assert scenario.reads == [Target("RendezvousParticipant", "c")]


def test_a_member_that_no_list_has_shown_yet_is_read_and_not_declared_gone() -> None:
    scenario = three()
    del scenario.seen["c"]  # a watch lags behind
    answer = scenario.look()
    assert isinstance(answer, Evidence)
    assert answer.targets == {Target("RendezvousParticipant", "c")}


def test_the_pod_is_read_before_a_node_is_refused_or_claims() -> None:
    scenario = Scenario(2, 2)
    scenario.unlabelled["uid-of-a"] = Pod("uid-of-a", "a")
    scenario.join_from_pods("a", run=None)
    assert scenario.reads == [Target("Pod", "a", "uid-of-a")]
    assert scenario.status.run_id == "none"
    scenario.pod("b", workload="uid-of-job")
    scenario.unlabelled["uid-of-c"] = Pod("uid-of-c", "c")
    scenario.join_from_pods("b", "c", run=None)
    assert scenario.refused == {"b": RefusalReason.OTHER_RUN_ACTIVE}
    assert scenario.group == ["a", "c"]


def test_a_participant_whose_pod_must_be_read_neither_claims_nor_is_refused_before() -> None:
    scenario = Scenario(2, 2)
    scenario.complete = False
    scenario.join_from_pods("a", run=None)
    scenario.complete = True
    evidence = scenario.look()
    assert isinstance(evidence, Evidence)
    assert evidence.targets == {Target("Pod", "a", "uid-of-a")}
    assert evidence.explanation == "reading Pod a before deciding"
    scenario.settle()  # which reads that there is no such pod
    assert scenario.status.run_id is None

    scenario = two("one")
    scenario.complete = False
    scenario.join_from_pods("c", run=None)
    scenario.complete = True
    evidence = scenario.look()
    assert isinstance(evidence, Evidence)
    assert evidence.targets == {Target("Pod", "c", "uid-of-c")}
    scenario.pod("c", workload="one")
    assert scenario.status.spares == ("c",)
    assert scenario.refused == {}


def test_a_pod_that_does_not_own_the_object_is_not_looked_for() -> None:
    """An agent may write any UID; only the owner is checked when the object is made."""
    scenario = two("one")
    scenario.complete = False
    scenario.join_from_pods("c", run=None)
    seen = scenario.seen["c"]
    metadata = replace(seen.object.metadata, owner_references=())
    scenario.seen["c"] = replace(seen, object=replace(seen.object, metadata=metadata))
    scenario.complete = True
    scenario.settle()
    assert scenario.reads == []
    assert scenario.refused == {"c": RefusalReason.OTHER_RUN_ACTIVE}


def test_who_comes_first_is_read_before_a_later_one_claims() -> None:
    scenario = Scenario(2, 2)
    scenario.complete = False
    scenario.join_from_pods("a", run=None)
    scenario.after(1)
    scenario.join("b", run="two")
    scenario.complete = True
    assert isinstance(scenario.look(), Evidence)
    scenario.pod("a", workload="one")
    assert scenario.status.run_id == "one"
    assert scenario.refused == {"b": RefusalReason.OTHER_RUN_ACTIVE}


def test_who_would_be_refused_since_its_run_is_closed_in_this_turn_is_read_in_the_next() -> None:
    scenario = two(run=None)
    scenario.join_from_pods("c", run=None)
    assert scenario.reads == []
    scenario.complete = False
    scenario.request_close("a")
    scenario.complete = True
    decision = scenario.decide()
    assert [run.run_id for run in decision.status.closed_runs] == ["none"]
    assert decision.status.run_id == "none"
    assert [str(event.reason) for event in decision.events] == ["RunClosed"], "c does not claim it either"
    assert decision.status.refused == ()
    scenario.status, scenario.memory = decision.status, decision.memory
    evidence = scenario.look()
    assert isinstance(evidence, Evidence)
    assert evidence.targets == {Target("Pod", "c", "uid-of-c")}
    scenario.pod("c", workload="another")
    assert scenario.status.run_id == "another"
    assert scenario.refused == {}


def test_no_pod_is_read_when_the_answer_does_not_depend_on_the_run() -> None:
    scenario = two("one")
    scenario.edit(closed=True)
    scenario.join_from_pods("c", run=None)
    assert scenario.reads == []
    assert scenario.refused == {"c": RefusalReason.RUN_CLOSED}


def test_all_that_is_needed_is_named_at_once() -> None:
    scenario = two("one")
    scenario.complete = False
    scenario.join_from_pods("c", run=None)
    del scenario.seen["a"]
    scenario.complete = True
    evidence = scenario.look()
    assert isinstance(evidence, Evidence)
    assert evidence.targets == {Target("Pod", "c", "uid-of-c"), Target("RendezvousParticipant", "a")}
    assert evidence.explanation == "reading Pod c and 1 more before deciding"
    assert scenario.status.round == 1


def test_another_incarnation_is_read_before_it_is_called_the_newer_one() -> None:
    """The watch of the participants may be older than that of the Rendezvous, for example after a 409."""
    scenario = two("one")
    now = scenario.seen["a"]
    spec = replace(now.object.spec, incarnation="an older one", attempt=7)
    scenario.seen["a"] = replace(now, object=replace(now.object, spec=spec), read_at=None)
    answer = scenario.look()
    assert isinstance(answer, Evidence)
    assert answer.targets == {Target("RendezvousParticipant", "a")}
    scenario.seen["a"] = replace(scenario.seen["a"], read_at=scenario.clock)
    scenario.settle()
    assert scenario.ended_because == "MemberLost"


@pytest.mark.parametrize("state", ParticipantState)
def test_a_lower_attempt_than_the_members_is_an_older_view_of_it(state: ParticipantState) -> None:
    scenario = two("one")
    scenario.reenter("a", "b", reason=AttemptReason.WORKER_FAILURE)
    assert [(member.name, member.attempt) for member in scenario.status.participants] == [("a", 2), ("b", 2)]
    scenario.join("s", run="one")
    now = scenario.seen["a"]
    reason = LeaveReason.TIMED_OUT if state is ParticipantState.LEFT else None
    spec = replace(now.object.spec, attempt=1, state=state, leave_reason=reason)
    scenario.seen["a"] = replace(now, object=replace(now.object, spec=spec))
    scenario.settle()
    assert not scenario.asks
    assert scenario.status.round == 2
    assert scenario.status.spares == ("s",), "it waits for no other round"


def test_a_pod_that_has_only_lost_its_label_is_not_gone() -> None:
    """Pods are watched by their label: without it, they look deleted."""
    scenario = Scenario(2, 2)
    scenario.pod("a", "b")
    scenario.join_from_pods("a", "b")
    scenario.join("s", run="run")
    scenario.pod_vanishes("a", runs_on=True)
    assert scenario.reads == [Target("Pod", "a", "uid-of-a")]
    assert scenario.status.running
    assert not scenario.asks
    scenario.pod_vanishes("b", runs_on=False)
    assert scenario.reads[1:] == [Target("Pod", "b", "uid-of-b"), Target("RendezvousParticipant", "b")]
    assert scenario.ended_because == "MemberLost"


def test_the_pod_of_a_node_that_has_left_is_not_read_when_it_vanishes() -> None:
    scenario = Scenario(2, 2)
    scenario.pod("a")
    scenario.join_from_pods("a")
    scenario.leave("a")
    scenario.pod_vanishes("a", runs_on=False)
    assert scenario.reads == []


def test_a_member_that_was_read_and_is_not_there_is_lost() -> None:
    scenario = two("one")
    del scenario.seen["a"]
    scenario.settle()
    assert scenario.reads == [Target("RendezvousParticipant", "a")]
    assert scenario.ended_because == "MemberLost"
