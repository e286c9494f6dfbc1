"""Leader election by a Lease (``coordination.k8s.io/v1``), by the rules of client-go's ``tools/leaderelection``.

Whether a Lease has expired is judged by when *this* process last saw it change, on its monotonic clock; the times that
are written in it are for people, and clocks of two machines are never compared. All writes carry the resourceVersion
that was read. A leader counts from the moment at which it *sent* its last renewal, others from when they saw it, and
``renew_deadline`` is shorter than ``lease_duration``: so it stops deciding before anybody else begins to.

Unlike most users of client-go, who exit, a process that has lost the Lease goes on as a follower: an outage of the API
server costs every leader its Lease, and when it ends, nobody is helped by an operator that must list everything anew.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from rendezvous_operator.cluster import Cluster, ConflictError, Json, NotFoundError, RefusedError, UnreachableError

logger = logging.getLogger(__name__)

_QUIET_SECONDS = 30.0
"""The same cause of a failed try is logged once in this time."""


@dataclass(frozen=True)
class Timing:
    """How long things take, in seconds; the defaults are those of client-go."""

    lease_duration: int = 15
    """Without a renewal for this long, anybody may take the Lease."""
    renew_deadline: int = 10
    """Without a renewal for this long, the leader stops. Less than ``lease_duration``."""
    retry_period: int = 2
    """Between two tries. Less than half of ``renew_deadline``."""

    @property
    def request_timeout(self) -> float:
        """For each request about the Lease: of two renewals that get no answer, both end before the term does."""
        return self.renew_deadline / 2 - self.retry_period


@dataclass(frozen=True)
class Record:
    """What is written in a Lease. The times are RFC 3339 with microseconds."""

    holder: str
    """Empty: released."""
    duration_seconds: int
    acquire_time: str
    renew_time: str
    transitions: int
    """How often the Lease has changed hands."""


class Election:
    """What one candidate knows, and what it should do next. Pure: the caller gives the time (monotonic seconds)."""

    def __init__(self, identity: str, timing: Timing) -> None:
        self._identity = identity
        self._timing = timing
        self._record: Record | None = None
        self._seen_at = float("-inf")
        self._leads_until = float("-inf")
        self._terms = 0

    def seen(self, record: Record | None, now: float) -> None:
        """Take in the Lease as it was read; None: there is none."""
        if record != self._record:
            self._record = record
            self._seen_at = now
        if self.holder != self._identity:
            self._leads_until = float("-inf")

    @property
    def holder(self) -> str:
        """Who holds the Lease, as far as is known; empty: nobody."""
        return self._record.holder if self._record is not None else ""

    def wanted(self, now: float, timestamp: str) -> Record | None:
        """What to write now, to take the Lease or to renew it; None: somebody else holds it."""
        known, mine = self._record, self.holder == self._identity
        if self.holder and not mine and now < self._expires_at:
            return None
        return Record(
            holder=self._identity,
            duration_seconds=self._timing.lease_duration,
            acquire_time=known.acquire_time if known is not None and mine else timestamp,
            renew_time=timestamp,
            transitions=0 if known is None else known.transitions + (not mine),
        )

    def written(self, record: Record, sent_at: float, now: float) -> None:
        """The API server has taken what was `wanted`; the request was sent at that moment."""
        if self.term(now) is None:
            self._terms += 1
        self.seen(record, now)
        self._leads_until = sent_at + self._timing.renew_deadline

    def term(self, now: float) -> int | None:
        """Which of its terms as leader this is, counted from 1; None: it does not lead."""
        return self._terms if now < self._leads_until else None

    def resigned(self, timestamp: str) -> Record | None:
        """What to write to hand the Lease over at once; None: it is not ours."""
        self._leads_until = float("-inf")
        if self._record is None or self.holder != self._identity:
            return None
        # A Lease without a duration is not valid; 1 is what client-go writes.
        return replace(self._record, holder="", duration_seconds=1, acquire_time=timestamp, renew_time=timestamp)

    def delay(self, now: float, jitter: float) -> float:
        """Seconds until the next try. ``jitter``, from 0 to 1, keeps followers from coming all together."""
        period = float(self._timing.retry_period)
        if self.term(now) is not None:
            return min(period, self._leads_until - now)
        wait = period * (1 - jitter / 2)
        # One try as soon as the Lease expires; if that fails, as while the API server is away, the next has its time.
        expires_in = self._expires_at - now
        if self.holder and self.holder != self._identity and expires_in > 0:
            wait = min(wait, expires_in)
        return max(wait, 0.05)

    @property
    def _expires_at(self) -> float:
        duration = self._record.duration_seconds if self._record is not None else 0
        return self._seen_at + duration


class Candidate:
    """Takes part in the election of one Lease, and tells ``lead`` and ``follow`` how it goes.

    Args:
        cluster: with connections of its own and a timeout below the renew deadline: a renewal must wait for nothing.
        namespace: of the Lease.
        name: of the Lease.
        election: what is known.
        clock: monotonic seconds.
        lead: is called when a term begins.
        follow: is called when it ends. What must not be done any more is up to `term`, which ends by itself.
    """

    def __init__(
        self,
        cluster: Cluster,
        namespace: str,
        name: str,
        election: Election,
        clock: Callable[[], float],
        lead: Callable[[], None],
        follow: Callable[[], None],
    ) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._name = name
        self._election = election
        self._clock = clock
        self._lead = lead
        self._follow = follow
        self._item: Json = {}
        self._writing = False
        self._told: int | None = None
        self._told_holder: str | None = None
        self._failed: tuple[str, float] = ("", float("-inf"))

    @property
    def term(self) -> int | None:
        """The present term as leader; None: this process must not decide anything now."""
        return self._election.term(self._clock())

    async def run(self) -> None:
        """Try to become the leader and to stay it, for ever. Cancelled, it hands the Lease over before it ends."""
        try:
            while True:
                try:
                    await self._try()
                except (UnreachableError, RefusedError, ConflictError) as error:
                    self._log_failure(error)
                self._tell()
                await asyncio.sleep(self._election.delay(self._clock(), random.random()))
        finally:
            await self._resign()

    async def _resign(self) -> None:
        timestamp = _now()
        try:
            if self._writing:
                await self._read()  # it may have been written all the same
            record = self._election.resigned(timestamp)
            if record is not None:
                await self._write(record)
        except (UnreachableError, RefusedError, ConflictError) as error:
            logger.warning("the Lease %s/%s could not be handed over: %s", self._namespace, self._name, error)
        else:
            if record is not None:
                logger.info("the Lease %s/%s is handed over", self._namespace, self._name)

    async def _try(self) -> None:
        if self.term is None:
            await self._read()
        sent_at = self._clock()
        record = self._election.wanted(sent_at, _now())
        if record is None:
            return
        self._writing = True
        try:
            await self._write(record)
        except ConflictError:
            # Somebody else has written, or an earlier renewal got through without an answer.
            await self._read()
        except NotFoundError:
            if not self._item:
                raise  # there is no such namespace
            await self._read()
        else:
            self._election.written(record, sent_at, self._clock())
        # Not when it was cancelled, or there was no answer: then nobody knows.
        self._writing = False

    async def _read(self) -> None:
        try:
            self._item = await self._cluster.request("GET", f"{self._path}/{self._name}")
        except NotFoundError:
            self._item = {}
        self._election.seen(_record(self._item), self._clock())

    async def _write(self, record: Record) -> None:
        if self._item:
            body = {**self._item, "spec": _spec(record)}
            self._item = await self._cluster.request("PUT", f"{self._path}/{self._name}", body=body)
            return
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"namespace": self._namespace, "name": self._name},
            "spec": _spec(record),
        }
        self._item = await self._cluster.request("POST", self._path, body=body)

    @property
    def _path(self) -> str:
        return f"/apis/coordination.k8s.io/v1/namespaces/{self._namespace}/leases"

    def _tell(self) -> None:
        """Call back and log, when something has changed."""
        term, holder, lease = self.term, self._election.holder, (self._namespace, self._name)
        if term != self._told:
            if self._told is not None:
                logger.warning("this operator leads no longer: the Lease %s/%s is lost or could not be renewed", *lease)
                self._follow()
            if term is not None:
                logger.info("this operator leads now: the Lease %s/%s is taken, decisions begin", *lease)
                self._lead()
            self._told = term
        if term is None and holder != self._told_holder:
            logger.info("this operator follows: the Lease %s/%s is held by %s", *lease, holder or "nobody")
        self._told_holder = holder

    def _log_failure(self, error: Exception) -> None:
        cause, now = str(error), self._clock()
        known, at = self._failed
        if cause != known or now - at >= _QUIET_SECONDS:
            self._failed = (cause, now)
            logger.warning("trying again to get the Lease %s/%s: %s", self._namespace, self._name, cause)


def _now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _record(item: Json) -> Record | None:
    if not item:
        return None
    spec = item.get("spec", {})
    return Record(
        holder=spec.get("holderIdentity", ""),
        duration_seconds=spec.get("leaseDurationSeconds", 0),
        acquire_time=spec.get("acquireTime", ""),
        renew_time=spec.get("renewTime", ""),
        transitions=spec.get("leaseTransitions", 0),
    )


def _spec(record: Record) -> Json:
    return {
        "holderIdentity": record.holder,
        "leaseDurationSeconds": record.duration_seconds,
        "acquireTime": record.acquire_time,
        "renewTime": record.renew_time,
        "leaseTransitions": record.transitions,
    }
