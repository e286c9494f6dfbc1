"""What the reconciler hands to a recording: each decision, also one that fails, with what it was based on."""

from typing import Any, cast

import pytest
from tests.unit.reconciler_support import ROUND, Answers, Place, play, reconciles

from rendezvous_operator.core.recorded import DecisionFailed, Recorded
from rendezvous_operator.core.world import Decision, Memory, Now, World
from rendezvous_operator.reconcile import reconciler as module
from rendezvous_operator.reconcile.recording import Recording


class Noted:
    """A recording that only collects."""

    def __init__(self) -> None:
        self.decisions: list[Recorded] = []

    def note(self, decision: Recorded) -> None:
        self.decisions.append(decision)


def test_each_decision_is_recorded_with_its_input(monkeypatch: pytest.MonkeyPatch) -> None:
    noted, given = Noted(), []

    async def scenario(place: Place) -> None:
        def decide(now: Now, world: World, memory: Memory) -> Decision:
            decision = place.decide(now, world, memory)
            if place.remembered == [float("-inf"), 1.0]:
                raise KeyError("a defect")
            given.append(Recorded("ns/train", now, world, memory, decision))
            return decision

        monkeypatch.setattr(module, "decide", decide)
        place.reconciler._recording = cast(Recording, cast(Any, noted))
        place.reconciler.lead()
        await reconciles(place, 3)

    play(lambda: Place(Answers(), [ROUND]), scenario, monkeypatch)
    found = [decision for decision in noted.decisions if not isinstance(decision.outcome, DecisionFailed)]
    assert len(found) >= 2
    assert found == given[: len(found)]
    (failed,) = [decision for decision in noted.decisions if isinstance(decision.outcome, DecisionFailed)]
    assert failed.outcome == DecisionFailed("KeyError: 'a defect'")
    assert (failed.memory.grace_from, failed.world.rendezvous.status.round) == (1.0, 1)
