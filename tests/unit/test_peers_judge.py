"""What the host of a round concludes from the beats of the other members, and when."""

import itertools

import pytest

from rendezvous_api import ranks
from rendezvous_api.participant import PeerReport
from rendezvous_handler.peers.judge import Judge


def judge_of(nodes: int, *connected: int) -> Judge:
    """A judge at 100 s to which these members have connected."""
    judge = Judge(nodes)
    for rank in connected:
        judge.beat(rank, 100.0, arrives=True)
    return judge


def sets(judge: Judge, now: float) -> tuple[str, str, str, str]:
    """Missed, closed, left, not connected."""
    report = judge.report(now)
    assert report is not None
    return report.missed, report.closed, report.left, report.not_connected


def test_nothing_is_said_before_a_member_has_connected() -> None:
    judge = Judge(3)
    assert judge.report(100.0) is None
    assert judge.changes_at(100.0) is None
    assert judge.passes_on(100.0, arrives=False) is None
    judge.closed(1, 100.0)
    judge.farewell(1, 100.0)
    assert judge.report(200.0) is None


def test_who_has_never_come_is_accused_of_nothing() -> None:
    judge = judge_of(3, 1)
    assert judge.report(100.0) == PeerReport(1, not_connected="2")
    assert sets(judge, 1000.0)[3] == "2"


def test_a_member_is_missed_after_three_beats_and_not_before() -> None:
    judge = judge_of(3, 1, 2)
    judge.beat(2, 101.0, arrives=True)
    assert judge.changes_at(101.0) == 103.0
    assert sets(judge, 102.99) == ("", "", "", "")
    assert sets(judge, 103.0) == ("1", "", "", "")
    assert judge.changes_at(103.0) == 104.0
    assert sets(judge, 104.0) == ("1-2", "", "", "")
    assert judge.changes_at(104.0) is None
    judge.beat(1, 104.5, arrives=True)
    assert sets(judge, 104.5) == ("2", "", "", "")


def test_a_closed_connection_is_reported_a_second_later() -> None:
    judge = judge_of(2, 1)
    judge.closed(1, 100.5)
    assert judge.changes_at(100.5) == 101.5
    assert sets(judge, 101.49) == ("", "", "", "")
    assert sets(judge, 101.5) == ("", "1", "", "")
    assert sets(judge, 200.0) == ("", "1", "", "")


def test_a_connection_that_is_opened_again_within_a_second_is_no_news() -> None:
    judge = judge_of(2, 1)
    before = judge.report(100.0)
    judge.closed(1, 100.5)
    judge.beat(1, 101.4, arrives=True)
    assert judge.report(101.5) == before


def test_one_that_is_opened_again_later_takes_the_accusation_back() -> None:
    judge = judge_of(2, 1)
    judge.closed(1, 100.5)
    assert sets(judge, 101.5) == ("", "1", "", "")
    judge.beat(1, 110.0, arrives=True)
    assert sets(judge, 110.0) == ("", "", "", "")


def test_a_member_that_is_missed_stays_so_in_the_second_after_its_connection_is_closed() -> None:
    judge = judge_of(2, 1)
    assert sets(judge, 103.0) == ("1", "", "", "")
    judge.closed(1, 103.1)
    assert sets(judge, 103.2) == ("1", "", "", "")
    assert sets(judge, 104.1) == ("", "1", "", "")


@pytest.mark.parametrize("after", [("closed",), ("beat",), ("beat", "closed"), ()], ids="-".join)
def test_a_farewell_is_final(after: tuple[str, ...]) -> None:
    judge = judge_of(3, 1, 2)
    judge.farewell(1, 100.0)
    for event in after:
        if event == "closed":
            judge.closed(1, 100.2)
        else:
            judge.beat(1, 100.2, arrives=True)
    judge.cannot_accept(100.4)
    # It comes a second later, so that the agent itself can say more to the API server.
    assert sets(judge, 100.99) == ("", "", "", "")
    assert judge.changes_at(100.4) == 101.0
    assert sets(judge, 101.0) == ("", "", "1", "")
    judge.retired(1, 101.5)
    assert sets(judge, 1000.0) == ("2", "", "1", "")


def test_the_number_grows_with_each_change_and_only_then() -> None:
    judge = judge_of(4, 1, 2, 3)
    numbers = []
    for now in (100.0, 101.0, 103.0, 103.5):
        report = judge.report(now)
        assert report is not None
        numbers.append(report.number)
    judge.beat(1, 104.0, arrives=False)
    for _ in range(2):
        report = judge.report(104.0)
        assert report is not None
        numbers.append(report.number)
    assert numbers == [1, 1, 2, 2, 3, 3]


def test_each_member_is_in_one_set_at_most_whatever_happens() -> None:
    """All orders of five events of one member, with the time between them that decides."""
    kinds = ("beat", "closed", "farewell", "paused", "cannot_accept")
    for events in itertools.product(kinds, repeat=4):
        for step in (0.4, 1.1, 3.1):
            judge, now = judge_of(3, 1, 2), 100.0
            for kind in events:
                now += step
                if kind == "beat":
                    judge.beat(1, now, arrives=True)
                elif kind == "closed":
                    judge.closed(1, now)
                elif kind == "farewell":
                    judge.farewell(1, now)
                elif kind == "paused":
                    judge.paused(now, step)
                else:
                    judge.cannot_accept(now)
                named = [rank for text in sets(judge, now) for rank in ranks.from_text(text)]
                assert len(named) == len(set(named)), (events, step)
                assert set(named) <= {1, 2}
            if "farewell" in events and "cannot_accept" not in events[: events.index("farewell")]:
                assert 1 in ranks.from_text(sets(judge, now + 1.1)[2]), (events, step)


def test_the_moment_of_the_next_change_is_right() -> None:
    judge = judge_of(4, 1, 2)
    judge.closed(1, 100.1)
    judge.beat(3, 100.9, arrives=True)
    now, seen = 100.9, [sets(judge, 100.9)]
    while (then := judge.changes_at(now)) is not None:
        assert sets(judge, then - 0.001) == seen[-1]
        now = then
        seen.append(sets(judge, now))
    assert seen == [("", "", "", ""), ("", "1", "", ""), ("2", "1", "", ""), ("2-3", "1", "", "")]


# ---- pauses of the host


def test_a_host_that_was_stopped_accuses_no_member() -> None:
    judge = judge_of(3, 1, 2)
    judge.closed(2, 100.1)
    judge.paused(110.0, 9.1)
    assert sets(judge, 110.0) == ("", "", "", "")
    assert judge.changes_at(110.0) == pytest.approx(111.0)
    assert sets(judge, 110.9) == ("", "", "", "")
    assert sets(judge, 111.1) == ("", "2", "", "")
    assert sets(judge, 112.9) == ("", "2", "", "")
    assert sets(judge, 113.1) == ("1", "2", "", "")


def test_a_host_that_is_stopped_for_3_s_each_5_s_accuses_no_member_that_beats() -> None:
    judge, now = judge_of(2, 1), 100.0
    for _ in range(20):
        judge.paused(now + 3.0, 3.0)
        assert sets(judge, now + 3.0) == ("", "", "", "")
        judge.beat(1, now + 3.0, arrives=True)
        now += 5.0
        assert sets(judge, now) == ("", "", "", "")


def test_such_a_host_accuses_a_dead_member_nevertheless() -> None:
    judge, now, stops = judge_of(2, 1), 100.0, 0
    while not sets(judge, now)[0]:
        judge.paused(now + 3.0, 3.0)
        now, stops = now + 5.0, stops + 1
        assert stops < 4
    assert stops >= 2


def test_a_member_that_is_accused_before_a_pause_stays_so_until_its_next_beat() -> None:
    judge = judge_of(4, 1, 2, 3)
    judge.beat(3, 103.0, arrives=True)
    judge.closed(2, 102.0)
    assert sets(judge, 103.0) == ("1", "2", "", "")
    judge.paused(120.0, 16.0)
    assert sets(judge, 120.0) == ("1", "2", "", "")
    judge.beat(1, 120.5, arrives=True)
    assert sets(judge, 120.5) == ("", "2", "", "")


# ---- a host that has no file descriptors left


def test_a_member_that_has_no_connections_by_its_own_fault_is_accused_of_nothing() -> None:
    judge = judge_of(3, 1, 2)
    judge.retired(1, 100.5)
    judge.closed(1, 100.5)
    assert sets(judge, 110.0) == ("2", "", "", "1")


def test_who_cannot_connect_again_since_the_host_accepts_nothing_is_accused_of_nothing() -> None:
    judge = judge_of(4, 1, 2, 3)
    judge.closed(2, 99.0)
    assert sets(judge, 100.2) == ("", "2", "", "")
    judge.closed(1, 100.2)
    judge.cannot_accept(100.5)
    assert sets(judge, 102.0) == ("", "2", "", "1")
    judge.beat(1, 102.5, arrives=True)
    assert sets(judge, 102.5) == ("", "2", "", "")


# ---- who passes the report on


def test_no_member_passes_it_on_while_the_host_reaches_the_api_server() -> None:
    assert judge_of(3, 1, 2).passes_on(100.0, arrives=True) is None


def test_the_lowest_rank_that_reaches_the_api_server_passes_it_on() -> None:
    judge = judge_of(6, 1, 2, 3, 4)
    judge.beat(1, 100.0, arrives=False)
    assert judge.passes_on(100.0, arrives=False) == 2
    judge.farewell(2, 99.0)
    assert judge.passes_on(100.0, arrives=False) == 3
    judge.closed(3, 100.0)
    judge.beat(4, 101.0, arrives=True)
    assert judge.passes_on(101.0, arrives=False) == 4
    assert judge.passes_on(104.0, arrives=False) is None
    judge.beat(1, 104.0, arrives=True)
    assert judge.passes_on(104.0, arrives=False) == 1


def test_a_member_that_gets_no_answers_passes_nothing_on() -> None:
    judge = judge_of(4, 1, 2, 3)
    judge.beat(1, 101.0, arrives=True, unanswered=True)
    assert judge.passes_on(101.0, arrives=False) == 2
    judge.beat(1, 102.0, arrives=True)
    assert judge.passes_on(102.0, arrives=False) == 1


def test_a_member_that_gets_no_answers_accuses_the_host_until_it_gets_some_or_sends_no_beats() -> None:
    judge = judge_of(4, 1, 2, 3)
    assert judge.accusers(100.0) == ()
    judge.beat(2, 101.0, arrives=True, unanswered=True)
    judge.beat(3, 101.0, arrives=False, unanswered=True)
    assert judge.accusers(101.0) == (2, 3)
    judge.beat(3, 102.0, arrives=True)
    assert judge.accusers(102.0) == (2,)
    assert sets(judge, 104.0) == ("1-2", "", "", "")
    assert judge.accusers(104.0) == ()


# ---- large groups


def test_sets_that_do_not_fit_say_nothing_of_any_member() -> None:
    judge = judge_of(2000, *range(1, 2000))
    for rank in range(1, 2000, 2):
        judge.beat(rank, 102.0, arrives=True)
    assert judge.report(103.5) == PeerReport(1, too_many=True)
    judge.beat(1998, 103.6, arrives=True)
    assert judge.report(103.6) == PeerReport(2, too_many=True)


def test_a_whole_group_that_is_missed_fits() -> None:
    judge = judge_of(2000, *range(1, 2000))
    assert sets(judge, 103.0) == ("1-1999", "", "", "")
