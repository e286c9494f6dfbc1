"""Rule "retention": what is deleted, and what is not."""

import pytest
from tests.unit.core.builders import now
from tests.unit.core.started import three, two
from tests.unit.core.worlds import Scenario

from rendezvous_api.reasons import AttemptReason, LeaveReason, RefusalReason
from rendezvous_operator.core import garbage
from rendezvous_operator.core.world import SeenParticipant, Target

HOUR = 3600


def deleted(scenario: Scenario) -> list[str]:
    return [deletion.name for deletion in scenario.deletions]


@pytest.mark.parametrize("end", ["left", "silent"])
def test_a_participant_is_deleted_an_hour_after_its_end(end: str) -> None:
    scenario = three(suspect_seconds=120)
    if end == "left":
        scenario.leave("c")
    else:
        scenario.silent("c")
    scenario.after(3599)
    assert scenario.deletions == []
    scenario.after(2)
    (deletion,) = scenario.deletions
    assert (deletion.kind, deletion.name, deletion.uid) == ("RendezvousParticipant", "c", "uid-of-c")
    assert deletion.resource_version == "7", "what has changed since then must not be deleted"


def test_a_rendezvous_that_an_agent_made_is_deleted_an_hour_after_its_last_participant() -> None:
    scenario = three()
    scenario.made_by_agent()
    scenario.gone("a", "b", "c")
    scenario.after(3599)
    assert scenario.deletions == []
    scenario.after(1)
    assert [deletion.kind for deletion in scenario.deletions] == ["Rendezvous"]


def test_a_rendezvous_of_a_user_is_kept() -> None:
    scenario = three()
    scenario.gone("a", "b", "c")
    scenario.after(100_000)
    assert scenario.deletions == []


@pytest.mark.parametrize("succeeds", [True, False])
def test_a_rendezvous_is_deleted_after_the_ttl_of_its_run_by_any_leader(succeeds: bool) -> None:
    scenario = three(ttl_seconds_after_finished=600)
    if succeeds:
        scenario.leave("a", "b", "c", reason=LeaveReason.SUCCEEDED)
    else:
        scenario.request_close("a")
        scenario.leave("a", "b", "c")
    scenario.after(300)
    scenario.new_leader()
    scenario.after(299)
    assert not any(deletion.kind == "Rendezvous" for deletion in scenario.deletions)
    scenario.after(1)
    assert any(deletion.kind == "Rendezvous" for deletion in scenario.deletions)


def test_a_rendezvous_is_kept_until_all_have_read_their_answers() -> None:
    scenario = three(ttl_seconds_after_finished=0)
    scenario.join("spare")
    scenario.leave("a", reason=LeaveReason.SUCCEEDED)
    scenario.leave("b", reason=LeaveReason.SUCCEEDED)
    scenario.after(10)
    assert scenario.refused == {"spare": RefusalReason.RUN_SUCCEEDED}
    scenario.leave("spare", reason=LeaveReason.SUCCEEDED)
    assert scenario.deletions == [], "c still trains"
    scenario.silent("c")
    scenario.after(3 * HOUR)
    assert [deletion.kind for deletion in scenario.deletions].count("Rendezvous") > 0


def test_a_rendezvous_whose_run_has_not_ended_has_no_ttl() -> None:
    scenario = three(ttl_seconds_after_finished=0)
    scenario.edit(closed=True)
    scenario.after(1000)
    assert scenario.deletions == []


def test_members_that_are_all_silent_are_kept_and_train_on() -> None:
    scenario = three(suspect_seconds=120)
    scenario.silent("a", "b", "c")
    scenario.after(3 * HOUR)
    assert scenario.deletions == []
    assert not scenario.asks
    assert scenario.condition("Running").status == "True"
    scenario.beat("a")
    scenario.after(100)
    scenario.beat("b", "c")
    scenario.after(HOUR)
    assert scenario.deletions == []
    assert scenario.status.round == 1
    assert not scenario.asks


def test_a_silent_member_of_a_running_round_is_kept() -> None:
    scenario = three(suspect_seconds=2 * HOUR)
    scenario.silent("c")
    scenario.after(HOUR + 1)
    assert scenario.deletions == []
    assert not scenario.asks
    assert scenario.status.holds("Degraded")


def with_a_spare(how: str) -> Scenario:
    """A round of a and b runs; s, which has joined beside them, is silent or has left."""
    scenario = two()
    scenario.join("s", run="one")
    if how == "silent":
        scenario.silent("s")
    else:
        scenario.leave("s")
    return scenario


@pytest.mark.parametrize("how", ["silent", "left"])
def test_who_is_no_member_is_deleted_while_a_round_runs(how: str) -> None:
    scenario = with_a_spare(how)
    scenario.after(HOUR - 1)
    assert scenario.deletions == []
    scenario.after(1)
    assert deleted(scenario) == ["s"]
    assert scenario.status.round == 1
    assert not scenario.asks


def test_a_predecessor_s_entry_in_the_round_protects_no_successor() -> None:
    """Who was restarted under the name of a member is no member, and the round is over."""
    scenario = three()
    scenario.restart("c")
    scenario.silent("c")
    scenario.after(HOUR)
    assert deleted(scenario) == ["c"]


@pytest.mark.parametrize("how", ["silent", "left"])
def test_while_all_are_silent_no_participant_is_deleted(how: str) -> None:
    scenario = with_a_spare(how)
    scenario.silent("a", "b")
    scenario.after(3 * HOUR)
    assert scenario.deletions == []
    scenario.beat("a", "b")
    scenario.after(HOUR - 1)
    assert scenario.deletions == [], "the hour begins with the next heartbeat"
    scenario.after(1)
    assert deleted(scenario) == ["s"]


def test_those_who_wait_for_a_round_are_kept_while_all_are_silent() -> None:
    scenario = Scenario(3, 3)
    scenario.join("a", "b")
    scenario.silent("a", "b")
    scenario.after(3 * HOUR)
    assert scenario.deletions == []


def test_nothing_is_read_for_a_deletion() -> None:
    scenario = two(suspect_seconds=120)
    scenario.join("s", run="one")
    scenario.silent("s")
    scenario.after(HOUR - 1)
    read = list(scenario.reads)
    assert read == [Target("RendezvousParticipant", "s")] * 2, "for each of the two limits of silence"
    scenario.after(HOUR)
    assert deleted(scenario) == ["s"]
    assert scenario.reads == read


def test_a_deletion_keeps_no_round_from_being_published() -> None:
    scenario = two()
    scenario.join("s", run="one")
    scenario.leave("s")
    scenario.after(HOUR - 1)
    scenario.complete = False
    scenario.reenter("a", "b", reason=AttemptReason.WORKER_FAILURE)
    scenario.clock += 1
    scenario.complete = True
    decision = scenario.decide()
    assert [deletion.name for deletion in decision.deletions] == ["s"]
    assert decision.status.round == 2


def test_who_waits_and_is_heard_is_kept_for_ever() -> None:
    scenario = two()
    scenario.join("s", run="one")
    scenario.after(3 * HOUR)
    assert scenario.deletions == []


def test_what_a_new_leader_has_not_heard_for_an_hour_itself_is_kept() -> None:
    scenario = two()
    scenario.join("s", run="one")
    scenario.silent("s")
    scenario.after(HOUR - 1)
    scenario.new_leader()
    scenario.after(HOUR - 1)
    assert scenario.deletions == []
    scenario.after(1)
    assert deleted(scenario) == ["s"]


def test_participants_of_a_rendezvous_that_is_gone_are_deleted_an_hour_after_their_last_word() -> None:
    scenario = two()
    seen = {name: SeenParticipant(scenario.seen[name].object, heard) for name, heard in (("a", 0.0), ("b", 10.0))}
    found = garbage.orphans(now(HOUR), seen)
    assert [deletion.name for deletion in found.deletions] == ["a"]
    assert found.until == HOUR + 10


def test_a_member_of_a_closed_run_is_kept_while_it_may_still_train() -> None:
    scenario = three(suspect_seconds=7200)
    scenario.request_close("a")
    scenario.silent("c")
    scenario.after(10)
    scenario.leave("a", "b", reason=LeaveReason.SUCCEEDED)
    scenario.join("d", "e", run="two")
    scenario.after(HOUR + 100)
    assert "c" not in deleted(scenario)
    assert scenario.status.round == 1, "another group beside it"


@pytest.mark.parametrize("pod", [{}, {"leaving": "it is being deleted"}, {"known": False}, {"phase": "Failed"}])
def test_only_the_object_of_a_live_known_pod_goes_with_its_pod(pod: dict[str, object]) -> None:
    """The next agent of the container learns from it what has ended."""
    scenario = Scenario(2, 2)
    scenario.pod("a", workload="job", owner_uid="job")
    scenario.join_from_pods("a", run=None)
    scenario.leave("a", reason=LeaveReason.SUCCEEDED)
    scenario.pod("a", workload="job", owner_uid="job", **pod)
    scenario.after(3700)
    assert deleted(scenario) == (["a"] if pod else [])


def test_a_rendezvous_is_kept_after_its_ttl_while_a_silent_member_may_train() -> None:
    scenario = two("one", ttl_seconds_after_finished=10, suspect_seconds=120)
    scenario.silent("b")
    scenario.leave("a", reason=LeaveReason.SUCCEEDED)
    scenario.after(119)
    assert scenario.deletions == []
    scenario.after(1)
    assert {deletion.why for deletion in scenario.deletions} == {"its run ended 10 s ago"}
