"""Leader election by a Lease (``coordination.k8s.io/v1``), by the rules of client-go's ``tools/leaderelection``.

A Lease has expired when *this* process has not seen it change for its duration, on its own monotonic clock. The times
in the Lease are for people, and clocks of two machines are never compared. Every write has the resourceVersion that was
read. The leader counts from the moment at which it *sent* its last renewal, the others from when they saw it, and
``renew_deadline`` is shorter than ``lease_duration``. So the leader stops deciding before another one starts.

Most users of client-go exit when they lose the Lease. This process continues as a follower: in an outage of the API
server every leader loses its Lease, and an operator that restarts would first have to list everything again.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from rendezvous_api.api_errors import ApiError, ConflictError, NotFoundError
from rendezvous_api.meta import micro_time
from rendezvous_operator.kube.client import Client, Json
from rendezvous_operator.rate_limit import RateLimit

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Timing:
    """The times of an election in seconds; the defaults are those of client-go."""

    lease_duration: int = 15
    """Without a renewal for this long, any candidate may take the Lease."""
    renew_deadline: int = 10
    """Without a renewal for this long, the leader stops deciding. Less than ``lease_duration``."""
    retry_period: int = 2
    """Between two attempts. Less than half of ``renew_deadline``."""

    @property
    def request_timeout(self) -> float:
        """Of each request about the Lease: two renewals without an answer still end before the term does."""
        return self.renew_deadline / 2 - self.retry_period


@dataclass(frozen=True)
class Record:
    """The content of a Lease. The times are RFC 3339 with microseconds."""

    holder: str
    """Empty: released."""
    duration_seconds: int
    acquire_time: str
    renew_time: str
    transitions: int
    """How often the holder of the Lease has changed."""


class Election:
    """What one candidate knows, and its next step. Pure: the caller gives the time (monotonic seconds)."""

    def __init__(self, identity: str, timing: Timing) -> None:
        self._identity = identity
        self._timing = timing
        self._record: Record | None = None
        self._seen_at = float("-inf")
        self._leads_until = float("-inf")
        self._terms = 0

    def seen(self, record: Record | None, now: float) -> None:
        """Note the Lease as it was read; None: it does not exist."""
        if record != self._record:
            self._record = record
            self._seen_at = now
        if self.holder != self._identity:
            self._leads_until = float("-inf")

    @property
    def holder(self) -> str:
        """The last known holder of the Lease; empty: it has none."""
        return self._record.holder if self._record is not None else ""

    def wanted(self, now: float, timestamp: str) -> Record | None:
        """What to write now to take the Lease or to renew it; None: another candidate holds it."""
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
        """The API server has accepted what was `wanted`, by a request that was sent at that moment."""
        if self.term(now) is None:
            self._terms += 1
        self.seen(record, now)
        self._leads_until = sent_at + self._timing.renew_deadline

    def term(self, now: float) -> int | None:
        """The number of its present term as leader, from 1; None: it is not the leader."""
        return self._terms if now < self._leads_until else None

    def resigned(self, timestamp: str) -> Record | None:
        """What to write to release the Lease; None: another candidate holds it."""
        self._leads_until = float("-inf")
        if self._record is None or self.holder != self._identity:
            return None
        # A Lease without a duration is not valid; 1 is what client-go writes.
        return replace(self._record, holder="", duration_seconds=1, acquire_time=timestamp, renew_time=timestamp)

    def delay(self, now: float, jitter: float) -> float:
        """Seconds until the next attempt. ``jitter``, from 0 to 1, spreads the attempts of several followers."""
        period = float(self._timing.retry_period)
        if self.term(now) is not None:
            return min(period, self._leads_until - now)
        wait = period * (1 - jitter / 2)
        # One attempt as soon as the Lease expires. If it fails, as in an outage, the next one waits for the period.
        expires_in = self._expires_at - now
        if self.holder and self.holder != self._identity and expires_in > 0:
            wait = min(wait, expires_in)
        return max(wait, 0.05)

    @property
    def _expires_at(self) -> float:
        duration = self._record.duration_seconds if self._record is not None else 0
        return self._seen_at + duration


class Candidate:
    """Takes part in the election of one Lease, and calls ``lead`` and ``follow`` when its part changes.

    Args:
        client: with connections of its own, and the timeout `Timing.request_timeout`: a renewal must not wait.
        namespace: of the Lease.
        name: of the Lease.
        election: what is known.
        clock: monotonic seconds.
        lead: is called when a term begins.
        follow: is called after a term has ended. It may be late: check `term` before a write.
    """

    def __init__(
        self,
        client: Client,
        namespace: str,
        name: str,
        election: Election,
        clock: Callable[[], float],
        lead: Callable[[], None],
        follow: Callable[[], None],
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._name = name
        self._election = election
        self._clock = clock
        self._lead = lead
        self._follow = follow
        self._item: Json = {}
        self._writing = False
        self._reported_term: int | None = None
        self._reported_holder: str | None = None
        self._log_limit = RateLimit()

    @property
    def term(self) -> int | None:
        """The present term as leader; None: this process must not decide now."""
        return self._election.term(self._clock())

    async def run(self) -> None:
        """Try to be the leader until it is cancelled; it then releases the Lease before it ends."""
        try:
            while True:
                try:
                    await self._try()
                except ApiError as error:
                    self._log_failure(error)
                self._report()
                await asyncio.sleep(self._election.delay(self._clock(), random.random()))
        finally:
            await self._resign()

    async def _resign(self) -> None:
        timestamp = _now()
        try:
            if self._writing:
                await self._read()  # the last write may have succeeded without an answer
            record = self._election.resigned(timestamp)
            if record is not None:
                await self._write(record)
        except ApiError as error:
            logger.warning("the Lease %s/%s could not be released: %s", self._namespace, self._name, error.describe())
        else:
            if record is not None:
                logger.info("the Lease %s/%s is released", self._namespace, self._name)

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
            # Another candidate has written, or an earlier renewal succeeded without an answer.
            await self._read()
        except NotFoundError:
            if not self._item:
                raise  # there is no such namespace
            await self._read()
        else:
            self._election.written(record, sent_at, self._clock())
        # Not reached when it was cancelled or got no answer: then the result is not known.
        self._writing = False

    async def _read(self) -> None:
        try:
            self._item = await self._client.request("GET", f"{self._path}/{self._name}")
        except NotFoundError:
            self._item = {}
        self._election.seen(_record(self._item), self._clock())

    async def _write(self, record: Record) -> None:
        if self._item:
            body = {**self._item, "spec": _spec(record)}
            self._item = await self._client.request("PUT", f"{self._path}/{self._name}", body=body)
            return
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"namespace": self._namespace, "name": self._name},
            "spec": _spec(record),
        }
        self._item = await self._client.request("POST", self._path, body=body)

    @property
    def _path(self) -> str:
        return f"/apis/coordination.k8s.io/v1/namespaces/{self._namespace}/leases"

    def _report(self) -> None:
        """Call ``lead`` or ``follow``, and log, if something has changed."""
        term, holder, lease = self.term, self._election.holder, (self._namespace, self._name)
        if term != self._reported_term:
            if self._reported_term is not None:
                logger.warning(
                    "this operator is no longer the leader: the Lease %s/%s is lost or could not be renewed", *lease
                )
                self._follow()
            if term is not None:
                logger.info("this operator is the leader now: it holds the Lease %s/%s, decisions begin", *lease)
                self._lead()
            self._reported_term = term
        if term is None and holder != self._reported_holder:
            logger.info(
                "this operator is not the leader: the Lease %s/%s is held by %s", *lease, holder or "no operator"
            )
        self._reported_holder = holder

    def _log_failure(self, error: ApiError) -> None:
        cause = error.describe()
        if self._log_limit.passes(cause, self._clock()):
            logger.warning("trying again to get the Lease %s/%s: %s", self._namespace, self._name, cause)


def _now() -> str:
    return micro_time(datetime.now(timezone.utc))


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
