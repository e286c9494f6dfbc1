"""The series of single Rendezvous: gauges are computed from the cache at each scrape, counters are what was counted."""

from collections import Counter as Totals
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from rendezvous_api import names
from rendezvous_api.meta import moment_of
from rendezvous_api.participant import Participant
from rendezvous_api.reasons import ClosedReason, HeldOutReason, HostState, ParticipantState, RoundEndReason
from rendezvous_api.rendezvous import RendezvousStatus
from rendezvous_operator.core.world import World
from rendezvous_operator.serve.round_times import RoundClock, RoundTimes
from rendezvous_operator.watch.cache import Cache
from rendezvous_operator.watch.seen import Key

PREFIX = "kube_rendezvous"
LOSSES = (
    RoundEndReason.MEMBER_LOST,
    RoundEndReason.MEMBER_EVICTED,
    RoundEndReason.MEMBER_TERMINATED,
    RoundEndReason.MEMBER_UNHEALTHY,
    RoundEndReason.MEMBER_FAILED,
)
"""The reasons for the loss of a member."""
ENDS = (*RoundEndReason, *ClosedReason)
"""The reasons for the end of a round."""

ACCUSATIONS = (HostState.MISSED, HostState.CLOSED)
"""What a member may say of another one that may be dead."""

LABELS = ("namespace", "rendezvous")


@dataclass
class Counted:
    """The counters of one Rendezvous: what this process has written."""

    published: int = 0
    ended: Totals[str] = field(default_factory=Totals)
    lost: Totals[str] = field(default_factory=Totals)
    accused: Totals[str] = field(default_factory=Totals)
    contradicted: int = 0


class Backlog(Protocol):
    """What is exported of the queue of Rendezvous to decide on."""

    @property
    def depth(self) -> int:
        """How many are due now."""

    @property
    def retries(self) -> int:
        """How often one was put back after a failure."""


class _View(NamedTuple):
    """One Rendezvous at the moment of a scrape."""

    world: World
    times: RoundTimes
    now: float
    heard_until: float
    """The same moment on the clock of the cache."""
    suspects: int

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
    "suspects": ("Members of a running round that may be lost soon.", lambda view: view.suspects),
    "heartbeat_age_seconds": (
        "Age of the oldest last heartbeat of a member; 0: no round runs.",
        lambda view: max((silence for _, silence in view.silences()), default=0),
    ),
    "running": (
        "1 if a round runs and no member is asked to join again.",
        lambda view: view.status.holds(names.CONDITION_RUNNING),
    ),
}


class RendezvousSeries(Collector):
    """The series of single Rendezvous and the counter of the queue, computed at each scrape."""

    def __init__(
        self,
        cache: Cache,
        queue: Backlog,
        rounds: RoundClock,
        clock: Callable[[], float],
        wall: Callable[[], datetime],
        leading: Callable[[], bool],
        counted: dict[Key, Counted],
        suspects: dict[Key, int],
    ) -> None:
        self._cache = cache
        self._queue = queue
        self._rounds = rounds
        self._clock = clock
        self._wall = wall
        self._leading = leading
        self._counted = counted
        self._suspects = suspects

    def collect(self) -> Iterator[Metric]:
        """One scrape."""
        retries = CounterMetricFamily(f"{PREFIX}_queue_retries", "Decisions and writes that failed and were put back.")
        retries.add_metric((), self._queue.retries)
        yield retries
        views = self._views() if self._leading() else {}
        for name, (text, value) in _GAUGES.items():
            gauge = GaugeMetricFamily(f"{PREFIX}_{name}", text, labels=LABELS)
            for key, view in views.items():
                gauge.add_metric(key, value(view))
            yield gauge
        yield self._held_out(views)
        yield from self._counters(views)

    def _views(self) -> dict[Key, _View]:
        now, heard_until, keys = self._clock(), self._cache.clock(), self._cache.keys()
        worlds = {key: self._cache.world(key) for key in keys}
        return {
            key: _View(world, self._rounds.now(key), now, heard_until, self._suspects.get(key, 0))
            for key, world in worlds.items()
            if world is not None
        }

    def _held_out(self, views: Mapping[Key, _View]) -> Metric:
        gauge = GaugeMetricFamily(
            f"{PREFIX}_held_out", "Nodes that are held out until a time that is not over.", labels=(*LABELS, "reason")
        )
        now = self._wall()
        for key, view in views.items():
            # An entry stays after its time, because the next hold-out would be longer.
            entries = (entry for entry in view.status.held_out if moment_of(entry.until) > now)
            count = Totals(entry.reason for entry in entries)
            for reason in HeldOutReason:
                gauge.add_metric((*key, reason.value), count[reason])
        return gauge

    def _counters(self, views: Mapping[Key, _View]) -> Iterator[Metric]:
        published = CounterMetricFamily(f"{PREFIX}_rounds_published", "Published rounds.", labels=LABELS)
        ended = CounterMetricFamily(f"{PREFIX}_rounds_ended", "Ended rounds.", labels=(*LABELS, "reason"))
        lost = CounterMetricFamily(
            f"{PREFIX}_members_lost", "Members that rounds have lost.", labels=(*LABELS, "reason")
        )
        accused = CounterMetricFamily(
            f"{PREFIX}_accusations",
            "Members of which another one said that no beats, or no answers, of them arrive.",
            labels=(*LABELS, "evidence"),
        )
        contradicted = CounterMetricFamily(
            f"{PREFIX}_contradictions", "Accused members that have sent a heartbeat since.", labels=LABELS
        )
        for key in views:
            counted = self._counted.get(key, Counted())
            contradicted.add_metric(key, counted.contradicted)
            published.add_metric(key, counted.published)
            # With zeros, like the histograms.
            for reason in ENDS:
                ended.add_metric((*key, reason.value), counted.ended[reason.value])
            for reason in LOSSES:
                lost.add_metric((*key, reason.value), counted.lost[reason.value])
            for word in ACCUSATIONS:
                accused.add_metric((*key, word.value), counted.accused[word.value])
        yield from (published, ended, lost, accused, contradicted)
