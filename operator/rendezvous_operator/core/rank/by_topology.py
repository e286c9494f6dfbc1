"""Rule "topology ranks", the ranks: those of a domain follow each other, at each level, and domains keep their order.

Within a domain, rule "stable ranks" holds for the places of its members: who stays keeps its place, and who returns
gets it back. A domain begins where the one before it ends. So a member keeps its rank as long as no domain before its
own gets more or fewer members.
"""

from collections import defaultdict
from collections.abc import Sequence

from rendezvous_api.rendezvous import Member
from rendezvous_operator.core.nodes import Node
from rendezvous_operator.core.rank import stable, store_host
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.topology import Path, Whereabouts, in_order_of_domains


def by_topology(s: Situation, chosen: Sequence[Node]) -> tuple[Member, ...]:
    """Rules "topology ranks" and "store host"."""
    assert s.where is not None
    objects = {node.name: node.object for node in chosen}
    inside: dict[Path, list[str]] = defaultdict(list)
    for name in in_order_of_domains([*objects], s.where):
        inside[s.where.of(name)].append(name)
    places: dict[Path, list[Member]] = defaultdict(list)
    if s.run.has_round:
        for member in s.status.participants:
            path = s.where.places[member.name]
            places[path].append(stable.moved(member, len(places[path]), keeps=True))
    ranked: list[Member] = []
    for path, names in inside.items():
        of_domain = [objects[name] for name in names]
        members = places[path]
        of_domain_ranked = stable.later_ranks(of_domain, members) if members else stable.first_ranks(of_domain)
        first = len(ranked)
        ranked += [stable.moved(member, first + place, keeps=True) for place, member in enumerate(of_domain_ranked)]
    if not s.run.has_round:
        return tuple(ranked)
    return _with_host_first(tuple(ranked), store_host.moved_if_unfit(s, tuple(ranked))[0].name, s.where)


def _with_host_first(ranked: tuple[Member, ...], host: str, where: Whereabouts) -> tuple[Member, ...]:
    """With that host at rank 0: its domain comes first at each level, and in it the host changes places with the first.

    All other domains keep their order, and all other members their places.
    """
    if ranked[0].name == host:
        return ranked
    path = where.of(host)

    def apart(member: Member) -> tuple[bool, ...]:
        other = where.of(member.name)
        return tuple(other[: level + 1] != path[: level + 1] for level in range(len(path)))

    order = sorted(ranked, key=apart)
    place = next(place for place, member in enumerate(order) if member.name == host)
    order[0], order[place] = order[place], order[0]
    exchanged = {order[0].name, order[place].name}
    return tuple(stable.moved(member, rank, keeps=member.name not in exchanged) for rank, member in enumerate(order))
