"""A reconciler whose decisions are those of a test, and the API server to which it writes."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace

import pytest

from rendezvous_api import names
from rendezvous_api.api_errors import ApiError
from rendezvous_api.rendezvous import RendezvousStatus
from rendezvous_operator.core.world import Decision, Memory, Now, World
from rendezvous_operator.kube.client import Client, Json, ObjectList
from rendezvous_operator.kube.event_recorder import Recorder
from rendezvous_operator.reconcile import reconciler as module
from rendezvous_operator.reconcile.fence import Fence
from rendezvous_operator.reconcile.reader import Reader
from rendezvous_operator.reconcile.reconciler import Reconciler
from rendezvous_operator.reconcile.work_queue import WorkQueue
from rendezvous_operator.serve.metrics import Metrics
from rendezvous_operator.watch.cache import Cache
from rendezvous_operator.watch.seen import Key


def failed(error: type[ApiError]) -> ApiError:
    """An error of a write."""
    return error("no", "update", "rendezvous/status", "ns")


class Answers(Client):
    """An API server with one Rendezvous, and no watches: what is written is seen only in the answer."""

    def __init__(self, *write_errors: Exception) -> None:
        self.write_errors = list(write_errors)
        self.status: Json = {}
        self.version = 1
        self.writes = 0

    @property
    def item(self) -> Json:
        metadata = {"name": "train", "namespace": "ns", "uid": "r-1", "resourceVersion": str(self.version)}
        spec = {"minNodes": 1, "maxNodes": 2}
        return {"metadata": {**metadata, "creationTimestamp": ""}, "spec": spec, "status": self.status}

    async def list(self, kind: str, namespace: str | None, *, labelled: bool = True) -> ObjectList:
        return ObjectList([self.item] if kind == names.RENDEZVOUS_KIND else [], self.version)

    async def read(self, kind: str, namespace: str, name: str) -> Json | None:
        return self.item

    async def write_status(self, namespace: str, name: str, uid: str, version: str, status: Json) -> Json | None:
        self.writes += 1
        if self.write_errors:
            raise self.write_errors.pop()
        self.version += 1
        self.status = status
        return self.item


class Place:
    """A reconciler whose decisions are those of the test. Each decision remembers how many came before it."""

    def __init__(
        self, client: Answers, statuses: list[RendezvousStatus], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.client = client
        self.wake_after: float | None = None
        """Each decision asks for another one after so many seconds."""
        self.statuses = statuses
        self.remembered: list[float] = []
        """What the memory had in each reconcile."""
        self.cache = Cache(clock)
        queue: WorkQueue[Key] = WorkQueue(time.monotonic)
        self.metrics = Metrics(self.cache, queue, time.monotonic, lambda: True)
        self.recorder = Recorder(client, "test", time.monotonic)
        self.reconciler = Reconciler(
            Reader(client, self.cache, None), Fence(client, lambda: 1), queue, self.recorder, self.metrics
        )

    def decide(self, now: Now, world: World, memory: Memory) -> Decision:
        """The next of the statuses, and at last no change any more."""
        self.remembered.append(memory.grace_from)
        turn = len(self.remembered)
        status = self.statuses[turn - 1] if turn <= len(self.statuses) else world.rendezvous.status
        wake_at = None if self.wake_after is None else now.monotonic + self.wake_after
        return Decision(status, replace(memory, grace_from=float(turn)), "explained", wake_at=wake_at)


def play(
    place: Callable[[], Place], scenario: Callable[[Place], Coroutine[None, None, None]], patch: pytest.MonkeyPatch
) -> None:
    """Play a scenario while the reconciler runs and this operator leads; its decisions are those of the place."""

    async def whole() -> None:
        made = place()
        patch.setattr(module, "decide", made.decide)
        await made.reconciler.start()
        made.reconciler.lead()
        try:
            await scenario(made)
        finally:
            await made.reconciler.stop(1)

    asyncio.run(whole())


async def reconciles(place: Place, count: int) -> None:
    """Wait until so many decisions were taken."""
    deadline = time.monotonic() + 30
    while len(place.remembered) < count:
        assert time.monotonic() < deadline, f"{len(place.remembered)} reconciles of {count}"
        await asyncio.sleep(0.005)


FIRST = float("-inf")
ROUND = RendezvousStatus(round=1)
