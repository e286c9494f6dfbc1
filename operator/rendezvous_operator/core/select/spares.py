"""Rule "spares": nodes for which a round has no place wait without a time limit, in the order of the list."""

from collections.abc import Sequence

from rendezvous_operator.core.nodes import Node, names_of
from rendezvous_operator.core.select.choose import fitting
from rendezvous_operator.core.situation import Situation


def while_running(queue: Sequence[Node], added: int) -> tuple[str, ...]:
    """All waiting nodes, unless the round will be ended for all of them.

    As in `while_forming`, the list decides on the order of the queue. If it had only the nodes that will get no rank,
    the next decision would choose these before the others.

    Args:
        queue: the waiting nodes, in order; last those that may not become members.
        added: the number of them for which the round will be ended.
    """
    return names_of(queue) if added < len(queue) else ()


def while_forming(
    s: Situation, queue: Sequence[Node], chosen: Sequence[Node], may_rejoin: Sequence[str]
) -> tuple[str, ...]:
    """The nodes that will get no rank in the round that is being formed.

    In a later round this list decides on the order of the queue. So it must not depend on which nodes would be chosen
    now, or every decision would exchange the listed nodes and the others.

    Args:
        s: the situation.
        queue: the waiting nodes, in order; last those that may not become members.
        chosen: those of them that are chosen now. In a first round the list decides on nothing.
        may_rejoin: the members of the current round that may still join again.
    """
    if not s.run.has_round:
        if len(chosen) < s.sizes.most:
            return ()
        members = {*names_of(chosen)}
        return tuple(node.name for node in queue if node.name not in members)
    expected = [*may_rejoin, *names_of(queue)]
    size = fitting(s, expected)
    if size in (0, len(expected)):
        return ()
    return tuple(node.name for node in queue if node.name not in s.entries)


def of_a_closed_run(s: Situation) -> tuple[str, ...]:
    """The spares of a closed run until they have left. A node that starts later has not waited for that run."""
    return tuple(name for name in s.run.spares if name in s.listed_spares and s.nodes[name].left is None)
