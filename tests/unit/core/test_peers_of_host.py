"""Rule "peers": what the others say of the host, who has said farewell, and other rules that depend on it."""

from dataclasses import replace

import pytest
from tests.unit.core.peer_worlds import peers

from rendezvous_api.reasons import AttemptReason, HostState, LeaveReason

WORKER_FAILURE = AttemptReason.WORKER_FAILURE
LONG = 200


# ---- the host is accused


def test_a_host_that_no_member_has_a_connection_to_is_lost_at_once() -> None:
    scenario = peers()
    scenario.at(100)
    scenario.silent("a")
    scenario.at(101)
    scenario.view("Closed", "b")
    assert scenario.degraded == ("MemberSuspected", "a does not answer the beats of b since 2030-01-01T00:18:18Z")
    scenario.at(101.2)
    scenario.view("Closed", "c")
    scenario.view("Missed", "d")
    scenario.at(102.19)
    assert not scenario.asks
    scenario.at(102.2)
    assert scenario.why == "a: its connections to all other members were closed, and no heartbeat for 2 s"
    scenario.all_join_again()
    assert sorted(scenario.group) == ["b", "c", "d"]


def test_a_host_of_a_large_group_is_lost_as_soon() -> None:
    """It spreads no heartbeat that contradicts, as other members do."""
    scenario = peers(*(f"n{number:03}" for number in range(256)))
    scenario.silent(scenario.host)
    scenario.view("Closed", *scenario.group[1:])
    scenario.after(0.99)
    assert not scenario.asks
    scenario.after(0.02)
    assert scenario.ended_because == "MemberLost"


def test_if_one_of_them_does_not_say_so_it_has_the_time_to_confirm() -> None:
    """It may have died with the host: its last word is from before."""
    scenario = peers()
    scenario.silent("a", "d")
    scenario.at(4)
    scenario.view("Closed", "b", "c")
    scenario.at(13.9)
    assert not scenario.asks
    scenario.at(14)
    assert scenario.why == "a: b has had no answers from it for 13 s, and no heartbeat for 14 s"
    # What is left of the round is silent soon after.
    scenario.reenter("b", "c")
    scenario.at(16)
    assert scenario.group == ["c", "b"] or scenario.group == ["b", "c"]


def test_a_host_that_says_itself_that_the_connections_are_closed_has_lived_on() -> None:
    """Something beside it has closed them. A new leader sees all their heartbeats in the same moment."""
    scenario = peers(min_nodes=1)
    scenario.views |= dict.fromkeys("bcd", HostState.CLOSED)
    scenario.says(closed="bcd")
    scenario.at(2)
    scenario.new_leader()
    scenario.silent("a")
    scenario.at(11.9)
    assert not scenario.asks
    scenario.at(12)
    assert scenario.ended_because == "MemberLost"


def test_what_a_host_says_of_one_member_does_not_show_that_it_has_outlived_the_others() -> None:
    scenario = peers(min_nodes=1)
    scenario.says(closed="b")
    scenario.at(2)
    scenario.silent("a")
    scenario.view("Closed", "b", "c", "d")
    scenario.after(1.1)
    assert scenario.ended_because == "MemberLost"


def test_a_host_whose_machine_dies_with_its_only_neighbour_is_lost_in_time() -> None:
    """Two of three members; the last one waits in no collective."""
    scenario = peers("a", "b", "c", min_nodes=1)
    scenario.at(100)
    scenario.silent("a", "b")
    scenario.at(103.5)
    scenario.view("Missed", "c")
    scenario.at(113.5)
    assert (scenario.asks, scenario.ended_because) == (True, "MemberLost")


def test_a_member_whose_machine_dies_with_another_one_is_lost_in_time() -> None:
    scenario = peers("a", "b", "c", min_nodes=1)
    scenario.at(100)
    scenario.silent("b", "c")
    scenario.at(103.5)
    scenario.says(missed="bc")
    scenario.at(113.5)
    assert scenario.ended_because == "MemberLost"
    scenario.all_join_again()
    assert scenario.group == ["a"]


def test_who_gets_answers_is_read_before_the_host_is_lost() -> None:
    """Nothing has shown its newest heartbeat."""
    scenario = peers()
    scenario.silent("a", "b", "c")
    scenario.view("Missed", "d")
    scenario.at(9)
    scenario.newer |= {name: scenario.seen[name] for name in "bc"}
    scenario.at(18)
    assert not scenario.asks


def test_one_liar_loses_no_host() -> None:
    scenario = peers()
    scenario.view("Closed", "b")
    scenario.at(LONG)
    assert not scenario.asks
    assert scenario.degraded == ("PathBroken", "b gets no answers from a (rank 0), whose heartbeats arrive")


def test_nor_if_the_host_has_lost_the_api_server() -> None:
    """That the other members get answers contradicts it."""
    scenario = peers()
    scenario.silent("a")
    scenario.view("Missed", "b")
    scenario.at(LONG)
    assert not scenario.asks
    assert "b gets no answers from a (rank 0)" in scenario.degraded[1]


def test_a_host_that_reaches_no_member_goes_on_and_does_not_host_the_next_round() -> None:
    scenario = peers()
    scenario.says(missed="bcd")
    scenario.view("Missed", "b", "c", "d")
    scenario.at(LONG)
    assert not scenario.asks
    assert scenario.degraded == ("PathBroken", "a (rank 0) gets no beats of b, c, d, whose heartbeats arrive")
    scenario.reenter("b", reason=WORKER_FAILURE)
    assert scenario.ended_because == "WorkerFailed"
    for name in ("c", "d", "a"):
        scenario.after(1)
        scenario.reenter(name)
    assert scenario.status.round == 2
    assert scenario.host != "a"
    assert set(scenario.group) == {"a", "b", "c", "d"}
    assert (scenario.held_out, scenario.status.failures[0].node) == ({}, "b")


@pytest.mark.parametrize(("who", "moves"), [("bc", True), ("b", False)])
def test_more_than_half_of_the_others_must_say_so(who: str, moves: bool) -> None:
    scenario = peers("a", "b", "c", "d")
    scenario.view("Missed", *who)
    scenario.reenter("d", reason=WORKER_FAILURE)
    scenario.reenter("a", "b", "c")
    assert (scenario.host != "a") is moves


def test_a_host_that_is_reached_again_stays_the_host() -> None:
    scenario = peers()
    scenario.view("Missed", "b", "c", "d")
    scenario.view("Answers", "b", "c")
    scenario.reenter("b", reason=WORKER_FAILURE)
    scenario.reenter("a", "c", "d")
    assert scenario.host == "a"


# ---- a member says farewell


def test_a_member_whose_own_word_does_not_arrive_has_left_by_what_its_peers_say() -> None:
    """Its workers have failed, and it does not reach the API server; the workers of the others hang."""
    scenario = peers()
    scenario.silent("c")
    scenario.at(600)
    scenario.says(left="c")
    scenario.at(609)
    assert not scenario.asks
    scenario.at(610)
    assert (scenario.ended_because, scenario.status.restarts) == ("MemberReentered", 0)
    assert scenario.why == "c: it has said to a (rank 0) that its workers have stopped"
    scenario.all_join_again()
    assert scenario.group == ["a", "b", "d"]


def test_its_own_word_says_why() -> None:
    scenario = peers()
    scenario.says(left="c")
    scenario.at(2)
    scenario.reenter("c", reason=WORKER_FAILURE)
    assert scenario.ended_because == "WorkerFailed"


def test_who_runs_the_round_by_its_own_word_has_not_left() -> None:
    scenario = peers()
    scenario.says(left="c")
    scenario.at(LONG)
    assert not scenario.asks
    assert scenario.degraded == ("AsExpected", "")


def test_a_host_may_have_left_too() -> None:
    scenario = peers()
    scenario.silent("a")
    scenario.view("Left", "b", "c", "d")
    scenario.at(9)
    assert not scenario.asks
    scenario.at(10)
    assert scenario.why == "a: it has said to b that its workers have stopped"


def test_who_has_left_blocks_no_round_although_its_report_is_gone() -> None:
    """The host joins again, too, so its report counts no more."""
    scenario = peers(replacement_seconds=30)
    scenario.silent("c")
    scenario.at(60)
    scenario.says(left="c")
    scenario.at(70)
    assert scenario.asks
    scenario.all_join_again()
    scenario.after(29)
    assert scenario.status.round == 1
    assert "waiting for replacements" in scenario.explanation
    scenario.after(2)
    assert scenario.group == ["a", "b", "d"]


def test_who_comes_back_in_time_is_in_the_next_round() -> None:
    scenario = peers(replacement_seconds=30)
    scenario.silent("c")
    scenario.at(60)
    scenario.says(left="c")
    scenario.at(70)
    scenario.all_join_again()
    scenario.cut_off.discard("c")
    scenario.reenter("c", reason=WORKER_FAILURE)
    assert scenario.group == ["a", "b", "c", "d"]


# ---- what was concluded


def test_who_is_lost_stays_lost_although_its_accuser_joins_again() -> None:
    """Its silence alone would hold the next round for longer: in a large group for a minute."""
    scenario = peers(heartbeat_interval_seconds=20, suspect_seconds=120)
    scenario.interval_seconds = 20
    scenario.after(1)
    scenario.silent("c")
    scenario.says(missed="c")
    scenario.after(10)
    assert scenario.asks
    scenario.all_join_again()
    assert scenario.group == ["a", "b", "d"]


def test_its_next_heartbeat_shows_that_it_lives() -> None:
    scenario = peers()
    scenario.silent("c")
    scenario.says(missed="c")
    scenario.at(10)
    scenario.reenter("a", "b")
    scenario.beat("c")
    scenario.reenter("d")
    assert (scenario.status.round, scenario.asks) == (1, True)
    assert "c has not joined again" in scenario.explanation
    scenario.reenter("c")
    assert scenario.group == ["a", "b", "c", "d"]


def test_a_member_that_wakes_joins_again_without_a_split() -> None:
    scenario = peers()
    scenario.silent("c")
    scenario.says(missed="c")
    scenario.at(10)
    scenario.all_join_again()
    assert scenario.group == ["a", "b", "d"]
    scenario.says()
    scenario.cut_off.discard("c")
    scenario.reenter("c")
    scenario.after(60)
    assert scenario.asks
    scenario.all_join_again()
    assert set(scenario.group) == {"a", "b", "c", "d"}


# ---- other rules


def test_no_newcomer_is_taken_in_while_a_member_trains_that_would_not_learn_of_it() -> None:
    scenario = peers("a", "b", "c", max_nodes=4)
    scenario.silent("c")
    scenario.at(60)
    scenario.join("d")
    scenario.at(LONG)
    assert (scenario.asks, scenario.status.round) == (False, 1)
    assert "; 1 more node joined and will be added once c sends heartbeats again; " in scenario.explanation
    scenario.beat("c")
    assert scenario.ended_because == "ScaleUp"


def test_who_was_vouched_for_until_now_is_waited_for_like_one_that_was_seen_until_now() -> None:
    scenario = peers(replacement_seconds=30)
    scenario.silent("c")
    scenario.at(600)
    scenario.reenter("a", "b", "d", reason=WORKER_FAILURE)
    scenario.after(20)
    assert scenario.status.round == 1
    scenario.cut_off.discard("c")
    scenario.reenter("c", reason=WORKER_FAILURE)
    assert scenario.group == ["a", "b", "c", "d"]


def test_its_object_is_kept_for_an_hour_from_then() -> None:
    scenario = peers(heartbeat_interval_seconds=200, suspect_seconds=600)
    scenario.silent("c")
    scenario.at(2 * 3600)
    scenario.reenter("a", "b", "d", reason=WORKER_FAILURE)
    scenario.after(600)
    assert scenario.group == ["a", "b", "d"]
    scenario.after(2300)
    assert scenario.deletions == []
    scenario.after(1000)
    assert [deletion.name for deletion in scenario.deletions] == ["c"]


def test_a_member_that_leaves_is_not_vouched_for() -> None:
    scenario = peers()
    scenario.at(5)
    scenario.leave("c", reason=LeaveReason.FAILED)
    assert scenario.ended_because == "MemberFailed"


def test_a_round_of_one_member_says_nothing() -> None:
    scenario = peers("a", min_nodes=1)
    scenario.seen["a"] = replace(scenario.seen["a"])
    scenario.at(LONG)
    assert scenario.degraded == ("AsExpected", "")
