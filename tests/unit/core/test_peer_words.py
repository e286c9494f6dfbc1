"""Rule "peers": whose word counts, and for how long."""

from dataclasses import replace

import pytest
from tests.unit.core.peer_worlds import PeerScenario, peers

from rendezvous_api import ranks
from rendezvous_api.participant import PeerEvidence, PeerReport
from rendezvous_api.reasons import AttemptReason
from rendezvous_operator.core.world import SeenParticipant

LONG = 200


def test_a_report_that_says_nothing_of_a_member_does_not_vouch_for_it() -> None:
    for silence in ({"not_connected": "c"}, {"too_many": True}):
        scenario = peers(suspect_seconds=120)
        scenario.says(**silence)
        scenario.silent("c")
        scenario.at(16)
        assert scenario.degraded[0] == "MemberSuspected"
        scenario.at(121)
        assert scenario.why == "c: no heartbeat for more than 120 s"


@pytest.mark.parametrize("what", ["another round", "another attempt", "no member", "not understood"])
def test_what_is_not_said_by_a_member_of_this_round_counts_for_nothing(what: str) -> None:
    scenario = peers(suspect_seconds=120)
    if what == "no member":
        scenario.join("x")
    teller = "x" if what == "no member" else "a"

    class Stale(PeerScenario):
        def _saying(self, name: str, seen: SeenParticipant) -> SeenParticipant:
            seen = super()._saying(name, seen)
            if name != teller:
                return replace(seen, object=replace(seen.object, status=replace(seen.object.status, peers=None)))
            status = replace(seen.object.status, peers=PeerEvidence(report=PeerReport(9)))
            if what == "another round":
                status = replace(status, round=7)
            if what == "another attempt":
                status = replace(status, attempt=7)
            return replace(seen, object=replace(seen.object, status=status), understood=what != "not understood")

    scenario.__class__ = Stale
    scenario.silent("c")
    scenario.at(121)
    assert scenario.why == "c: no heartbeat for more than 120 s"


def test_words_of_a_later_release_say_nothing() -> None:
    scenario = peers(suspect_seconds=120)
    scenario.view("OutOfOrder", "b", "c", "d")
    scenario.at(60)
    assert scenario.degraded == ("AsExpected", "")
    scenario.silent("a")
    scenario.at(60 + 119)
    assert not scenario.asks
    scenario.at(60 + 121)
    assert scenario.why == "a: no heartbeat for more than 120 s"


def test_members_of_an_earlier_release_are_judged_by_their_silence() -> None:
    """They say nothing, and the host has never seen them."""
    scenario = peers(suspect_seconds=120)
    scenario.says(not_connected="bcd")
    scenario.view("NotConnected", "b", "c", "d")
    scenario.at(LONG)
    assert scenario.degraded == ("AsExpected", "")
    scenario.silent("c")
    scenario.at(LONG + 119)
    assert not scenario.asks
    scenario.at(LONG + 121)
    assert scenario.ended_because == "MemberLost"


def cut_off_host() -> PeerScenario:
    """The host has lost the API server, and b passes its report on."""
    scenario = peers(suspect_seconds=120)
    scenario.at(100)
    scenario.silent("a")
    scenario.at(106)
    scenario.relays["b"] = scenario.report
    scenario.settle()
    return scenario


def test_a_report_that_is_passed_on_vouches_for_the_others() -> None:
    scenario = cut_off_host()
    scenario.silent("c")
    scenario.at(LONG)
    assert not scenario.asks
    assert scenario.degraded[1].startswith("a sends no heartbeats since")
    assert "c sends no heartbeats since" in scenario.degraded[1]


def test_it_also_accuses() -> None:
    scenario = cut_off_host()
    scenario.silent("c")
    scenario.relays["b"] = scenario.report_of(2, missed="c")
    scenario.settle()
    scenario.at(116)
    assert scenario.why == "c: no beats at a (rank 0) for 13 s, and no heartbeat for 10 s"


def test_the_newest_report_holds() -> None:
    scenario = cut_off_host()
    scenario.silent("c")
    scenario.relays |= {"b": scenario.report_of(4), "d": scenario.report_of(3, missed="c")}
    scenario.settle()
    scenario.at(600)
    assert not scenario.asks


def test_no_member_speaks_for_a_host_that_reaches_the_api_server() -> None:
    scenario = peers()
    scenario.silent("c")
    scenario.relays["b"] = scenario.report_of(2**31 - 1, missed="c")
    scenario.at(600)
    assert not scenario.asks
    assert scenario.degraded[0] == "PathBroken"


def test_nor_one_that_gets_no_answers_from_it() -> None:
    scenario = cut_off_host()
    scenario.silent("c")
    scenario.relays["b"] = scenario.report_of(2, missed="c")
    scenario.view("Missed", "b")
    scenario.at(122)
    assert not scenario.asks
    assert scenario.degraded == ("MemberSuspected", "c is silent since 2030-01-01T00:18:26Z")


def test_nobody_vouches_for_an_attempt_that_waits() -> None:
    """The host runs the round still, and its report is about the attempt before."""
    scenario = peers()
    scenario.reenter("c", reason=AttemptReason.WORKER_FAILURE)
    scenario.silent("c")
    scenario.at(14)
    assert scenario.explanation.startswith("WaitingForMembers: 1 node joined")
    scenario.at(16)
    assert scenario.explanation.startswith("WaitingForMembers: 0 nodes joined")


def test_a_report_is_read_once_and_not_for_each_member(monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = peers()
    read: list[str] = []
    from_text = ranks.from_text

    def counted(text: str) -> frozenset[int]:
        read.append(text)
        return from_text(text)

    monkeypatch.setattr(ranks, "from_text", counted)
    scenario.silent("b", "c")
    scenario.says(number=77, missed="d")
    scenario.at(100)
    assert read.count("3") == 1
