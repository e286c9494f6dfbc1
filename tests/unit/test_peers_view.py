"""What a member of a round concludes from the answers of its host, and when."""

import pytest

from rendezvous_api.participant import PeerEvidence, PeerReport
from rendezvous_api.reasons import HostState
from rendezvous_handler.peers.view import UNANSWERED, View

REPORT = PeerReport(3, missed="2")


def connected(report: PeerReport | None = None, passes_on: bool = False) -> View:
    """That of rank 5, whose first beat was answered at 100 s."""
    view = View(5)
    view.answered(100.0, report, passes_on)
    return view


def test_without_a_connection_nothing_is_said_of_the_host() -> None:
    view = View(5)
    view.closed(100.0)
    view.paused(110.0, 5.0)
    assert view.state(1000.0) is HostState.NOT_CONNECTED
    assert view.changes_at(100.0) is None
    assert view.evidence(100.0) == PeerEvidence(HostState.NOT_CONNECTED)


def test_the_host_is_missed_after_three_beats_and_not_before() -> None:
    view = connected()
    assert view.changes_at(100.0) == 103.0
    assert view.state(102.99) is HostState.ANSWERS
    assert view.state(103.0) is HostState.MISSED
    assert view.changes_at(103.0) is None
    view.answered(104.0, None, passes_on=False)
    assert view.state(104.0) is HostState.ANSWERS


def test_a_closed_connection_is_reported_a_second_later() -> None:
    view = connected()
    view.closed(100.5)
    view.closed(101.4)  # so is the next one at once: the second counts from the first
    assert view.changes_at(100.5) == 101.5
    assert view.state(101.49) is HostState.ANSWERS
    assert view.state(101.5) is HostState.CLOSED
    assert view.state(104.0) is HostState.CLOSED
    view.answered(105.0, None, passes_on=False)
    assert view.state(105.0) is HostState.ANSWERS


def test_an_answer_within_the_second_is_no_news() -> None:
    view = connected()
    view.closed(100.5)
    view.answered(101.4, None, passes_on=False)
    assert view.state(101.6) is HostState.ANSWERS


@pytest.mark.parametrize("after", ["nothing", "closed", "answered"])
def test_a_farewell_is_final(after: str) -> None:
    view = connected()
    view.farewell(100.0)
    if after == "closed":
        view.closed(100.1)
    elif after == "answered":
        view.answered(100.1, None, passes_on=True)
    # It comes a second later, so that the agent itself can say more to the API server.
    assert view.changes_at(100.1) == 101.0
    assert view.state(100.99) is HostState.ANSWERS
    assert view.state(101.0) is HostState.LEFT
    assert view.state(200.0) is HostState.LEFT
    assert view.changes_at(101.0) is None
    assert view.evidence(200.0) == PeerEvidence(HostState.LEFT)


def test_a_member_that_was_stopped_accuses_the_host_of_nothing() -> None:
    view = connected()
    view.paused(110.0, 9.0)
    assert view.state(112.99) is HostState.ANSWERS
    assert view.state(113.0) is HostState.MISSED
    assert UNANSWERED == (HostState.MISSED, HostState.CLOSED)


def test_a_host_that_is_missed_before_a_pause_stays_so() -> None:
    view = connected()
    assert view.state(103.5) is HostState.MISSED
    view.paused(120.0, 16.0)
    assert view.state(120.0) is HostState.MISSED


def test_a_member_that_is_stopped_again_and_again_notices_nevertheless_that_the_host_is_dead() -> None:
    view, now = connected(), 100.0
    for _ in range(3):
        view.paused(now + 3.0, 3.0)
        now += 5.0
    assert view.state(now) is HostState.MISSED


def test_a_member_that_cannot_open_a_connection_by_its_own_fault_says_nothing() -> None:
    view = connected()
    view.closed(100.5)
    view.forget()
    assert view.state(105.0) is HostState.NOT_CONNECTED
    view.answered(106.0, None, passes_on=False)
    assert view.state(106.0) is HostState.ANSWERS


def test_a_report_is_passed_on_while_this_member_is_named_and_the_host_answers() -> None:
    view = connected(REPORT, passes_on=True)
    assert view.evidence(100.0) == PeerEvidence(HostState.ANSWERS, REPORT)
    view.answered(101.0, None, passes_on=True)
    assert view.evidence(103.9) == PeerEvidence(HostState.ANSWERS, REPORT)
    assert view.evidence(104.0) == PeerEvidence(HostState.MISSED)
    view.answered(105.0, None, passes_on=False)
    assert view.evidence(105.0) == PeerEvidence(HostState.ANSWERS)


def test_a_member_that_is_named_before_there_is_a_report_passes_none_on() -> None:
    assert connected(passes_on=True).evidence(100.0) == PeerEvidence(HostState.ANSWERS)


@pytest.mark.parametrize(
    ("report", "accused"),
    [
        (PeerReport(1, missed="5"), True),
        (PeerReport(1, closed="3-7"), True),
        (PeerReport(1, missed="4", closed="6-8"), False),
        (PeerReport(1, left="5", not_connected="5"), False),
        (PeerReport(1, too_many=True), False),
    ],
)
def test_a_member_finds_itself_in_the_sets_that_accuse(report: PeerReport, accused: bool) -> None:
    view = connected(report)
    assert view.is_accused is accused
    view.answered(101.0, None, passes_on=False)
    assert view.is_accused is accused
    view.answered(102.0, PeerReport(2), passes_on=False)
    assert not view.is_accused


def test_who_is_heard_by_the_host() -> None:
    view = View(5)
    assert not view.is_heard(9.0), "there was no connection yet"
    view.answered(10.0, PeerReport(1, missed="4"), passes_on=False)
    assert view.is_heard(10.0)
    assert not view.is_heard(13.0), "the host does not answer"
    view.answered(13.0, PeerReport(2, missed="5"), passes_on=False)
    assert not view.is_heard(13.0), "the host does not hear it"
    view.answered(14.0, PeerReport(3), passes_on=True)
    assert not view.is_heard(14.0), "its heartbeats have the report"
    view.answered(15.0, None, passes_on=False, relayed=True)
    assert not view.is_heard(15.0), "those of the host do not arrive"
    view.answered(16.0, None, passes_on=False)
    assert view.is_heard(16.0)
    view.farewell(16.0)
    assert not view.is_heard(17.0)
