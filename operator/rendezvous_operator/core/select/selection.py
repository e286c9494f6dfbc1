"""The answer of `select`."""

from dataclasses import dataclass

from rendezvous_api.rendezvous import HeldOut, PassedOver
from rendezvous_operator.core.nodes import Node


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

    @property
    def passed_over(self) -> tuple[PassedOver, ...]:
        """What the status shows of both."""
        return tuple(sorted((*self.kept_out, *self.gives_way), key=lambda entry: entry.name))
