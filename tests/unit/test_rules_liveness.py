"""Rules 9, 12 and 13: who is alive, what is deleted, and what an absent control plane changes."""

import pytest
from tests.unit.worlds import Scenario

from rendezvous_api.reasons import AttemptReason, LeaveReason
from rendezvous_api.rendezvous import RendezvousSpec
from rendezvous_operator.core.world import Target

WORKER_FAILURE = AttemptReason.WORKER_FAILURE


def three(**spec: int) -> Scenario:
    """A round of a, b and c runs."""
    scenario = Scenario(2, 3, **{"replacement_timeout_seconds": 0, **spec})
    scenario.join("a", "b", "c")
    assert scenario.status.round == 1
    return scenario


# Rule 9: silence


def test_rule_09_silence_in_a_running_round_makes_a_suspect_and_later_a_loss() -> None:
    scenario = three(suspect_timeout_seconds=120)
    scenario.silent("c")
    scenario.at(14)
    assert scenario.condition("Ready").reason == "Running"
    scenario.at(16)
    assert scenario.condition("Ready").reason == "MemberSuspected"
    assert scenario.condition("Ready").status == "True"
    assert "c is silent" in scenario.explanation
    scenario.at(119)
    assert not scenario.asks
    scenario.at(121)
    assert scenario.ended_because == "MemberLost"


def test_rule_09_a_suspect_that_is_heard_again_is_none() -> None:
    scenario = three()
    scenario.silent("c")
    scenario.at(60)
    scenario.heard("c")
    assert scenario.condition("Ready").reason == "Running"
    scenario.at(1000)
    assert not scenario.asks


@pytest.mark.parametrize("reason", [AttemptReason.WORKER_FAILURE, AttemptReason.CHECK_IN_FAILED])
def test_rule_09_a_suspect_is_lost_as_soon_as_a_re_entry_speaks_for_it(reason: AttemptReason) -> None:
    scenario = three()
    scenario.silent("c")
    scenario.at(30)
    scenario.reenter("a", reason=reason)
    scenario.reenter("b", reason=reason)
    assert set(scenario.group) == {"a", "b"}


def test_rule_09_silence_is_death_while_a_round_is_formed() -> None:
    scenario = Scenario(2, 3, last_call_timeout_seconds=30)
    scenario.join("a", "b")
    scenario.silent("b")
    scenario.at(31)
    assert scenario.status.round == 0
    assert "1 of at least 2 nodes" in scenario.explanation


def test_rule_09_a_group_that_may_be_large_has_longer_intervals_and_is_silent_later() -> None:
    scenario = Scenario(2, 1000, last_call_timeout_seconds=60)
    scenario.join("a", "b")
    scenario.silent("b")
    scenario.at(59)
    assert "2 of at most 1000 nodes" in scenario.explanation
    scenario.at(61)
    assert "1 of at least 2 nodes" in scenario.explanation


@pytest.mark.parametrize(("max_nodes", "interval"), [(1, 5), (250, 5), (251, 6), (1000, 20), (2000, 40)])
def test_rule_09_all_heartbeats_of_a_group_are_50_a_second_on_average(max_nodes: int, interval: int) -> None:
    spec = RendezvousSpec(1, max_nodes)
    assert (spec.heartbeat_seconds, spec.keep_alive_seconds) == (interval, 3 * interval)


def test_rule_09_an_interval_that_the_user_has_set_is_never_shortened() -> None:
    assert RendezvousSpec(1, 1000, keep_alive_interval_seconds=30).heartbeat_seconds == 30


def test_rule_09_nobody_is_called_silent_before_the_object_was_read() -> None:
    scenario = three()
    scenario.silent("c")
    scenario.at(14)
    assert scenario.reads == []
    scenario.at(20)
    assert scenario.reads == [Target("RendezvousParticipant", "c")]


def test_rule_09_the_first_heartbeat_has_a_full_period() -> None:
    scenario = Scenario(2, 2)
    scenario.join("a")
    scenario.silent("a")
    scenario.at(14)
    scenario.join("b")
    assert scenario.group == ["a", "b"]


def test_rule_09_when_all_are_silent_nobody_is_dropped() -> None:
    scenario = three(suspect_timeout_seconds=120)
    scenario.silent("a", "b", "c")
    scenario.at(3000)
    assert not scenario.asks
    assert scenario.condition("Ready").status == "True"


def test_rule_09_after_that_everyone_gets_a_full_period() -> None:
    scenario = three(suspect_timeout_seconds=120)
    scenario.silent("a", "b", "c")
    scenario.at(3000)
    scenario.heard("a")
    assert not scenario.asks
    scenario.at(3010)
    scenario.heard("b")
    scenario.at(3119)
    assert not scenario.asks
    scenario.at(3121)
    assert scenario.ended_because == "MemberLost"


def test_rule_09_one_silent_participant_alone_is_no_all() -> None:
    scenario = Scenario(1, 1, suspect_timeout_seconds=120)
    scenario.join("a")
    scenario.silent("a")
    scenario.at(121)
    assert scenario.ended_because == "MemberLost"


def test_rule_09_silence_from_before_the_api_server_answered_again_does_not_count() -> None:
    scenario = three(suspect_timeout_seconds=120)
    scenario.silent("c")
    scenario.api_server_away(600)
    scenario.after(119)
    assert not scenario.asks
    scenario.after(2)
    assert scenario.asks


# Rule 9: death


def test_rule_09_a_failed_pod_overrides_heartbeats() -> None:
    scenario = Scenario(2, 2)
    scenario.pod("a", "b", run_id="run")
    scenario.join_from_pods("a", "b")
    scenario.pod("b", run_id="run", phase="Failed")
    assert scenario.ended_because == "MemberLost"
    assert "its pod b has failed" in scenario.explanation


def test_rule_09_a_pod_that_is_gone_is_death_before_its_participant_is_collected() -> None:
    scenario = Scenario(2, 2)
    scenario.pod("a", "b", run_id="run")
    scenario.join_from_pods("a", "b")
    scenario.pod_gone("b")
    assert scenario.ended_because == "MemberLost"


def test_rule_09_an_eviction_asks_but_the_member_holds_until_it_is_over() -> None:
    scenario = Scenario(2, 3, replacement_timeout_seconds=0)
    scenario.pod("a", "b", "c", run_id="run")
    scenario.join_from_pods("a", "b", "c")
    scenario.pod("c", run_id="run", leaving="its pod is being evicted (EvictionByEvictionAPI)")
    assert scenario.ended_because == "MemberEvicted"
    scenario.reenter("a", "b")
    assert scenario.status.round == 1
    scenario.gone("c")
    assert scenario.group == ["a", "b"]
    assert scenario.status.restarts == 0


def test_rule_09_a_pod_that_succeeded_has_left_with_success() -> None:
    scenario = Scenario(2, 2)
    scenario.pod("a", "b", run_id="run")
    scenario.join_from_pods("a", "b")
    scenario.pod("b", run_id="run", phase="Succeeded")
    assert scenario.closed_runs == {"run": "RunSucceeded"}


def test_rule_09_a_member_that_no_list_has_shown_yet_is_read_and_not_declared_gone() -> None:
    scenario = three()
    del scenario.seen["c"]  # a watch lags behind
    decision = scenario.decide()
    assert decision.confirm == {Target("RendezvousParticipant", "c")}
    assert decision.status == scenario.status


def test_rule_09_nothing_is_decided_before_everything_is_listed() -> None:
    scenario = three()
    scenario.complete = False
    scenario.gone("c")
    assert not scenario.asks
    scenario.complete = True
    scenario.settle()
    assert scenario.asks


@pytest.mark.parametrize("moment", range(0, 40, 5))
def test_rule_09_a_new_leader_only_makes_everyone_wait_a_full_period_once_more(moment: int) -> None:
    scenario = three()
    scenario.silent("c")
    scenario.reenter("a", "b", reason=WORKER_FAILURE)
    scenario.at(moment)
    led = scenario.status.round
    scenario.new_leader()
    assert scenario.status.round == led
    scenario.after(16)
    assert set(scenario.group) == {"a", "b"}
    assert scenario.status.round == 2


# Rule 12


@pytest.mark.parametrize("end", ["left", "silent"])
def test_rule_12_a_participant_is_deleted_an_hour_after_its_end(end: str) -> None:
    scenario = three(suspect_timeout_seconds=120)
    if end == "left":
        scenario.leave("c")
    else:
        scenario.silent("c")
    scenario.after(3599)
    assert scenario.deletions == []
    scenario.after(2)
    (deletion,) = scenario.deletions
    assert (deletion.kind, deletion.name, deletion.uid) == ("RendezvousParticipant", "c", "uid-of-c")
    assert deletion.resource_version == "7", "what has changed meanwhile must not be deleted"


def test_rule_12_a_rendezvous_that_an_agent_made_is_deleted_an_hour_after_its_last_participant() -> None:
    scenario = three()
    scenario.made_by_agent()
    scenario.gone("a", "b", "c")
    scenario.after(3599)
    assert scenario.deletions == []
    scenario.after(1)
    assert [deletion.kind for deletion in scenario.deletions] == ["Rendezvous"]


def test_rule_12_a_rendezvous_of_a_user_is_kept() -> None:
    scenario = three()
    scenario.gone("a", "b", "c")
    scenario.after(100_000)
    assert scenario.deletions == []


def test_rule_12_a_closed_rendezvous_is_deleted_after_its_ttl_whoever_leads() -> None:
    scenario = three(ttl_seconds_after_closed=600)
    scenario.leave("a", reason=LeaveReason.SUCCEEDED)
    scenario.after(300)
    scenario.new_leader()
    scenario.after(299)
    assert not any(deletion.kind == "Rendezvous" for deletion in scenario.deletions)
    scenario.after(1)
    assert any(deletion.kind == "Rendezvous" for deletion in scenario.deletions)


def test_rule_12_an_open_rendezvous_has_no_ttl() -> None:
    scenario = three(ttl_seconds_after_closed=0)
    scenario.after(1000)
    assert scenario.deletions == []


# Rule 13


def test_rule_13_an_api_server_that_was_away_ends_nothing() -> None:
    scenario = three()
    for _ in range(3):
        scenario.api_server_away(600)
        scenario.after(4)
    assert scenario.status.round == 1
    assert not scenario.asks


def test_a_long_word_from_outside_does_not_make_the_status_unwritable() -> None:
    scenario = Scenario(2, 2)
    scenario.pod("a", phase="Pending", problem="Pending (" + "x" * 5000 + ")")
    scenario.join("b", run="r" * 253)
    assert scenario.status.formation is not None
    assert [len(node.message) for node in scenario.status.formation.missing] == [1024]
    assert len(scenario.condition("Ready").message) == 1024
