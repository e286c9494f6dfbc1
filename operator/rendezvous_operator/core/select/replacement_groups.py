"""Rule "replacement groups": nodes that belong together become members together, or not at all.

The value of the label ``spec.nodes.groupKey`` of its pod names the replacement group of a node, such as its rack. A
replacement group is whole if ``spec.nodes.groupSize`` of its nodes may become members; other nodes of it wait, and so
do all nodes of one that is not whole. So a member that is lost, or held out, takes its replacement group out with it.
`start/escalation.py` says when.

This is ``replacement_group_size`` of NVIDIA's NVRx, and the rack labels of DLRover.
"""

from collections.abc import Sequence

from rendezvous_api.rendezvous import Missing
from rendezvous_operator.core.nodes import Node
from rendezvous_operator.core.select.selection import Eligible, Selection
from rendezvous_operator.core.situation import Situation


def in_whole_groups(s: Situation, nodes: Sequence[Node]) -> Eligible:
    """The nodes of whole replacement groups, side by side, in the order in which the first one of each is given.

    Args:
        s: the situation.
        nodes: those that may become members otherwise, in their order.
    """
    if s.spec.nodes.groups is None:
        return Eligible(tuple(nodes))
    key, size = s.spec.nodes.groups
    groups: dict[str | None, list[Node]] = {}
    for node in nodes:
        groups.setdefault(name_of(node, key), []).append(node)
    eligible, left_out = list[Node](), list[Missing]()
    for name, found in groups.items():
        if name is None:
            left_out += [Missing(node.name, f"has no replacement group: {_why_none(node, key)}") for node in found]
        elif len(found) < size:
            why = f"waits for its replacement group {name!r} ({len(found)} of {size} nodes)"
            left_out += [Missing(node.name, why) for node in found]
        else:
            eligible += found[:size]
            why = f"is beyond the {size} nodes of its replacement group {name!r}"
            left_out += [Missing(node.name, why) for node in found[size:]]
    return Eligible(tuple(eligible), tuple(left_out))


def name_of(node: Node, key: str) -> str | None:
    """The replacement group of a node, by that label of its pod; None: it is in none."""
    return (node.pod.labels.get(key) if node.pod is not None else None) or None


def to_wait_for(s: Situation, picked: Selection) -> list[str]:
    """The replacement groups in which members of the last round wait for another node.

    None waits for one that is held out, kept out or unhealthy, and nobody brings another one in its place.
    """
    if s.spec.nodes.groups is None:
        return []
    key, _ = s.spec.nodes.groups
    members = [s.nodes[item.name] for item in picked.left_out if item.name in s.entries]
    # Also those that do not wait now: an unhealthy node has left, and one that is held out may not be there again.
    nobody_waits_for = s.names_unhealthy | picked.names_out
    others = [*picked.queue, *(s.nodes[name] for name in nobody_waits_for if name in s.nodes)]
    found = dict.fromkeys(name for node in members if (name := name_of(node, key)) is not None)
    for node in others:
        found.pop(name_of(node, key) or "", None)
    return list(found)


def _why_none(node: Node, key: str) -> str:
    if node.pod is None:
        return f"it is in no labelled pod, and the label {key} of a pod says it (spec.nodes.groupKey)"
    return f"its pod {node.pod.name} has no label {key} (spec.nodes.groupKey)"
