"""Rules 1 to 5: who waits, how many may be in a round, and when it is published."""

import pytest
from tests.unit.worlds import Scenario, running

from rendezvous_api.reasons import AttemptReason, FormationReason

WORKER_FAILURE = AttemptReason.WORKER_FAILURE


# Rule 1


def test_rule_01_a_fresh_object_waits_without_any_heartbeat() -> None:
    scenario = Scenario(2, 2)
    scenario.join("a", "b")
    assert scenario.group == ["a", "b"]


def test_rule_01_an_admitted_attempt_does_not_wait_again() -> None:
    scenario = running("a", "b")
    scenario.after(100)
    assert scenario.status.round == 1
    assert not scenario.asks


def test_rule_01_a_participant_whose_pod_is_terminating_does_not_wait() -> None:
    scenario = Scenario(2, 3, last_call_timeout_seconds=0)
    scenario.pod("a", "b", "c")
    scenario.join_from_pods("a")
    scenario.pod("b", leaving="its pod is being deleted")
    scenario.join_from_pods("b")
    assert scenario.status.round == 0
    scenario.join_from_pods("c")
    assert scenario.group == ["a", "c"]


def test_rule_01_a_participant_of_a_deleted_rendezvous_of_this_name_does_not_wait() -> None:
    scenario = Scenario(2, 2)
    scenario.join("a")
    scenario.join("b", rendezvous_uid="another")
    assert scenario.status.round == 0


# Rule 2


def test_rule_02_no_round_while_a_member_has_not_come_back() -> None:
    scenario = running("a", "b", "c", replacement_timeout_seconds=0)
    scenario.reenter("a", "b", reason=WORKER_FAILURE)
    assert scenario.asks
    scenario.after(300)
    assert scenario.status.round == 1
    assert scenario.condition("Ready").reason == FormationReason.WAITING_FOR_MEMBERS
    assert "c has not come back" in scenario.explanation
    scenario.reenter("c")
    assert scenario.status.round == 2


@pytest.mark.parametrize("end", ["leaves", "is gone", "is started anew", "falls silent"])
def test_rule_02_a_member_that_is_over_holds_nobody(end: str) -> None:
    scenario = running("a", "b", "c", replacement_timeout_seconds=0)
    scenario.reenter("a", "b", reason=WORKER_FAILURE)
    match end:
        case "leaves":
            scenario.leave("c")
        case "is gone":
            scenario.gone("c")
        case "is started anew":
            scenario.restart("c")
        case "falls silent":
            scenario.silent("c")
            scenario.after(16)
    assert scenario.status.round == 2
    assert set(scenario.group) == ({"a", "b", "c"} if end == "is started anew" else {"a", "b"})


def test_rule_02_a_member_that_was_asked_long_ago_holds_nobody() -> None:
    scenario = running("a", "b", "c", replacement_timeout_seconds=0, reentry_timeout_seconds=330)
    scenario.reenter("a", "b", reason=WORKER_FAILURE)
    scenario.after(329)
    assert scenario.status.round == 1
    scenario.after(1)
    assert set(scenario.group) == {"a", "b"}


def test_rule_02_an_agent_that_claims_a_round_in_which_it_is_not_listed_holds_everybody() -> None:
    scenario = running("a", "b", "c", replacement_timeout_seconds=0)
    scenario.silent("c")
    scenario.reenter("a", "b", reason=WORKER_FAILURE)
    scenario.after(16)
    assert set(scenario.group) == {"a", "b"}
    # c wakes and still trains in round 1; meanwhile a fails once more.
    scenario.heard("c")
    scenario.reenter("a", "b", reason=WORKER_FAILURE)
    scenario.after(60)
    assert scenario.status.round == 2
    assert "c still runs round 1" in scenario.explanation
    scenario.reenter("c")
    assert set(scenario.group) == {"a", "b", "c"}


# Rule 3


def test_rule_03_never_fewer_than_min_in_later_rounds() -> None:
    scenario = running("a", "b", replacement_timeout_seconds=0)
    scenario.gone("b")
    scenario.reenter("a")
    scenario.after(500)
    assert scenario.status.round == 1
    assert scenario.condition("Ready").reason == FormationReason.WAITING_FOR_NODES
    assert "1 of at least 2 nodes; b was lost (its participant object is gone)" in scenario.explanation
    scenario.join("c")
    assert set(scenario.group) == {"a", "c"}


def test_rule_03_never_more_than_max() -> None:
    scenario = Scenario(1, 2)
    scenario.join("a", "b", "c")
    assert scenario.group == ["a", "b"]
    assert scenario.status.spares == ("c",)


# Rule 4


def test_rule_04_one_write_publishes_members_ranks_and_store() -> None:
    scenario = Scenario(2, 2)
    scenario.join("a")
    writes = scenario.writes
    scenario.join("b")
    assert scenario.writes == writes + 1
    store = scenario.status.store
    assert store is not None
    assert (store.host, store.port) == ("a.local", 20001)
    assert scenario.status.round_start_time


# Rule 5, the first round of a run


def test_rule_05_first_round_is_published_at_once_at_max() -> None:
    scenario = Scenario(2, 3)
    scenario.join("a", "b", "c")
    assert scenario.status.round == 1


def test_rule_05_the_last_call_begins_at_min_and_later_joins_do_not_extend_it() -> None:
    scenario = Scenario(2, 4, last_call_timeout_seconds=30)
    scenario.join("a")
    scenario.at(50)
    scenario.join("b")
    scenario.at(79)
    scenario.join("c")
    assert scenario.status.round == 0
    assert scenario.condition("Ready").reason == FormationReason.LAST_CALL
    scenario.at(80)
    assert scenario.group == ["a", "b", "c"]


def test_rule_05_falling_below_min_cancels_the_last_call() -> None:
    scenario = Scenario(2, 4, last_call_timeout_seconds=30)
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


def test_rule_05_when_all_known_pods_have_joined_the_last_call_is_cut_short() -> None:
    scenario = Scenario(2, 4, last_call_timeout_seconds=30)
    scenario.pod("a", "b", "c", run_id="run")
    scenario.join_from_pods("a", "b")
    scenario.at(20)
    scenario.join_from_pods("c")
    scenario.at(24)
    assert scenario.status.round == 0
    scenario.at(25)
    assert scenario.group == ["a", "b", "c"]


@pytest.mark.parametrize("who", ["a pod that has not joined", "a waiter that is in no known pod"])
def test_rule_05_the_last_call_is_not_cut_short_by(who: str) -> None:
    scenario = Scenario(2, 4, last_call_timeout_seconds=30)
    scenario.pod("a", "b", run_id="run")
    if who == "a pod that has not joined":
        scenario.pod("c", run_id="run", phase="Pending", problem="Pending (Insufficient nvidia.com/gpu)")
        scenario.join_from_pods("a", "b")
        assert "c is Pending (Insufficient nvidia.com/gpu)" in scenario.explanation
    else:
        scenario.join_from_pods("a", "b")
        scenario.join("stranger")
    scenario.at(29)
    assert scenario.status.round == 0
    scenario.at(30)
    assert scenario.status.round == 1


def test_rule_05_known_pods_below_min_do_not_start() -> None:
    scenario = Scenario(2, 4)
    scenario.pod("a", run_id="run")
    scenario.join_from_pods("a")
    scenario.at(100)
    assert scenario.status.round == 0


# Rule 5, later rounds


def test_rule_05_later_rounds_start_at_once_when_every_member_is_back() -> None:
    scenario = running("a", "b", "c")
    scenario.reenter("a", reason=WORKER_FAILURE)
    scenario.everyone_comes_back()
    assert scenario.status.round == 2


def test_rule_05_later_rounds_start_at_once_when_the_lost_are_replaced() -> None:
    scenario = running("a", "b", "c")
    scenario.gone("c")
    scenario.everyone_comes_back()
    assert scenario.status.round == 1
    scenario.join("d")
    assert scenario.group == ["a", "b", "d"]


def test_rule_05_later_rounds_wait_for_replacements_from_the_last_loss_or_return_on() -> None:
    scenario = running("a", "b", "c", replacement_timeout_seconds=30)
    scenario.gone("c")
    scenario.at(20)
    scenario.reenter("a")
    scenario.at(50)
    scenario.reenter("b")  # the last one to come back
    scenario.at(79)
    assert scenario.condition("Ready").reason == FormationReason.WAITING_FOR_REPLACEMENTS
    scenario.at(80)
    assert scenario.group == ["a", "b"]
