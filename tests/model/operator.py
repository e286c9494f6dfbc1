"""An operator of the model: the real cache, reader, reconciler and fence over a client that stops at each request.

While it stops, anything else may happen. The model then lets the request be answered, fail, or be carried out without
an answer. Each operator has a clock of its own, which stands still while it sleeps.
"""

import contextlib
import logging
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple, Protocol, cast

from tests.model.api_server import KINDS, ApiServer, Json
from tests.model.machines import Machines as ModelMachines

from rendezvous_api import names
from rendezvous_api.api_errors import ConflictError, error_from_answer
from rendezvous_operator.core.world import Now
from rendezvous_operator.kube.client import Client, ObjectList
from rendezvous_operator.kube.event_recorder import Recorder
from rendezvous_operator.kube.outage_clock import OutageClock
from rendezvous_operator.reconcile import machines, reader
from rendezvous_operator.reconcile.fence import Fence
from rendezvous_operator.reconcile.machines import Machines
from rendezvous_operator.reconcile.reader import Reader
from rendezvous_operator.reconcile.reconciler import Reconciler
from rendezvous_operator.reconcile.work_queue import WorkQueue
from rendezvous_operator.watch.cache import Cache
from rendezvous_operator.watch.seen import Key

KEY = Key("ns", "train")
KIND = names.RENDEZVOUS_KIND
_START = datetime(2030, 1, 1, tzinfo=timezone.utc)


class Reads(NamedTuple):
    """What an operator has read."""

    participants: dict[str, float]
    """When it has read a participant last, by its name, in the seconds of the model."""
    machines: dict[str, Json]
    """What it was last answered about a machine, by its name; not in it: nothing, or its last read has failed."""


class Surroundings(Protocol):
    """What an operator needs of the model."""

    server: ApiServer
    now: float
    machines: ModelMachines | None

    def written(self, before: Json, after: Json, reads: Reads) -> None:
        """A status was written by an operator that has read this."""

    def deleted(self, item: Json) -> None:
        """An object was deleted by an operator."""


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


class _Client(Client):
    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._reads = Reads({}, {})

    async def list(self, kind: str, namespace: str | None, *, labelled: bool = True) -> ObjectList:
        request = Request(f"a list of every {kind}", lambda: self._around.server.all(kind))
        return ObjectList(await _send(request), self._around.server.version)

    async def read(self, kind: str, namespace: str, name: str) -> Json | None:
        def carry_out() -> Json | None:
            if kind == names.PARTICIPANT_KIND:
                self._reads.participants[name] = self._around.now
            return self._around.server.find(kind, name)

        found: Json | None = await _send(Request(f"a read of {kind} {name}", carry_out))
        return found

    async def request(self, method: str, path: str, query: dict[str, str] | None = None, **_: Any) -> Json:
        name = path.rpartition("/")[2]

        def carry_out() -> Json:
            assert self._around.machines is not None
            return self._around.machines.read(name)

        self._reads.machines.pop(name, None)
        self._reads.machines[name] = await _send(Request(f"{method} {path}", carry_out))
        return self._reads.machines[name]

    async def write_status(
        self, namespace: str, name: str, uid: str, resource_version: str, status: Json
    ) -> Json | None:
        def carry_out() -> Json | None:
            found = self._around.server.find(KIND, name)
            if found is None:
                return None
            if (found["metadata"]["uid"], found["metadata"]["resourceVersion"]) != (uid, resource_version):
                raise ConflictError("it has changed", "update", "rendezvous/status", "ns")
            written = self._around.server.change(KIND, name, status=status)
            self._around.written(found, written, self._reads)
            return written

        text = f"a write of round {status.get('round', 0)}, waitingNodes {status.get('waitingNodes', 0)}"
        answer: Json | None = await _send(Request(text, carry_out))
        return answer

    async def delete(self, kind: str, namespace: str, name: str, uid: str, resource_version: str) -> bool:
        def carry_out() -> bool:
            found = self._around.server.find(kind, name)
            if found is None:
                return False
            if (found["metadata"]["uid"], found["metadata"]["resourceVersion"]) != (uid, resource_version):
                raise ConflictError("it has changed", "delete", kind, "ns")
            self._around.server.delete(kind, name)
            self._around.deleted(found)
            return True

        done: bool = await _send(Request(f"the deletion of {kind} {name}", carry_out))
        return done


async def _one_after_the_other(*reads: Awaitable[Any]) -> list[Any]:
    """In the place of `asyncio.gather`, the one thing for which a read needs an event loop."""
    left = [*reads]
    try:
        return [await left.pop(0) for _ in reads]
    finally:
        for read in left:
            if isinstance(read, Coroutine):
                read.close()


@contextlib.contextmanager
def _without_an_event_loop() -> Iterator[None]:
    """The model goes on with what was stopped; no event loop does."""
    modules = [cast(Any, module) for module in (reader, machines)]
    before = [module.asyncio for module in modules]
    for module in modules:
        module.asyncio = types.SimpleNamespace(gather=_one_after_the_other)
    try:
        yield
    finally:
        for module, usual in zip(modules, before, strict=True):
            module.asyncio = usual


class _NoMetrics:
    """In the place of the metrics, which decide nothing."""

    def __getattr__(self, _: str) -> Callable[..., None]:
        return lambda *_, **__: None


class _Reconciler(Reconciler):
    """With a wall clock that tells the time of the model, so that equal systems have equal objects."""

    seconds: Callable[[], float]

    def _now(self) -> Now:
        return Now(self._cache.clock(), _START + timedelta(seconds=self.seconds()))


class Operator:
    """One operator process after the other."""

    def __init__(self, around: Surroundings, *, leads: bool) -> None:
        self._around = around
        self.server = around.server
        self.asleep_since: float | None = None
        self._stood_still = 0.0
        self._work: Coroutine[Any, Any, None] | None = None
        self.term: int | None = 1 if leads else None
        """As it believes; None: another operator is the leader."""
        self.restarts()

    def restarts(self) -> None:
        """A new process, which lists all kinds."""
        if self._work is not None:
            self._work.close()
        self.outages = OutageClock(self.clock)
        self.cache = Cache(self.outages)
        self.queue: WorkQueue[Key] = WorkQueue(self.clock)
        client = _Client(self._around)
        metrics = cast(Any, _NoMetrics())
        recorder = Recorder(client, "model", self.clock)
        fence = Fence(client, lambda: self.term)
        known = Machines(client, self.clock) if self._around.machines is not None else None
        of_all = Reader(client, self.cache, None, machines=known)
        self.reconciler = _Reconciler(of_all, fence, self.queue, recorder, metrics)
        self.reconciler.seconds = lambda: self._around.now
        self.cursors = dict.fromkeys(KINDS, 0)
        self.pending: Request | None = None
        self._work = None
        for kind in KINDS:
            self.relist(kind)
        if self.term is not None:
            self.reconciler.lead()

    def clock(self) -> float:
        """Its own monotonic seconds."""
        now = self._around.now if self.asleep_since is None else self.asleep_since
        return now - self._stood_still

    def sleeps(self) -> None:
        """Its machine is paused: nothing goes on, and its clock stands still."""
        self.asleep_since = self._around.now

    def wakes(self) -> None:
        """It goes on as if no time had passed."""
        if self.asleep_since is not None:
            self._stood_still += self._around.now - self.asleep_since
            self.asleep_since = None

    def leads(self, term: int) -> None:
        """It has got the Lease."""
        self.term = term
        self.reconciler.lead()

    def follows(self) -> None:
        """It learns that another operator has the Lease."""
        self.term = None
        self.reconciler.follow()

    @property
    def due(self) -> bool:
        """Whether a reconcile is due."""
        due_at = self.queue._due.get(KEY)
        return self._work is None and due_at is not None and due_at <= self.clock()

    def state(self) -> tuple[Any, ...]:
        """All that decides how it goes on."""
        due_at, request = self.queue._due.get(KEY), self.pending.text if self.pending else None
        known = (self.cache.world(KEY), self.cache.orphans(KEY), self.cache.restored)
        return (known, self.cursors, request, self.reconciler._groups.get(KEY), due_at, self.term, self.clock())

    def begins(self) -> None:
        """It begins the reconcile that is due."""
        if self._work is None:
            self.queue._due.pop(KEY, None)
            self._work = self.reconciler._one(KEY)
            self._go_on(lambda work: work.send(None))

    def answered(self) -> None:
        """Its request is carried out and answered."""
        if self._work is not None:
            self.outages.ended("200", 0.0)
            self._go_on(lambda work: work.send(True))

    def fails(self, code: int, *, carried_out: bool) -> None:
        """Its request gets no answer (0), or one that says: not now."""
        if self._work is None:
            return
        assert self.pending is not None
        if carried_out:
            with contextlib.suppress(ConflictError):
                self.pending.carry_out()
        self.outages.ended(str(code), 0.0) if code else self.outages.failed(0.0)
        error = error_from_answer(code, "", reason="model", verb="any", resource="any", namespace="ns")
        self._go_on(lambda work: work.throw(error))

    def can_receive(self, kind: str) -> bool:
        """Whether its watch of a kind shows something, or cannot go on."""
        cursor = self.cursors[kind]
        return cursor < self.server.compacted or self.server.after(kind, cursor) is not None

    def receives(self, kind: str) -> None:
        """Its watch of a kind shows the next event, or is refused, so that the kind is listed."""
        if self.cursors[kind] < self.server.compacted:
            self.relist(kind)
        elif (change := self.server.after(kind, self.cursors[kind])) is not None:
            self.cursors[kind] = change.version
            self.outages.answered()
            self.reconciler.event(kind, change.type, change.item)

    def relist(self, kind: str) -> None:
        """It lists a kind, as after a gap of its watch, which goes on from there."""
        work = self.reconciler.list(kind)
        work.send(None)
        try:
            work.send(True)
        except StopIteration:
            self.cursors[kind] = self.server.version

    def _go_on(self, step: Callable[[Coroutine[Any, Any, None]], Any]) -> None:
        assert self._work is not None
        try:
            with _without_an_event_loop():
                self.pending = step(self._work)
        except StopIteration:
            self._work, self.pending = None, None
            self.queue._working.discard(KEY)
