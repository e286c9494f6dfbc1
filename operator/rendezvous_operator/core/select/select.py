"""From the waiting nodes to the chosen ones."""

from collections.abc import Iterable, Sequence

from rendezvous_operator.core.blocking import blocking
from rendezvous_operator.core.nodes import Node, nodes_of
from rendezvous_operator.core.select import held_out, order, spares
from rendezvous_operator.core.select.choose import choose, fitting
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
        newcomers = _newcomers(s, queue)
        listed = spares.while_running([*queue, *_nodes(s, [item.name for item in left_out])], len(newcomers))
        return Selection(queue, spares=listed, newcomers=newcomers, held_out=passed_over, left_out=left_out)
    queue, left_out = eligible(s, waiting)
    chosen = _nodes(s, choose(s, spares.names_of(queue)))
    may_rejoin = [view.name for view in blocking(s, timers)]
    listed = spares.while_forming(s, [*queue, *_nodes(s, [item.name for item in left_out])], chosen, may_rejoin)
    return Selection(queue, chosen, listed, held_out=passed_over, left_out=left_out)


def grown(s: Situation, waiting: Iterable[Node]) -> int:
    """The size that the running round would have with these nodes, of which none is held out."""
    return fitting(s, [*s.entries, *(node.name for node in waiting)])


def _newcomers(s: Situation, queue: Sequence[Node]) -> tuple[Node, ...]:
    """The nodes for which the running round will be ended."""
    if not queue or grown(s, queue) <= s.status.nodes:
        return ()
    chosen = choose(s, [*s.entries, *spares.names_of(queue)])
    return _nodes(s, [name for name in chosen if name not in s.entries])


def _with_members(s: Situation, waiting: Sequence[Node]) -> Eligible:
    """Which of the members and of these nodes may be together in a round."""
    return eligible(s, [*nodes_of(s.members), *waiting]) if waiting else Eligible(())


def _in_order(s: Situation, waiting: Sequence[Node]) -> tuple[Node, ...]:
    objects = [node.object for node in waiting]
    if s.run.has_round:
        ordered = order.in_later_order(objects, s.status.participants, s.run.spares)
    else:
        ordered = order.in_first_order(objects)
    return _nodes(s, [participant.metadata.name for participant in ordered])


def _nodes(s: Situation, names: Iterable[str]) -> tuple[Node, ...]:
    return tuple(s.nodes[name] for name in names)
