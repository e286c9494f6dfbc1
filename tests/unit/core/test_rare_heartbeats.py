"""Rule "peers": heartbeats that are rare while peers hear an agent, as it says. The times are since the start."""

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.core.builders import now
from tests.unit.core.peer_worlds import PeerScenario
from tests.unit.core.started import together

from rendezvous_api.participant import LONGEST_INTERVAL_SECONDS, PeerReport
from rendezvous_api.reasons import HostState
from rendezvous_operator.core import machines, relevance
from rendezvous_operator.core.liveness import Liveness
from rendezvous_operator.core.nodes import late_seconds
from rendezvous_operator.core.observe import observe
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.world import SeenParticipant

RARE = 120


class RareScenario(PeerScenario):
    """Members but the host say that their heartbeats are rare while the host answers."""

    said: int | None = RARE

    def _saying(self, name: str, seen: SeenParticipant) -> SeenParticipant:
        seen = super()._saying(name, seen)
        rare = self.said if not self._is_rank_0(seen) and name not in self.views else None
        return replace(
            seen, object=replace(seen.object, status=replace(seen.object.status, peers_interval_seconds=rare))
        )

    @property
    def liveness(self) -> Liveness:
        seen = observe(now(self.clock), self.world(), self.memory)
        assert isinstance(seen, Situation)
        return seen.liveness


def rare(*nodes: str, **spec: Any) -> RareScenario:
    """A round of these nodes runs, of a to d if none are given; all but the host a have sent their last heartbeat."""
    nodes = nodes or ("a", "b", "c", "d")
    most = spec.pop("max_nodes", len(nodes))
    times = {"replacement_seconds": 0, "heartbeat_peers_interval_seconds": RARE}
    scenario = together(RareScenario(2, most, **{**times, **spec}), *nodes)
    scenario.silent(*nodes[1:])
    return scenario


def test_a_member_that_is_heard_by_its_peers_is_neither_silent_nor_read_nor_reported() -> None:
    scenario = rare()
    scenario.reads.clear()
    scenario.at(RARE)
    assert scenario.reads == []
    assert not scenario.condition("Degraded").message
    assert scenario.liveness.rare == ("b", "c", "d")
    assert scenario.liveness.by_peers_only == ()


def test_one_that_is_late_by_its_own_word_is_read_and_reported() -> None:
    scenario = rare()
    scenario.at(RARE + 14)
    assert not scenario.condition("Degraded").message
    scenario.at(RARE + 15)
    assert scenario.liveness.by_peers_only == ("b", "c", "d")
    assert scenario.degraded[0] == "PathBroken"
    assert not scenario.asks


def test_it_is_silent_in_the_usual_time_when_nobody_says_that_it_is_heard() -> None:
    """The host joins again after another loss, and says no more: see the last decision, at most an interval before."""
    scenario = rare()
    scenario.at(62)
    scenario.silent("a")
    # The last heartbeat of the host was that of 62 s: until 77 s it counts, and so does the silence after it.
    scenario.at(76)
    assert scenario.liveness.silences == {}
    scenario.at(77)
    assert scenario.liveness.all_silent


def test_a_second_loss_in_the_same_moment_is_known_in_the_usual_time() -> None:
    scenario = rare()
    scenario.at(60)
    scenario.beat("b")
    scenario.says(closed=["c"])
    scenario.at(62)
    assert scenario.asks
    scenario.reenter("a", "b")
    # d is dead, too, and the host has heard it up to then.
    scenario.at(60 + 17)
    assert scenario.group == ["a", "b"]


def test_a_farewell_of_the_host_does_not_make_a_member_silent_at_once() -> None:
    scenario = rare("a", "b", "c")
    scenario.at(61)
    scenario.reenter("a")
    for moment in (61, 66, 70):
        scenario.at(moment)
        assert scenario.status.round == 1, "c still has time for a heartbeat"
    scenario.beat("c")
    scenario.at(100)
    assert scenario.status.round == 1


@pytest.mark.parametrize("said", [None, 1, RARE, 10_000])
def test_what_an_agent_says_is_believed_up_to_five_minutes(said: int | None) -> None:
    scenario = rare("a", "b")
    scenario.said = said
    scenario.beat("b")
    expected = 15 + min(said or 0, LONGEST_INTERVAL_SECONDS)
    assert late_seconds(scenario.seen["b"].object, scenario.spec) == expected


@pytest.mark.parametrize("changes", [{"incarnation": "another"}, {"peers": None}])
def test_but_only_of_this_agent_while_the_host_answers(changes: dict[str, Any]) -> None:
    scenario = rare("a", "b")
    seen = scenario.seen["b"].object
    assert late_seconds(replace(seen, status=replace(seen.status, **changes)), scenario.spec) == 15
    said = replace(seen.status.peers, host=HostState.MISSED) if seen.status.peers is not None else None
    assert late_seconds(replace(seen, status=replace(seen.status, peers=said)), scenario.spec) == 15


def test_a_rare_heartbeat_needs_no_decision_and_a_late_one_does() -> None:
    scenario = rare("a", "b")
    seen = scenario.seen["b"]
    later = replace(seen.object, status=replace(seen.object.status, heartbeat_time="another"))
    assert not relevance.matters(seen, later, scenario.spec, seen.beat_at + RARE)
    assert relevance.matters(seen, later, scenario.spec, seen.beat_at + RARE + 15)


def test_no_machine_is_read_of_a_member_whose_heartbeats_are_rare() -> None:
    scenario = rare("a", "b")
    seen = scenario.seen["b"]
    scenario.seen["b"] = replace(seen, object=replace(seen.object, spec=replace(seen.object.spec, node_name="m")))
    assert machines.to_know(seen.beat_at + RARE, scenario.world()) == ()
    assert machines.to_know(seen.beat_at + RARE + 15, scenario.world()) == ("m",)


def test_a_host_is_not_lost_at_once_because_others_have_not_spoken() -> None:
    """One member has lost its connection. What the others have said last stands: they would say so at once."""
    scenario = rare("a", "b", "c", "d")
    scenario.at(60)
    scenario.cut_off.discard("b")
    scenario.silent("a")
    scenario.view("Closed", "b")
    scenario.at(66)
    assert not scenario.asks
    scenario.at(71)
    assert scenario.asks, "it is lost like one of which one member gets no answers"


def test_new_nodes_wait_until_all_members_are_heard_by_the_api_server() -> None:
    scenario = rare("a", "b", "c", max_nodes=4)
    scenario.at(60)
    scenario.join("d")
    scenario.at(90)
    assert not scenario.asks
    assert scenario.status.formation is not None
    assert (
        scenario.status.formation.message == "1 more node joined and will be added once 2 members send heartbeats again"
    )
    scenario.beat("b", "c")
    scenario.at(106)
    assert scenario.asks


def test_most_members_have_reached_the_host_again_although_their_heartbeats_are_rare() -> None:
    """One says so after the other, and then nothing more for a while."""
    scenario = rare("a", "b", "c", "d")
    scenario.cut_off -= {"b", "c", "d"}
    scenario.view("Missed", "b", "c", "d")
    assert scenario.liveness.peers.host_not_reached
    for moment, name in ((20, "b"), (40, "c")):
        scenario.at(moment)
        del scenario.views[name]
        scenario.beat(name)
        scenario.silent(name)
    assert not scenario.liveness.peers.host_not_reached


def test_it_is_noted_in_each_interval_that_its_peers_vouch_for_it() -> None:
    """When they do so no more, its silence begins with that."""
    scenario = rare()
    for moment in range(20, 60):
        scenario.at(moment)
        assert scenario.memory.vouched["c"].at >= scenario.clock - 5


def test_who_is_silent_is_looked_at_again_since_its_heartbeat_causes_no_decision() -> None:
    scenario = rare("a", "b")
    scenario.at(60)
    scenario.says(not_connected=["b"])
    for moment in range(76, 90):
        scenario.at(moment)
        assert scenario.condition("Degraded").reason == "MemberSuspected"
        assert scenario.wake_at is not None
        assert scenario.wake_at <= scenario.clock + 5


def test_after_it_was_cut_off_the_silence_counts_from_when_its_peers_vouched_last() -> None:
    """All members are cut off for a while. Then one is heard, and it is not the host."""
    scenario = rare("a", "b", "c", suspect_seconds=60)
    scenario.join("x")
    scenario.at(100)
    scenario.silent("a")
    scenario.at(200)
    assert scenario.liveness.cut_off
    scenario.beat("b")
    scenario.at(201)
    assert not scenario.asks, "c is silent for 15 s, without the time in which all were cut off"


def test_the_host_itself_has_no_rare_heartbeats() -> None:
    scenario = rare("a", "b")
    assert late_seconds(scenario.seen["a"].object, scenario.spec) == 15
    assert scenario.report == PeerReport(1)
