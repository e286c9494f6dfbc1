"""From what is seen to what is written: one turn for one Rendezvous at a time, one PUT of its status per turn."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timezone

from rendezvous_api import names
from rendezvous_api.codec import encode
from rendezvous_operator.cache import Cache, Key
from rendezvous_operator.cluster import KINDS, Cluster, ConflictError, Json, RefusedError, UnreachableError
from rendezvous_operator.core import explain, retention
from rendezvous_operator.core.decide import decide
from rendezvous_operator.core.world import Decision, Deletion, Memory, Now, Target, World
from rendezvous_operator.events import EventTarget, Recorder
from rendezvous_operator.metrics import Metrics
from rendezvous_operator.work_queue import WorkQueue

logger = logging.getLogger(__name__)

WORKERS = 8
RESYNC_DELAY_SECONDS = 1.0
REST_FACTOR = 4
"""How many times as long as a decision took the next one on the same Rendezvous waits: some 40 ms at 1,000 nodes."""


class _TermOverError(Exception):
    """The turn was begun as the leader of a term that is over: it must not write any more."""


class Reconciler:
    """Decides on every Rendezvous whenever something about it was seen to change, or its time has come.

    Everything that it knows can be read anew from the API server, so it may be killed at any moment. Two of them at
    once are wasteful, not wrong: each writes only over the version that it decided on, and deletes only what is still
    as it saw it.
    """

    def __init__(
        self,
        cluster: Cluster,
        cache: Cache,
        queue: WorkQueue[Key],
        recorder: Recorder,
        metrics: Metrics,
        clock: Callable[[], float],
        term: Callable[[], int | None],
        namespace: str | None = None,
    ) -> None:
        """Serve all namespaces, or only one.

        Args:
            cluster: for lists, reads and writes.
            cache: what is seen.
            queue: the Rendezvous to decide on; filled here.
            recorder: of Events.
            metrics: are told what was decided and written.
            clock: monotonic seconds, the same as the cache's.
            term: the term as leader; None while another operator leads: then nothing is decided, only seen.
            namespace: to serve; None: all.
        """
        self._cluster = cluster
        self._cache = cache
        self._queue = queue
        self._recorder = recorder
        self._metrics = metrics
        self._clock = clock
        self._term = term
        self._namespace = namespace
        self._memories: dict[Key, Memory] = {}
        self._rests_until: dict[Key, float] = {}
        self._written_at: dict[Key, float] = {}
        self._explained: dict[Key, str] = {}
        self._due_for_resync = {kind: asyncio.Event() for kind in KINDS}
        self._tasks: list[asyncio.Task[None]] = []
        self._busy: set[asyncio.Task[None]] = set()
        self._stopping = False

    async def start(self) -> None:
        """List everything, however long the API server takes to answer; `lead` begins to decide."""
        for kind in KINDS:
            await self._sync(kind)
        self._tasks = [asyncio.create_task(self._work(), name=f"reconciler-{i}") for i in range(WORKERS)]
        self._tasks += [asyncio.create_task(self._resync(kind), name=f"resync-{kind}") for kind in KINDS]

    def lead(self) -> None:
        """A term begins: decide on everything, with all memories anew."""
        self.follow()
        everything = self._cache.keys()
        for key in everything:
            self._queue.add(key)

    def follow(self) -> None:
        """The term is over: decide on nothing, and go on to take in what is seen."""
        self._queue.clear()
        for state in (self._memories, self._rests_until, self._written_at, self._explained):
            state.clear()
        self._metrics.term_over()

    async def stop(self, patience: float) -> None:
        """Take up nothing more, and let turns that are under way end, for at most ``patience`` seconds.

        What was not written will be decided again by the next operator.
        """
        self._stopping = True
        for task in set(self._tasks) - self._busy:
            task.cancel()
        if self._busy:
            await asyncio.wait(set(self._busy), timeout=patience)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def defect(self) -> str | None:
        """What of this can be cured only by a restart; None: nothing."""
        ended = [task.get_name() for task in self._tasks if task.done()]
        return f"has ended: {', '.join(ended)}" if ended and not self._stopping else None

    def event(self, kind: str, event_type: str | None, item: Json) -> None:
        """Take in one event of a watch, or with a type of None an object of the list that it begins with."""
        self._metrics.watch_event(kind)
        seen = self._cache.object_gone if event_type == "DELETED" else self._cache.object_shown
        for key in seen(kind, item):
            self._add(key, self._rests_until.get(key))

    def listed(self, kind: str) -> None:
        """A watch has begun anew. Deletions may have been missed: only a list of our own shows what is gone."""
        self._due_for_resync[kind].set()

    def _add(self, key: Key, at: float | None = None) -> None:
        if self._term() is not None:
            self._queue.add(key, at)

    async def _resync(self, kind: str) -> None:
        due = self._due_for_resync[kind]
        while True:
            await due.wait()
            await asyncio.sleep(RESYNC_DELAY_SECONDS)
            due.clear()
            await self._sync(kind)

    async def _sync(self, kind: str) -> None:
        backoff = 0.5
        while True:
            self._cache.list_begins(kind)
            try:
                objects = await self._cluster.list(kind, self._namespace)
            except (UnreachableError, RefusedError, ConflictError) as error:
                logger.warning("waiting for the API server to list every %s: %s", kind, error)
                await asyncio.sleep(backoff)
                backoff = min(backoff * 2, 10.0)
                continue
            for key in self._cache.list_seen(kind, objects):
                self._add(key)
            return

    async def _work(self) -> None:
        me = asyncio.current_task()
        assert me is not None
        while not self._stopping:
            key = await self._queue.get()
            self._busy.add(me)
            try:
                await self._one(key)
            finally:
                self._busy.discard(me)
                self._queue.done(key)

    async def _one(self, key: Key) -> None:
        """One turn, and what follows from its failure."""
        term = self._term()
        if term is None:
            return  # the next term begins with everything
        try:
            try:
                await self._turn(key, term)
                self._queue.succeeded(key)
            except ConflictError:
                await self._read_again(key)
        except _TermOverError:
            logger.info("%s: dropped what was decided: this operator leads no longer", key)
        except UnreachableError as error:
            backoff = self._queue.add_after_failure(key)
            logger.warning("%s: no answer from the API server, next try in %.1f s: %s", key, backoff, error)
        except RefusedError as error:
            backoff = self._queue.add_after_failure(key)
            logger.error("%s: the API server refuses, next try in %.1f s: %s", key, backoff, error)
        except Exception:
            # A defect in one turn must stop neither the other Rendezvous nor this one for ever.
            backoff = self._queue.add_after_failure(key)
            logger.exception("%s: the decision failed, next try in %.1f s", key, backoff)

    async def _read_again(self, key: Key) -> None:
        """Somebody else has written: decide again on what is there now."""
        self._queue.add_after_failure(key)
        try:
            item = await self._cluster.read(names.RENDEZVOUS_KIND, *key)
        except (UnreachableError, RefusedError):
            return  # the turn that follows will find out
        if item is not None:
            for touched in self._cache.object_seen(names.RENDEZVOUS_KIND, item):
                self._add(touched)

    async def _turn(self, key: Key, term: int) -> None:
        world = self._cache.world(key)
        if world is None:
            await self._clean_up_after(key, term)
            return
        began = self._clock()
        decision = decide(self._now(), world, self._memories.get(key, Memory()))
        self._memories[key] = decision.memory
        decided = self._clock()
        self._metrics.decided(decided - began)
        # A thousand nodes that join at once are a thousand events: some must come in between two decisions.
        self._rests_until[key] = decided + REST_FACTOR * (decided - began)
        if decision.confirm:
            await asyncio.gather(*(self._read(key, target) for target in decision.confirm))
            self._add(key)
            return
        if decision.wake_at is not None:
            self._add(key, decision.wake_at)
        written = await self._write(key, world, decision, term)
        self._metrics.members_lost(key, world.rendezvous.status, decision.lost)
        if written:
            await self._tell(key, world, decision)
        for deletion in decision.deletions:
            await self._delete(key, deletion, term)

    def _check(self, term: int) -> None:
        """A process may have been stopped for long between a decision and this line: others may lead meanwhile."""
        if self._term() != term:
            raise _TermOverError

    async def _read(self, key: Key, target: Target) -> None:
        self._cache.target_read(key, target, await self._cluster.read(target.kind, key.namespace, target.name))

    async def _write(self, key: Key, world: World, decision: Decision, term: int) -> bool:
        """Write the status if it is new. Returns whether it was written now, not later or not at all."""
        before, after = world.rendezvous.status, decision.status
        if before == after:
            return False
        if explain.meaning(before) == explain.meaning(after):
            may_write_at = self._written_at.get(key, float("-inf")) + _patience(world)
            if self._clock() < may_write_at:
                self._add(key, may_write_at)
                return False
        metadata, times = world.rendezvous.metadata, self._cache.times(key)
        self._check(term)
        written = await self._cluster.write_status(
            key.namespace, key.name, metadata.uid, metadata.resource_version, encode(after)
        )
        if written is None:
            return False  # it is gone
        self._written_at[key] = self._clock()
        self._cache.object_seen(names.RENDEZVOUS_KIND, written)
        self._metrics.status_written(key, before, after, times)
        return True

    async def _tell(self, key: Key, world: World, decision: Decision) -> None:
        """Log the decision, and send its Events: only now is it true."""
        for event in decision.events:
            logger.info(
                "%s: %s: %s", key, event.reason, event.message, extra=_fields(key, decision, event.reason.value)
            )
        if self._explained.get(key) != decision.explanation:
            self._explained[key] = decision.explanation
            logger.info("%s: %s", key, decision.explanation, extra=_fields(key, decision, "Explanation"))
        target = EventTarget(key.namespace, key.name, world.rendezvous.metadata.uid)
        for event in decision.events:
            await self._recorder.emit(target, event.reason.value, event.message, warning=event.warning)

    async def _delete(self, key: Key, deletion: Deletion, term: int) -> None:
        self._check(term)
        logger.info("%s: deleting %s %s: %s", key, deletion.kind, deletion.name, deletion.why)
        try:
            await self._cluster.delete(
                deletion.kind, key.namespace, deletion.name, deletion.uid, deletion.resource_version
            )
        except ConflictError:
            logger.info("%s: %s %s has changed and is kept", key, deletion.kind, deletion.name)

    async def _clean_up_after(self, key: Key, term: int) -> None:
        """Nobody decides for a Rendezvous that is gone; its participants are still deleted once they are over."""
        for state in (self._memories, self._rests_until, self._written_at, self._explained):
            state.pop(key, None)
        self._metrics.forget(key)
        orphans = self._cache.orphans(key)
        deletions, wake_at = retention.orphans(self._now(), orphans)
        if wake_at is not None:
            self._add(key, wake_at)
        for deletion in deletions:
            await self._delete(key, deletion, term)

    def _now(self) -> Now:
        return Now(self._clock(), datetime.now(timezone.utc))


def _fields(key: Key, decision: Decision, reason: str) -> dict[str, str | int]:
    """What a machine that reads the JSON logs can select by."""
    return {"rendezvous": str(key), "round": decision.status.round, "reason": reason}


def _patience(world: World) -> float:
    """Least time in seconds between two writes that change only counts and messages: each goes to every agent."""
    return 1.0 + len(world.participants) / 100
