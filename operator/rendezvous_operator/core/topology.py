"""Rule "topology ranks": where nodes are, by the labels of their machines.

A *path* has the values of the labels of ``spec.ranks.keys``, outermost first. A value is empty where it is not known,
or the machine has no such label. Nodes of one path are a domain. `rank/by_topology.py` gives the ranks, and
`select/by_topology.py` chooses the nodes.

Of a member whose machine cannot be read now, the status has the path. So neither a failed read nor a new leader gives
other ranks.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from rendezvous_api import names
from rendezvous_api.rendezvous import Domain, Member, Missing, RendezvousStatus, Topology
from rendezvous_api.rendezvous_spec import RendezvousSpec
from rendezvous_operator.core.nodes import Node
from rendezvous_operator.core.words import first_of, number_of_nodes
from rendezvous_operator.core.world import World

Path = tuple[str, ...]

MOST_CHARACTERS = 400_000
"""Of the values that the status has. It must fit into one object of etcd, which has at most 1.5 MB."""


def by_machines(spec: RendezvousSpec) -> bool:
    """Whether ranks depend on the labels of machines."""
    return bool(spec.topology_labels)


@dataclass(frozen=True)
class Whereabouts:
    """Where the nodes are now, and where the members of the current round have their places."""

    labels: tuple[str, ...]
    now: Mapping[str, Path]
    """Of all nodes, by name."""
    places: Mapping[str, Path]
    """Of the members of the current round, by name, in the order of their ranks."""

    def of(self, name: str) -> Path:
        """The path of a node, or of a member that is gone."""
        return self.now.get(name) or self.places.get(name) or ("",) * len(self.labels)


def whereabouts(world: World, nodes: Mapping[str, Node]) -> Whereabouts:
    """What is known of the nodes, and what the status remembers of members."""
    labels = world.rendezvous.spec.topology_labels
    remembered = _remembered(world.rendezvous.status, labels)
    now = {name: _path(world, node, labels, remembered.get(name)) for name, node in nodes.items()}
    nowhere = ("",) * len(labels)
    members = world.rendezvous.status.participants
    places = {member.name: remembered.get(member.name) or now.get(member.name, nowhere) for member in members}
    return Whereabouts(labels, now, places)


def _remembered(status: RendezvousStatus, labels: tuple[str, ...]) -> Mapping[str, Path]:
    """The paths of the members of the current round; none if they are by other labels."""
    topology = status.topology
    if topology is None or topology.keys != labels:
        return {}
    paths = (domain.values for domain in topology.domains for _ in range(domain.nodes))
    return {member.name: path for member, path in zip(status.participants, paths, strict=False)}


def _path(world: World, node: Node, labels: tuple[str, ...], remembered: Path | None) -> Path:
    """By its machine; else as the status remembers it, unless its pod says otherwise; else by its pod."""
    name = node.object.spec.node_name
    machine = world.machines.get(name) if world.machines is not None and name is not None else None
    if machine is not None and machine.labels:
        return tuple(machine.labels.get(label, "") for label in labels)
    said = node.pod.labels if node.pod is not None else {}
    by_pod = tuple(said.get(label, "") if label in _OF_PODS else "" for label in labels)
    if remembered is not None and all(value in ("", known) for value, known in zip(by_pod, remembered, strict=True)):
        return remembered
    return by_pod


_OF_PODS = (names.LABEL_REGION, names.LABEL_ZONE)
"""Labels that pods have from their machines, from Kubernetes 1.35 on (KEP-4742)."""


def in_order_of_domains(found: Sequence[str], where: Whereabouts) -> list[str]:
    """The nodes domain by domain: at each level, in the order in which the members had their ranks, then as given.

    Within a level, nodes without its label come last. Within a domain the order is as given.
    """
    first: dict[Path, int] = {}
    for path in (*where.places.values(), *(where.of(name) for name in found)):
        for level in range(len(path)):
            first.setdefault(path[: level + 1], len(first))
    keys = {
        path: tuple((not value, first[path[: level + 1]]) for level, value in enumerate(path))
        for path in {where.of(name) for name in found}
    }
    return sorted(found, key=lambda name: keys[where.of(name)])


def of_round(members: Sequence[Member], where: Whereabouts) -> Topology:
    """What the status remembers of the members of a new round, which are in the order of their ranks."""
    runs = groupby(members, key=lambda member: where.of(member.name))
    domains = tuple(Domain(path, sum(1 for _ in inside)) for path, inside in runs)
    too_long = sum(len(value) for domain in domains for value in domain.values) > MOST_CHARACTERS
    return Topology(where.labels, () if too_long else domains)


def in_words(topology: Topology | None) -> str:
    """Of a round, as a part of a message; empty: its ranks do not depend on it."""
    if topology is None or not topology.domains:
        return ""
    lacking = sum(domain.nodes for domain in topology.domains if "" in domain.values)
    without = f", and {number_of_nodes(lacking)} on machines that lack a label" if lacking else ""
    count = sum("" not in domain.values for domain in topology.domains)
    return f"; {count} {'domain' if count == 1 else 'domains'}{without}"


def why_wrong(topology: Topology, segment_size: int | None) -> str:
    """What is wrong with the domains of a round; empty: nothing is."""
    for level in range(len(topology.keys)):
        found = [path for path, _ in groupby(domain.values[: level + 1] for domain in topology.domains)]
        if len(found) > len({*found}):
            return f"the ranks of a domain by {topology.keys[level]} do not follow each other"
    if segment_size is not None and any(domain.nodes % segment_size for domain in topology.domains):
        return f"a domain has no whole segments of {segment_size} nodes"
    return ""


def unlabelled(where: Whereabouts, nodes: Iterable[Node], world: World) -> list[Missing]:
    """The nodes of which a value is not known, each with the reason, for people."""
    found = []
    for node in nodes:
        lacking = [label for label, value in zip(where.labels, where.of(node.name), strict=True) if not value]
        if lacking:
            found.append(Missing(node.name, _why_unlabelled(world, node, lacking)))
    return found


def _why_unlabelled(world: World, node: Node, lacking: Sequence[str]) -> str:
    name = node.object.spec.node_name
    if name is None:
        return "does not say on which machine it is"
    if world.machines is None:
        return f"is on machine {name}, and the operator may not read machines"
    machine = world.machines.get(name)
    if machine is None or not machine.labels:
        return f"is on machine {name}, whose labels are not known"
    return f"is on machine {name}, which has no label {first_of(len(lacking), lacking[0])}"
