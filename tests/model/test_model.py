"""The safety rules hold in the model of the whole system (docs/model.md)."""

import pytest
from tests.model.mutants import MUTANTS, Mutant
from tests.model.search import every, settled, started, walk
from tests.model.system import TRAINS, Setup, System

TWO = Setup()

WALKS = {
    "one operator whose watches lag": Setup(agents=4),
    "two operators, and restarts that are asked for": Setup(agents=4, operators=2, requests=True),
    "labels that are removed, and pods that go": Setup(agents=4, unlabels=True, deletes_pods=True),
    "agents that are cut off": Setup(agents=4, cuts=True),
    "a group of one that is cut off": Setup(agents=3, min_nodes=1, max_nodes=1, cuts=True),
    "all of it": Setup(
        agents=6,
        operators=2,
        max_nodes=3,
        cuts=True,
        unlabels=True,
        deletes_pods=True,
        requests=True,
    ),
}
SEEDS = 20
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


EVERY = {
    "one operator": Setup(agents=2, unlabels=True, requests=True, min_nodes=1, max_nodes=1),
    "two operators": Setup(agents=2, operators=2, fails=False, min_nodes=1, max_nodes=1),
}


@pytest.mark.parametrize(
    ("name", "depth", "at_least"),
    [
        ("one operator", 2, 150),
        ("two operators", 2, 100),
        pytest.param("one operator", 3, 2_500, marks=pytest.mark.slow),
    ],
)
def test_every_sequence_of_actions(name: str, depth: int, at_least: int) -> None:
    """A round of one node runs, and the other one waits: whatever happens next."""
    setup = EVERY[name]
    states = every(setup, started(setup, setup.names), depth)
    print(f"{states} states")
    assert states >= at_least


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.what)
def test_the_guard_that_a_mutant_removes_is_there(mutant: Mutant) -> None:
    assert mutant.source().count(mutant.before) == 1
