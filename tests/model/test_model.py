"""The safety rules hold in the model of the whole system (docs/model.md)."""

import pytest
from tests.model.agent import TRAINS
from tests.model.search import every, settled, started, walk
from tests.model.setups import EVERY, TWO, WALKS
from tests.model.system import System
from tests.support.pages import read

from rendezvous_api import names

SEEDS = 8
STEPS = 500


def test_two_agents_come_to_train() -> None:
    system = System(TWO)
    for action in started(TWO, TWO.names):
        system.do(action)
    settled(system)
    assert [agent.process for agent in system.agents.values()] == [TRAINS, TRAINS]


def test_a_member_that_has_succeeded_has_done_so_although_its_pod_goes_at_once() -> None:
    """The operator sees the end of the pod first: its watch of the participants is late."""
    system = System(TWO)
    for action in started(TWO, TWO.names):
        system.do(action)
    settled(system)
    system.do(("succeeds", "train.a"))
    system.do(("loses its pod", "train.a"))
    later = {("receives", 0, names.PARTICIPANT_KIND), ("collects garbage",)}
    for _ in range(100):
        possible = [action for action in system.inner() if action not in later]
        if not possible:
            break
        system.do(possible[0])
    rendezvous = system.server.find(names.RENDEZVOUS_KIND, "train")
    assert rendezvous is not None
    assert [run["reason"] for run in rendezvous["status"]["closedRuns"]] == ["RunSucceeded"]


def test_the_page_says_how_many_walks_there_are() -> None:
    of_peers = sum(setup.peers for setup in WALKS.values())
    said = f"{SEEDS} in each of {len(WALKS) - of_peers} setups, and {SEEDS // 2} in each of {of_peers} with the second"
    assert f"{said} path" in " ".join(read("docs/model.md").split())


@pytest.mark.parametrize("name", WALKS)
def test_random_walks(name: str) -> None:
    setup = WALKS[name]
    start = started(setup, setup.names)
    for seed in range(SEEDS // 2 if setup.peers else SEEDS):
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
