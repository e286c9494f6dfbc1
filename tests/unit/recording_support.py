"""Recordings of a scenario of the core's tests."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.core import worlds
from tests.unit.core.worlds import Scenario

from rendezvous_operator.core.decide import decide
from rendezvous_operator.core.recorded import Recorded
from rendezvous_operator.core.world import Decision, Evidence, Memory, Now, World
from rendezvous_operator.reconcile.recording import Files

MEBIBYTE = 1024 * 1024


def decisions_of(play: Callable[[], object], name: str = "ns/train") -> list[Recorded]:
    """All decisions of a scenario."""
    found: list[Recorded] = []

    def recorded(now: Now, world: World, memory: Memory) -> Decision | Evidence:
        decision = decide(now, world, memory)
        found.append(Recorded(name, now, world, memory, decision))
        return decision

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worlds, "decide", recorded)
        play()
    return found


def lost_and_replaced() -> None:
    """A round of two; one is evicted, the other one waits for a replacement; a third one comes, and is silent."""
    scenario = Scenario(1, 2, last_call_seconds=0)
    scenario.complete = False
    scenario.pod("a", "b")
    scenario.join_from_pods("a", "b")
    scenario.complete = True
    scenario.settle()
    assert scenario.group == ["a", "b"]
    scenario.after(100)
    scenario.pod("b", leaving="its pod is being deleted")
    assert scenario.asks
    scenario.gone("b")
    scenario.reenter("a")
    scenario.after(10)
    scenario.pod("c")
    scenario.join_from_pods("c")
    assert scenario.group == ["a", "c"]
    scenario.silent("c")
    scenario.after(30)


def write(folder: Path, *decisions: Recorded, release: str = "0.1.0") -> None:
    """Record them in one file."""
    files = Files(folder, 8 * MEBIBYTE, release)
    for decision in decisions:
        files.write(decision, 0)
    files.close()
