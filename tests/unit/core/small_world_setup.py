"""What may happen in one search of the small world."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from tests.unit.core.write_rules import is_allowed

from rendezvous_api.rendezvous_spec import AllowedSizes


@dataclass(frozen=True)
class Setup:
    """What may happen in one search."""

    name: str
    min_nodes: int
    max_nodes: int
    runs: tuple[str, ...] = ("A", "A", "A")
    peers: str = ""
    """Members have a second path to their host, which breaks and heals. "report": the host says what it knows of them;
    "words": they say what they know of it; "both"."""
    silence: bool = False
    """Paths to the API server break and heal, and processes die without a trace."""
    deletion: bool = True
    """Objects vanish with their pods."""
    failing: bool = True
    """Workers fail, and check-ins."""
    pods: bool = False
    """Pods are known: evicted, deleted, recreated."""
    ends: bool = False
    """Agents finish, fail for good, or run out of time."""
    closes: bool = False
    """Agents ask to close their run."""
    spec_closed: bool = False
    """The user closes the Rendezvous and opens it again."""
    suspends: bool = False
    """The user suspends the Rendezvous and takes it back."""
    leaders: bool = False
    """The operator is replaced by one that remembers nothing."""
    max_restarts: int | None = None
    window: bool = False
    """A failure counts for a time only."""
    per_node: int | None = None
    """The restarts of one node."""
    requests: bool = False
    """The user asks for a new round by the annotation."""
    other_limits: tuple[tuple[int, int], ...] = ()
    """Other minNodes and maxNodes that the user may set."""
    retention: bool = False
    """Time goes on until what has left or is silent is deleted."""
    sizes: AllowedSizes | None = None
    """The sizes that a round may have."""
    racks: tuple[str, ...] = ()
    """Where the machines of the nodes are, and by which ranks are given; empty: that does not matter."""
    segment: int | None = None
    """Only so many nodes of one rack together take part."""
    groups: str = ""
    """The replacement group of each node, a letter, by the label of its pod, which is always there. Empty: there are
    none."""
    group_size: int = 2
    """The nodes of a whole one."""
    escalates: bool = False
    """One that has lost a member is kept for a while."""

    @cached_property
    def limits(self) -> tuple[tuple[int, int], ...]:
        """All minNodes and maxNodes that may be set, the first ones first."""
        return ((self.min_nodes, self.max_nodes), *self.other_limits)

    def fitting(self, limits: int, racks: Iterable[str]) -> int:
        """The largest round that nodes in these racks can form under these limits; 0 if there is none."""
        fewest, most = self.limits[limits]
        step = self.group_size if self.groups else self.segment or 1
        sizes = range(fewest, min(most, self.together(racks)) + 1)
        return max((size for size in sizes if size % step == 0 and is_allowed(self.sizes, size)), default=0)

    def together(self, racks: Iterable[str]) -> int:
        """How many of the nodes in these racks may be together in a round."""
        counts = Counter(racks).values()
        if self.groups:
            return sum(self.group_size for count in counts if count >= self.group_size)
        step = self.segment or 1
        return sum(count - count % step for count in counts)

    @property
    def reasons_matter(self) -> bool:
        return self.ends or self.max_restarts is not None

    @property
    def lists_failures(self) -> bool:
        """Whether the budget counts from the list of failures, so that it is a part of a state."""
        return self.window or self.per_node is not None
