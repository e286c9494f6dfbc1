"""Kubernetes Events (``events.k8s.io/v1``) about Rendezvous, in the manner of client-go's recorder.

What is said again becomes a series: one object whose count grows (``series.count``). Names carry the time at which an
Event was first sent, so that whatever lists them by name shows them in order. Their number is bounded: an operator that
is driven in circles must not fill the API server with its story. The log has every one of them.

They are sent by a task of their own from a bounded queue: an API server, or a webhook, that is slow to take Events must
not delay a decision. Since they say nothing about anything else, let the task have a `Cluster` of its own, whose
``answered`` counts for nothing.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone

from rendezvous_api import names
from rendezvous_operator.background import Background
from rendezvous_operator.cluster import Cluster, ConflictError, Json, NotFoundError, RefusedError, UnreachableError

logger = logging.getLogger(__name__)

SERIES_SECONDS = 360.0
"""What is said again within this time belongs to the series (client-go: ``finishTime``, 6 minutes)."""

BURST = 25
"""Requests for Events about one object at once (client-go: ``defaultSpamBurst``)."""

REFILL_SECONDS = 20.0
"""And then one in this time: a group that fails in circles tells of some rounds, not of all."""

MOST_QUEUED = 1000
"""Events that wait to be sent; when there are as many, a new one is dropped (client-go: ``maxQueuedEvents``)."""

_CONTROLLER = f"{names.GROUP}/operator"
_INSTANCE_BYTES = 128
_NOTE_BYTES = 1024
"""What the API server takes as reportingInstance, and as note."""


@dataclass(frozen=True)
class EventTarget:
    """The Rendezvous that an Event is about."""

    namespace: str
    name: str
    uid: str


@dataclass(frozen=True)
class Saying:
    """What makes two Events the same: the same thing said about the same object."""

    target: EventTarget
    reason: str
    note: str
    warning: bool


@dataclass
class _Series:
    event: str
    """Name of the object."""
    count: int
    said_at: float


@dataclass(frozen=True)
class Step:
    """What to send for one saying: a new Event, or one more for the series of the Event of that name."""

    name: str
    count: int

    @property
    def new(self) -> bool:
        """Whether the Event is to be created."""
        return self.count == 1


class Aggregator:
    """Decides which requests tell what is said. Pure: the caller gives the time (monotonic seconds)."""

    def __init__(self) -> None:
        self._series: dict[Saying, _Series] = {}
        self._spent: dict[EventTarget, tuple[float, float]] = {}

    def say(self, saying: Saying, name: str, now: float) -> Step | None:
        """What to send now; None: nothing. If it was said before, it is counted, and sent when it is said next.

        Args:
            saying: what is said.
            name: for the Event, should it be a new one.
            now: monotonic seconds.
        """
        self._forget_old(now)
        series = self._series.get(saying)
        if series is not None:
            series.count += 1
            series.said_at = now
        if not self._may_send(saying.target, now):
            return None
        if series is None:
            series = self._series[saying] = _Series(name, 1, now)
        return Step(series.event, series.count)

    def lost(self, saying: Saying) -> None:
        """Its Event is not there: the next one is created anew."""
        self._series.pop(saying, None)

    def _may_send(self, target: EventTarget, now: float) -> bool:
        """A bucket of tokens for each object: `BURST` of them, one comes back each `REFILL_SECONDS`."""
        spent, at = self._spent.get(target, (0.0, now))
        spent = max(0.0, spent - (now - at) / REFILL_SECONDS)
        if spent + 1 > BURST:
            return False
        self._spent[target] = (spent + 1, now)
        return True

    def _forget_old(self, now: float) -> None:
        for saying in [saying for saying, series in self._series.items() if now - series.said_at > SERIES_SECONDS]:
            del self._series[saying]
        full = BURST * REFILL_SECONDS
        for target in [target for target, (_, at) in self._spent.items() if now - at > full]:
            del self._spent[target]


@dataclass(frozen=True)
class _Emitted:
    """An Event that waits to be sent."""

    saying: Saying
    at: datetime


class Recorder:
    """Sends Events, one after the other, in a task of its own: whoever emits one never waits for the API server."""

    def __init__(self, cluster: Cluster, identity: str, clock: Callable[[], float]) -> None:
        """``identity`` names this operator process in the Events; ``clock`` gives monotonic seconds."""
        self._cluster = cluster
        self._identity = cut(identity, _INSTANCE_BYTES)
        self._clock = clock
        self._aggregator = Aggregator()
        self._queue: asyncio.Queue[_Emitted] = asyncio.Queue(MOST_QUEUED)
        self._dropped = 0
        self._background = Background()

    def start(self) -> None:
        """Begin to send."""
        self._background.start("events", self._run())

    async def stop(self, patience: float) -> None:
        """Send what is queued, for at most ``patience`` seconds, and end."""
        if self.defect is None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._queue.join(), patience)
        await self._background.stop()
        self._dropped += self._queue.qsize()
        self._report_dropped()

    @property
    def defect(self) -> str | None:
        """What of this can be cured only by a restart; None: nothing."""
        return self._background.defect

    def emit(self, target: EventTarget, reason: str, note: str, *, warning: bool) -> None:
        """Tell what has happened. Events are a courtesy, since the status has it all: failures are only logged."""
        saying = Saying(target, reason, cut(note, _NOTE_BYTES), warning)
        try:
            self._queue.put_nowait(_Emitted(saying, datetime.now(timezone.utc)))
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
                logger.exception("the event %s was not sent", emitted.saying.reason)
            finally:
                self._queue.task_done()
            self._report_dropped()

    def _report_dropped(self) -> None:
        if self._dropped:
            logger.warning("%d events were not sent: the API server takes them too slowly", self._dropped)
            self._dropped = 0

    async def _send(self, emitted: _Emitted) -> None:
        saying, target = emitted.saying, emitted.saying.target
        try:
            await self._send_step(emitted)
        except (UnreachableError, RefusedError, ConflictError) as error:
            self._aggregator.lost(saying)
            logger.warning("%s/%s: the event %s was not sent: %s", target.namespace, target.name, saying.reason, error)

    async def _send_step(self, emitted: _Emitted) -> None:
        saying = emitted.saying
        # As client-go names them: the digits of later times sort after those of earlier ones.
        name = f"{saying.target.name}.{time.time_ns():x}"
        step = self._aggregator.say(saying, name, self._clock())
        if step is None:
            logger.debug("%s: too many events, this one is not sent: %s", saying.target.name, saying.note)
        elif step.new:
            body = _event(emitted, step.name, self._identity)
            await self._cluster.request("POST", _path(saying.target), body=body)
        else:
            await self._count(emitted, step)

    async def _count(self, emitted: _Emitted, step: Step) -> None:
        body = {"series": {"count": step.count, "lastObservedTime": _micro_time(emitted.at)}}
        path = f"{_path(emitted.saying.target)}/{step.name}"
        try:
            await self._cluster.request("PATCH", path, body=body, content_type="application/merge-patch+json")
        except NotFoundError:
            # Kubernetes keeps Events for an hour, and anybody may delete them.
            self._aggregator.lost(emitted.saying)
            await self._send_step(emitted)


def _path(target: EventTarget) -> str:
    return f"/apis/events.k8s.io/v1/namespaces/{target.namespace}/events"


def cut(text: str, most_bytes: int) -> str:
    """The beginning of a text, at most so many bytes of UTF-8."""
    return text.encode()[:most_bytes].decode(errors="ignore")


def _micro_time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _event(emitted: _Emitted, name: str, identity: str) -> Json:
    saying, target = emitted.saying, emitted.saying.target
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": target.namespace},
        "eventTime": _micro_time(emitted.at),
        "type": "Warning" if saying.warning else "Normal",
        "reason": saying.reason,
        "action": saying.reason,
        "note": saying.note,
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
