"""From the waiting nodes to the chosen ones."""

from rendezvous_operator.core.blocking import blocking
from rendezvous_operator.core.nodes import Node
from rendezvous_operator.core.select import order, spares
from rendezvous_operator.core.select.selection import Selection
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.timers import Timers


def select(s: Situation, timers: Timers) -> Selection:
    """Choose the nodes of the next round, and list the spares."""
    if not s.takes_nodes:
        return Selection(spares=spares.of_a_closed_run(s))
    queue = _in_order(s)
    if s.round_runs:
        newcomers = queue[: max(0, grown(s, len(queue)) - s.status.nodes)]
        return Selection(queue, spares=spares.while_running(queue, len(newcomers)), newcomers=newcomers)
    listed = spares.while_forming(s, queue, len(blocking(s, timers)))
    return Selection(queue, queue[: s.sizes.fitting(len(queue))], listed)


def grown(s: Situation, newcomers: int) -> int:
    """The size that the running round would have with these newcomers."""
    return s.sizes.fitting(s.status.nodes + newcomers)


def _in_order(s: Situation) -> tuple[Node, ...]:
    objects = [node.object for node in s.waiting]
    if s.run.has_round:
        ordered = order.in_later_order(objects, s.status.participants, s.run.spares)
    else:
        ordered = order.in_first_order(objects)
    return tuple(s.nodes[participant.metadata.name] for participant in ordered)
