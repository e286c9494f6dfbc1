"""Reconciles each Rendezvous: decides on what is seen of it, and writes its status with at most one request."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone

from rendezvous_api import names
from rendezvous_api.api_errors import ApiError, ConflictError, UnreachableError
from rendezvous_operator.background import Background
from rendezvous_operator.core import garbage, relevance
from rendezvous_operator.core.decide import decide
from rendezvous_operator.core.recorded import DecisionFailed, Recorded
from rendezvous_operator.core.world import Decision, Deletion, Evidence, Memory, Now, Target, World
from rendezvous_operator.kube.client import KINDS, Json
from rendezvous_operator.kube.event_recorder import EventTarget, Recorder
from rendezvous_operator.reconcile.fence import Fence, FencedClient, TermOverError
from rendezvous_operator.reconcile.reader import Reader
from rendezvous_operator.reconcile.recording import Recording
from rendezvous_operator.reconcile.work_queue import WorkQueue
from rendezvous_operator.serve.metrics import Metrics
from rendezvous_operator.watch.seen import Asked, Gone, Key, Read, Shown

logger = logging.getLogger(__name__)

WORKERS = 8
COOLDOWN_FACTOR = 4
"""After a decision the next one on the same Rendezvous waits this many times its duration: 20 ms at 1,000 nodes."""
SOONEST_SECONDS = 0.05
"""Until a decision that the one before has asked for, so that none follows another without a pause."""


@dataclass
class _Group:
    """What is kept of one Rendezvous between two reconciles in one term; times in seconds of the queue's clock."""

    uid: str
    """Of the Rendezvous; a recreated one starts with an empty group."""
    memory: Memory = field(default_factory=Memory)
    cooldown_until: float | None = None
    """No event causes a decision before this moment; None: there was no decision yet."""
    written_at: float = float("-inf")
    """When its status was last written."""
    logged: str | None = None
    """The explanation that was last logged."""
    unanswered: list[tuple[World, Decision]] = field(default_factory=list)
    """Decisions whose writes got no answer, with what they were based on: at most one of them was carried out."""


class Reconciler:
    """Reconciles every Rendezvous when something about it changes, or at the moment that its last decision gave.

    All its knowledge can be read from the API server again, so it may be killed at any moment. Two of them at the same
    time waste requests, but make no mistakes: each write and each deletion has the version that was decided on.
    """

    def __init__(
        self,
        reader: Reader,
        fence: Fence,
        queue: WorkQueue[Key],
        recorder: Recorder,
        metrics: Metrics,
        recording: Recording | None = None,
    ) -> None:
        """A reconciler that is not started yet. It decides by the clock of the cache, and waits by that of the queue.

        Args:
            reader: with the cache of what is seen.
            fence: for writes; while another operator is the leader, no decisions are made.
            queue: for the Rendezvous to decide on; it is filled here.
            recorder: for Events.
            metrics: that count decisions and writes.
            recording: keeps each decision; None: it is not kept.
        """
        self._reader = reader
        self._cache = reader.cache
        self._clock = queue.clock
        self._fence = fence
        self._queue = queue
        self._recorder = recorder
        self._metrics = metrics
        self._recording = recording
        self._groups: dict[Key, _Group] = {}
        self._background = Background()
        self._busy: set[asyncio.Task[None]] = set()
        self._restored = asyncio.Event()

    async def start(self) -> None:
        """List all kinds, again and again until the API server answers. `lead` fills the queue of the workers."""
        for kind in KINDS:
            await self._reader.list(kind)
        for number in range(WORKERS):
            self._background.start(f"reconciler-{number}", self._work())

    async def list(self, kind: str) -> None:
        """List all objects of a kind, again and again until the API server answers."""
        for key in await self._reader.list(kind):
            self._queue.add(key)
        self._note_restored()

    def _note_restored(self) -> None:
        if self._cache.restored is not None:
            self._restored.set()

    def lead(self) -> None:
        """A term begins: decide on every Rendezvous, with empty memories."""
        self.follow()
        everything = self._cache.keys()
        for key in everything:
            self._queue.add(key)

    def follow(self) -> None:
        """The term has ended: stop deciding, and keep the cache up to date."""
        self._queue.clear()
        self._groups.clear()
        self._metrics.term_ended()

    async def stop(self, timeout: float) -> None:
        """Start no more reconciles, and wait for running ones for at most ``timeout`` seconds.

        The next leader decides again on what was not written.
        """
        await self._background.stop(self._busy, timeout)

    @property
    def defect(self) -> str | None:
        """A problem that only a restart of the process solves; None: there is none."""
        return self._background.defect

    def event(self, kind: str, event_type: str | None, item: Json) -> None:
        """Note one event of a watch; a type of None: an object of a list by kopf."""
        self._metrics.watch_event(kind)
        for key in self._cache.take(Gone(kind, item) if event_type == "DELETED" else Shown(kind, item)):
            self._add_event(key)

    def _add_event(self, key: Key) -> None:
        group = self._groups.get(key)
        self._queue.add(key, group.cooldown_until if group is not None else None)

    def _put_back(self, key: Key) -> float:
        """Reconcile again after a back-off, which no event shortens. Returns it in seconds."""
        backoff = self._queue.add_after_failure(key)
        if key in self._groups:
            self._groups[key].cooldown_until = self._clock() + backoff
        return backoff

    async def until_restored(self) -> None:
        """Wait until it is seen that etcd was restored from a snapshot: then all must begin again."""
        await self._restored.wait()
        logger.error("etcd was restored from a snapshot, so the operator begins again: %s", self._cache.restored)

    def _wake(self, key: Key, at: float | None) -> None:
        """Decide again at a moment of the cache's clock. While that one stands still, decide now and then."""
        if at is not None:
            self._queue.add(key, self._clock() + max(at - self._cache.clock(), SOONEST_SECONDS))

    async def _work(self) -> None:
        me = asyncio.current_task()
        assert me is not None
        while not self._background.stopping:
            key = await self._queue.get()
            self._busy.add(me)
            try:
                await self._one(key)
                self._note_restored()
            finally:
                self._busy.discard(me)
                self._queue.done(key)

    async def _one(self, key: Key) -> None:
        """One reconcile, and the handling of its failure."""
        fenced = self._fence.enter()
        if fenced is None or self._cache.restored is not None:
            return  # the next term, or the next life, begins with all of them
        try:
            try:
                await self._reconcile(key, fenced)
                self._queue.succeeded(key)
            except ConflictError:
                # The object has changed: read it and decide again.
                self._put_back(key)
                await self._read_again(key)
        except TermOverError:
            logger.info("%s: the decision was dropped: this operator is no longer the leader", key)
        except UnreachableError as error:
            backoff = self._put_back(key)
            logger.warning("%s: no answer from the API server, next try in %.1f s: %s", key, backoff, error.describe())
            # It may have been carried out. And if only this request fails, as with a webhook, this is no outage.
            await self._read_again(key)
        except ApiError as error:
            backoff = self._put_back(key)
            logger.error(
                "%s: the API server refuses the request, next try in %.1f s: %s", key, backoff, error.describe()
            )
        except Exception:
            # A defect in one reconcile must not stop the others, nor this Rendezvous for ever.
            backoff = self._put_back(key)
            logger.exception("%s: the decision failed, next try in %.1f s", key, backoff)

    async def _read_again(self, key: Key) -> None:
        for touched in await self._reader.rendezvous(key):
            self._add_event(touched)

    async def _reconcile(self, key: Key, fenced: FencedClient) -> None:
        world = await self._reader.world(key)
        deletions = self._orphans(key) if world is None else await self._decide(key, world, fenced)
        refused: ApiError | None = None
        for deletion in deletions:
            asked = self._cache.asks(deletion.kind)
            try:
                if not await fenced.delete(key, deletion):
                    self._gone(key, Target(deletion.kind, deletion.name), asked)
            except UnreachableError:
                raise
            except ApiError as error:
                refused = refused or error  # it must not block the other deletions
        if refused is not None:
            raise refused

    async def _decide(self, key: Key, world: World, fenced: FencedClient) -> Sequence[Deletion]:
        """Decide, write, and report it. Returns the deletions to make next."""
        group, uid = self._groups.get(key), world.rendezvous.metadata.uid
        if group is None or group.uid != uid:
            group = self._groups[key] = _Group(uid)
        self._settle(key, group, world)
        began = self._clock()
        decision = self._decided(key, world, group.memory)
        decided = self._clock()
        self._metrics.decided(decided - began)
        # A thousand nodes that join at once cause a thousand events: collect some between two decisions.
        group.cooldown_until = decided + COOLDOWN_FACTOR * (decided - began)
        if isinstance(decision, Evidence):
            await self._reader.evidence(key, decision.targets)
            self._queue.add(key)
            return ()
        self._wake(key, decision.wake_at)
        try:
            written = await self._write(key, group, world, decision, fenced)
        except UnreachableError as error:
            if not error.not_carried_out:
                group.unanswered.append((world, decision))
            raise
        self._adopt(key, group, world, decision, written=written)
        return decision.deletions

    def _decided(self, key: Key, world: World, memory: Memory) -> Decision | Evidence:
        now = self._now()
        try:
            decision = decide(now, world, memory)
        except Exception as error:
            self._record(Recorded(str(key), now, world, memory, DecisionFailed(f"{type(error).__name__}: {error}")))
            raise
        self._record(Recorded(str(key), now, world, memory, decision))
        return decision

    def _record(self, decision: Recorded) -> None:
        if self._recording is not None:
            self._recording.note(decision)

    def _settle(self, key: Key, group: _Group, world: World) -> None:
        """If a write without an answer was carried out, adopt and report it like one with an answer."""
        now = world.rendezvous
        versions = {before.rendezvous.metadata.resource_version for before, _ in group.unanswered}
        if versions and now.metadata.resource_version not in versions:
            found = next((one for one in group.unanswered if one[1].status == now.status), None)
            group.unanswered.clear()
            if found is not None:
                self._adopt(key, group, *found, written=True)

    def _adopt(self, key: Key, group: _Group, world: World, decision: Decision, *, written: bool) -> None:
        # Only now: if the write had failed, the memory would be ahead of the status.
        remembered, group.memory = group.memory, decision.memory
        before = world.rendezvous.status
        self._metrics.members_lost(key, before, decision.lost, decision.detected)
        self._metrics.members_suspected(key, remembered, decision)
        if written:
            group.unanswered.clear()
            # The next reconcile starts the timers of the new status; it does not wait for a watch to show it.
            self._queue.add(key, group.cooldown_until)
            self._metrics.status_written(key, before, decision.status)
        if written or before == decision.status:
            self._report(key, group, world, decision)

    async def _write(self, key: Key, group: _Group, world: World, decision: Decision, fenced: FencedClient) -> bool:
        """Write the status if it has changed. Returns whether it was written; minor changes are written later."""
        before, after = world.rendezvous.status, decision.status
        if before == after:
            return False
        # What is told now is written now: an Event says no more than the status.
        if not decision.events and not relevance.is_urgent(before, after):
            may_write_at = group.written_at + _write_interval(world)
            if self._clock() < may_write_at:
                self._queue.add(key, may_write_at)
                return False
        asked = self._cache.asks(names.RENDEZVOUS_KIND)
        written = await fenced.write_status(world.rendezvous.metadata, after)
        if written is None:
            self._gone(key, Target(names.RENDEZVOUS_KIND, key.name), asked)
            return False
        group.written_at = self._clock()
        self._cache.take(Shown(names.RENDEZVOUS_KIND, written))
        return True

    def _gone(self, key: Key, target: Target, asked: Asked) -> None:
        """A write was answered with 404: a watch may have missed the deletion, and would never show it."""
        for touched in self._cache.take(Read(key, target, None, asked)):
            self._add_event(touched)

    def _report(self, key: Key, group: _Group, world: World, decision: Decision) -> None:
        """Log a written decision, and emit its Events."""
        for event in decision.events:
            logger.info(
                "%s: %s: %s", key, event.reason, event.message, extra=_fields(key, decision, event.reason.value)
            )
        if group.logged != decision.explanation:
            group.logged = decision.explanation
            logger.info("%s: %s", key, decision.explanation, extra=_fields(key, decision, "Explanation"))
        target = EventTarget(key.namespace, key.name, world.rendezvous.metadata.uid)
        for event in decision.events:
            self._recorder.emit(target, event.reason.value, event.message, warning=event.warning)

    def _orphans(self, key: Key) -> Iterable[Deletion]:
        """Garbage-collect participants whose Rendezvous is gone."""
        self._groups.pop(key, None)
        self._metrics.forget(key)
        found = garbage.orphans(self._now(), self._cache.orphans(key))
        self._wake(key, found.until)
        return found.deletions

    def _now(self) -> Now:
        return Now(self._cache.clock(), datetime.now(timezone.utc))


def _fields(key: Key, decision: Decision, reason: str) -> dict[str, str | int]:
    """Fields of the JSON logs by which entries can be selected."""
    return {"rendezvous": str(key), "round": decision.status.round, "reason": reason}


def _write_interval(world: World) -> float:
    """Seconds between two writes that change only counts and messages, since each is sent to every agent."""
    return 1.0 + len(world.participants) / 100
