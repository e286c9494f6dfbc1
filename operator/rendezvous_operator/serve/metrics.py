"""The metrics of the operator for Prometheus; ``docs/metrics.md`` lists them.

Gauges of a Rendezvous are computed from the cache at each scrape; counters are increased when something happens. Only
the leader exports series of single Rendezvous, so that no series exists twice.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import NamedTuple

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

from rendezvous_api.reasons import AttemptReason, RoundEndReason
from rendezvous_api.rendezvous import RendezvousStatus
from rendezvous_operator.core.timers import Timer
from rendezvous_operator.core.world import Decision, Detection, LossEvidence, Memory
from rendezvous_operator.kube.request_trace import Request
from rendezvous_operator.serve.round_times import RoundClock
from rendezvous_operator.serve.series import ENDS, PREFIX, Backlog, Counted, RendezvousSeries
from rendezvous_operator.version import operator_version
from rendezvous_operator.watch.cache import Cache
from rendezvous_operator.watch.seen import Key

# Only OpenMetrics uses the time at which each series was created; as gauges these would double the series.
disable_created_metrics()  # type: ignore[no-untyped-call]

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0
_ROUND_BUCKETS = (10, 30, _MINUTE, 300, 900, _HOUR, 4 * _HOUR, 12 * _HOUR, _DAY, 3 * _DAY, 7 * _DAY, 30 * _DAY)
_FORMATION_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, _MINUTE, 120, 300, 600, 1800, _HOUR)
_DECISION_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)
_DETECTION_BUCKETS = (1, 2, 3, 5, 10, 15, 20, 30, _MINUTE, 120, 300, 600, 1800)
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
        self._counted: dict[Key, Counted] = {}
        self._lost: dict[Key, tuple[int, set[str]]] = {}
        self._suspects: dict[Key, int] = {}

        self._round_duration = self._histogram(
            "round_duration_seconds", "How long rounds that ended have run.", _ROUND_BUCKETS, ("reason",)
        )
        self._formation_duration = self._histogram(
            "formation_duration_seconds",
            "From the end of a round, or the first node of a run, until the next round was published.",
            _FORMATION_BUCKETS,
            ("reason",),
        )
        self._detection = self._histogram(
            "detection_seconds",
            "From when a member was last seen to live until it was lost.",
            _DETECTION_BUCKETS,
            ("evidence",),
        )
        for evidence in LossEvidence:
            self._detection.labels(evidence.value)
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
        self.registry.register(
            RendezvousSeries(cache, queue, self._rounds, clock, wall, leading, self._counted, self._suspects)
        )
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
        counted = self._counted.setdefault(key, Counted())
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

    def members_lost(
        self,
        key: Key,
        before: RendezvousStatus,
        lost: Mapping[str, RoundEndReason],
        detected: Mapping[str, Detection],
    ) -> None:
        """Count each lost member once in its round."""
        number, known = self._lost.get(key, (None, set()))
        if number is None and not before.running:
            known = set(lost)  # the former leader has counted them
        elif number != before.round:
            known = set()
        for name in lost.keys() - known:
            self._counted.setdefault(key, Counted()).lost[lost[name].value] += 1
            if name in detected:
                self._detection.labels(detected[name].evidence.value).observe(detected[name].seconds)
        self._lost[key] = (before.round, known | lost.keys())

    def members_suspected(self, key: Key, before: Memory, decision: Decision) -> None:
        """Count what is new since the decision before, and note how many suspects there are."""
        self._suspects[key] = decision.suspects
        for timer, subject in decision.memory.since.keys() - before.since.keys():
            if timer is Timer.ACCUSED and isinstance(subject, tuple):
                self._counted.setdefault(key, Counted()).accused[subject[1]] += 1
            elif timer is Timer.CONTRADICTED:
                self._counted.setdefault(key, Counted()).contradicted += 1

    def term_ended(self) -> None:
        """Forget which losses of the present rounds are counted; the counters stay."""
        self._lost.clear()
        self._suspects.clear()

    def forget(self, key: Key) -> None:
        """Drop the series of a Rendezvous that is gone."""
        self._counted.pop(key, None)
        self._suspects.pop(key, None)
        self._lost.pop(key, None)
