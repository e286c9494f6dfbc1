"""From the waiting nodes to the chosen ones."""

from collections.abc import Mapping, Sequence

from rendezvous_api.rendezvous import PassedOver
from rendezvous_operator.core.blocking import blocking
from rendezvous_operator.core.nodes import Node
from rendezvous_operator.core.select import bad_machines, held_out, order, passed_over, spares
from rendezvous_operator.core.select.selection import Selection
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.timers import Timers


def select(s: Situation, timers: Timers) -> Selection:
    """Choose the nodes of the next round, and list the spares."""
    if not s.takes_nodes:
        return Selection(spares=spares.of_a_closed_run(s))
    out, kept_out = held_out.passed_over(s, timers), bad_machines.kept_out(s)
    last = passed_over.giving_way(s)
    queue = _in_order(s, held_out.eligible(s, out), last)
    if s.round_runs:
        newcomers = queue[: max(0, grown(s, len(queue)) - s.status.nodes)]
        listed = spares.while_running(queue, len(newcomers))
        gives_way = tuple(last[node.name] for node in queue[len(newcomers) :] if node.name in last)
        return Selection(queue, (), listed, newcomers, out, kept_out, gives_way)
    listed = spares.while_forming(s, queue, len(blocking(s, timers)))
    chosen = queue[: s.sizes.fitting(len(queue))]
    gives_way = tuple(last[node.name] for node in queue[len(chosen) :] if chosen and node.name in last)
    return Selection(queue, chosen, listed, (), out, kept_out, gives_way)


def grown(s: Situation, newcomers: int) -> int:
    """The size that the running round would have with these newcomers."""
    return s.sizes.fitting(s.status.nodes + newcomers)


def _in_order(s: Situation, eligible: Sequence[Node], last: Mapping[str, PassedOver]) -> tuple[Node, ...]:
    objects = [node.object for node in eligible]
    if s.run.has_round:
        ordered = order.in_later_order(objects, s.status.participants, s.run.spares)
    else:
        ordered = order.in_first_order(objects)
    queue = [s.nodes[participant.metadata.name] for participant in ordered]
    return tuple(sorted(queue, key=lambda node: node.name in last)) if last else tuple(queue)
