"""The ranks of a round that is published."""

from collections.abc import Callable, Sequence
from typing import Protocol

from rendezvous_api.rendezvous import Member
from rendezvous_api.rendezvous_spec import RendezvousSpec
from rendezvous_operator.core.nodes import Node
from rendezvous_operator.core.rank import stable, store_host
from rendezvous_operator.core.rank.by_topology import by_topology
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.topology import by_machines


class RankPolicy(Protocol):
    """Gives each chosen node a rank."""

    def __call__(self, s: Situation, chosen: Sequence[Node]) -> tuple[Member, ...]:
        """The members of the round in the order of their ranks, 0 to n-1."""


def by_stable_ranks(s: Situation, chosen: Sequence[Node]) -> tuple[Member, ...]:
    """Rules "stable ranks" and "store host"."""
    objects = [node.object for node in chosen]
    if not s.run.has_round:
        return stable.first_ranks(objects)
    return store_host.moved_if_unfit(s, stable.later_ranks(objects, s.status.participants))


RANK_POLICIES: tuple[tuple[Callable[[RendezvousSpec], bool], RankPolicy], ...] = (
    (by_machines, by_topology),
    (lambda _: True, by_stable_ranks),
)
"""Which policy a spec has: the first one that fits."""


def rank(s: Situation, chosen: Sequence[Node]) -> tuple[Member, ...]:
    """The members of the round in the order of their ranks, 0 to n-1."""
    return next(policy for fits, policy in RANK_POLICIES if fits(s.spec))(s, chosen)
