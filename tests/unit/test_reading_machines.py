"""Machines: what is read of them, how often, and what counts when they cannot be read."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from tests.unit.cache_support import KEY, participant, rendezvous
from tests.unit.one_answer import OneAnswer

from rendezvous_api import names
from rendezvous_api.api_errors import ApiError, ForbiddenError, NotFoundError, UnreachableError
from rendezvous_operator.core.machines import LOOK_AGAIN_SECONDS
from rendezvous_operator.core.world import Machine, Taint
from rendezvous_operator.kube.client import MOST_SINGLE_READS, Json
from rendezvous_operator.reconcile.machines import (
    KEPT_SECONDS,
    LIST_AGAIN_SECONDS,
    Machines,
    machine_of,
)
from rendezvous_operator.reconcile.reader import Reader
from rendezvous_operator.watch.cache import Cache
from rendezvous_operator.watch.seen import Shown

DOWN = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}
WELL = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}


class Place:
    def __init__(self, answer: Json | Exception) -> None:
        self.client = OneAnswer(answer)
        self.now = 100.0
        self.machines = Machines(self.client, lambda: self.now)

    def read(self, name: str = "gpu-7") -> str | None:
        asyncio.run(self.machines.read([name]))
        machine = self.machines.known([name]).get(name)
        return None if machine is None else machine.problem


def failed(error: type[ApiError]) -> ApiError:
    return error("no", "get", "nodes", "")


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        (WELL, None),
        (DOWN, "is NotReady"),
        ({"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}, "is unreachable"),
        ({"spec": {"taints": [{"key": "node.kubernetes.io/out-of-service"}]}, **WELL}, "is out of service"),
        ({"spec": {"taints": [{"key": "nvidia.com/gpu"}], "unschedulable": True}, **WELL}, None),
        ({"status": {"conditions": [{"type": "MemoryPressure", "status": "True"}]}}, None),
        ({}, None),
    ],
)
def test_what_a_machine_says(item: Json, problem: str | None) -> None:
    """A machine that is cordoned, or that has said nothing yet, is not down."""
    assert machine_of(item).problem == problem


def test_what_else_decisions_need_of_a_machine() -> None:
    taints = [
        {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"},
        {"key": "bare", "effect": "NoExecute"},
    ]
    item = {
        "metadata": {"labels": {"zone": "a"}},
        "spec": {"taints": taints, "unschedulable": True},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}, {"type": "FrequentRestarts", "status": "Unknown"}]
        },
    }
    assert machine_of(item) == Machine(
        labels={"zone": "a"},
        taints=(Taint("nvidia.com/gpu", "present", "NoSchedule"), Taint("bare", "", "NoExecute")),
        conditions={"Ready": "True", "FrequentRestarts": "Unknown"},
        cordoned=True,
    )


def listed(names: Sequence[str], item: Json = WELL, more: str = "") -> Json:
    return {"metadata": {"continue": more}, "items": [{"metadata": {"name": name}, **item} for name in names]}


def test_many_machines_are_listed_page_by_page() -> None:
    place = Place(WELL)
    names = [f"gpu-{number}" for number in range(MOST_SINGLE_READS + 1)]
    place.client.answers = [listed(["other", *names[:9]], DOWN, "page 2"), listed(names[9:-1])]
    asyncio.run(place.machines.read(names))
    assert place.client.paths == ["GET /api/v1/nodes?limit=500", "GET /api/v1/nodes?limit=500&continue=page 2"]
    known = place.machines.known([*names, "other"])
    assert [known[name].problem for name in names] == ["is NotReady"] * 9 + [None] * 11 + ["is gone"]
    assert "other" not in known


def test_a_list_counts_for_longer_than_single_reads_and_a_failed_one_does_not() -> None:
    place = Place(failed(UnreachableError))
    names = [f"gpu-{number}" for number in range(MOST_SINGLE_READS + 1)]

    def known() -> int:
        asyncio.run(place.machines.read(names))
        return len(place.machines.known(names))

    assert known() == 0
    place.client.answer = listed(names)
    place.now += LOOK_AGAIN_SECONDS
    assert known() == len(names)
    place.client.answer = failed(UnreachableError)
    place.now += LIST_AGAIN_SECONDS - 0.1
    asked = len(place.client.paths)
    assert known() == len(names)
    assert len(place.client.paths) == asked
    place.now += 0.2
    assert known() == len(names)
    assert len(place.client.paths) == asked + 1
    place.now += KEPT_SECONDS - LIST_AGAIN_SECONDS
    assert known() == 0


def test_those_of_silent_members_are_read_again_as_soon_as_if_there_were_no_list() -> None:
    place = Place(listed(names := [f"gpu-{number}" for number in range(MOST_SINGLE_READS + 1)]))
    asyncio.run(place.machines.read(names))
    place.client.answer = DOWN
    for seconds, expected in ((LOOK_AGAIN_SECONDS - 0.1, 0), (0.1, 1), (0.1, 1), (LOOK_AGAIN_SECONDS, 2)):
        place.now += seconds
        asyncio.run(place.machines.read(names, ["gpu-7"]))
        assert place.client.paths[1:] == ["GET /api/v1/nodes/gpu-7"] * expected
    assert [name for name, machine in place.machines.known(names).items() if machine.problem] == ["gpu-7"]


def test_few_machines_are_read_one_by_one() -> None:
    place = Place(WELL)
    names = [f"gpu-{number}" for number in range(MOST_SINGLE_READS)]
    asyncio.run(place.machines.read(names))
    asyncio.run(place.machines.read([*names, "gpu-new"]))
    assert place.client.paths == [f"GET /api/v1/nodes/{name}" for name in (*names, "gpu-new")]


def test_an_answer_counts_for_a_short_time() -> None:
    place = Place(DOWN)
    assert place.read() == "is NotReady"
    place.client.answer = WELL
    place.now += LOOK_AGAIN_SECONDS - 0.1
    assert place.read() == "is NotReady"
    place.now += 0.2
    assert place.read() is None
    assert place.client.paths == ["GET /api/v1/nodes/gpu-7"] * 2


def test_what_was_read_before_counts_for_a_while_if_reads_fail() -> None:
    """A mark does not go away because one read is late."""
    place = Place(DOWN)
    assert place.read() == "is NotReady"
    place.client.answer = failed(UnreachableError)
    place.now += KEPT_SECONDS - 0.1
    assert place.read() == "is NotReady"
    place.client.answer = WELL
    assert place.read() == "is NotReady", "it was asked for a short time ago"
    place.now += LOOK_AGAIN_SECONDS
    assert place.read() is None
    assert place.machines.known(["gpu-7"]) == {"gpu-7": machine_of(WELL)}


def test_nothing_is_kept_of_machines_that_nobody_asks_for() -> None:
    place = Place(DOWN)
    for number in range(1000):
        place.now += 1.0
        place.read(f"gpu-{number}")
    assert len(place.machines._answers) <= KEPT_SECONDS + 1


def test_a_name_is_no_path() -> None:
    place = Place(WELL)
    place.read("../pods")
    assert place.client.paths == ["GET /api/v1/nodes/..%2Fpods"]


def test_a_machine_that_does_not_exist_is_gone() -> None:
    assert Place(failed(NotFoundError)).read() == "is gone"


@pytest.mark.parametrize("error", [ForbiddenError, UnreachableError])
def test_a_machine_that_cannot_be_read_is_no_evidence_and_that_is_said_once(
    error: type[ApiError], caplog: pytest.LogCaptureFixture
) -> None:
    place = Place(failed(error))
    for place.now in (100.0, 200.0, 300.0):
        assert place.read() is None
    message = f"machines are no evidence, since they cannot be read: {failed(error).describe()}"
    assert caplog.record_tuples == [("rendezvous_operator.reconcile.machines", logging.WARNING, message)]
    place.client.answer = DOWN
    place.now = 400.0
    assert place.read() == "is NotReady"
    place.client.answer = failed(error)
    place.now = 500.0
    assert place.read() is None
    assert len(caplog.messages) == 2


@pytest.mark.parametrize("asked", [True, False])
def test_the_machines_of_silent_members_are_read_if_that_is_asked_for(asked: bool) -> None:
    place = Place(DOWN)
    cache = Cache(lambda: place.now)
    member = {"name": "train.a", "rank": 0, "incarnation": "aaaaaaaa", "attempt": 1}
    record = {"round": 1, "runID": "run-1", "nodes": 1, "formed": "2030-01-01T00:00:00.000000Z"}
    cache.take(Shown(names.RENDEZVOUS_KIND, rendezvous(round=1, nodes=1, participants=[member], history=[record])))
    cache.take(Shown(names.PARTICIPANT_KIND, participant(nodeName="gpu-7", beat="2030-01-01T00:00:00Z")))
    reader = Reader(place.client, cache, None, machines=place.machines if asked else None)

    def known() -> Mapping[str, Machine] | None:
        world = asyncio.run(reader.world(KEY))
        assert world is not None
        return world.machines

    assert known() == ({} if asked else None)
    assert place.client.paths == []
    place.now += 1000.0
    assert known() == ({"gpu-7": machine_of(DOWN)} if asked else None)
    assert place.client.paths == (["GET /api/v1/nodes/gpu-7"] if asked else [])


def test_the_machine_of_a_node_that_joins_while_others_are_read_is_read_too() -> None:
    """Otherwise its round might begin without its label."""
    place = Place(WELL)
    cache = Cache(lambda: place.now)
    item = rendezvous()
    item["spec"]["ranks"] = {"policy": "Topology", "keys": ["rack"]}
    cache.take(Shown(names.RENDEZVOUS_KIND, item))
    cache.take(Shown(names.PARTICIPANT_KIND, participant(nodeName="gpu-1")))

    class Joins(OneAnswer):
        async def request(self, method: str, path: str, query: dict[str, str] | None = None, **_: Any) -> Json:
            cache.take(Shown(names.PARTICIPANT_KIND, participant("train.b", nodeName="gpu-2")))
            return await super().request(method, path, query)

    client = Joins(WELL)
    reader = Reader(client, cache, None, machines=Machines(client, lambda: place.now))
    world = asyncio.run(reader.world(KEY))
    assert world is not None
    assert {*world.participants} == {"train.a", "train.b"}
    assert world.machines is not None
    assert {*world.machines} == {"gpu-1", "gpu-2"}
