"""Which of the nodes a round would have, and how many: the only place that turns nodes into a size."""

from collections.abc import Collection, Sequence

from rendezvous_operator.core.nodes import names_of
from rendezvous_operator.core.select import by_topology
from rendezvous_operator.core.select.eligible import eligible
from rendezvous_operator.core.situation import Situation


def fitting(s: Situation, names: Collection[str]) -> int:
    """The largest allowed size that these nodes can fill, if no others are there; 0 if there is none."""
    return _size(s, _together(s, names))


def in_whole_segments(s: Situation, names: Collection[str]) -> str:
    """How many of the nodes are in whole segments, as a part of a message; empty: all are, or there are no segments."""
    if s.where is None or (segment := s.spec.segment_size) is None:
        return ""
    count = by_topology.in_whole_segments(names, s.where, segment)
    return "" if count == len(names) else f", {count} of them in whole segments of {segment}"


def choose(s: Situation, names: Sequence[str]) -> Sequence[str]:
    """The members that a round of these nodes would have; none: they can fill no allowed size.

    Args:
        s: the situation.
        names: of the nodes, in the order in which they are chosen: members of the current round come first.
    """
    together = _together(s, names)
    size = _size(s, together)
    # Whole replacement groups are side by side, and the topology would take some of their nodes only.
    if s.where is None or size == len(together) or s.spec.nodes.groups is not None:
        return together[:size]
    if (segment := s.spec.segment_size) is not None:
        return by_topology.chosen_segments(together, s.where, segment, size // segment)
    return by_topology.chosen_nodes(together, s.where, size)


def _together(s: Situation, names: Collection[str]) -> Sequence[str]:
    """Those of the nodes that may be members of one round."""
    if s.spec.nodes.groups is None:
        return tuple(names)
    return names_of(eligible(s, [s.nodes[name] for name in names if name in s.nodes]).nodes)


def _size(s: Situation, together: Collection[str]) -> int:
    """The largest allowed size that nodes can fill which may be members of one round."""
    if s.where is not None and (segment := s.spec.segment_size) is not None:
        return s.sizes.fitting(by_topology.in_whole_segments(together, s.where, segment))
    return s.sizes.fitting(len(together))
