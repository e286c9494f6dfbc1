"""From what is seen to a `Situation`, or to what must be read first."""

from collections.abc import Iterable

from rendezvous_api import names
from rendezvous_operator.core import marks
from rendezvous_operator.core.liveness import assess, with_dead
from rendezvous_operator.core.nodes import MemberView, see_member, see_node
from rendezvous_operator.core.peers import suspicion
from rendezvous_operator.core.run import Run
from rendezvous_operator.core.run_of_node import KnownRuns
from rendezvous_operator.core.runs.rules import unread
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.topology import by_machines, whereabouts
from rendezvous_operator.core.world import Evidence, Memory, Now, Target, World


def observe(now: Now, world: World, memory: Memory) -> Situation | Evidence:
    """Derive the situation, or name every object that must be read before.

    These are participants that would count as silent, or as dead by what other members say, and those that say it;
    members that no watch has shown, members that seem to have restarted, members whose pod or container has ended, pods
    that no watch shows any more, and pods whose run decides about an answer.
    """
    known = KnownRuns.of(world.rendezvous.status)
    nodes = {name: see_node(world, name, seen, known) for name, seen in world.participants.items()}
    liveness = assess(now, world, memory, nodes)
    if liveness.overdue:
        nodes = with_dead(nodes, liveness.overdue)
    nodes |= {name: nodes[name]._replace(silence=silent) for name, silent in liveness.silences.items()}
    all_waiting = tuple(node for node in nodes.values() if node.waits(known.members.get(node.name)))
    spec = world.rendezvous.spec
    views = tuple(
        see_member(
            member,
            nodes.get(name),
            spec,
            isolated=liveness.isolated,
            concluded=liveness.peers.concluded.get(name),
            suspected=suspicion(now, liveness.peers, name),
            machine=liveness.by_machine.get(name, ""),
        )
        for name, member in known.members.items()
    )
    run = Run.of(world.rendezvous.status)
    where = whereabouts(world, nodes) if by_machines(spec) else None
    marked = marks.of_waiting(world, all_waiting)
    situation = Situation(now, world, nodes, all_waiting, views, liveness, run, where, marked)
    unseen = {Target(names.PARTICIPANT_KIND, name) for name in known.members if name not in nodes} - world.absent
    vanished = {node.life_unread for node in nodes.values() if node.life_unread is not None}
    ended = {node.end_unread for node in nodes.values() if node.end_unread is not None}
    to_read = liveness.to_read | unseen | vanished | ended | _restarted(world, views) | unread(situation)
    return Evidence(to_read) if to_read else situation


def _restarted(world: World, views: Iterable[MemberView]) -> frozenset[Target]:
    """Members of which another incarnation is seen: which one is the newer, only a read can tell."""
    return frozenset(
        Target(names.PARTICIPANT_KIND, view.name)
        for view in views
        if view.node is not None
        and view.node.understood
        and view.node.object.spec.incarnation != view.member.incarnation
        and world.participants[view.name].read_at is None
    )
