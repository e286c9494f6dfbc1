"""From the waiting nodes to the chosen ones."""

from bisect import bisect_left
from collections.abc import Container, Iterable, Mapping, Sequence

from rendezvous_api.rendezvous import PassedOver
from rendezvous_operator.core.blocking import blocking
from rendezvous_operator.core.nodes import Node, names_of, nodes_of
from rendezvous_operator.core.select import bad_machines, held_out, order, passed_over, spares
from rendezvous_operator.core.select.choose import choose, fitting
from rendezvous_operator.core.select.eligible import eligible
from rendezvous_operator.core.select.selection import Eligible, Selection
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.timers import Timers


def select(s: Situation, timers: Timers) -> Selection:
    """Choose the nodes of the next round, and list the spares."""
    if not s.takes_nodes:
        return Selection(spares=spares.of_a_closed_run(s))
    out, kept_out = held_out.counting(s, timers), bad_machines.kept_out(s)
    last = passed_over.giving_way(s)
    waiting = _in_order(s, held_out.waiting_without(s, out), last)
    if s.round_runs:
        found = _with_members(s, waiting)
        queue = tuple(node for node in found.nodes if node.name not in s.entries)
        left_out = tuple(item for item in found.left_out if item.name not in s.entries)
        newcomers = _newcomers(s, queue)
        listed = spares.while_running([*queue, *_nodes(s, [item.name for item in left_out])], len(newcomers))
        gives_way = _of_the_others(queue, newcomers, last)
        return Selection(queue, (), listed, newcomers, out, kept_out, gives_way, left_out)
    queue, left_out = eligible(s, waiting)
    chosen = _nodes(s, choose(s, names_of(_without_last(s, queue, last))))
    may_rejoin = [view.name for view in blocking(s, timers)]
    listed = spares.while_forming(s, [*queue, *_nodes(s, [item.name for item in left_out])], chosen, may_rejoin)
    gives_way = _of_the_others(queue, chosen, last) if chosen else ()
    return Selection(queue, chosen, listed, (), out, kept_out, gives_way, left_out)


def grown(s: Situation, waiting: Iterable[Node]) -> int:
    """The size that the running round would have with these nodes, of which none is held out."""
    return fitting(s, [*s.entries, *names_of(waiting)])


def _newcomers(s: Situation, queue: Sequence[Node]) -> tuple[Node, ...]:
    """The nodes for which the running round will be ended."""
    if not queue or grown(s, queue) <= s.status.nodes:
        return ()
    chosen = choose(s, [*s.entries, *names_of(queue)])
    return _nodes(s, [name for name in chosen if name not in s.entries])


def _without_last(s: Situation, queue: Sequence[Node], last: Container[str]) -> Sequence[Node]:
    """With as few as possible of those that give way to all others, so that a round of the same size is filled."""
    give_way = [node.name for node in queue if node.name in last] if last else []
    if not give_way:
        return queue
    others, most = [node.name for node in queue if node.name not in last], fitting(s, names_of(queue))
    few = bisect_left(range(len(give_way)), most, key=lambda number: fitting(s, [*others, *give_way[:number]]))
    without = {*give_way[few:]}
    return [node for node in queue if node.name not in without]


def _of_the_others(
    queue: Sequence[Node], chosen: Sequence[Node], last: Mapping[str, PassedOver]
) -> tuple[PassedOver, ...]:
    """Who gives way, and is not chosen."""
    among = {*names_of(chosen)} if last else set()
    return tuple(last[node.name] for node in queue if node.name in last and node.name not in among)


def _with_members(s: Situation, waiting: Sequence[Node]) -> Eligible:
    """Which of the members and of these nodes may be together in a round."""
    return eligible(s, [*nodes_of(s.members), *waiting]) if waiting else Eligible(())


def _in_order(s: Situation, waiting: Sequence[Node], last: Container[str]) -> tuple[Node, ...]:
    objects = [node.object for node in waiting]
    if s.run.has_round:
        ordered = order.in_later_order(objects, s.status.participants, s.run.spares)
    else:
        ordered = order.in_first_order(objects)
    queue = _nodes(s, [participant.metadata.name for participant in ordered])
    return tuple(sorted(queue, key=lambda node: node.name in last)) if last else queue


def _nodes(s: Situation, names: Iterable[str]) -> tuple[Node, ...]:
    return tuple(s.nodes[name] for name in names)
