"""Which of the nodes a round would have, and how many: the only place that turns nodes into a size."""

from collections.abc import Collection, Sequence

from rendezvous_operator.core.select import by_topology
from rendezvous_operator.core.situation import Situation


def fitting(s: Situation, names: Collection[str]) -> int:
    """The largest allowed size that these nodes can fill; 0 if there is none."""
    if s.where is not None and (segment := s.spec.segment_size) is not None:
        return s.sizes.fitting(by_topology.in_whole_segments(names, s.where, segment))
    return s.sizes.fitting(len(names))


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
    size = fitting(s, names)
    if s.where is None or size == len(names):
        return names[:size]
    if (segment := s.spec.segment_size) is not None:
        return by_topology.chosen_segments(names, s.where, segment, size // segment)
    return by_topology.chosen_nodes(names, s.where, size)
