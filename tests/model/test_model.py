"""The safety rules hold in the model of the whole system (docs/model.md)."""

import pytest
from tests.model.agent import TRAINS
from tests.model.mutants import MUTANTS, Mutant
from tests.model.search import every, settled, started, walk
from tests.model.system import Setup, System

TWO = Setup()
RELEASES = ("this", "older", "newer", "unreadable")
USUAL = frozenset({"lags", "fails"})

WALKS = {
    "one operator whose watches lag": Setup(agents=4, may=USUAL | {"compacts"}),
    "two operators, and restarts that are asked for": Setup(agents=4, operators=2, may=USUAL | {"requests"}),
    "pods that lose their label, are evicted, go, or are deleted by force": Setup(
        agents=4, may=USUAL | {"labels", "pods", "evicts", "forces"}
    ),
    "agents that are cut off, or paused": Setup(agents=4, may=USUAL | {"cuts", "pauses"}),
    "paths that break apart": Setup(agents=4, max_nodes=3, may=USUAL | {"splits", "parts"}),
    "a group of one that is cut off": Setup(agents=3, min_nodes=1, max_nodes=1, may=USUAL | {"cuts", "pauses"}),
    "a spec that is edited": Setup(agents=4, min_nodes=1, max_nodes=3, may=USUAL | {"edits", "suspends", "requests"}),
    "a Rendezvous that is deleted and recreated": Setup(agents=4, may=USUAL | {"recreates", "cuts"}),
    "a restore of etcd": Setup(agents=4, operators=2, may=USUAL | {"restores", "compacts", "requests"}),
    "a leader whose clock stands still": Setup(
        agents=4, operators=2, elects=True, may=USUAL | {"sleeps", "restarts", "requests"}
    ),
    "two runs that end": Setup(agents=5, runs=("run", "run", "other"), may=USUAL | {"ends", "pods"}),
    "other releases": Setup(agents=4, max_nodes=3, releases=RELEASES, may=USUAL | {"edits"}),
    "all of it": Setup(
        agents=6,
        operators=2,
        max_nodes=3,
        may=USUAL
        | {"cuts", "splits", "parts", "pauses", "labels", "pods", "evicts", "requests", "edits", "suspends", "ends"},
    ),
}
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


EVERY = {
    "one operator": Setup(agents=2, may=USUAL | {"labels", "requests"}, min_nodes=1, max_nodes=1),
    "two operators": Setup(agents=2, operators=2, may=frozenset({"lags"}), min_nodes=1, max_nodes=1),
}


@pytest.mark.parametrize(
    ("name", "depth", "at_least"),
    [
        ("one operator", 2, 100),
        ("two operators", 2, 80),
        pytest.param("one operator", 3, 700, marks=pytest.mark.slow),
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
