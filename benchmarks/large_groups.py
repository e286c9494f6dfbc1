"""Groups larger than this machine can hold: the real decision core on N participants, and a simulated API server.

* decide: seconds of one decision while N - 1 of N nodes wait, and while N train; bytes of the status that comes out.
* join: N agents ask at once. The server answers so many requests a second, lets 300 of one service account wait and
  refuses the others (priority and fairness: hand size 6, queue length 50); who is refused comes again after 0.2 to
  1.2 s, as the handler does. Time until the last one is in, and how many refusals there were.
* heartbeats: the most in any one second, with the interval that follows from maxNodes, once all have joined at once.

    python -m benchmarks.large_groups

With --policies topology, ranks follow the labels of machines: 32 blocks, racks of 16 machines, and segments of 8 nodes.
With --policies all, all other policies of the spec are on beside such ranks: replacement groups of 8 pods, marks of
machines, failures of nodes, a budget of restarts with a window, a step of sizes. A hundred failures are in the status,
each of another node, two nodes are held out, and one machine in 64 is cordoned.
"""

import argparse
import heapq
import json
import random
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone

from rendezvous_api import names
from rendezvous_api.codec import encode
from rendezvous_api.meta import ObjectMeta, timestamp
from rendezvous_api.participant import (
    Participant,
    ParticipantSpec,
    ParticipantStatus,
    PeerEvidence,
    PeerReport,
)
from rendezvous_api.reasons import (
    AttemptReason,
    HeldOutReason,
    HostState,
    ParticipantState,
    RanksPolicy,
    RoundEndReason,
)
from rendezvous_api.rendezvous import Failure, HeldOut, Rendezvous, RendezvousStatus
from rendezvous_api.rendezvous_spec import (
    AllowedSizes,
    Exclude,
    NodePolicies,
    Ranks,
    RendezvousSpec,
    Restarts,
    RestartsPerReason,
    Timeouts,
)
from rendezvous_handler.agent.request_thread import SHORTEST_INTERVAL
from rendezvous_handler.join.join import RETRY_SECONDS
from rendezvous_handler.peers.haste import spread
from rendezvous_operator.core.decide import decide
from rendezvous_operator.core.world import Decision, Machine, Memory, Now, Pod, SeenParticipant, World

_NOW = Now(1_000_000.0, datetime(2030, 1, 1, tzinfo=timezone.utc))
_WAITING_AT_MOST = 300
_SIMULATED_SECONDS = 600


_GROUP = 8
"""Nodes of a segment, or of a replacement group."""
_KEYS = ("zone", "block", "rack")
_MARKED = 64
"""Of so many machines one is cordoned, which keeps out its replacement group."""
_FAILURES = 100
_PER_REASON = RestartsPerReason(_FAILURES, _FAILURES, _FAILURES, _FAILURES)
POLICIES: Mapping[str, Callable[[int], RendezvousSpec]] = {
    "none": lambda nodes: RendezvousSpec(nodes, nodes),
    "topology": lambda nodes: RendezvousSpec(nodes, nodes, ranks=Ranks(RanksPolicy.TOPOLOGY, _KEYS, _GROUP)),
    # All must take part that are not kept out, so that one fewer wait.
    "all": lambda nodes: RendezvousSpec(
        nodes - -(-nodes // _MARKED) * _GROUP,
        nodes,
        sizes=AllowedSizes(step=_GROUP),
        timeouts=Timeouts(last_call_seconds=0),
        ranks=Ranks(RanksPolicy.TOPOLOGY, _KEYS),
        restarts=Restarts(_FAILURES, window_seconds=3600, per_node=_FAILURES, per_reason=_PER_REASON),
        nodes=NodePolicies(
            group_key="group",
            group_size=_GROUP,
            mode="Escalate",
            escalation_seconds=300,
            exclude=Exclude(taints=("team/bad",), labels=("team/bad=true",), conditions=("Bad",), names=("gpu-x",)),
            too_few_seconds=600,
            max_failures_per_node=3,
            failure_window_seconds=3600,
        ),
    ),
}
"""By the name on the command line: the spec for so many nodes."""


def world(spec: RendezvousSpec, joined: int, status: RendezvousStatus, reported_round: int = 0) -> World:
    """A Rendezvous and the participants that have joined, each in a pod and on a machine of its own."""
    participants, pods = {}, {}
    for i in range(joined):
        name = f"train.train-{i}-x7k2p"
        pods[f"pod-{i}"] = Pod(f"pod-{i}", f"train-{i}", labels={"group": f"group-{i // _GROUP}"})
        identity = ParticipantSpec(
            rendezvous_name="train",
            rendezvous_uid="uid",
            node_id=f"train-{i}",
            incarnation="abcd1234",
            attempt=1,
            attempt_reason=AttemptReason.START,
            address="192.0.2.1",
            store_port=29500,
            state=ParticipantState.JOINED,
            run_id="run-1",
            pod_index=i,
            pod_name=f"train-{i}",
            pod_uid=f"pod-{i}",
            node_name=f"gpu-{i}",
        )
        heartbeat = ParticipantStatus()
        if reported_round:
            said = PeerEvidence(report=PeerReport(1)) if i == 0 else PeerEvidence(host=HostState.ANSWERS)
            heartbeat = ParticipantStatus("abcd1234", 1, reported_round, i, peers=said)
        participant = Participant(
            ObjectMeta(name, uid=name, creation_timestamp="2030-01-01T00:00:00Z"), identity, heartbeat
        )
        participants[name] = SeenParticipant(participant, _NOW.monotonic, None)
    rendezvous = Rendezvous(ObjectMeta("train", uid="uid"), spec, status)
    machines = None
    if spec.ranks is not None:
        # With this minimum all nodes must take part, so no machine may be marked.
        marked = spec.min_nodes < spec.max_nodes
        machines = {f"gpu-{i}": _machine(i, cordoned=marked and i % _MARKED == 0) for i in range(joined)}
    return World(rendezvous, participants, pods, machines=machines)


def _machine(number: int, *, cordoned: bool) -> Machine:
    """Neighbours by rack are in different blocks, so that ranks have to be sorted."""
    rack = number // 16
    labels = {names.LABEL_ZONE: "east-1", "block": f"block-{rack % 32}", "rack": f"rack-{rack}"}
    return Machine(labels=labels, cordoned=cordoned)


def _with_past(status: RendezvousStatus) -> RendezvousStatus:
    """The same with what earlier rounds have left there."""
    then, later = (timestamp(_NOW.wall + timedelta(minutes=minutes)) for minutes in (-10, 5))
    failed = [
        Failure(1, then, f"train.train-{i}-x7k2p", RoundEndReason.WORKER_FAILED, i, f"gpu-{i}")
        for i in range(_FAILURES)
    ]
    held_out = [
        HeldOut(f"train.train-{i}-x7k2p", HeldOutReason.CRASH_LOOP, "it failed again and again", later, 2)
        for i in (0, 1)
    ]
    return replace(status, failures=tuple(failed), held_out=tuple(held_out))


def decisions(policies: str, nodes: int) -> tuple[float, float, int]:
    """Seconds of a decision while a round forms and while it runs, and bytes of the status with the round.

    Args:
        policies: one of `POLICIES`.
        nodes: of the group.
    """
    spec = POLICIES[policies](nodes)
    forming = world(spec, nodes - 1, RendezvousStatus())
    first = _decided(forming)
    published = _decided(world(spec, nodes, RendezvousStatus()))
    before, after = first.status, published.status
    assert (before.round, after.round) == (0, 1)
    if policies == "all":
        before, after = _with_past(before), _with_past(after)
    forming = replace(forming, rendezvous=replace(forming.rendezvous, status=before))
    running = world(spec, nodes, after, after.round)
    size = len(json.dumps(encode(after), separators=(",", ":")))
    return _fastest(forming, first.memory), _fastest(running, published.memory), size


def _decided(of: World) -> Decision:
    answer = decide(_NOW, of, Memory())
    assert isinstance(answer, Decision)
    return answer


def _fastest(of: World, memory: Memory) -> float:
    times = []
    for _ in range(5):
        began = time.perf_counter()
        decide(_NOW, of, memory)
        times.append(time.perf_counter() - began)
    return min(times)


def joins(nodes: int, per_second: float, chance: random.Random) -> tuple[float, int]:
    """Seconds until the last of N agents is in, and refusals, at a server that does so many requests a second."""
    arrivals = [chance.uniform(0, 0.05) for _ in range(nodes)]
    heapq.heapify(arrivals)
    waiting: deque[float] = deque()
    free_at, refusals, last = 0.0, 0, 0.0
    while arrivals or waiting:
        if waiting and (not arrivals or free_at <= arrivals[0]):
            begins = max(free_at, waiting.popleft())
            free_at = last = begins + 1 / per_second
            continue
        now = heapq.heappop(arrivals)
        if len(waiting) < _WAITING_AT_MOST:
            waiting.append(now)
        else:
            refusals += 1
            heapq.heappush(arrivals, now + chance.uniform(*RETRY_SECONDS))
    return last, refusals


def heartbeats(nodes: int, chance: random.Random) -> int:
    """The most heartbeats in any one second, some time after all have joined in the same moment."""
    interval = RendezvousSpec(nodes, nodes).heartbeat_seconds
    seconds: Counter[int] = Counter()
    for _ in range(nodes):
        moment = chance.uniform(0, min(interval, spread(nodes)))
        while moment < _SIMULATED_SECONDS:
            seconds[int(moment)] += 1
            moment += interval * chance.uniform(SHORTEST_INTERVAL, 1.0)
    return max(count for second, count in seconds.items() if second >= interval)


def _rows(sizes: Sequence[int], rates: Sequence[float], policies: str) -> list[Sequence[str]]:
    chance = random.Random(0)
    head = ["nodes", "decide, forming: ms", "decide, running: ms", "status: KB"]
    head += [f"join at {rate:.0f}/s: s (refusals)" for rate in rates]
    rows: list[Sequence[str]] = [[*head, "heartbeat interval: s", "most heartbeats in a second"]]
    for nodes in sizes:
        forming, running, size = decisions(policies, nodes)
        cells = [str(nodes), f"{forming * 1000:.1f}", f"{running * 1000:.1f}", f"{size / 1000:.0f}"]
        for rate in rates:
            seconds, refusals = joins(nodes, rate, chance)
            cells.append(f"{seconds:.1f} ({refusals})")
        rows.append([*cells, str(RendezvousSpec(nodes, nodes).heartbeat_seconds), str(heartbeats(nodes, chance))])
    return rows


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.large_groups",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 1000, 2000, 5000, 10000])
    parser.add_argument("--rates", type=float, nargs="+", default=[350, 2000], help="requests a second of the server")
    parser.add_argument("--policies", choices=POLICIES, default="none", help="which policies the spec has")
    arguments = parser.parse_args()
    rows = _rows(arguments.sizes, arguments.rates, arguments.policies)
    print("\n".join(f"| {' | '.join(row)} |" for row in rows))


if __name__ == "__main__":
    main()
