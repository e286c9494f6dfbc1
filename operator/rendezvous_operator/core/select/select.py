"""From the waiting nodes to the chosen ones."""

from collections.abc import Iterable, Sequence

from rendezvous_operator.core.blocking import blocking
from rendezvous_operator.core.nodes import Node
from rendezvous_operator.core.select import held_out, order, spares
from rendezvous_operator.core.select.choose import choose, fitting
from rendezvous_operator.core.select.selection import Selection
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.timers import Timers


def select(s: Situation, timers: Timers) -> Selection:
    """Choose the nodes of the next round, and list the spares."""
    if not s.takes_nodes:
        return Selection(spares=spares.of_a_closed_run(s))
    passed_over = held_out.passed_over(s, timers)
    queue = _in_order(s, held_out.eligible(s, passed_over))
    if s.round_runs:
        newcomers = _newcomers(s, queue)
        listed = spares.while_running(queue, len(newcomers))
        return Selection(queue, spares=listed, newcomers=newcomers, held_out=passed_over)
    chosen = _nodes(s, choose(s, spares.names_of(queue)))
    listed = spares.while_forming(s, queue, chosen, [view.name for view in blocking(s, timers)])
    return Selection(queue, chosen, listed, held_out=passed_over)


def grown(s: Situation, newcomers: Iterable[Node]) -> int:
    """The size that the running round would have with these newcomers."""
    return fitting(s, [*s.entries, *(node.name for node in newcomers)])


def _newcomers(s: Situation, queue: Sequence[Node]) -> tuple[Node, ...]:
    """The nodes for which the running round will be ended."""
    if not queue or grown(s, queue) <= s.status.nodes:
        return ()
    chosen = choose(s, [*s.entries, *spares.names_of(queue)])
    return _nodes(s, [name for name in chosen if name not in s.entries])


def _in_order(s: Situation, eligible: Sequence[Node]) -> tuple[Node, ...]:
    objects = [node.object for node in eligible]
    if s.run.has_round:
        ordered = order.in_later_order(objects, s.status.participants, s.run.spares)
    else:
        ordered = order.in_first_order(objects)
    return _nodes(s, [participant.metadata.name for participant in ordered])


def _nodes(s: Situation, names: Iterable[str]) -> tuple[Node, ...]:
    return tuple(s.nodes[name] for name in names)
