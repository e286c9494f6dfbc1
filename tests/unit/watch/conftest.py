"""A cache that has listed all kinds, and its clock."""

import pytest
from tests.unit.cache_support import Clock, complete_cache

from rendezvous_operator.watch.cache import Cache


@pytest.fixture
def clock() -> Clock:
    """That of the cache."""
    return Clock()


@pytest.fixture
def cache(clock: Clock) -> Cache:
    """It has seen the Rendezvous of `tests.unit.cache_support`, and complete lists."""
    return complete_cache(clock)
