"""Rule "topology ranks", the nodes that are chosen: the place of a lost member goes to a node of its own domain first.

With ``ranks.segmentSize`` only whole segments are chosen, each in one domain: the ``--ft-segment`` of NVIDIA's NVRx.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from rendezvous_operator.core.machines import LOOK_AGAIN_SECONDS
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.topology import Path, Whereabouts, in_order_of_domains


def in_whole_segments(names: Iterable[str], where: Whereabouts, segment: int) -> int:
    """How many of the nodes are in whole segments if all of these are taken."""
    counts = Counter(where.of(name) for name in names)
    return sum(count - count % segment for path, count in counts.items() if _may_have_segments(path))


def _may_have_segments(path: Path) -> bool:
    """Not where the innermost value is unknown: nobody can tell whether such nodes are together."""
    return bool(path[-1])


def chosen_segments(names: Sequence[str], where: Whereabouts, segment: int, most: int) -> list[str]:
    """The nodes of so many segments, in their order: those that the domains have had come first.

    Args:
        names: of the nodes, in the order in which they are chosen.
        where: they are.
        segment: nodes of each.
        most: segments that are taken; there are at least so many.
    """
    inside: dict[Path, list[str]] = defaultdict(list)
    for name in in_order_of_domains(names, where):
        inside[where.of(name)].append(name)
    whole = {path: len(found) // segment for path, found in inside.items() if _may_have_segments(path)}
    before = Counter(where.places.values())
    taken: Counter[Path] = Counter()
    for limits in ({path: before[path] // segment for path in whole}, whole):
        for path, count in whole.items():
            more = min(min(count, limits[path]) - taken[path], most)
            taken[path] += more
            most -= more
    chosen = {name for path, count in taken.items() for name in inside[path][: count * segment]}
    return [name for name in names if name in chosen]


def chosen_nodes(names: Sequence[str], where: Whereabouts, size: int) -> list[str]:
    """So many of the nodes, in their order: members, then who is nearest to the place of one that is missing."""
    members = [name for name in names if name in where.places]
    others = [name for name in names if name not in where.places]
    chosen = {*members[:size]}
    for level in range(len(where.labels), 0, -1):
        free = Counter(path[:level] for path in where.places.values())
        free.subtract(where.of(name)[:level] for name in chosen)
        for name in others:
            path = where.of(name)[:level]
            if len(chosen) < size and name not in chosen and free[path] > 0:
                free[path] -= 1
                chosen.add(name)
    for name in others:
        if len(chosen) < size:
            chosen.add(name)
    return [name for name in names if name in chosen]


def changes_at(s: Situation) -> float | None:
    """When machines must be looked at again (monotonic seconds), since a node waits of which a value is not known.

    A machine that has just been added may get its labels later than its pods start. None: not for that.
    """
    where = s.where
    if where is None or s.world.machines is None:
        return None
    return s.now.monotonic + LOOK_AGAIN_SECONDS if any("" in where.of(node.name) for node in s.waiting) else None
