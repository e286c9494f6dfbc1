"""What `select` answers."""

from dataclasses import dataclass

from rendezvous_operator.core.agents import Agent


@dataclass(frozen=True)
class Selection:
    """Who of those that wait is chosen, and who is not."""

    queue: tuple[Agent, ...] = ()
    """All who wait for the next round, in the order in which its places are given."""
    chosen: tuple[Agent, ...] = ()
    """The members of the next round, were it published now; empty when they are too few, or when none is formed."""
    spares: tuple[str, ...] = ()
    """Names of those that are told that they wait without a place and without a time limit, in the order to come."""
    newcomers: tuple[Agent, ...] = ()
    """While a round runs: those for whom it will be ended."""
