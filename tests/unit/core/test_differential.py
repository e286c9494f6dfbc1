"""See `differential`."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.core.differential import Differences
from tests.unit.core.random_worlds import random_world
from tests.unit.core.small_world import Setup
from tests.unit.core.small_world_core import NOW
from tests.unit.core.small_world_search import Search
from tests.unit.core.test_search import SLOW, THREE, TWO, name_of

from rendezvous_operator.core.decide import decide

KNOWN_TO_BOTH = [setup for setup, _ in [*THREE, *TWO, *SLOW] if setup.sizes is None]


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("setup", [pytest.param(setup, id=name_of(setup)) for setup in KNOWN_TO_BOTH])
def test_search(setup: Setup) -> None:
    differences = Differences(NOW)
    search = Search(setup, differences.watch)
    search.run()
    print(f"\n{setup.name}: {differences.decisions} decisions on {len(search.found)} states: {dict(differences.found)}")


RANDOM = Differences(NOW)


@settings(max_examples=20_000, deadline=None, database=None)
@given(seed=st.integers(0, 2**64))
def test_random_worlds(seed: int) -> None:
    world, memory = random_world(Random(seed))
    RANDOM.watch(world, memory, decide(NOW, world, memory))


def test_random_worlds_are_many() -> None:
    print(f"\n{RANDOM.decisions} decisions: {dict(RANDOM.found)}")
    assert RANDOM.decisions >= 20_000
