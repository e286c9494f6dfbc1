"""The safety rules hold in the model of the whole system (docs/model.md)."""

import pytest
from tests.model.agent import TRAINS
from tests.model.search import every, settled, started, walk
from tests.model.setups import EVERY, TWO, WALKS
from tests.model.system import System

SEEDS = 8
STEPS = 500


def test_two_agents_come_to_train() -> None:
    system = System(TWO)
    for action in started(TWO, TWO.names):
        system.do(action)
    settled(system)
    assert [agent.process for agent in system.agents.values()] == [TRAINS, TRAINS]


@pytest.mark.parametrize("name", WALKS)
def test_random_walks(name: str) -> None:
    setup = WALKS[name]
    start = started(setup, setup.names)
    for seed in range(SEEDS):
        walk(setup, seed, STEPS, start)


@pytest.mark.parametrize(
    ("name", "depth", "at_least"),
    [
        ("one operator", 2, 100),
        ("two operators", 2, 80),
        pytest.param("one operator", 3, 200, marks=pytest.mark.slow),
    ],
)
def test_every_sequence_of_actions(name: str, depth: int, at_least: int) -> None:
    """A round of one node runs, and the other one waits: whatever happens next."""
    setup = EVERY[name]
    states = every(setup, started(setup, setup.names), depth)
    print(f"{states} states")
    assert states >= at_least
