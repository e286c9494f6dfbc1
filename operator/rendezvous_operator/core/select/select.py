"""From those who wait to those who are chosen."""

from rendezvous_operator.core.agents import Agent
from rendezvous_operator.core.blocking import blocking
from rendezvous_operator.core.select import order, spares
from rendezvous_operator.core.select.selection import Selection
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.timers import Timers


def select(s: Situation, timers: Timers) -> Selection:
    """Choose who is to be in the next round, and list who is a spare."""
    if not s.takes_nodes:
        return Selection(spares=spares.of_a_closed_run(s))
    queue = _in_order(s)
    if s.round_runs:
        newcomers = queue[: max(0, grown(s, len(queue)) - s.status.nodes)]
        return Selection(queue, spares=spares.while_running(queue, len(newcomers)), newcomers=newcomers)
    listed = spares.while_forming(s, queue, len(blocking(s, timers)))
    return Selection(queue, queue[: s.sizes.fitting(len(queue))], listed)


def grown(s: Situation, newcomers: int) -> int:
    """The size that the running round would have, had it been formed with so many more nodes."""
    return s.sizes.fitting(s.status.nodes + newcomers)


def _in_order(s: Situation) -> tuple[Agent, ...]:
    objects = [agent.object for agent in s.waiting]
    if s.run.has_round:
        ordered = order.in_later_order(objects, s.status.participants, s.run.spares)
    else:
        ordered = order.in_first_order(objects)
    return tuple(s.agents[participant.metadata.name] for participant in ordered)
