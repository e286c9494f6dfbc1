"""The answer of `select`."""

from dataclasses import dataclass
from typing import NamedTuple

from rendezvous_api.rendezvous import HeldOut, Missing, PassedOver
from rendezvous_operator.core.nodes import Node


class Eligible(NamedTuple):
    """The answer of a rule in `eligible.ELIGIBILITY_RULES`."""

    nodes: tuple[Node, ...]
    """Those that may become members, in their order."""
    left_out: tuple[Missing, ...] = ()
    """The other ones, and why."""


@dataclass(frozen=True)
class Selection:
    """Which waiting nodes are chosen, and which are not."""

    queue: tuple[Node, ...] = ()
    """All nodes that wait for the next round, in the order in which they are chosen."""
    chosen: tuple[Node, ...] = ()
    """The members of the next round if it were published now; empty: they are too few, or none is being formed."""
    spares: tuple[str, ...] = ()
    """Names of the nodes that wait although they could train, and so without a time limit, in their order."""
    newcomers: tuple[Node, ...] = ()
    """While a round runs: the nodes for which it will be ended."""
    held_out: tuple[HeldOut, ...] = ()
    """Who is held out, whether it waits now or not."""
    kept_out: tuple[PassedOver, ...] = ()
    """Who waits and is kept out by a mark."""
    gives_way: tuple[PassedOver, ...] = ()
    """Who waits since others go before it."""
    left_out: tuple[Missing, ...] = ()
    """Nodes that wait and are not in the queue, since a rule does not let them become members, and why."""

    @property
    def joined(self) -> int:
        """How many nodes have joined the next round, whether they may become members or not."""
        return len(self.queue) + len(self.left_out)

    @property
    def names_out(self) -> frozenset[str]:
        """Who is held out or kept out: nobody waits for these."""
        return frozenset(entry.name for entry in self.held_out) | frozenset(entry.name for entry in self.kept_out)

    @property
    def passed_over(self) -> tuple[PassedOver, ...]:
        """What the status shows of both."""
        return tuple(sorted((*self.kept_out, *self.gives_way), key=lambda entry: entry.name))
