"""Which machines are down: what is read, how often, and what counts when it cannot be read."""

import asyncio
import logging
from collections.abc import Mapping

import pytest
from tests.unit.cache_support import KEY, participant, rendezvous
from tests.unit.one_answer import OneAnswer

from rendezvous_api import names
from rendezvous_api.api_errors import ApiError, ForbiddenError, NotFoundError, UnreachableError
from rendezvous_operator.core.machines import LOOK_AGAIN_SECONDS
from rendezvous_operator.kube.client import Json
from rendezvous_operator.reconcile.machines import Machines, problem_of
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
        asyncio.run(self.machines.read(name))
        return self.machines.down([name]).get(name)


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
    assert problem_of(item) == problem


def test_an_answer_counts_for_a_short_time() -> None:
    place = Place(DOWN)
    assert place.read() == "is NotReady"
    place.client.answer = WELL
    place.now += LOOK_AGAIN_SECONDS - 0.1
    assert place.read() == "is NotReady"
    place.now += 0.2
    assert place.read() is None
    assert place.client.paths == ["GET /api/v1/nodes/gpu-7"] * 2


def test_nothing_is_kept_of_machines_that_nobody_asks_for() -> None:
    place = Place(DOWN)
    for number in range(1000):
        place.now += 1.0
        place.read(f"gpu-{number}")
    assert len(place.machines._answers) <= LOOK_AGAIN_SECONDS + 1


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
    cache.take(Shown(names.RENDEZVOUS_KIND, rendezvous(round=1, nodes=1, participants=[member])))
    cache.take(Shown(names.PARTICIPANT_KIND, participant(nodeName="gpu-7", beat="2030-01-01T00:00:00Z")))
    reader = Reader(place.client, cache, None, machines=place.machines if asked else None)

    def down() -> Mapping[str, str] | None:
        world = asyncio.run(reader.world(KEY))
        assert world is not None
        return world.machines

    assert down() == ({} if asked else None)
    assert place.client.paths == []
    place.now += 1000.0
    assert down() == ({"gpu-7": "is NotReady"} if asked else None)
    assert place.client.paths == (["GET /api/v1/nodes/gpu-7"] if asked else [])
