"""Rule "peers": who is lost, and who is not, by what the members say of each other. The times are since the start."""

from dataclasses import replace

from tests.unit.core.peer_worlds import PeerScenario, peers

from rendezvous_api.participant import PeerEvidence, PeerReport
from rendezvous_api.reasons import AttemptReason, HostState
from rendezvous_operator.core.world import Target
from rendezvous_operator.kube.outage_clock import OutageClock

WORKER_FAILURE = AttemptReason.WORKER_FAILURE
HALF_AN_HOUR = 1800
LONG = 200


# ---- a member that its peers vouch for


def test_a_member_that_only_its_peers_receive_is_never_dropped() -> None:
    scenario = peers()
    scenario.silent("c")
    scenario.at(14)
    assert scenario.degraded == ("AsExpected", "")
    scenario.at(16)
    reason, text = scenario.degraded
    assert (reason, text) == (
        "PathBroken",
        "c sends no heartbeats since 2030-01-01T00:16:40Z, but trains on with the others",
    )
    scenario.at(HALF_AN_HOUR)
    assert (scenario.status.round, scenario.asks) == (1, False)
    assert scenario.explanation == f"Running: round 1 runs with 4 nodes; {text}"
    scenario.beat("c")
    assert scenario.degraded == ("AsExpected", "")


def test_nor_are_all_but_one() -> None:
    scenario = peers()
    scenario.silent("b", "c", "d")
    scenario.at(LONG)
    assert not scenario.asks
    assert scenario.degraded[1].startswith("b sends no heartbeats since")


def test_the_host_is_not_dropped_either_as_long_as_one_member_gets_answers() -> None:
    scenario = peers()
    scenario.silent("a", "c", "d")
    scenario.relays["b"] = scenario.report
    scenario.at(LONG)
    assert not scenario.asks
    assert scenario.degraded[1].startswith("a sends no heartbeats since")


def test_a_round_in_which_no_heartbeat_arrives_is_not_lost() -> None:
    scenario = peers()
    scenario.silent("a", "b", "c", "d")
    scenario.at(LONG)
    scenario.beat("a")
    scenario.at(LONG + 600)
    assert not scenario.asks
    scenario.beat("b", "c", "d")
    assert (scenario.status.round, scenario.asks) == (1, False)


def test_who_vouches_is_read_before_its_word_does_not_count_any_more() -> None:
    """Nothing has shown its heartbeats for long, and other members get answers from it."""
    scenario = peers(suspect_seconds=120)
    scenario.silent("c")
    scenario.at(10)
    scenario.silent("a")
    for moment in range(12, 300, 2):
        scenario.newer["a"] = scenario.seen["a"]
        scenario.at(moment)
    assert not scenario.asks
    assert Target("RendezvousParticipant", "a") in scenario.reads


def test_a_word_that_does_not_count_any_more_was_true_when_it_came() -> None:
    """No decision was made while the host vouched for the member; then it died."""
    scenario = peers(suspect_seconds=60)
    scenario.silent("c")
    scenario.seen["a"] = replace(scenario.seen["a"], beat_at=scenario.clock + 50)
    scenario.silent("a")
    scenario.clock += 70
    scenario.settle()
    assert scenario.condition("Degraded").reason == "MemberSuspected"
    assert not scenario.asks
    scenario.after(39)
    assert not scenario.asks
    scenario.after(2)
    assert scenario.ended_because == "MemberLost"


def test_vouching_ends_with_the_heartbeats_of_who_vouches() -> None:
    """Only the host and a member die, and no other word is there: silence counts from when the host vouched last."""
    scenario = peers(suspect_seconds=120)
    scenario.silent("c")
    scenario.at(600)
    scenario.view("NotConnected", "b", "d")
    scenario.silent("a")
    scenario.at(600 + 14)
    assert scenario.degraded[0] == "PathBroken"
    scenario.at(600 + 16)
    assert scenario.degraded == (
        "MemberSuspected",
        "a is silent since 2030-01-01T00:26:40Z, c is silent since 2030-01-01T00:16:40Z",
    )
    scenario.at(600 + 119)
    assert not scenario.asks
    scenario.at(600 + 121)
    assert scenario.why == "a: no heartbeat for more than 120 s"


def test_a_pod_that_has_failed_is_stronger_than_any_beat() -> None:
    scenario = PeerScenario(2, 2)
    scenario.pod("a", "b", workload="run")
    scenario.join_from_pods("a", "b")
    scenario.at(30)
    scenario.pod("b", workload="run", phase="Failed")
    assert scenario.why == "b: its pod b has failed"


def test_so_is_another_incarnation() -> None:
    scenario = peers()
    scenario.restart("c")
    assert scenario.why == "c: its agent restarted"


# ---- a member that is accused


def test_a_member_that_is_accused_and_silent_is_lost_in_the_time_to_confirm() -> None:
    scenario = peers()
    scenario.at(100)
    scenario.silent("c")
    scenario.at(103)
    scenario.says(missed="c")
    assert scenario.degraded == ("MemberSuspected", "c sends no beats to a (rank 0) since 2030-01-01T00:18:20Z")
    assert [event.reason for event in scenario.events][-1] == "MemberSuspected"
    scenario.at(112.9)
    assert not scenario.asks
    scenario.at(113)
    assert (scenario.asks, scenario.ended_because) == (True, "MemberLost")
    assert scenario.why == "c: no beats at a (rank 0) for 13 s, and no heartbeat for 13 s"
    assert {*scenario.reads} == {Target("RendezvousParticipant", "a"), Target("RendezvousParticipant", "c")}
    scenario.all_join_again()
    assert scenario.group == ["a", "b", "d"]


def test_the_time_to_confirm_is_that_of_the_spec() -> None:
    scenario = peers(confirm_seconds=4)
    scenario.silent("c")
    scenario.says(missed="c")
    scenario.at(3.9)
    assert not scenario.asks
    scenario.at(4)
    assert scenario.ended_because == "MemberLost"


def test_a_member_that_is_accused_and_sends_heartbeats_is_never_lost() -> None:
    scenario = peers()
    scenario.says(missed="c")
    scenario.view("Missed", "c")
    scenario.at(10)
    for moment in range(20, 400, 40):
        scenario.at(moment)
        assert not scenario.asks
        assert scenario.degraded == ("PathBroken", "a (rank 0) gets no beats of c, whose heartbeats arrive")
    scenario.view("Answers", "c")
    scenario.says()
    assert scenario.degraded == ("AsExpected", "")


def test_once_it_sends_none_any_more_it_is_lost() -> None:
    scenario = peers()
    scenario.says(missed="c")
    scenario.at(60)
    scenario.beat("c")
    scenario.silent("c")
    scenario.at(69.9)
    assert not scenario.asks
    scenario.at(70)
    assert scenario.why == "c: no beats at a (rank 0) for 73 s, and no heartbeat for 10 s"


def test_a_host_that_is_stopped_now_and_then_drops_no_member() -> None:
    """The accusations come and go, whatever the times of the heartbeats."""
    scenario = peers()
    for moment in range(5, 100, 5):
        scenario.silent("b", "c", "d")
        scenario.says(missed="bcd")
        scenario.at(moment - 2)
        scenario.says()
        scenario.beat("b", "c", "d")
        scenario.at(moment)
    assert (scenario.status.round, scenario.asks) == (1, False)


def test_a_closed_connection_is_confirmed_sooner() -> None:
    scenario = peers()
    scenario.at(100)
    scenario.silent("c")
    scenario.at(101.5)
    scenario.says(closed="c")
    assert scenario.degraded[1] == "c has no connection to a (rank 0) since 2030-01-01T00:18:21Z"
    scenario.at(102.5)
    assert not scenario.asks
    scenario.at(102.53)
    assert scenario.why == "c: its connection to a (rank 0) was closed, and no heartbeat for 3 s"


def test_in_a_large_group_heartbeats_take_longer_to_contradict_that() -> None:
    scenario = peers(*(f"n{number:03}" for number in range(256)))
    scenario.silent("n100")
    scenario.says(closed=["n100"])
    scenario.after(2)
    assert not scenario.asks
    scenario.after(0.3)
    assert scenario.ended_because == "MemberLost"


def test_who_has_contradicted_a_closed_connection_has_the_time_to_confirm() -> None:
    scenario = peers()
    scenario.says(closed="c")
    scenario.at(0.5)
    scenario.beat("c")
    scenario.silent("c")
    scenario.at(10.4)
    assert not scenario.asks
    scenario.at(10.5)
    assert scenario.ended_because == "MemberLost"


def test_who_says_itself_that_its_connection_is_closed_has_lived_on() -> None:
    """It cannot open it again. A new leader sees the accusation and the heartbeat in the same moment."""
    scenario = peers()
    scenario.views["c"] = HostState.CLOSED
    scenario.says(closed="c")
    scenario.at(2)
    scenario.new_leader()
    scenario.silent("c")
    scenario.at(11.9)
    assert not scenario.asks
    scenario.at(12)
    assert scenario.ended_because == "MemberLost"


def test_that_of_another_one_does_not_shorten_it() -> None:
    scenario = peers()
    scenario.silent("d")
    scenario.says(closed="cd")
    scenario.at(0.5)
    scenario.beat("c")
    scenario.silent("c")
    scenario.at(1.1)
    assert scenario.why.startswith("d: its connection to a (rank 0) was closed")


def test_who_was_missed_first_is_not_given_more_time_by_a_connection_that_is_closed() -> None:
    scenario = peers()
    scenario.silent("c")
    scenario.says(missed="c")
    scenario.at(9.5)
    scenario.says(closed="c")
    scenario.at(10)
    assert scenario.ended_because == "MemberLost"


# ---- whose word counts


def test_a_host_of_whose_accused_more_than_half_live_is_not_believed() -> None:
    scenario = peers("a", "b", "c", "d", "e", suspect_seconds=120)
    scenario.silent("e")
    scenario.says(missed="cde")
    scenario.at(12)
    assert scenario.degraded == (
        "PathBroken",
        "a (rank 0) gets no beats of c, d, whose heartbeats arrive",
    )
    scenario.at(16)
    assert scenario.degraded[0] == "MemberSuspected"
    scenario.at(119)
    assert not scenario.asks
    scenario.at(121)
    assert scenario.why == "e: no heartbeat for more than 120 s"


def test_half_of_them_are_not_more_than_half() -> None:
    scenario = peers()
    scenario.silent("d")
    scenario.says(missed="cd")
    scenario.at(9)
    assert not scenario.asks
    scenario.at(10)
    assert scenario.why.startswith("d: no beats at a (rank 0)")


def test_who_contradicted_before_it_died_does_not_count_among_the_living() -> None:
    scenario = peers()
    scenario.says(missed="cd")
    scenario.at(20)
    scenario.beat("c", "d")
    scenario.silent("c", "d")
    scenario.at(29.9)
    assert not scenario.asks
    scenario.at(30)
    assert scenario.why.startswith("c: no beats at a (rank 0)")


def test_what_was_concluded_is_forgotten_when_all_are_silent() -> None:
    """Each of them then gets a full period again."""
    scenario = peers(reentry_seconds=600)
    scenario.silent("c")
    scenario.says(missed="c")
    scenario.at(10)
    scenario.reenter("a", "b")
    scenario.silent("a", "b", "c", "d")
    scenario.at(100)
    scenario.beat("a", "b")
    scenario.reenter("d")
    assert "c has not joined again" in scenario.explanation
    scenario.beat("a", "b", "d")
    scenario.at(120)
    assert scenario.group == ["a", "b", "d"]


def test_an_accuser_that_sends_no_heartbeats_any_more_cannot_take_it_back() -> None:
    """The path of all members to the API server breaks just after one of them was accused: it may be received again."""
    scenario = peers(suspect_seconds=120)
    scenario.silent("c")
    scenario.says(missed="c")
    scenario.at(2)
    scenario.silent("a", "b", "d")
    scenario.at(1000)
    assert not scenario.asks


def test_as_soon_as_it_does_again_its_accusation_counts_again() -> None:
    scenario = peers()
    scenario.silent("c")
    scenario.says(missed="c")
    scenario.at(2)
    scenario.silent("a")
    scenario.at(13)
    assert not scenario.asks
    scenario.beat("a")
    scenario.at(14)
    assert scenario.ended_because == "MemberLost"


def test_what_the_api_server_has_counts_and_not_what_a_watch_shows() -> None:
    """The host has taken its accusation back, but the watch of the participants lags behind."""
    scenario = peers()
    scenario.silent("c")
    scenario.says(missed="c")
    accusing = scenario.seen["a"]
    scenario.at(1)
    scenario.silent("a")
    status = replace(accusing.object.status, peers=PeerEvidence(report=PeerReport(9)))
    scenario.newer["a"] = replace(accusing, object=replace(accusing.object, status=status))
    scenario.at(14)
    assert not scenario.asks
    assert Target("RendezvousParticipant", "a") in scenario.reads


def test_the_time_to_confirm_stands_still_while_the_operator_gets_no_answers() -> None:
    real = 0.0
    clock = OutageClock(lambda: real)
    scenario = peers()
    scenario.silent("c")
    scenario.says(missed="c")
    real = 2.0
    clock.failed(0.0)
    real = 60.0
    scenario.at(clock())
    clock.answered()
    scenario.at(clock())
    assert not scenario.asks
    real = 67.9
    scenario.at(clock())
    assert not scenario.asks
    real = 68.0
    scenario.at(clock())
    assert scenario.ended_because == "MemberLost"


def test_a_new_leader_gives_the_whole_time_again() -> None:
    scenario = peers()
    scenario.silent("c")
    scenario.says(missed="c")
    scenario.at(9)
    scenario.new_leader()
    scenario.at(18.9)
    assert not scenario.asks
    scenario.at(19)
    assert scenario.ended_because == "MemberLost"
