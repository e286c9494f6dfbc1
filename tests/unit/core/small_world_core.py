"""The decision core inside the small world: what it decides in a state, and what every decision must keep to."""

import hashlib
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import groupby

from tests.unit.core.small_world import (
    FOR_HOURS,
    JOINED,
    NEW,
    NOW_FAILED,
    OVER,
    RUNS_WORKERS,
    SAME,
    SILENT,
    UNHEARD,
    Ages,
    Node,
    Shared,
    start,
    vanished,
)
from tests.unit.core.small_world_objects import (
    NOW,
    WALL,
    excused_of,
    is_left_behind,
    memory_of,
    node_name,
    number_of,
    world_of,
)
from tests.unit.core.small_world_path import Second
from tests.unit.core.small_world_peers import check_losses
from tests.unit.core.small_world_setup import Setup
from tests.unit.core.write_rules import check_write

from rendezvous_api import names
from rendezvous_api.reasons import (
    FAILURES,
    ClosedReason,
)
from rendezvous_api.rendezvous import RendezvousStatus
from rendezvous_operator.core.decide import decide
from rendezvous_operator.core.timers import Fact, Timer
from rendezvous_operator.core.world import Decision, Evidence, Memory, Now, World

Watch = Callable[[World, Memory, Decision], None]

_RETENTION = frozenset({Timer.LEFT, Timer.EMPTY})
"""Timers on which nothing but a deletion rests."""
_MOST_LOOKS = 20_000


class SecondLooks:
    """How the operator decides once more on what it has just left: many states lead to the same world and memory.

    A decision is pure, which `test_random_worlds` checks: it is made, and its ``wake_at`` is checked, once for each
    of these worlds. They go by their whole text, so that nothing that a decision may depend on is left out.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, Decision] = {}
        self._woken: set[bytes] = set()

    def decide(self, world: World, memory: Memory) -> tuple[bytes, Decision]:
        """The decision, and a key for `check_wake_up`."""
        key = hashlib.blake2b(repr((world, memory)).encode(), digest_size=16).digest()
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= _MOST_LOOKS:  # later states seldom lead to worlds of much earlier ones
                self._known.clear()
            known = self._known[key] = _decision(NOW, world, memory)
        return key, known

    def check_wake_up(self, key: bytes, world: World, decision: Decision) -> None:
        """See `_check_wake_up`."""
        if key not in self._woken:
            _check_wake_up(world, decision)
            self._woken.add(key)


def decided(
    setup: Setup, shared: Shared, nodes: tuple[Node, ...], looks: SecondLooks, watch: Watch | None = None
) -> tuple[Shared, tuple[Node, ...]]:
    """Let the operator reconcile once, and check everything that can be checked without looking at the processes."""
    world, memory = world_of(setup, shared, nodes), memory_of(shared, nodes)
    first = _decision(NOW, world, memory)
    if watch is not None:
        watch(world, memory, first)
    check_write(world.rendezvous.spec, world.rendezvous.status, first.status)
    if setup.peers:
        given = {i: node_name(i) for i in range(len(nodes))}
        check_losses(shared, nodes, first.lost, given, asks=first.status.waiting_nodes > 0)
    if first.status.round > world.rendezvous.status.round:
        racks = [nodes[number_of(member.name)].rack for member in first.status.participants]
        assert setup.together(racks) == len(racks), f"a round has nodes of the racks {racks}"
    _check_asking(first.status)
    _check_budget(setup, world.rendezvous.status, first.status)
    _check_deletions(shared, nodes, first)

    after = replace(world, rendezvous=replace(world.rendezvous, status=first.status))
    key, second = looks.decide(after, first.memory)
    if second.status != first.status and second.status.closed_runs != world.rendezvous.status.closed_runs:
        # It takes some reconciles until one run has lost the Rendezvous and the next one has it.
        return decided(setup, *_state(setup, shared, nodes, first, published=False), looks, watch)
    published = first.status.round > world.rendezvous.status.round
    if published:
        _check_places(setup, nodes, first.status)
    if published and _left_behind(shared, nodes, first):
        return _state(setup, shared, nodes, first, published=True)
    assert second.status == first.status, f"a write loop: {first.status} then {second.status}"
    looks.check_wake_up(key, after, second)
    # The memory of the second look: nothing has changed, and it has forgotten what is of no use any more.
    return _state(setup, shared, nodes, replace(first, memory=second.memory), published=published)


def _decision(now: Now, world: World, memory: Memory) -> Decision:
    answer = decide(now, world, memory)
    assert not isinstance(answer, Evidence), f"all has been read, but it is {answer.explanation}"
    return answer


def _check_deletions(shared: Shared, nodes: Sequence[Node], decision: Decision) -> None:
    """Rule "retention": a member of a round that may still run is kept, and so are all while all are silent."""
    deleted = {deletion.name for deletion in decision.deletions if deletion.kind == names.PARTICIPANT_KIND}
    may_run = shared.published and not shared.over
    for i, node in enumerate(nodes):
        if node_name(i) in deleted:
            assert node.object != JOINED or FOR_HOURS in _silences(node, nodes), f"{node} is deleted before its time"
            assert not (may_run and node.member), f"{node} is deleted in the middle of its round"
    present = [node for node in nodes if node.object == JOINED]
    all_silent = len(present) > 1 and all(node.silence in SILENT for node in present)
    all_silent = all_silent and not all(node.behind for node in present)
    assert not (all_silent and deleted), "a participant is deleted while all are silent"


def _silences(node: Node, nodes: Sequence[Node]) -> set[int]:
    """Its own; who was left behind has been silent for longer than all that were heard since."""
    return {other.silence for other in nodes} if is_left_behind(node) else {node.silence}


def _newly_excused(nodes: Sequence[Node], memory: Memory) -> set[str]:
    before = excused_of(nodes)
    return {name for name, excused in memory.excused.items() if excused != before.get(name)}


def _left_behind(shared: Shared, nodes: Sequence[Node], decision: Decision) -> bool:
    """Whether a round can be published without a member that asks for a place in the next one from that moment on.

    It was a member, but silent before it could see that; at its next heartbeat, or when the round is cut off no more
    and its silence starts again, reentrySeconds have passed.
    """
    overdue = _age_of_asking(shared) == OVER
    return overdue and any(
        node.current
        and not node.reports
        and (node.silence in (0, UNHEARD) or node_name(i) in _newly_excused(nodes, decision.memory))
        for i, node in enumerate(nodes)
    )


def _check_places(setup: Setup, nodes: Sequence[Node], status: RendezvousStatus) -> None:
    """Rule "topology ranks": the members of a rack have ranks that follow each other, and fill whole segments."""
    if not setup.racks:
        return
    racks = {node_name(i): node.rack for i, node in enumerate(nodes)}
    runs = [
        (rack, sum(1 for _ in inside)) for rack, inside in groupby(racks[each.name] for each in status.participants)
    ]
    assert len(runs) == len({rack for rack, _ in runs}), f"a rack is in two places: {runs}"
    assert setup.segment is None or not any(count % setup.segment for _, count in runs), f"no whole segments: {runs}"


def _check_asking(status: RendezvousStatus) -> None:
    """Rule "runs": members of a closed run are left in peace unless its restart budget is spent."""
    if status.waiting_nodes:
        reason = status.closed_reason(status.history[-1].run_id)
        assert reason in (None, ClosedReason.RESTART_BUDGET_EXHAUSTED), f"members of a closed run are asked: {reason}"


def _check_budget(setup: Setup, before: RendezvousStatus, status: RendezvousStatus) -> None:
    """Rule "restart budget", where the list of failures has all that counts: nothing else closes a run for it."""
    if not setup.lists_failures:
        return
    used = Counter(failure.node for failure in status.failures)
    most = max(used.values(), default=0)
    assert setup.max_restarts is not None
    spent = used.total() > setup.max_restarts or (setup.per_node is not None and most > setup.per_node)
    if status.round > before.round:
        assert not spent, f"a round is published after {status.failures}"
    exhausted = {run for run in status.closed_runs if run.reason is ClosedReason.RESTART_BUDGET_EXHAUSTED}
    if exhausted - {*before.closed_runs}:
        assert spent, f"a run is closed after {status.failures}"


def _failures_of(status: RendezvousStatus) -> dict[str, tuple[int, ...]]:
    """Which failures of the list are those of each node; see `Node.failures`."""
    found: dict[str, tuple[int, ...]] = {}
    for number, failure in enumerate(status.failures, start=1):
        which = NOW_FAILED if failure.round == status.round else number
        found[failure.node] = (*found.get(failure.node, ()), which)
    return found


def _check_wake_up(world: World, decision: Decision) -> None:
    """Nothing may change by the mere passing of time before ``wake_at``: no event would start a decision."""
    wake_at = decision.wake_at
    assert wake_at is None or wake_at > NOW.monotonic, "a busy loop: wake_at has already come"
    passing = wake_at - 0.001 - NOW.monotonic if wake_at is not None else 1e8
    later = decide(Now(NOW.monotonic + passing, WALL + timedelta(seconds=passing)), world, decision.memory)
    assert isinstance(later, Decision), "a wake_at is missing"
    assert (later.status, later.deletions) == (decision.status, decision.deletions), "a wake_at is missing"


def _age_of_asking(shared: Shared) -> int:
    return next((age for (timer, _), age in shared.facts if timer == Timer.ASKED.value), 0)


def check_exclusive(before: Sequence[Node], after: Sequence[Node], shared: Shared) -> None:
    """Rule "exclusivity" on the true world: a node that runs an older round and is not silent blocks a new one.

    Unless it was asked reentrySeconds ago. A member that was lost by its silence before it could report that
    it trains, and has not reported it since, counts as waiting until it sees the new status: only its process knows.
    """
    for node, now_node in zip(before, after, strict=True):
        runs = node.process in RUNS_WORKERS and (node.current or node.reports) and not node.second.farewell
        if runs and not now_node.current:
            claimed = any(fact[0] == Timer.UNLISTED.value and age == OVER for fact, age in node.ages)
            asked_in_vain = _age_of_asking(shared) == OVER if node.current else claimed
            silent = node.silence in SILENT or (node.silence == UNHEARD and not node.current)
            assert asked_in_vain or silent, f"a round was published beside {node}"
        if now_node.current:
            assert node.object == JOINED, f"{node} became a member without asking"
            assert not runs, f"{node} is a member of two rounds"


def _remembered(
    setup: Setup, shared: Shared, nodes: Sequence[Node], since: Mapping[Fact, float], *, published: bool
) -> tuple[tuple[tuple[tuple[str, Hashable], int], ...], list[Ages]]:
    """The other way round: timers that are not about one agent, and those of each agent."""
    facts: list[tuple[tuple[str, Hashable], int]] = []
    ages: list[list[tuple[tuple[Hashable, ...], int]]] = [[] for _ in nodes]
    places = {node_name(i): i for i in range(len(nodes))}
    for (timer, key), began in since.items():
        age = NEW if began == NOW.monotonic else OVER
        if timer in _RETENTION and not setup.retention:
            continue
        if timer is Timer.CONTRADICTED or (published and timer is Timer.ACCUSED):
            continue
        if timer is Timer.HOST_NOT_REACHED:
            age = OVER
        if isinstance(key, frozenset):
            for name in () if published else key:
                ages[places[name]].append(((timer.value,), age))
        elif isinstance(key, tuple):
            ages[places[key[0]]].append(((timer.value, *key[1:]), age))
        elif _means_something(timer, shared) and not (published and timer is not Timer.ALL_SILENT):
            facts.append(((timer.value, key), age))
    return tuple(sorted(facts, key=repr)), [tuple(sorted(found, key=repr)) for found in ages]


def _means_something(timer: Timer, shared: Shared) -> bool:
    """Whether any rule may read a timer in this state before it starts again; if not, states that differ in it are one.

    A round that has ended never runs again, and one whose run is closed is neither formed again nor grown.
    """
    closed = shared.round_run in dict(shared.closed)
    if timer is Timer.ROUND:
        return not shared.ended
    if timer is Timer.DRAINED:
        return not closed
    return True


def _state(
    setup: Setup, shared: Shared, nodes: Sequence[Node], decision: Decision, *, published: bool
) -> tuple[Shared, tuple[Node, ...]]:
    status, memory = decision.status, decision.memory
    last = status.history[-1] if status.history else None
    ended = ""
    if last is not None and not last.running:
        ended = str(last.reason) if setup.max_restarts is not None and last.reason in FAILURES else "ScaleUp"
    after = Shared(
        published=status.round > 0,
        waiting=status.waiting_nodes > 0,
        run=status.run_id or "",
        closed=tuple((run.run_id, str(run.reason)) for run in status.closed_runs),
        round_run=last.run_id if last is not None else "",
        ended=ended,
        # Only deletions, and limits that are judged then, depend on it.
        over=last is not None and last.ended is not None if setup.retention or setup.lists_failures else bool(ended),
        restarts=0 if setup.max_restarts is None or setup.lists_failures else min(status.restarts, setup.max_restarts),
        spec_closed=shared.spec_closed,
        suspended=shared.suspended,
        requested=setup.requests and status.observed_restart_request is None,
        limits=shared.limits,
    )
    if any(deletion.kind == names.RENDEZVOUS_KIND for deletion in decision.deletions):
        assert not any(node.object for node in nodes), "a Rendezvous is deleted of which a participant is left"
        return start(setup)
    facts, ages = _remembered(setup, after, nodes, memory.since, published=published)
    refused = {refusal.name: str(refusal.reason) for refusal in status.refused}
    spares = {name: place for place, name in enumerate(status.spares, start=1)}
    members = {member.name for member in status.participants}
    failures = _failures_of(status) if setup.lists_failures else {}
    deleted = {deletion.name for deletion in decision.deletions}
    full_period = memory.grace_from == NOW.monotonic
    changed = []
    for i, node in enumerate(nodes):
        name = node_name(i)
        silence = node.silence
        # What is excused is as long as the silence: times have no lengths here.
        if (full_period or name in _newly_excused(nodes, memory)) and silence in SILENT:
            silence = UNHEARD if node.process else 0
        found = node._replace(
            spare=spares.get(name, 0),
            refused=refused.get(name, ""),
            ages=ages[i],
            silence=silence,
            failures=failures.get(name, ()),
            # Where only pods end, it would double the states.
            behind=setup.silence and memory.only_others and (node.behind or (full_period and node.silence in SILENT)),
        )
        if setup.peers:
            concluded = memory.concluded.get(name)
            second = node.second._replace(
                concluded=concluded.word.value if concluded is not None else "",
                vouched=name in memory.vouched and silence in SILENT,
            )
            found = found._replace(second=second)
        if published:
            member = name in members
            host = bool(setup.peers) and name == status.participants[0].name
            found = found._replace(
                member=member, entry=SAME if member else "", checked_in=False, host=host, second=Second()
            )
        changed.append(vanished(found) if name in deleted else found)
    return after._replace(facts=facts), tuple(changed)
