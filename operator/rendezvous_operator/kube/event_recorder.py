"""Kubernetes Events (``events.k8s.io/v1``) about Rendezvous, after the model of client-go's recorder.

Repeated Events are aggregated into a series: one object whose count grows (``series.count``). The name of an Event ends
with the time at which it was first sent, so a list by name is in order. Their rate is bounded: a group that fails in a
loop must not fill the API server. The log has all of them.

A task of its own sends them from a bounded queue: an API server, or a webhook, that accepts Events slowly must not
delay a decision. Give it a `Client` of its own.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone

from rendezvous_api import names
from rendezvous_api.api_errors import ApiError, NotFoundError
from rendezvous_api.meta import micro_time
from rendezvous_operator.background import Background
from rendezvous_operator.kube.client import Client, Json

logger = logging.getLogger(__name__)

SERIES_SECONDS = 360.0
"""An Event that is repeated within this time belongs to the series (client-go: ``finishTime``, 6 minutes)."""

BURST = 25
"""Requests for Events about one object at once (client-go: ``defaultSpamBurst``)."""

REFILL_SECONDS = 20.0
"""Time after which one more request is allowed: a group that fails in a loop has Events of some rounds."""

MOST_QUEUED = 1000
"""Most Events that wait to be sent; a further one is dropped (client-go: ``maxQueuedEvents``)."""

_CONTROLLER = f"{names.GROUP}/operator"
_INSTANCE_BYTES = 128
_NOTE_BYTES = 1024
"""The most that the API server accepts as ``reportingInstance``, and as ``note``."""


@dataclass(frozen=True)
class EventTarget:
    """The Rendezvous that an Event is about."""

    namespace: str
    name: str
    uid: str


@dataclass(frozen=True)
class EventKey:
    """What Events of one series share."""

    target: EventTarget
    reason: str
    note: str
    warning: bool


@dataclass
class _Series:
    event: str
    """Name of the object."""
    count: int
    recorded_at: float


@dataclass(frozen=True)
class Step:
    """What to send: a new Event, or the new count of an existing one."""

    name: str
    """Of the Event object."""
    count: int

    @property
    def new(self) -> bool:
        """Whether the Event is to be created."""
        return self.count == 1


class Aggregator:
    """Aggregates Events, and decides what to send. Pure: the caller gives the time (monotonic seconds)."""

    def __init__(self) -> None:
        self._series: dict[EventKey, _Series] = {}
        self._spent: dict[EventTarget, tuple[float, float]] = {}

    def record(self, key: EventKey, name: str, now: float) -> Step | None:
        """What to send now; None: nothing, and a repeated Event is counted for the next time.

        Args:
            key: of the Event.
            name: of the Event object, if it is a new one.
            now: monotonic seconds.
        """
        self._forget_old(now)
        series = self._series.get(key)
        if series is not None:
            series.count += 1
            series.recorded_at = now
        if not self._may_send(key.target, now):
            return None
        if series is None:
            series = self._series[key] = _Series(name, 1, now)
        return Step(series.event, series.count)

    def lost(self, key: EventKey) -> None:
        """Its Event object does not exist: the next one creates it again."""
        self._series.pop(key, None)

    def _may_send(self, target: EventTarget, now: float) -> bool:
        """A token bucket for each Rendezvous: `BURST` tokens, one is added each `REFILL_SECONDS`."""
        spent, at = self._spent.get(target, (0.0, now))
        spent = max(0.0, spent - (now - at) / REFILL_SECONDS)
        if spent + 1 > BURST:
            return False
        self._spent[target] = (spent + 1, now)
        return True

    def _forget_old(self, now: float) -> None:
        for key in [key for key, series in self._series.items() if now - series.recorded_at > SERIES_SECONDS]:
            del self._series[key]
        full = BURST * REFILL_SECONDS
        for target in [target for target, (_, at) in self._spent.items() if now - at > full]:
            del self._spent[target]


@dataclass(frozen=True)
class _Emitted:
    """An Event that waits to be sent."""

    key: EventKey
    at: datetime


class Recorder:
    """Sends Events, one after the other, in a task of its own: `emit` never waits for the API server."""

    def __init__(self, client: Client, identity: str, clock: Callable[[], float]) -> None:
        """A recorder that is not started yet.

        Args:
            client: for the Events alone.
            identity: of this operator process, for ``reportingInstance``.
            clock: monotonic seconds.
        """
        self._client = client
        self._identity = cut(identity, _INSTANCE_BYTES)
        self._clock = clock
        self._aggregator = Aggregator()
        self._queue: asyncio.Queue[_Emitted] = asyncio.Queue(MOST_QUEUED)
        self._dropped = 0
        self._background = Background()

    def start(self) -> None:
        """Start to send."""
        self._background.start("events", self._run())

    async def stop(self, timeout: float) -> None:
        """Send what is queued, for at most ``timeout`` seconds, and end."""
        if self.defect is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._queue.join()
        await self._background.stop()
        self._dropped += self._queue.qsize()
        self._report_dropped()

    @property
    def defect(self) -> str | None:
        """A problem that only a restart of the process solves; None: there is none."""
        return self._background.defect

    def emit(self, target: EventTarget, reason: str, note: str, *, warning: bool) -> None:
        """Queue an Event to be sent. The status has everything that Events tell, so failures are only logged."""
        key = EventKey(target, reason, cut(note, _NOTE_BYTES), warning)
        try:
            self._queue.put_nowait(_Emitted(key, datetime.now(timezone.utc)))
        except asyncio.QueueFull:
            self._dropped += 1

    async def _run(self) -> None:
        while True:
            emitted = await self._queue.get()
            try:
                await self._send(emitted)
            except asyncio.CancelledError:
                self._dropped += 1
                raise
            except Exception:
                # A defect in one Event must not keep the others from being sent.
                logger.exception("the event %s was not sent", emitted.key.reason)
            finally:
                self._queue.task_done()
            self._report_dropped()

    def _report_dropped(self) -> None:
        if self._dropped:
            logger.warning("%d events were not sent: the API server accepts them too slowly", self._dropped)
            self._dropped = 0

    async def _send(self, emitted: _Emitted) -> None:
        key, target = emitted.key, emitted.key.target
        try:
            await self._send_step(emitted)
        except ApiError as error:
            self._aggregator.lost(key)
            logger.warning(
                "%s/%s: the event %s was not sent: %s", target.namespace, target.name, key.reason, error.describe()
            )

    async def _send_step(self, emitted: _Emitted) -> None:
        key = emitted.key
        # As client-go names them: the digits of later times sort after those of earlier ones.
        name = f"{key.target.name}.{time.time_ns():x}"
        step = self._aggregator.record(key, name, self._clock())
        if step is None:
            logger.debug("%s: too many events, this one is not sent: %s", key.target.name, key.note)
        elif step.new:
            body = _event(emitted, step.name, self._identity)
            await self._client.request("POST", _path(key.target), body=body)
        else:
            await self._count(emitted, step)

    async def _count(self, emitted: _Emitted, step: Step) -> None:
        body = {"series": {"count": step.count, "lastObservedTime": micro_time(emitted.at)}}
        path = f"{_path(emitted.key.target)}/{step.name}"
        try:
            await self._client.request("PATCH", path, body=body, content_type="application/merge-patch+json")
        except NotFoundError:
            # Kubernetes keeps Events for an hour, and any client may delete them.
            self._aggregator.lost(emitted.key)
            await self._send_step(emitted)


def _path(target: EventTarget) -> str:
    return f"/apis/events.k8s.io/v1/namespaces/{target.namespace}/events"


def cut(text: str, most_bytes: int) -> str:
    """The beginning of a text: as much as fits into ``most_bytes`` bytes of UTF-8."""
    return text.encode()[:most_bytes].decode(errors="ignore")


def _event(emitted: _Emitted, name: str, identity: str) -> Json:
    key, target = emitted.key, emitted.key.target
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": target.namespace},
        "eventTime": micro_time(emitted.at),
        "type": "Warning" if key.warning else "Normal",
        "reason": key.reason,
        "action": key.reason,
        "note": key.note,
        "reportingController": _CONTROLLER,
        "reportingInstance": identity,
        "regarding": {
            "apiVersion": names.API_VERSION,
            "kind": names.RENDEZVOUS_KIND,
            "namespace": target.namespace,
            "name": target.name,
            "uid": target.uid,
        },
    }
