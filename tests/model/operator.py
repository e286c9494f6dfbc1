"""An operator of the model: the real cache, reader and reconciler over a client that stops at each request.

While it stops, anything else may happen. The model then lets the request be answered, fail, or be carried out without
an answer.
"""

import contextlib
import logging
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from typing import Any, NamedTuple

from tests.model.api_server import KINDS, ApiServer, Json

from rendezvous_api import names
from rendezvous_api.api_errors import ConflictError, UnreachableError
from rendezvous_operator.kube.client import Client, ObjectList
from rendezvous_operator.kube.event_recorder import Recorder
from rendezvous_operator.kube.outage_clock import OutageClock
from rendezvous_operator.reconcile.fence import Fence
from rendezvous_operator.reconcile.reader import Reader
from rendezvous_operator.reconcile.reconciler import Reconciler
from rendezvous_operator.reconcile.work_queue import WorkQueue
from rendezvous_operator.serve.metrics import Metrics
from rendezvous_operator.watch.cache import Cache
from rendezvous_operator.watch.seen import Key

KEY = Key("ns", "train")
KIND = names.RENDEZVOUS_KIND


class Defects(logging.Handler):
    """Collects what the reconciler logs as a defect of a decision, such as a broken invariant; it then goes on."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it if an exception is logged."""
        if record.exc_info:
            self.found.append(repr(record.exc_info[1]))


DEFECTS = Defects()


class Request(NamedTuple):
    """A request on its way."""

    text: str
    """For people."""
    carry_out: Callable[[], Any]


@types.coroutine
def _send(request: Request) -> Generator[Request, bool, Any]:
    """Stop here. The model sends True to have it answered, or throws an exception in."""
    answered = yield request
    assert answered
    return request.carry_out()


Reads = Mapping[str, float]
"""When an operator has read a participant last, by its name, in the seconds of the model."""


class _Client(Client):
    def __init__(
        self,
        server: ApiServer,
        clock: Callable[[], float],
        written: Callable[[Json, Json, Reads], None],
        deleted: Callable[[Json], None],
    ) -> None:
        self._server = server
        self._clock = clock
        self._written = written
        self._deleted = deleted
        self._reads: dict[str, float] = {}

    async def list(self, kind: str, namespace: str | None, *, labelled: bool = True) -> ObjectList:
        request = Request(f"a list of every {kind}", lambda: self._server.all(kind))
        return ObjectList(await _send(request), self._server.version)

    async def read(self, kind: str, namespace: str, name: str) -> Json | None:
        def carry_out() -> Json | None:
            if kind == names.PARTICIPANT_KIND:
                self._reads[name] = self._clock()
            return self._server.find(kind, name)

        found: Json | None = await _send(Request(f"a read of {kind} {name}", carry_out))
        return found

    async def write_status(
        self, namespace: str, name: str, uid: str, resource_version: str, status: Json
    ) -> Json | None:
        def carry_out() -> Json | None:
            found = self._server.find(KIND, name)
            if found is None:
                return None
            if (found["metadata"]["uid"], found["metadata"]["resourceVersion"]) != (uid, resource_version):
                raise ConflictError("it has changed", "update", "rendezvous/status", "ns")
            written = self._server.change(KIND, name, status=status)
            self._written(found, written, self._reads)
            return written

        text = f"a write of round {status.get('round', 0)}, waitingNodes {status.get('waitingNodes', 0)}"
        answer: Json | None = await _send(Request(text, carry_out))
        return answer

    async def delete(self, kind: str, namespace: str, name: str, uid: str, resource_version: str) -> bool:
        def carry_out() -> bool:
            found = self._server.find(kind, name)
            if found is None:
                return False
            if (found["metadata"]["uid"], found["metadata"]["resourceVersion"]) != (uid, resource_version):
                raise ConflictError("it has changed", "delete", kind, "ns")
            self._server.delete(kind, name)
            self._deleted(found)
            return True

        done: bool = await _send(Request(f"the deletion of {kind} {name}", carry_out))
        return done


async def one_after_the_other(*reads: Awaitable[Any]) -> list[Any]:
    """In the place of `asyncio.gather`, the one thing for which the reader needs an event loop."""
    left = [*reads]
    try:
        return [await left.pop(0) for _ in reads]
    finally:
        for read in left:
            if isinstance(read, Coroutine):
                read.close()


class Operator:
    """One operator process."""

    def __init__(
        self,
        server: ApiServer,
        clock: Callable[[], float],
        written: Callable[[Json, Json, Reads], None],
        deleted: Callable[[Json], None],
    ) -> None:
        self.server = server
        self.outages = OutageClock(clock)
        self.cache = Cache(self.outages)
        self.queue: WorkQueue[Key] = WorkQueue(clock)
        client = _Client(server, clock, written, deleted)
        metrics = Metrics(self.cache, self.queue, clock, lambda: True)
        recorder = Recorder(client, "model", clock)
        self.reconciler = Reconciler(
            Reader(client, self.cache, None), Fence(client, lambda: 1), self.queue, recorder, metrics
        )
        self.cursors = dict.fromkeys(KINDS, 0)
        self.pending: Request | None = None
        self._work: Coroutine[Any, Any, None] | None = None
        for kind in KINDS:
            self.relist(kind)
            self.cursors[kind] = len(server.log[kind])
        self.reconciler.lead()

    @property
    def due_at(self) -> float | None:
        """When it decides next (real seconds); None: only after an event."""
        return self.queue._due.get(KEY)

    def begins(self) -> bool:
        """It begins the reconcile that is due; False: it is busy."""
        if self._work is not None:
            return False
        self.queue._due.pop(KEY, None)
        self._work = self.reconciler._one(KEY)
        self._go_on(lambda work: work.send(None))
        return True

    def answered(self) -> None:
        """Its request is carried out and answered."""
        if self._work is not None:
            self.outages.answered()
            self._go_on(lambda work: work.send(True))

    def fails(self, *, carried_out: bool) -> None:
        """Its request gets no answer."""
        if self._work is None:
            return
        assert self.pending is not None
        if carried_out:
            with contextlib.suppress(ConflictError):
                self.pending.carry_out()
        self.outages.failed(0.0)
        self._go_on(lambda work: work.throw(UnreachableError("HTTP 500", "any", "any", "ns")))

    def receives(self, kind: str) -> bool:
        """Its watch of a kind shows the next event; False: there is none."""
        log = self.server.log[kind]
        if self.cursors[kind] >= len(log):
            return False
        change = log[self.cursors[kind]]
        self.cursors[kind] += 1
        self.outages.answered()
        self.reconciler.event(kind, change.type, change.item)
        return True

    def relist(self, kind: str) -> None:
        """It lists a kind, as after a gap of its watch, which goes on from there."""
        work = self.reconciler.list(kind)
        work.send(None)
        try:
            work.send(True)
        except StopIteration:
            self.cursors[kind] = len(self.server.log[kind])

    def _go_on(self, step: Callable[[Coroutine[Any, Any, None]], Any]) -> None:
        assert self._work is not None
        try:
            self.pending = step(self._work)
        except StopIteration:
            self._work, self.pending = None, None
            self.queue._working.discard(KEY)
