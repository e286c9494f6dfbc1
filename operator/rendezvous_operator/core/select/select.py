"""From the waiting nodes to the chosen ones."""

from collections.abc import Sequence

from rendezvous_operator.core.blocking import blocking
from rendezvous_operator.core.nodes import Node
from rendezvous_operator.core.select import held_out, order, spares
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
        newcomers = queue[: max(0, grown(s, len(queue)) - s.status.nodes)]
        listed = spares.while_running(queue, len(newcomers))
        return Selection(queue, spares=listed, newcomers=newcomers, held_out=passed_over)
    listed = spares.while_forming(s, queue, len(blocking(s, timers)))
    return Selection(queue, queue[: s.sizes.fitting(len(queue))], listed, held_out=passed_over)


def grown(s: Situation, newcomers: int) -> int:
    """The size that the running round would have with these newcomers."""
    return s.sizes.fitting(s.status.nodes + newcomers)


def _in_order(s: Situation, eligible: Sequence[Node]) -> tuple[Node, ...]:
    objects = [node.object for node in eligible]
    if s.run.has_round:
        ordered = order.in_later_order(objects, s.status.participants, s.run.spares)
    else:
        ordered = order.in_first_order(objects)
    return tuple(s.nodes[participant.metadata.name] for participant in ordered)
