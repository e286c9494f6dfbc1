"""What Prometheus gets of what members say of each other, and of how losses were found."""

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.core.peer_worlds import PeerScenario, peers
from tests.unit.metrics_support import KEY, Place, running

from rendezvous_operator.core.world import Decision, Evidence, LossEvidence, Memory


@pytest.fixture
def place() -> Place:
    found = Place()
    found.show(running())
    return found


class Counting(PeerScenario):
    """Its decisions are adopted as by the reconciler, and counted."""

    place: Place

    def _turn(self) -> bool:
        before, memory = self.status, self.memory
        changed = super()._turn()
        decision = self.decided
        self.place.metrics.members_lost(KEY, before, decision.lost, decision.detected)
        self.place.metrics.members_suspected(KEY, memory, decision)
        return changed

    def look(self) -> Decision | Evidence:
        """The last decision is kept."""
        answer = super().look()
        if isinstance(answer, Decision):
            self.decided = answer
        return answer


def counting(place: Place) -> Counting:
    scenario = peers()
    scenario.__class__ = Counting
    assert isinstance(scenario, Counting)
    scenario.place = place
    return scenario


def test_accusations_and_contradictions_are_counted_once(place: Place) -> None:
    scenario = counting(place)
    scenario.says(missed="c")
    scenario.at(60)
    scenario.says(closed="d")
    scenario.at(120)
    scenario.says()
    scenario.says(missed="c")
    scenario.at(180)
    assert place.of_train("accusations_total", evidence="Missed") == 3, "one of them is that of d"
    assert place.of_train("accusations_total", evidence="Closed") == 1
    assert place.of_train("contradictions_total") == 3


def test_suspects_are_those_that_may_be_lost_soon(place: Place) -> None:
    scenario = counting(place)
    scenario.silent("c", "d")
    scenario.says(missed="c")
    assert place.of_train("suspects") == 1
    scenario.at(9)
    scenario.says()
    scenario.at(60)
    assert place.of_train("suspects") == 0, "the host vouches for both"
    place.metrics.term_ended()
    place.metrics.members_suspected(KEY, Memory(), replace(scenario.decided, suspects=2))
    assert place.of_train("suspects") == 2


@pytest.mark.parametrize(
    ("said", "evidence", "seconds"),
    [("missed", "Missed", 10), ("closed", "Closed", 1), ("not_connected", "Silence", 120)],
)
def test_how_long_it_took_to_find_a_loss_is_measured(place: Place, said: str, evidence: str, seconds: int) -> None:
    scenario = counting(place)
    scenario.silent("c")
    sets: dict[str, Any] = {said: "c"}
    scenario.says(**sets)
    scenario.at(130)
    assert scenario.ended_because == "MemberLost"
    counts = {found.value: place.value("detection_seconds_count", evidence=found.value) for found in LossEvidence}
    assert counts == {**dict.fromkeys(counts, 0), evidence: 1}
    found = place.value("detection_seconds_sum", evidence=evidence)
    assert found == pytest.approx(seconds, abs=0.1)


def test_a_pod_is_evidence_too(place: Place) -> None:
    scenario = PeerScenario(2, 2)
    scenario.pod("a", "b", workload="run")
    scenario.join_from_pods("a", "b")
    scenario.at(30)
    scenario.__class__ = Counting
    scenario.place = place  # type: ignore[attr-defined]
    scenario.pod("b", workload="run", phase="Failed")
    assert place.value("detection_seconds_count", evidence="Pod") == 1
