"""A state of the small world as the operator sees it: the objects, and what it remembers."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone

from tests.unit.core.small_world import (
    AGAIN,
    FAILED,
    FOR_HOURS,
    JOINED,
    NEW,
    NOW_FAILED,
    OVER,
    RESTARTED,
    SAME,
    SILENT,
    SUCCEEDED,
    TIMED_OUT,
    UNHEARD,
    Node,
    Shared,
)
from tests.unit.core.small_world_peers import evidence_of, holders
from tests.unit.core.small_world_setup import Setup

from rendezvous_api import names
from rendezvous_api.meta import ObjectMeta, OwnerReference
from rendezvous_api.participant import Participant, ParticipantSpec, ParticipantStatus, PeerEvidence
from rendezvous_api.reasons import (
    FAILURES,
    AttemptReason,
    ClosedReason,
    HostState,
    LeaveReason,
    ParticipantState,
    RanksPolicy,
    RefusalReason,
    RoundEndReason,
)
from rendezvous_api.rendezvous import (
    ClosedRun,
    Domain,
    Failure,
    Member,
    Owner,
    Refusal,
    Rendezvous,
    RendezvousStatus,
    RoundRecord,
    RunReference,
    Store,
    Topology,
)
from rendezvous_api.rendezvous_spec import ESCALATE, NodePolicies, Ranks, RendezvousSpec, Restarts
from rendezvous_operator.core.timers import Fact, Timer
from rendezvous_operator.core.world import (
    Concluded,
    Excused,
    Machine,
    Memory,
    Now,
    Pod,
    SeenParticipant,
    Target,
    Vouched,
    World,
)

WALL = datetime(2030, 1, 1, tzinfo=timezone.utc)
NOW = Now(1_000_000.0, WALL)
LONG_AGO = 900_000.0
METADATA = ObjectMeta("train", uid="uid")
THEN = "2030-01-01T00:00:00.000000Z"

RACK = "rack"
"""The label."""
CURRENT, OLDER = 2, 1
"""Stand for the number of the current round and for that of any older one."""

_HEARD_AT = {
    0: NOW.monotonic,
    1: NOW.monotonic - 16,
    2: NOW.monotonic - 121,
    UNHEARD: NOW.monotonic,
    FOR_HOURS: NOW.monotonic - 7200,
}
_SINCE = {NEW: NOW.monotonic, OVER: LONG_AGO}
_LEFT = {SUCCEEDED: LeaveReason.SUCCEEDED, FAILED: LeaveReason.FAILED, TIMED_OUT: LeaveReason.TIMED_OUT}
NOW_HASH = hashlib.sha256(b"now").hexdigest()
"""How the status says that the request "now" was acted on."""


def world_of(setup: Setup, shared: Shared, nodes: Sequence[Node]) -> World:
    """What the operator sees of a state."""
    fewest, most = setup.limits[shared.limits]
    spec = RendezvousSpec(
        fewest,
        most,
        suspend=shared.suspended,
        closed=shared.spec_closed,
        restarts=Restarts(setup.max_restarts, 100 if setup.window else None, setup.per_node),
        sizes=setup.sizes,
        ranks=Ranks(RanksPolicy.TOPOLOGY, ("rack",), setup.segment) if setup.racks else None,
        nodes=NodePolicies(RACK, setup.group_size, ESCALATE if setup.escalates else None)
        if setup.groups
        else NodePolicies(),
    )
    metadata = METADATA
    if setup.retention:
        metadata = replace(metadata, labels={names.LABEL_CREATED_BY: names.CREATED_BY_AGENT})
    if setup.requests:
        metadata = replace(metadata, annotations={names.ANNOTATION_RESTART_REQUESTED_AT: "now"})
    observed = NOW_HASH if setup.requests and not shared.requested else None
    status = replace(_status(setup, shared, nodes), observed_restart_request=observed)
    racks = enumerate(node.rack for node in nodes) if setup.racks else ()
    machines = {machine_name(i): Machine(labels={"rack": rack}) for i, rack in racks}
    return World(
        rendezvous=Rendezvous(metadata, spec, status),
        participants={
            node_name(i): SeenParticipant(
                _participant(setup, i, node, shared, evidence_of(i, nodes) if setup.peers else None),
                _heard_at(node, nodes),
                NOW.monotonic,
            )
            for i, node in enumerate(nodes)
            if node.object
        },
        pods={
            f"pod-{i}": Pod(
                f"pod-{i}",
                f"pod-{i}",
                workload="job",
                owner=Owner("StatefulSet", "job"),
                owner_uid="job",
                leaving="is evicted" if node.pod == "leaving" else None,
            )
            for i, node in enumerate(nodes)
            if node.pod in ("live", "leaving")
        }
        | {
            f"rack-{i}": Pod(f"rack-{i}", f"rack-{i}", known=False, labels={RACK: node.rack})
            for i, node in enumerate(nodes)
            if setup.groups
        },
        absent=frozenset(
            [Target(names.PARTICIPANT_KIND, node_name(i)) for i, node in enumerate(nodes) if not node.object]
            + [Target("Pod", f"pod-{i}", f"pod-{i}") for i, node in enumerate(nodes) if node.pod == "none"]
        ),
        machines=machines or None,
    )


def _status(setup: Setup, shared: Shared, nodes: Sequence[Node]) -> RendezvousStatus:
    number = CURRENT if shared.published else 0
    members = tuple(Member(node_name(i), *member_attempt(), rank) for rank, i in enumerate(holders(nodes)))
    history: tuple[RoundRecord, ...] = ()
    if shared.published:
        ended = THEN if shared.over else None
        reason = shared.ended or None
        record = RoundRecord(number, shared.round_run, len(members), THEN, THEN, ended=ended, reason=reason)
        history = (record,)
    ended_by_failure = shared.published and shared.ended in {*FAILURES}
    spares = sorted((node.spare, i) for i, node in enumerate(nodes) if node.spare)
    return RendezvousStatus(
        run=RunReference(shared.run) if shared.run else None,
        closed_runs=tuple(ClosedRun(run, ClosedReason(reason)) for run, reason in shared.closed),
        refused=tuple(
            Refusal(node_name(i), *attempt_of(node), RefusalReason(node.refused), "")
            for i, node in enumerate(nodes)
            if node.refused
        ),
        round=number,
        nodes=len(members),
        participants=members,
        topology=_topology([nodes[i].rack for i in holders(nodes)]) if setup.racks else None,
        spares=tuple(node_name(i) for _, i in spares),
        store=Store("host", 1) if shared.published else None,
        waiting_nodes=int(shared.waiting),
        restarts=shared.restarts,
        failures=_failures(nodes, number, RoundEndReason(shared.ended) if ended_by_failure else None),
        history=history,
    )


def _topology(racks: Sequence[str]) -> Topology | None:
    """What the status remembers: one entry for each member, since nothing depends on who is in one together."""
    return Topology(("rack",), tuple(Domain((rack,), 1) for rack in racks)) if any(racks) else None


def _failures(nodes: Sequence[Node], number: int, ended: RoundEndReason | None) -> tuple[Failure, ...]:
    """Those of earlier rounds are no crashes: hold-outs are not in this world."""
    earlier = sorted((each, i) for i, node in enumerate(nodes) for each in node.failures if each != NOW_FAILED)
    listed = [Failure(OLDER, THEN, node_name(i), RoundEndReason.WORKER_FAILED) for _, i in earlier]
    if ended is not None:
        who = next((i for i, node in enumerate(nodes) if NOW_FAILED in node.failures), 0)
        listed.append(Failure(number, THEN, node_name(who), ended))
    return tuple(listed)


def _participant(setup: Setup, i: int, node: Node, shared: Shared, peers: PeerEvidence | None) -> Participant:
    incarnation, attempt = attempt_of(node)
    owners = (OwnerReference("Pod", f"pod-{i}", f"pod-{i}"),) if node.pod else ()
    reason = AttemptReason.MEMBERSHIP_CHANGE if node.was_asked else AttemptReason.WORKER_FAILURE
    if not node.was_asked and node.entry in (RESTARTED, ""):
        reason = AttemptReason.START
    spec = ParticipantSpec(
        rendezvous_name=METADATA.name,
        rendezvous_uid=METADATA.uid,
        node_id=node_name(i),
        incarnation=incarnation,
        attempt=attempt,
        attempt_reason=reason,
        address=node_name(i),
        store_port=1,
        state=ParticipantState.JOINED if node.object == JOINED else ParticipantState.LEFT,
        run_id=node.run,
        pod_name=f"pod-{i}" if node.pod else None,
        pod_uid=f"pod-{i}" if node.pod else f"rack-{i}" if setup.groups else None,
        node_name=machine_name(i) if setup.racks else None,
        leave_reason=_LEFT.get(node.object),
        close_requested=node.close or None,
    )
    number = (CURRENT if node.current else OLDER) if node.reports else 0
    metadata = ObjectMeta(node_name(i), uid=node_name(i), owner_references=owners)
    return Participant(metadata, spec, ParticipantStatus(incarnation, attempt, number, peers=peers))


def memory_of(shared: Shared, nodes: Sequence[Node]) -> Memory:
    """What the operator remembers of a state: each timer that the core has stated, under any name."""
    since: dict[Fact, float] = {(Timer(timer), key): _SINCE[age] for (timer, key), age in shared.facts}
    together: dict[str, tuple[set[str], int]] = {}
    for i, node in enumerate(nodes):
        for (timer, *rest), age in node.ages:
            if rest:
                since[Timer(timer), (node_name(i), *rest)] = _SINCE[age]
            else:
                together.setdefault(str(timer), (set(), age))[0].add(node_name(i))
    for timer, (who, age) in together.items():
        since[Timer(timer), frozenset(who)] = _SINCE[age]
    second = [(node_name(i), _heard_at(node, nodes), node.second) for i, node in enumerate(nodes)]
    return Memory(
        since,
        _grace_from(nodes),
        any(map(is_left_behind, nodes)),
        excused_of(nodes),
        vouched={name: Vouched(beat_at, NOW.monotonic) for name, beat_at, path in second if path.vouched},
        concluded={
            name: Concluded(beat_at, CURRENT, HostState(path.concluded), "why")
            for name, beat_at, path in second
            if path.concluded
        },
    )


def is_left_behind(node: Node) -> bool:
    return node.behind and node.silence in SILENT


def _grace_from(nodes: Sequence[Node]) -> float:
    """When some node was heard again after all had been silent; longer ago than what any timer waits for."""
    if not any(map(is_left_behind, nodes)):
        return float("-inf")
    return min(NOW.monotonic - 3000, *(_HEARD_AT[node.silence] for node in nodes))


def _heard_at(node: Node, nodes: Sequence[Node]) -> float:
    return _grace_from(nodes) - 1000 if is_left_behind(node) else _HEARD_AT[node.silence]


def excused_of(nodes: Sequence[Node]) -> dict[str, Excused]:
    """What makes the silence of those left behind as short as their states say."""
    found = {
        node_name(i): (_heard_at(node, nodes), node.silence) for i, node in enumerate(nodes) if is_left_behind(node)
    }
    return {name: Excused(heard_at, _HEARD_AT[silence] - heard_at) for name, (heard_at, silence) in found.items()}


def node_name(i: int) -> str:
    return f"node-{i}"


def machine_name(i: int) -> str:
    return f"machine-{i}"


def number_of(name: str) -> int:
    """The number of the node with that name."""
    return int(name.removeprefix("node-"))


def member_attempt() -> tuple[str, int]:
    return ("member", 1)


def attempt_of(node: Node) -> tuple[str, int]:
    """Incarnation and attempt that an object says."""
    if node.entry == SAME:
        return member_attempt()
    return ("member", 2) if node.entry == AGAIN else ("restarted", 1)
