"""The sizes that a round may have: those that every rule allows."""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from rendezvous_api.rendezvous_spec import RendezvousSpec
from rendezvous_operator.core.sizes.allowed_sizes import among_the_sizes
from rendezvous_operator.core.sizes.whole_groups import of_whole_groups
from rendezvous_operator.core.sizes.whole_segments import of_whole_segments

SizeRule = Callable[[RendezvousSpec, int], bool]


SIZE_RULES: tuple[SizeRule, ...] = (among_the_sizes, of_whole_segments, of_whole_groups)
"""All of them must allow a size from ``minNodes`` to ``maxNodes``; their order means nothing."""


@dataclass(frozen=True)
class Sizes:
    """The sizes that are allowed, in ascending order."""

    allowed: tuple[int, ...]

    @property
    def fewest(self) -> int:
        """The smallest; 0 if there is none."""
        return self.allowed[0] if self.allowed else 0

    @property
    def most(self) -> int:
        """The largest; 0 if there is none."""
        return self.allowed[-1] if self.allowed else 0

    def fitting(self, nodes: int) -> int:
        """The largest that this number of nodes can fill; 0 if they are too few."""
        place = bisect_right(self.allowed, nodes)
        return self.allowed[place - 1] if place else 0


@lru_cache(maxsize=1024)
def sizes_of(spec: RendezvousSpec) -> Sizes:
    """The sizes that a spec allows."""
    bounds = range(spec.min_nodes, spec.max_nodes + 1)
    return Sizes(tuple(size for size in bounds if all(rule(spec, size) for rule in SIZE_RULES)))
