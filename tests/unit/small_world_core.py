"""The decision core inside the small world: a state becomes a world to decide on, the decision becomes a state."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone

from tests.unit.small_world import (
    AGAIN,
    ANEW,
    FAILED,
    JOINED,
    NEW,
    NO,
    OVER,
    RUNS_WORKERS,
    SAME,
    SUCCEEDED,
    TIMED_OUT,
    UNHEARD,
    Node,
    Setup,
    Shared,
)
from tests.unit.write_rules import check_write

from rendezvous_api import names
from rendezvous_api.meta import ObjectMeta, OwnerReference
from rendezvous_api.participant import Participant, ParticipantSpec, ParticipantStatus
from rendezvous_api.reasons import FAILURES, AttemptReason, ClosedReason, LeaveReason, ParticipantState, RefusalReason
from rendezvous_api.rendezvous import (
    ClosedRun,
    Member,
    Refusal,
    Rendezvous,
    RendezvousSpec,
    RendezvousStatus,
    RoundRecord,
    Store,
)
from rendezvous_operator.core.decide import decide
from rendezvous_operator.core.world import Decision, Fact, Memory, Now, Pod, SeenParticipant, Target, World

WALL = datetime(2030, 1, 1, tzinfo=timezone.utc)
NOW = Now(1_000_000.0, WALL)
LONG_AGO = 900_000.0
METADATA = ObjectMeta("train", uid="uid")

CURRENT, OLDER = 2, 1
"""Stand for the number of the current round and for that of any older one."""

_HEARD_AT = {0: NOW.monotonic, 1: NOW.monotonic - 16, 2: NOW.monotonic - 121, UNHEARD: NOW.monotonic}
_SINCE = {NEW: NOW.monotonic, OVER: LONG_AGO}
_LEFT = {SUCCEEDED: LeaveReason.SUCCEEDED, FAILED: LeaveReason.FAILED, TIMED_OUT: LeaveReason.TIMED_OUT}
_OF_ROUND = ("round", "asked", "drained", "enough")
"""Facts that say nothing any more once the next round is published."""


def decided(setup: Setup, shared: Shared, nodes: tuple[Node, ...]) -> tuple[Shared, tuple[Node, ...]]:
    """Let the operator take one turn, and check everything that can be checked without looking at the processes."""
    world, memory = _world(setup, shared, nodes), _memory(shared, nodes)
    first = decide(NOW, world, memory)
    assert not first.confirm, f"all has been read, but it asks for {first.confirm}"
    check_write(world.rendezvous.spec, world.rendezvous.status, first.status)
    _check_asking(first.status)

    after = replace(world, rendezvous=replace(world.rendezvous, status=first.status))
    second = decide(NOW, after, first.memory)
    if second.status != first.status and second.status.closed_runs != world.rendezvous.status.closed_runs:
        # It takes some turns until one run has lost the Rendezvous and the next one has it.
        return decided(setup, *_state(setup, shared, nodes, first, published=False))
    assert not second.confirm
    published = first.status.round > world.rendezvous.status.round
    if published and _left_behind(shared, nodes):
        return _state(setup, shared, nodes, first, published=True)
    assert second.status == first.status, f"a write loop: {first.status} then {second.status}"
    _check_wake_up(after, second)
    # The memory of the second look: nothing has changed, and it has forgotten what is of no use any more.
    return _state(setup, shared, nodes, replace(first, memory=second.memory), published=published)


def _left_behind(shared: Shared, nodes: Sequence[Node]) -> bool:
    """Whether a round can be published without a member that asks for a place in the next one from that moment on.

    It was admitted, but silent before it could see that; when it is heard again reentryTimeoutSeconds have passed.
    """
    overdue = dict(shared.facts).get("asked") == OVER
    return overdue and any(node.current and not node.claims and node.silence in (0, UNHEARD) for node in nodes)


def _check_asking(status: RendezvousStatus) -> None:
    """Rules 6 and 11: members of a closed run are left in peace unless its restart budget is spent."""
    if status.waiting_nodes:
        reason = status.closed_reason(status.history[-1].run_id)
        assert reason in (None, ClosedReason.RESTART_BUDGET_EXHAUSTED), f"members of a closed run are asked: {reason}"


def _check_wake_up(world: World, decision: Decision) -> None:
    """Nothing may change by the mere passing of time before ``wake_at``: nobody would look."""
    wake_at = decision.wake_at
    assert wake_at is None or wake_at > NOW.monotonic, "a busy loop: wake_at has already come"
    quiet_until = Now(wake_at - 0.001 if wake_at is not None else NOW.monotonic + 1e9, WALL)
    later = decide(quiet_until, world, decision.memory)
    assert (later.status, later.confirm) == (decision.status, frozenset()), "a wake_at is missing"


def check_exclusive(before: Sequence[Node], after: Sequence[Node], facts: dict[str, int]) -> None:
    """Rule 2 on the true world: who runs an older round and is heard keeps a new one from being published.

    Unless it was asked reentryTimeoutSeconds ago. A member that was dropped for its silence before it could tell that
    it trains, and has not told it since, is known to nobody: it counts as waiting until it sees what has become of it.
    """
    for node, now_node in zip(before, after, strict=True):
        runs = node.process in RUNS_WORKERS and (node.current or node.claims)
        if runs and not now_node.current:
            asked_in_vain = facts.get("asked", NO) == OVER if node.current else node.claim_age == OVER
            silent = node.silence in (1, 2) or (node.silence == UNHEARD and not node.current)
            assert asked_in_vain or silent, f"a round was published beside {node}"
        if now_node.current:
            assert node.object == JOINED, f"{node} became a member without asking"
            assert not runs, f"{node} is a member of two rounds"


def _world(setup: Setup, shared: Shared, nodes: Sequence[Node]) -> World:
    spec = RendezvousSpec(setup.min_nodes, setup.max_nodes, closed=shared.spec_closed, max_restarts=setup.max_restarts)
    return World(
        rendezvous=Rendezvous(METADATA, spec, _status(shared, nodes)),
        participants={
            _name(i): SeenParticipant(_participant(i, node, shared), _HEARD_AT[node.silence], NOW.monotonic)
            for i, node in enumerate(nodes)
            if node.object
        },
        pods={
            f"pod-{i}": Pod(
                f"pod-{i}", f"pod-{i}", workload="job", leaving="is evicted" if node.pod == "leaving" else None
            )
            for i, node in enumerate(nodes)
            if node.pod in ("live", "leaving")
        },
        absent=frozenset(
            [Target(names.PARTICIPANT_KIND, _name(i)) for i, node in enumerate(nodes) if not node.object]
            + [Target("Pod", f"pod-{i}", f"pod-{i}") for i, node in enumerate(nodes) if node.pod == "none"]
        ),
    )


def _status(shared: Shared, nodes: Sequence[Node]) -> RendezvousStatus:
    number = CURRENT if shared.published else 0
    holders = [i for i, node in enumerate(nodes) if node.member]
    members = tuple(Member(_name(i), *_admitted(), rank) for rank, i in enumerate(holders))
    history: tuple[RoundRecord, ...] = ()
    if shared.published:
        moment, reason = ("then" if shared.ended else None), shared.ended or None
        record = RoundRecord(number, shared.round_run, len(members), "then", asked=moment, ended=moment, reason=reason)
        history = (record,)
    spares = sorted((node.spare, i) for i, node in enumerate(nodes) if node.spare)
    return RendezvousStatus(
        run_id=shared.run or None,
        closed_runs=tuple(ClosedRun(run, ClosedReason(reason)) for run, reason in shared.closed),
        refused=tuple(
            Refusal(_name(i), *_attempt(node), RefusalReason(node.refused), "")
            for i, node in enumerate(nodes)
            if node.refused
        ),
        round=number,
        nodes=len(members),
        participants=members,
        spares=tuple(_name(i) for _, i in spares),
        store=Store("host", 1) if shared.published else None,
        waiting_nodes=int(shared.waiting),
        restarts=shared.restarts,
        history=history,
    )


def _participant(i: int, node: Node, shared: Shared) -> Participant:
    incarnation, attempt = _attempt(node)
    owners = (OwnerReference("Pod", f"pod-{i}", f"pod-{i}"),) if node.pod else ()
    reason = AttemptReason.MEMBERSHIP_CHANGE if node.told else AttemptReason.WORKER_FAILURE
    if not node.told and node.entry in (ANEW, ""):
        reason = AttemptReason.START
    spec = ParticipantSpec(
        rendezvous_name=METADATA.name,
        rendezvous_uid=METADATA.uid,
        node_id=_name(i),
        incarnation=incarnation,
        attempt=attempt,
        attempt_reason=reason,
        address=_name(i),
        store_port=1,
        state=ParticipantState.JOINED if node.object == JOINED else ParticipantState.LEFT,
        run_id=node.run,
        pod_name=f"pod-{i}" if node.pod else None,
        pod_uid=f"pod-{i}" if node.pod else None,
        leave_reason=_LEFT.get(node.object),
        close_requested=node.close or None,
    )
    number = (CURRENT if node.current else OLDER) if node.claims else 0
    metadata = ObjectMeta(_name(i), uid=_name(i), owner_references=owners)
    return Participant(metadata, spec, ParticipantStatus(incarnation, attempt, number))


def _memory(shared: Shared, nodes: Sequence[Node]) -> Memory:
    number = CURRENT if shared.published else 0
    keys: dict[str, Fact] = {
        "round": ("round", number),
        "asked": ("asked", str(number)),
        "drained": ("drained", number),
        "enough": ("enough", shared.run),
        "nobody left": ("nobody left", shared.run),
        "all silent": ("all silent",),
    }
    since = {keys[fact]: _SINCE[age] for fact, age in shared.facts}
    settled = [(i, node) for i, node in enumerate(nodes) if node.settled_age]
    if settled:
        since["settled", ",".join(_name(i) for i, _ in settled)] = _SINCE[settled[0][1].settled_age]
    for i, node in enumerate(nodes):
        if node.claim_age:
            incarnation, attempt = _attempt(node)
            since["claims", _name(i), f"{incarnation}/{attempt}"] = _SINCE[node.claim_age]
    return Memory(since)


def _state(
    setup: Setup, shared: Shared, nodes: Sequence[Node], decision: Decision, *, published: bool
) -> tuple[Shared, tuple[Node, ...]]:
    status, memory = decision.status, decision.memory
    ages = {fact: NEW if began == NOW.monotonic else OVER for fact, began in memory.since.items()}
    facts = {str(fact[0]): age for fact, age in ages.items() if fact[0] not in ("claims", "settled", "left", "empty")}
    if published:
        facts = {fact: age for fact, age in facts.items() if fact not in _OF_ROUND}
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
        restarts=0 if setup.max_restarts is None else min(status.restarts, setup.max_restarts),
        spec_closed=shared.spec_closed,
        facts=tuple(sorted(facts.items())),
    )
    refused = {refusal.name: str(refusal.reason) for refusal in status.refused}
    spares = {name: place for place, name in enumerate(status.spares, start=1)}
    members = {member.name for member in status.participants}
    settled = next(((str(fact[1]).split(","), age) for fact, age in ages.items() if fact[0] == "settled"), ([], NO))
    claims = {str(fact[1]): age for fact, age in ages.items() if fact[0] == "claims"}
    full_period = memory.grace_from == NOW.monotonic
    changed = []
    for i, node in enumerate(nodes):
        name = _name(i)
        silence = node.silence
        if full_period and silence in (1, 2):
            silence = UNHEARD if node.process else 0
        found = node._replace(
            spare=spares.get(name, 0),
            refused=refused.get(name, ""),
            claim_age=claims.get(name, NO),
            settled_age=settled[1] if name in settled[0] and not published else NO,
            silence=silence,
        )
        if published:
            member = name in members
            found = found._replace(member=member, entry=SAME if member else "", checked_in=False)
        changed.append(found)
    return after, tuple(changed)


def _name(i: int) -> str:
    return f"node-{i}"


def _admitted() -> tuple[str, int]:
    return ("admitted", 1)


def _attempt(node: Node) -> tuple[str, int]:
    """Incarnation and attempt that an object says."""
    if node.entry == SAME:
        return _admitted()
    return ("admitted", 2) if node.entry == AGAIN else ("anew", 1)
