"""All facts that are timed. No other file states one; `liveness` measures the age of heartbeats."""

from collections.abc import Callable, Iterable, Iterator

from rendezvous_operator.core import coming_pods, machines
from rendezvous_operator.core.blocking import blocking, may_run_unlisted, unlisted_key
from rendezvous_operator.core.nodes import names_of
from rendezvous_operator.core.runs import close, refuse
from rendezvous_operator.core.select import bad_machines
from rendezvous_operator.core.select.choose import fitting
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.timers import Fact, Timer, Timers
from rendezvous_operator.core.world import Memory

Facts = Callable[[Situation], Iterator[Fact]]


def _all_silent(s: Situation) -> Iterator[Fact]:
    if s.liveness.all_silent:
        yield Timer.ALL_SILENT, None


def _rounds(s: Situation) -> Iterator[Fact]:
    if not s.status.history:
        return
    last = s.status.history[-1]
    yield Timer.ROUND, last.round
    if s.run.asked or s.run.called_back:
        # Whoever of them is heard or not: a node that is heard now and then must not restart the time.
        yield Timer.ASKED, last.round
    if s.liveness.cut_off:
        yield Timer.CUT_OFF, s.status.round
    if last.running and last.checked_in is None and _all_run(s, last.round):
        yield Timer.CHECKED_IN, last.round


def _peers(s: Situation) -> Iterator[Fact]:
    yield from s.liveness.peers.facts(s.status.round)


def _machines(s: Situation) -> Iterator[Fact]:
    for name, machine in (s.world.machines or {}).items():
        if machine.problem is not None:
            yield machines.fact(name)


def _replacements(s: Situation) -> Iterator[Fact]:
    if coming_pods.none_comes(s):
        yield Timer.NO_POD_COMES, s.names_lost


def _all_run(s: Situation, number: int) -> bool:
    return all(view.node is not None and view.node.reported_round == number for view in s.members)


def _unlisted_nodes(s: Situation) -> Iterator[Fact]:
    for node in may_run_unlisted(s):
        yield Timer.UNLISTED, unlisted_key(node)


def _first_round(s: Situation) -> Iterator[Fact]:
    if s.may_publish and not s.run.has_round and fitting(s, names_of(s.unmarked)):
        yield Timer.ENOUGH, s.run.id
        if s.all_known_wait:
            yield Timer.SETTLED, s.names_waiting


def _held_out(s: Situation) -> Iterator[Fact]:
    for entry in s.status.held_out:
        yield Timer.HELD_OUT, (entry.name, entry.until)


def _marks(s: Situation) -> Iterator[Fact]:
    if bad_machines.too_few_are_left(s):
        yield Timer.TOO_FEW_ELIGIBLE, s.run.id


def _no_node_left(s: Situation) -> Iterator[Fact]:
    if s.run.open and not s.is_attended:
        yield Timer.UNATTENDED, s.run.id
    if close.no_node_is_left(s):
        yield Timer.NO_NODE_LEFT, s.run.id


def _answers(s: Situation) -> Iterator[Fact]:
    if refuse.owes_answers(s):
        yield Timer.OWES_ANSWERS, s.run.id


def _participants(s: Situation) -> Iterator[Fact]:
    for node in s.nodes.values():
        if node.left is not None:
            yield Timer.LEFT, (node.name, node.object.spec.incarnation)
    if not s.nodes:
        yield Timer.EMPTY, None


FACTS: tuple[Facts, ...] = (
    _all_silent,
    _rounds,
    _peers,
    _machines,
    _replacements,
    _unlisted_nodes,
    _first_round,
    _held_out,
    _marks,
    _no_node_left,
    _answers,
    _participants,
)
"""All facts; their order means nothing."""


def tick(s: Situation, memory: Memory) -> Timers:
    """Since when each fact that is true now has been true. No timer starts before `Liveness.timers_floor`."""
    timers = _since(s, memory, [fact for facts in FACTS for fact in facts(s)])
    # This fact depends on the age of others, since members that were asked too long ago do not block. It is not true
    # while the Rendezvous is closed or suspended: no node could replace a lost member.
    drained = s.may_publish and s.run.has_round and not blocking(s, timers)
    last = [(Timer.DRAINED, s.status.round)] if drained else []
    return _since(s, memory, [*timers.since, *last])


def _since(s: Situation, memory: Memory, facts: Iterable[Fact]) -> Timers:
    now, floor = s.now.monotonic, s.liveness.timers_floor
    # The clock may go back by some seconds when an outage is noticed: no fact began in the future.
    return Timers(now, {fact: max(min(memory.since.get(fact, now), now), floor) for fact in facts})
