"""The metrics of the operator for Prometheus; ``docs/metrics.md`` lists them.

Gauges of a Rendezvous are computed from the cache at each scrape; counters are increased when something happens. Only
the leader exports series of single Rendezvous, so that no series exists twice.
"""

from collections import Counter as Totals
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import NamedTuple, Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from rendezvous_api import names
from rendezvous_api.participant import Participant
from rendezvous_api.reasons import AttemptReason, ClosedReason, HeldOutReason, ParticipantState, RoundEndReason
from rendezvous_api.rendezvous import RendezvousStatus
from rendezvous_operator.core.nodes import silent_seconds
from rendezvous_operator.core.world import World
from rendezvous_operator.kube.request_trace import Request
from rendezvous_operator.serve.round_times import RoundClock, RoundTimes
from rendezvous_operator.version import operator_version
from rendezvous_operator.watch.cache import Cache
from rendezvous_operator.watch.seen import Key

# Only OpenMetrics uses the time at which each series was created; as gauges these would double the series.
disable_created_metrics()  # type: ignore[no-untyped-call]

PREFIX = "kube_rendezvous"
LOSSES = (
    RoundEndReason.MEMBER_LOST,
    RoundEndReason.MEMBER_EVICTED,
    RoundEndReason.MEMBER_TERMINATED,
    RoundEndReason.MEMBER_FAILED,
)
"""The reasons for the loss of a member."""
ENDS = (*RoundEndReason, *ClosedReason)
"""The reasons for the end of a round."""

_LABELS = ("namespace", "rendezvous")
_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0
_ROUND_BUCKETS = (10, 30, _MINUTE, 300, 900, _HOUR, 4 * _HOUR, 12 * _HOUR, _DAY, 3 * _DAY, 7 * _DAY, 30 * _DAY)
_FORMATION_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, _MINUTE, 120, 300, 600, 1800, _HOUR)
_DECISION_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)
_REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Change(NamedTuple):
    """What one write of a status changed about rounds."""

    ended: str | None
    """Why a round ended; None: none did."""
    published: str | None
    """Why the round before the published one ended, `AttemptReason.START` in a first one; None: none was published."""


def change(before: RendezvousStatus, after: RendezvousStatus) -> Change:
    """The change between two statuses of one Rendezvous."""
    running = before.history[-1] if before.running else None
    records = {record.round: record for record in after.history}
    ended = records.get(running.round) if running is not None else None
    published = None
    if after.round > before.round:
        previous = records.get(after.round - 1)
        same_run = previous is not None and previous.run_id == records[after.round].run_id
        published = previous.reason if previous is not None and same_run else AttemptReason.START.value
    return Change(ended.reason if ended is not None and not ended.running else None, published)


@dataclass
class _Counted:
    """The counters of one Rendezvous: what this process has written."""

    published: int = 0
    ended: Totals[str] = field(default_factory=Totals)
    lost: Totals[str] = field(default_factory=Totals)


class Backlog(Protocol):
    """What is exported of the queue of Rendezvous to decide on."""

    @property
    def depth(self) -> int:
        """How many are due now."""

    @property
    def retries(self) -> int:
        """How often one was put back after a failure."""


def _now() -> datetime:
    return datetime.now(timezone.utc)


class Metrics:
    """All metrics, in a registry of their own.

    Args:
        cache: what is seen.
        queue: of the Rendezvous to decide on.
        clock: monotonic seconds.
        leading: whether this process is the leader now.
        wall: the time of day, in which the status says how long a node is held out.
    """

    def __init__(
        self,
        cache: Cache,
        queue: Backlog,
        clock: Callable[[], float],
        leading: Callable[[], bool],
        wall: Callable[[], datetime] = _now,
    ) -> None:
        self.registry = CollectorRegistry()
        self._clock = clock
        self._rounds = RoundClock(clock)
        cache.observe(self._rounds.seen)
        self._counted: dict[Key, _Counted] = {}
        self._lost: dict[Key, tuple[int, set[str]]] = {}

        self._round_duration = self._histogram(
            "round_duration_seconds", "How long rounds that ended have run.", _ROUND_BUCKETS, ("reason",)
        )
        self._formation_duration = self._histogram(
            "formation_duration_seconds",
            "From the end of a round, or the first node of a run, until the next round was published.",
            _FORMATION_BUCKETS,
            ("reason",),
        )
        # For Prometheus a series that appears with 1 has not increased, so each reason exists from the start.
        for reason in ENDS:
            self._round_duration.labels(reason.value)
        for reason in (AttemptReason.START, *ENDS):
            self._formation_duration.labels(reason.value)
        self._decision_duration = self._histogram(
            "decision_duration_seconds", "How long one decision on one Rendezvous took.", _DECISION_BUCKETS
        )
        self._request_duration = self._histogram(
            "api_request_duration_seconds",
            "Until the API server answered a request; watches are left out.",
            _REQUEST_BUCKETS,
            ("verb", "resource"),
        )
        self._requests = Counter(
            f"{PREFIX}_api_requests",
            "Requests to the API server.",
            ("verb", "resource", "code"),
            registry=self.registry,
        )
        self._watch_events = Counter(f"{PREFIX}_watch_events", "Events of watches.", ("kind",), registry=self.registry)
        build = Gauge(
            f"{PREFIX}_build_info", "Always 1; the label has the version.", ("version",), registry=self.registry
        )
        build.labels(operator_version()).set(1)
        leader = Gauge(f"{PREFIX}_leader", "1 if this operator decides, 0 if it follows.", registry=self.registry)
        leader.set_function(leading)
        depth = Gauge(f"{PREFIX}_queue_depth", "Rendezvous that are due to be decided on.", registry=self.registry)
        depth.set_function(lambda: queue.depth)
        self.registry.register(_Rendezvous(cache, queue, self._rounds, clock, wall, leading, self._counted))
        ProcessCollector(registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...], labels: tuple[str, ...] = ()) -> Histogram:
        return Histogram(f"{PREFIX}_{name}", text, labels, buckets=buckets, registry=self.registry)

    def decided(self, seconds: float) -> None:
        """Count one decision."""
        self._decision_duration.observe(seconds)

    def request_answered(self, request: Request, code: str, seconds: float) -> None:
        """Count one request to the API server, and measure it unless it is a watch, which is ended by its timeout."""
        self._requests.labels(request.verb, request.resource, code).inc()
        if request.verb != "watch":
            self._request_duration.labels(request.verb, request.resource).observe(seconds)

    def watch_event(self, kind: str) -> None:
        """Count one event of a watch."""
        self._watch_events.labels(kind).inc()

    def status_written(self, key: Key, before: RendezvousStatus, after: RendezvousStatus) -> None:
        """Count what an accepted write has changed."""
        counted = self._counted.setdefault(key, _Counted())
        now, what, times = self._clock(), change(before, after), self._rounds.in_round(key, before.round)
        if what.ended is not None:
            counted.ended[what.ended] += 1
            if times is not None and times.round_since is not None:
                self._round_duration.labels(what.ended).observe(now - times.round_since)
        if what.published is not None:
            counted.published += 1
            if times is None:
                return  # the Rendezvous is gone
            if times.forming_since is None:
                # All nodes were waiting: the round was started and published in one write.
                self._formation_duration.labels(what.published).observe(0)
            elif times.formation_whole:
                self._formation_duration.labels(what.published).observe(now - times.forming_since)

    def members_lost(self, key: Key, before: RendezvousStatus, lost: Mapping[str, RoundEndReason]) -> None:
        """Count each lost member once in its round."""
        number, known = self._lost.get(key, (None, set()))
        if number is None and not before.running:
            known = set(lost)  # the former leader has counted them
        elif number != before.round:
            known = set()
        for name in lost.keys() - known:
            self._counted.setdefault(key, _Counted()).lost[lost[name].value] += 1
        self._lost[key] = (before.round, known | lost.keys())

    def term_ended(self) -> None:
        """Forget which losses of the present rounds are counted; the counters stay."""
        self._lost.clear()

    def forget(self, key: Key) -> None:
        """Drop the series of a Rendezvous that is gone."""
        self._counted.pop(key, None)
        self._lost.pop(key, None)


class _View(NamedTuple):
    """One Rendezvous at the moment of a scrape."""

    world: World
    times: RoundTimes
    now: float
    heard_until: float
    """The same moment on the clock of the cache."""

    @property
    def status(self) -> RendezvousStatus:
        return self.world.rendezvous.status

    def silences(self) -> Iterator[tuple[Participant, float]]:
        """Each member of the running round that has not left, and the seconds since its last heartbeat."""
        if not self.status.running:
            return
        for member in self.status.participants:
            seen = self.world.participants.get(member.name)
            if (
                seen is not None
                and seen.object.spec.state is not ParticipantState.LEFT
                and seen.object.spec.incarnation == member.incarnation
            ):
                yield seen.object, self.heard_until - seen.beat_at


def _suspects(view: _View) -> float:
    if not view.status.holds(names.CONDITION_DEGRADED):
        return 0
    spec = view.world.rendezvous.spec
    return sum(silence >= silent_seconds(participant, spec) for participant, silence in view.silences())


def _waiting(view: _View) -> float:
    return view.status.formation.joined if view.status.formation is not None else 0


def _waiting_seconds(view: _View) -> float:
    return view.now - view.times.forming_since if view.times.forming_since is not None else 0


_GAUGES: Mapping[str, tuple[str, Callable[[_View], float]]] = {
    "round": ("Number of the last published round.", lambda view: view.status.round),
    "members": (
        "Nodes in the running round; 0: none runs.",
        lambda view: view.status.nodes if view.status.running else 0,
    ),
    "spares": (
        "Nodes that have joined and wait because the round has all the nodes it may have.",
        lambda view: len(view.status.spares),
    ),
    "waiting": ("Nodes that have joined and wait for the next round.", _waiting),
    "waiting_seconds": ("How long a round has been in formation; 0: none is.", _waiting_seconds),
    "suspects": ("Members of a running round that are silent.", _suspects),
    "heartbeat_age_seconds": (
        "Age of the oldest last heartbeat of a member; 0: no round runs.",
        lambda view: max((silence for _, silence in view.silences()), default=0),
    ),
    "running": (
        "1 if a round runs and no member is asked to join again.",
        lambda view: view.status.holds(names.CONDITION_RUNNING),
    ),
}


class _Rendezvous(Collector):
    """The series of single Rendezvous and the counter of the queue, computed at each scrape."""

    def __init__(
        self,
        cache: Cache,
        queue: Backlog,
        rounds: RoundClock,
        clock: Callable[[], float],
        wall: Callable[[], datetime],
        leading: Callable[[], bool],
        counted: dict[Key, _Counted],
    ) -> None:
        self._cache = cache
        self._queue = queue
        self._rounds = rounds
        self._clock = clock
        self._wall = wall
        self._leading = leading
        self._counted = counted

    def collect(self) -> Iterator[Metric]:
        """One scrape."""
        retries = CounterMetricFamily(f"{PREFIX}_queue_retries", "Decisions and writes that failed and were put back.")
        retries.add_metric((), self._queue.retries)
        yield retries
        views = self._views() if self._leading() else {}
        for name, (text, value) in _GAUGES.items():
            gauge = GaugeMetricFamily(f"{PREFIX}_{name}", text, labels=_LABELS)
            for key, view in views.items():
                gauge.add_metric(key, value(view))
            yield gauge
        yield self._held_out(views)
        yield from self._counters(views)

    def _views(self) -> dict[Key, _View]:
        now, heard_until, keys = self._clock(), self._cache.clock(), self._cache.keys()
        worlds = {key: self._cache.world(key) for key in keys}
        return {
            key: _View(world, self._rounds.now(key), now, heard_until)
            for key, world in worlds.items()
            if world is not None
        }

    def _held_out(self, views: Mapping[Key, _View]) -> Metric:
        gauge = GaugeMetricFamily(
            f"{PREFIX}_held_out", "Nodes that are held out until a time that is not over.", labels=(*_LABELS, "reason")
        )
        now = self._wall()
        for key, view in views.items():
            # An entry stays after its time, because the next hold-out would be longer.
            entries = (entry for entry in view.status.held_out if datetime.fromisoformat(entry.until) > now)
            count = Totals(entry.reason for entry in entries)
            for reason in HeldOutReason:
                gauge.add_metric((*key, reason.value), count[reason])
        return gauge

    def _counters(self, views: Mapping[Key, _View]) -> Iterator[Metric]:
        published = CounterMetricFamily(f"{PREFIX}_rounds_published", "Published rounds.", labels=_LABELS)
        ended = CounterMetricFamily(f"{PREFIX}_rounds_ended", "Ended rounds.", labels=(*_LABELS, "reason"))
        lost = CounterMetricFamily(
            f"{PREFIX}_members_lost", "Members that rounds have lost.", labels=(*_LABELS, "reason")
        )
        for key in views:
            counted = self._counted.get(key, _Counted())
            published.add_metric(key, counted.published)
            # With zeros, like the histograms.
            for reason in ENDS:
                ended.add_metric((*key, reason.value), counted.ended[reason.value])
            for reason in LOSSES:
                lost.add_metric((*key, reason.value), counted.lost[reason.value])
        yield from (published, ended, lost)
