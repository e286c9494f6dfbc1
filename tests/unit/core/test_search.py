"""Every reachable state of a small world is visited, and every rule is checked in it (see `small_world`)."""

import os
from typing import Any

import pytest
from tests.unit.core.small_world_search import Search
from tests.unit.core.small_world_setup import Setup

from rendezvous_api.rendezvous_spec import AllowedSizes

TWO = ("A", "A")
"""Two nodes of one run."""
FOUR = ("A", "A", "A", "A")

PLAIN: dict[str, Any] = {"deletion": False, "failing": False}
"""Nothing happens but what is asked for."""


def name_of(setup: Setup) -> str:
    """For people."""
    return f"{len(setup.runs)} nodes, {setup.min_nodes} to {setup.max_nodes}: {setup.name}"


RACKS: dict[str, Any] = {"runs": FOUR, "racks": ("r", "r", "s", "s")}
ONE_OR_THREE = AllowedSizes(list=(1, 3))

SOAK = bool(os.environ.get("SOAK"))
SEARCHES = [
    (Setup("joins, re-entries, deaths", 2, 2), 1_500),
    (Setup("joins, re-entries, deaths", 2, 3), 2_000),
    (Setup("the operator is replaced", 2, 3, leaders=True), 2_500),
    (Setup("the restart budget", 2, 2, max_restarts=1), 4_500),
    (Setup("a restart budget with a window", 2, 2, runs=TWO, max_restarts=1, window=True), 3_000),
    (Setup("restarts of one node", 1, 2, runs=TWO, max_restarts=9, per_node=1), 10_000),
    (Setup("the user closes and opens", 2, 3, spec_closed=True), 15_000),
    (Setup("the user suspends and resumes", 2, 3, suspends=True), 5_000),
    (Setup("the user suspends, closes and opens", 1, 2, runs=TWO, suspends=True, spec_closed=True), 1_000),
    (Setup("the user suspends while agents end", 1, 2, runs=TWO, suspends=True, ends=True), 4_000),
    (Setup("the user asks for rounds", 2, 3, requests=True), 5_000),
    (Setup("the user edits minNodes and maxNodes", 2, 2, other_limits=((1, 3), (3, 3))), 12_000),
    (Setup("rounds of one node, two or four", 1, 4, sizes=AllowedSizes(list=(1, 2, 4))), 2_500),
    (Setup("whole segments", 2, 2, racks=("r", "r", "s"), segment=2), 900),
    (Setup("whole segments and an operator that is replaced", 2, 4, **RACKS, segment=2, leaders=True, **PLAIN), 1_000),
    (Setup("racks of two", 2, 4, runs=FOUR, groups="xxyy", failing=False), 12_000),
    (
        Setup("racks of two, and sizes", 2, 4, runs=FOUR, groups="xxyy", sizes=AllowedSizes(list=(4,)), **PLAIN),
        140,
    ),
    (Setup("racks of two, and another leader", 2, 4, runs=FOUR, groups="xxyy", leaders=True, **PLAIN), 1_000),
    (Setup("a rack with a node too many, which is kept for a while", 2, 2, groups="xxx", escalates=True), 1_900),
    (Setup("a rack that is not whole, and a budget", 2, 2, groups="xxy", max_restarts=1, deletion=False), 2_500),
    (Setup("agents close their run", 2, 3, closes=True), 10_000),
    # Of what has many more states, two nodes.
    (Setup("ends and leaves", 1, 2, runs=TWO, ends=True), 4_000),
    (Setup("silence and lost paths", 1, 2, runs=TWO, silence=True), 40_000),
    (Setup("known pods", 1, 2, runs=TWO, pods=True), 20_000),
    (Setup("retention", 1, 2, runs=TWO, ends=True, retention=True), 7_000),
    (Setup("two runs", 1, 2, runs=("A", "B"), closes=True), 5_500),
    (Setup("what the host says of its member", 2, 2, runs=TWO, silence=True, peers="report", **PLAIN), 75_000),
]
"""Each kind of setup, in a size that takes some seconds; and how many states there are at least."""
SLOW_SEARCHES = [
    (Setup("ends and leaves", 2, 2, ends=True), 30_000),
    (Setup("ranks by racks", 1, 2, racks=("r", "r", "s")), 8_000),
    (Setup("ranks by racks, and rounds of one node or three", 1, 3, racks=("r", "r", "s"), sizes=ONE_OR_THREE), 6_000),
    (Setup("ends and leaves", 2, 3, ends=True), 40_000),
    (
        Setup("a window and another leader", 2, 2, runs=TWO, max_restarts=2, window=True, per_node=1, leaders=True),
        10_000,
    ),
    (Setup("silence and lost paths", 2, 3, silence=True), 350_000),
    (Setup("known pods", 2, 3, pods=True), 350_000),
    (
        Setup("racks that are kept for a while", 2, 4, runs=FOUR, groups="xxyy", escalates=True, failing=False),
        12_500,
    ),
    # With three nodes these have many millions of states.
    (Setup("suspension, silence and ends", 1, 2, runs=TWO, suspends=True, silence=True, ends=True), 50_000),
    (Setup("restart requests and deaths", 1, 2, runs=TWO, silence=True, requests=True), 45_000),
    (Setup("silence, ends and closing together", 1, 2, runs=TWO, silence=True, ends=True, closes=True), 50_000),
    (Setup("two runs and retention", 1, 2, runs=("A", "B"), ends=True, closes=True, retention=True), 25_000),
    # Only here are nodes left behind: a node of another run is heard while those of the run are silent.
    (Setup("two runs and silence", 1, 2, runs=("A", "B"), silence=True), 300_000),
]
LARGEST_SEARCHES = [
    (Setup("silence and lost paths", 2, 2, silence=True), 400_000),
    (Setup("retention and silence", 1, 2, runs=TWO, silence=True, ends=True, retention=True), 350_000),
]
"""Those of `make soak`: they take longer than all others together."""
SETUPS = [
    *(pytest.param(*search, id=name_of(search[0])) for search in SEARCHES),
    *(pytest.param(*search, id=name_of(search[0]), marks=pytest.mark.slow) for search in SLOW_SEARCHES),
    *(pytest.param(*search, id=name_of(search[0]), marks=pytest.mark.soak) for search in LARGEST_SEARCHES if SOAK),
]


@pytest.mark.timeout(3600)  # the largest visit most of a million states, at a low priority
@pytest.mark.parametrize(("setup", "at_least"), SETUPS)
def test_all_rules_hold_in_every_state_and_every_state_leads_to_a_good_end(setup: Setup, at_least: int) -> None:
    search = Search(setup)
    search.run()
    steps = search.check_liveness()
    visited = f"{len(search.found)} states, {search.transitions} transitions, {search.decisions} decisions"
    print(f"{visited}; every state ends within {steps} steps")
    # An empty search would find nothing wrong.
    assert len(search.found) >= at_least
