"""When a heartbeat is asked for because of what a connection shows."""

import pytest

from rendezvous_api.participant import PeerReport
from rendezvous_handler.peers.haste import HostHaste, MemberHaste, spread
from rendezvous_handler.peers.view import View

CONFIRM = 9.0


def test_a_large_group_spreads_its_heartbeats() -> None:
    assert (spread(2), spread(1000)) == (0.01, 5.0)


# ---- the host


def test_a_host_asks_for_one_when_it_accuses_others_than_before() -> None:
    haste = HostHaste()
    assert not haste.is_due(1.0, None, CONFIRM)
    assert not haste.is_due(1.0, PeerReport(1, not_connected="1-9"), CONFIRM)
    assert not haste.is_due(2.0, PeerReport(2, not_connected="5"), CONFIRM)
    assert haste.is_due(3.0, PeerReport(3, missed="2"), CONFIRM)
    assert not haste.is_due(5.0, PeerReport(3, missed="2"), CONFIRM)
    assert haste.is_due(5.5, PeerReport(4, closed="2"), CONFIRM)
    assert haste.is_due(6.0, PeerReport(5, left="2"), CONFIRM)
    assert haste.is_due(7.0, PeerReport(6, too_many=True), CONFIRM)
    assert haste.is_due(8.0, PeerReport(7), CONFIRM)


@pytest.mark.parametrize("report", [PeerReport(1, missed="2"), PeerReport(1, closed="2")])
def test_a_host_asks_again_and_again_while_it_accuses(report: PeerReport) -> None:
    """Else the operator could not tell whether it still does, and whether it lives."""
    haste = HostHaste()
    asked = [step for step in range(21) if haste.is_due(100.0 + step / 2, report, CONFIRM)]
    assert asked == [0, 6, 12, 18]


@pytest.mark.parametrize("report", [PeerReport(1), PeerReport(1, left="2"), PeerReport(1, too_many=True)])
def test_a_host_that_accuses_no_member_does_not_ask_again(report: PeerReport) -> None:
    haste = HostHaste()
    assert haste.is_due(100.0, PeerReport(0, missed="2"), CONFIRM)
    assert haste.is_due(101.0, report, CONFIRM)
    assert not haste.is_due(110.0, report, CONFIRM)


def test_a_host_that_a_member_accuses_contradicts_again_and_again() -> None:
    """That member gets no answers, and its beats still come: nobody is in the report."""
    haste, well = HostHaste(), PeerReport(1)
    assert haste.is_due(100.0, PeerReport(0, missed="2"), CONFIRM)
    assert haste.is_due(101.0, well, CONFIRM)
    asked = [step for step in range(13) if haste.is_due(102.0 + step / 2, well, CONFIRM, (5,))]
    assert asked == [0, 6, 12]
    # Another one may have less time for it than the first one had.
    assert haste.is_due(108.5, well, CONFIRM, (5, 7))
    assert haste.is_due(109.0, well, CONFIRM)
    assert not haste.is_due(120.0, well, CONFIRM)


def test_changes_that_come_one_after_the_other_ask_for_few() -> None:
    haste, asked = HostHaste(), []
    for step in range(100):
        now = 10 + step / 50
        if haste.is_due(now, PeerReport(step, missed=f"1-{1 + step}"), CONFIRM):
            asked.append(now)
    assert asked == [10.0, 10.5, 11.0, 11.5]


# ---- a member


def connected(rank: int = 5) -> View:
    view = View(rank)
    view.answered(100.0, None, passes_on=False)
    return view


def test_a_member_asks_for_none_while_the_host_answers() -> None:
    haste = MemberHaste(3)
    assert haste.within(99.0, View(5), CONFIRM) is None
    assert haste.within(100.0, connected(), CONFIRM) is None


def test_a_member_of_an_unanswered_beat_asks_again_and_again() -> None:
    haste, view, asked = MemberHaste(1000), connected(), []
    for step in range(200):
        now = 100 + step / 10
        if (within := haste.within(now, view, CONFIRM)) is not None:
            asked.append((now, within))
    assert [round(now, 1) for now, _ in asked] == [103.0, 106.0, 109.0, 112.0, 115.0, 118.0]
    # Not all of a thousand in the same moment, but as often as the operator waits for it.
    assert {within for _, within in asked} == {3.0}
    view.answered(120.0, None, passes_on=False)
    assert haste.within(120.0, view, CONFIRM) == 5.0
    assert haste.within(122.0, view, CONFIRM) is None


@pytest.mark.parametrize("nodes", [3, 1000])
def test_a_member_whose_connection_is_closed_is_quick(nodes: int) -> None:
    haste, view = MemberHaste(nodes), connected()
    view.closed(100.0)
    assert haste.within(100.9, view, CONFIRM) is None
    within = haste.within(101.0, view, CONFIRM)
    assert within is not None
    assert within <= 0.5
    assert haste.within(103.9, view, CONFIRM) is None
    assert haste.within(104.1, view, CONFIRM) is not None


def test_a_member_that_finds_itself_accused_contradicts_again_and_again() -> None:
    haste, view = MemberHaste(3), connected(5)
    view.answered(101.0, PeerReport(1, missed="5"), passes_on=False)
    assert haste.within(101.0, view, CONFIRM) == 0.015
    view.answered(103.0, None, passes_on=False)
    assert haste.within(103.0, view, CONFIRM) is None
    assert haste.within(104.0, view, CONFIRM) == 0.015
    view.answered(104.5, PeerReport(2), passes_on=False)
    assert haste.within(104.6, view, CONFIRM) == 0.015
    assert haste.within(106.0, view, CONFIRM) is None


@pytest.mark.parametrize("nodes", [3, 1000])
def test_a_member_that_is_not_heard_any_more_asks_for_one(nodes: int) -> None:
    """The host does not reach the API server, so another one has to say it; or there is no connection any more."""
    haste, view = MemberHaste(nodes), connected()
    assert haste.within(100.0, view, CONFIRM) is None
    view.answered(101.0, None, passes_on=False, relayed=True)
    assert haste.within(101.0, view, CONFIRM) == nodes / 200
    assert haste.within(102.0, view, CONFIRM) is None
    view.answered(103.0, None, passes_on=False)
    assert haste.within(103.0, view, CONFIRM) is None
    view.forget()
    assert haste.within(104.0, view, CONFIRM) == nodes / 200
    assert haste.within(105.0, view, CONFIRM) is None


def test_a_member_that_sees_another_one_accused_asks_for_none() -> None:
    haste, view = MemberHaste(3), connected(5)
    view.answered(101.0, PeerReport(1, missed="4"), passes_on=False)
    assert haste.within(101.0, view, CONFIRM) is None


def test_a_member_passes_each_new_report_on_at_once() -> None:
    haste, view = MemberHaste(1000), connected(5)
    view.answered(101.0, PeerReport(1), passes_on=True)
    assert haste.within(101.0, view, CONFIRM) == 0.0
    view.answered(102.0, PeerReport(2, not_connected="7"), passes_on=True)
    assert haste.within(102.0, view, CONFIRM) is None
    view.answered(103.0, PeerReport(3, closed="7"), passes_on=True)
    assert haste.within(103.0, view, CONFIRM) == 0.0
    # What it passes on counts only as long as it comes again.
    assert haste.within(105.0, view, CONFIRM) is None
    view.answered(105.9, None, passes_on=True)
    assert haste.within(106.0, view, CONFIRM) == 0.0
    view.answered(107.0, PeerReport(4), passes_on=True)
    assert haste.within(107.0, view, CONFIRM) == 0.0
    view.answered(108.0, None, passes_on=False)
    assert haste.within(108.0, view, CONFIRM) == 5.0
    assert haste.within(109.0, view, CONFIRM) is None


def test_a_farewell_of_the_host_is_said_once() -> None:
    haste, view = MemberHaste(400), connected()
    view.farewell(100.0)
    assert haste.within(100.5, view, CONFIRM) is None
    assert haste.within(101.0, view, CONFIRM) == 2.0
    assert haste.within(110.0, view, CONFIRM) is None
