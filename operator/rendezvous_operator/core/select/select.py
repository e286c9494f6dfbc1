"""From the waiting nodes to the chosen ones."""

from collections.abc import Sequence

from rendezvous_api.rendezvous import Missing
from rendezvous_operator.core.blocking import blocking
from rendezvous_operator.core.nodes import Node, nodes_of
from rendezvous_operator.core.select import held_out, order, spares
from rendezvous_operator.core.select.eligible import eligible
from rendezvous_operator.core.select.selection import Eligible, Selection
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.timers import Timers


def select(s: Situation, timers: Timers) -> Selection:
    """Choose the nodes of the next round, and list the spares."""
    if not s.takes_nodes:
        return Selection(spares=spares.of_a_closed_run(s))
    passed_over = held_out.passed_over(s, timers)
    waiting = _in_order(s, held_out.waiting_without(s, {entry.name for entry in passed_over}))
    if s.round_runs:
        found = _with_members(s, waiting)
        queue = tuple(node for node in found.nodes if node.name not in s.entries)
        left_out = tuple(item for item in found.left_out if item.name not in s.entries)
        newcomers = queue[: max(0, s.sizes.fitting(len(found.nodes)) - s.status.nodes)]
        listed = spares.while_running([*queue, *_nodes(s, left_out)], len(newcomers))
        return Selection(queue, spares=listed, newcomers=newcomers, held_out=passed_over, left_out=left_out)
    queue, left_out = eligible(s, waiting)
    listed = spares.while_forming(s, [*queue, *_nodes(s, left_out)], nodes_of(blocking(s, timers)))
    chosen = queue[: s.sizes.fitting(len(queue))]
    return Selection(queue, chosen, listed, held_out=passed_over, left_out=left_out)


def grown(s: Situation, waiting: Sequence[Node]) -> int:
    """The size that the running round would have with these nodes, of which none is held out."""
    return s.sizes.fitting(len(_with_members(s, waiting).nodes))


def _with_members(s: Situation, waiting: Sequence[Node]) -> Eligible:
    """Which of the members and of these nodes may be together in a round."""
    return eligible(s, [*nodes_of(s.members), *waiting]) if waiting else Eligible(())


def _nodes(s: Situation, found: Sequence[Missing]) -> list[Node]:
    return [s.nodes[item.name] for item in found]


def _in_order(s: Situation, waiting: Sequence[Node]) -> tuple[Node, ...]:
    objects = [node.object for node in waiting]
    if s.run.has_round:
        ordered = order.in_later_order(objects, s.status.participants, s.run.spares)
    else:
        ordered = order.in_first_order(objects)
    return tuple(s.nodes[participant.metadata.name] for participant in ordered)
