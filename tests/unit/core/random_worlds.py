"""Random worlds of up to fifty nodes: states that a search of a small world is too small for, reachable or not."""

from dataclasses import replace
from random import Random

from tests.support.specs import changed
from tests.unit.core.small_world import (
    AGAIN,
    FAILED,
    FOR_HOURS,
    JOINED,
    RESTARTED,
    SAME,
    SUCCEEDED,
    TIMED_OUT,
    UNHEARD,
    Node,
    Shared,
)
from tests.unit.core.small_world_objects import NOW, world_of
from tests.unit.core.small_world_setup import Setup

from rendezvous_api.participant import Participant
from rendezvous_api.rendezvous import RankOwner
from rendezvous_operator.core.facts import tick
from rendezvous_operator.core.observe import observe
from rendezvous_operator.core.world import Evidence, Memory, World

NODES = 50


def random_world(chance: Random) -> tuple[World, Memory]:
    """One world, and what an operator may remember of it."""
    size = chance.choice([1, 2, 3, 5, 10, NODES])
    most = chance.randint(1, size + 2)
    setup = Setup(
        "random",
        chance.randint(1, most),
        most,
        max_restarts=chance.choice([None, 0, 1]),
        requests=chance.random() < 0.3,
        retention=chance.random() < 0.5,
    )
    published = chance.random() < 0.8
    run = chance.choice(["", "A", "A", "A", "B"])
    closed = tuple(
        (name, chance.choice(["RunSucceeded", "RunFailed", "CloseRequested", "RestartBudgetExhausted", "Abandoned"]))
        for name in "AB"
        if chance.random() < 0.15
    )
    run = run or ("A" if published else "")
    round_run = chance.choice([run, "A"]) if published else ""
    over = round_run != run or round_run in dict(closed)
    budget_is_spent = dict(closed).get(round_run) == "RestartBudgetExhausted"
    asked = published and (budget_is_spent or not over) and chance.random() < 0.4
    shared = Shared(
        published=published,
        waiting=asked,
        run=run,
        closed=closed,
        round_run=round_run,
        ended=chance.choice(["WorkerFailed", "ScaleUp"]) if asked or over else "",
        over=chance.random() < 0.5,
        restarts=chance.randint(0, 1) if setup.max_restarts else 0,
        spec_closed=chance.random() < 0.1,
        requested=setup.requests and chance.random() < 0.5,
    )
    calm = chance.random()
    nodes = tuple(_node(chance, shared, calm) for _ in range(size))
    if published and not any(node.member for node in nodes):
        nodes = (nodes[0]._replace(member=True, entry=SAME), *nodes[1:])
    world = _varied(chance, world_of(setup, shared, nodes))
    return world, _memory(chance, world)


def _node(chance: Random, shared: Shared, calm: float) -> Node:
    """``calm`` is the chance of each node to be in the most common state of all."""
    member = shared.published and chance.random() < 0.7
    if chance.random() < calm:
        entry = SAME if member else ""
        return Node(member=member, entry=entry, object=JOINED, reports=member)
    entry = chance.choice([SAME, AGAIN, RESTARTED]) if member else ""
    found = chance.choice(["", JOINED, JOINED, JOINED, SUCCEEDED, FAILED, TIMED_OUT])
    joined = found == JOINED
    return Node(
        run=chance.choice("AAAB"),
        pod=chance.choice(["", "none", "live", "leaving"]),
        member=member,
        entry=entry,
        object=found,
        reports=joined and chance.random() < 0.4,
        was_asked=chance.random() < 0.3,
        close=joined and chance.random() < 0.05,
        silence=chance.choice([0, 0, 0, 1, 2, UNHEARD, FOR_HOURS]) if joined else 0,
        spare=chance.randint(0, 2) if not member and not shared.waiting else 0,
        refused="OtherRunActive" if joined and chance.random() < 0.1 else "",
    )


def _varied(chance: Random, world: World) -> World:
    """What the small world leaves out: indices, unnamed runs, unread pods, stand-ins, times to live."""
    indices = chance.choice(["none", "right", "random"])
    participants = {}
    for number, (name, seen) in enumerate(world.participants.items()):
        spec = seen.object.spec
        if indices != "none":
            spec = replace(spec, pod_index=number if indices == "right" else chance.randint(0, 60))
        if chance.random() < 0.1:
            spec = replace(spec, run_id=None)
        metadata = replace(seen.object.metadata, creation_timestamp=f"2030-01-01T00:00:0{chance.randint(0, 9)}Z")
        participants[name] = replace(
            seen,
            object=Participant(metadata, spec, seen.object.status),
            read_at=seen.read_at if chance.random() < 0.98 else None,
        )
    pods = {
        uid: replace(pod, phase=chance.choice(["Running", "Pending", "Succeeded", "Failed"]))
        if chance.random() < 0.1
        else replace(pod, workload=chance.choice([None, "A", "B"]))
        for uid, pod in world.pods.items()
        if chance.random() < 0.95
    }
    absent = frozenset(target for target in world.absent if chance.random() < 0.98)
    rendezvous = world.rendezvous
    members = tuple(
        replace(
            member,
            pod_index=chance.randint(0, 60) if indices != "none" else None,
            stands_in_for=RankOwner(f"node-{chance.randint(0, 60)}") if chance.random() < 0.05 else None,
        )
        for member in rendezvous.status.participants
    )
    limits = changed(
        rendezvous.spec,
        run_id=chance.choice([None, None, None, None, "A"]),
        last_call_seconds=chance.choice([0, 30]),
        replacement_seconds=chance.choice([0, 30]),
        scale_up_interval_seconds=chance.choice([0, 60]),
    )
    status = replace(rendezvous.status, participants=members)
    return replace(
        world,
        rendezvous=replace(rendezvous, spec=limits, status=status),
        participants=participants,
        pods=pods,
        absent=absent,
    )


def _memory(chance: Random, world: World) -> Memory:
    """Any age for each fact that holds, and perhaps that all were silent before."""
    memory = Memory(grace_from=chance.choice([float("-inf"), NOW.monotonic - 60]))
    for _ in range(2):  # one fact rests on the age of another
        situation = observe(NOW, world, memory)
        if isinstance(situation, Evidence):
            break
        ages = [0.0, 3.0, 20.0, 400.0, 9999.0]
        since = {fact: NOW.monotonic - chance.choice(ages) for fact in tick(situation, memory).since}
        memory = replace(memory, since={**since, **memory.since})
    return memory
