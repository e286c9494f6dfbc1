"""From what is seen to what is written: one turn for one Rendezvous at a time, one PUT of its status per turn."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone

from rendezvous_api import names
from rendezvous_operator.background import Background
from rendezvous_operator.cache import Gone, Key, Shown
from rendezvous_operator.cluster import KINDS, ConflictError, Json, RefusedError, UnreachableError
from rendezvous_operator.core import garbage, relevance
from rendezvous_operator.core.decide import decide
from rendezvous_operator.core.world import Decision, Deletion, Evidence, Memory, Now, World
from rendezvous_operator.events import EventTarget, Recorder
from rendezvous_operator.fence import Fence, FencedCluster, TermOverError
from rendezvous_operator.metrics import Metrics
from rendezvous_operator.reader import Reader
from rendezvous_operator.work_queue import WorkQueue

logger = logging.getLogger(__name__)

WORKERS = 8
REST_FACTOR = 4
"""How many times as long as a decision took the next one on the same Rendezvous waits: some 20 ms at 1,000 nodes."""


@dataclass
class _Group:
    """What is kept of one Rendezvous between its turns, for one term; times in the clock's seconds."""

    uid: str
    """Of the Rendezvous; another one of the same name begins with nothing."""
    memory: Memory = field(default_factory=Memory)
    rests_until: float | None = None
    """No event brings the next decision before this; None: there was no decision yet."""
    written_at: float = float("-inf")
    """When its status was last written."""
    explained: str | None = None
    """The explanation that was last logged."""


class Reconciler:
    """Decides on every Rendezvous whenever something about it was seen to change, or its time has come.

    Everything that it knows can be read anew from the API server, so it may be killed at any moment. Two of them at
    once are wasteful, not wrong: each writes only over the version that it decided on, and deletes only what is still
    as it saw it.
    """

    def __init__(
        self, reader: Reader, fence: Fence, queue: WorkQueue[Key], recorder: Recorder, metrics: Metrics
    ) -> None:
        """Its time is that of the cache.

        Args:
            reader: has the cache of what is seen.
            fence: for writes; while another operator leads, nothing is decided, only seen.
            queue: the Rendezvous to decide on; filled here.
            recorder: of Events.
            metrics: are told what was decided and written.
        """
        self._reader = reader
        self._cache = reader.cache
        self._clock = reader.cache.clock
        self._fence = fence
        self._queue = queue
        self._recorder = recorder
        self._metrics = metrics
        self._groups: dict[Key, _Group] = {}
        self._background = Background()
        self._busy: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """List everything, however long the API server takes to answer. `lead` tells the workers what to decide on."""
        for kind in KINDS:
            await self.list(kind)
        for number in range(WORKERS):
            self._background.start(f"reconciler-{number}", self._work())

    async def list(self, kind: str) -> None:
        """See all objects of a kind anew, however long the API server takes to answer."""
        for key in await self._reader.list(kind):
            self._add(key)

    def lead(self) -> None:
        """A term begins: decide on everything, with all memories anew."""
        self.follow()
        everything = self._cache.keys()
        for key in everything:
            self._queue.add(key)

    def follow(self) -> None:
        """The term is over: decide on nothing, and go on to take in what is seen."""
        self._queue.clear()
        self._groups.clear()
        self._metrics.term_over()

    async def stop(self, patience: float) -> None:
        """Take up nothing more, and let turns that are under way end, for at most ``patience`` seconds.

        What was not written will be decided again by the next operator.
        """
        await self._background.stop(self._busy, patience)

    @property
    def defect(self) -> str | None:
        """What of this can be cured only by a restart; None: nothing."""
        return self._background.defect

    def event(self, kind: str, event_type: str | None, item: Json) -> None:
        """Take in one event of a watch, or with a type of None an object of the list that it begins with."""
        self._metrics.watch_event(kind)
        for key in self._cache.take(Gone(kind, item) if event_type == "DELETED" else Shown(kind, item)):
            self._add_event(key)

    def _add_event(self, key: Key) -> None:
        group = self._groups.get(key)
        self._add(key, group.rests_until if group is not None else None)

    def _put_back(self, key: Key) -> float:
        """Try again after a back-off, which no event cuts short. Returns it in seconds."""
        backoff = self._queue.add_after_failure(key)
        if key in self._groups:
            self._groups[key].rests_until = self._clock() + backoff
        return backoff

    def _add(self, key: Key, at: float | None = None) -> None:
        if self._fence.leading:
            self._queue.add(key, at)

    async def _work(self) -> None:
        me = asyncio.current_task()
        assert me is not None
        while not self._background.stopping:
            key = await self._queue.get()
            self._busy.add(me)
            try:
                await self._one(key)
            finally:
                self._busy.discard(me)
                self._queue.done(key)

    async def _one(self, key: Key) -> None:
        """One turn, and what follows from its failure."""
        fenced = self._fence.enter()
        if fenced is None:
            return  # the next term begins with everything
        try:
            try:
                await self._turn(key, fenced)
                self._queue.succeeded(key)
            except ConflictError:
                # Somebody else has written: decide again on what is there now.
                self._put_back(key)
                for touched in await self._reader.rendezvous(key):
                    self._add_event(touched)
        except TermOverError:
            logger.info("%s: dropped what was decided: this operator leads no longer", key)
        except UnreachableError as error:
            backoff = self._put_back(key)
            logger.warning("%s: no answer from the API server, next try in %.1f s: %s", key, backoff, error)
        except RefusedError as error:
            backoff = self._put_back(key)
            logger.error("%s: the API server refuses, next try in %.1f s: %s", key, backoff, error)
        except Exception:
            # A defect in one turn must stop neither the other Rendezvous nor this one for ever.
            backoff = self._put_back(key)
            logger.exception("%s: the decision failed, next try in %.1f s", key, backoff)

    async def _turn(self, key: Key, fenced: FencedCluster) -> None:
        world = self._cache.world(key)
        deletions = self._orphans(key) if world is None else await self._decide(key, world, fenced)
        refused: RefusedError | None = None
        for deletion in deletions:
            try:
                await fenced.delete(key, deletion)
            except RefusedError as error:
                refused = refused or error  # it must not keep the others from being deleted
        if refused is not None:
            raise refused

    async def _decide(self, key: Key, world: World, fenced: FencedCluster) -> Sequence[Deletion]:
        """Decide, write, and tell of it. Returns what is then to be deleted."""
        group, uid = self._groups.get(key), world.rendezvous.metadata.uid
        if group is None or group.uid != uid:
            group = self._groups[key] = _Group(uid)
        began = self._clock()
        decision = decide(self._now(), world, group.memory)
        decided = self._clock()
        self._metrics.decided(decided - began)
        # A thousand nodes that join at once are a thousand events: some must come in between two decisions.
        group.rests_until = decided + REST_FACTOR * (decided - began)
        if isinstance(decision, Evidence):
            await self._reader.evidence(key, decision.targets)
            self._add(key)
            return ()
        if decision.wake_at is not None:
            self._add(key, decision.wake_at)
        written = await self._write(key, group, world, decision, fenced)
        # Only now: had the write failed, what is remembered would be ahead of the status.
        group.memory = decision.memory
        before = world.rendezvous.status
        self._metrics.members_lost(key, before, decision.lost)
        if written:
            # What the new status lets begin, begins with the next turn, whenever a watch shows it.
            self._add(key, group.rests_until)
            self._metrics.status_written(key, before, decision.status)
            self._tell(key, group, world, decision)
        return decision.deletions

    async def _write(self, key: Key, group: _Group, world: World, decision: Decision, fenced: FencedCluster) -> bool:
        """Write the status if it is new. Returns whether it was written now, not later or not at all."""
        before, after = world.rendezvous.status, decision.status
        if before == after:
            return False
        if not relevance.is_urgent(before, after):
            may_write_at = group.written_at + _patience(world)
            if self._clock() < may_write_at:
                self._add(key, may_write_at)
                return False
        written = await fenced.write_status(world.rendezvous.metadata, after)
        if written is None:
            return False  # it is gone
        group.written_at = self._clock()
        self._cache.take(Shown(names.RENDEZVOUS_KIND, written))
        return True

    def _tell(self, key: Key, group: _Group, world: World, decision: Decision) -> None:
        """Log the decision, and emit its Events: only now is it true."""
        for event in decision.events:
            logger.info(
                "%s: %s: %s", key, event.reason, event.message, extra=_fields(key, decision, event.reason.value)
            )
        if group.explained != decision.explanation:
            group.explained = decision.explanation
            logger.info("%s: %s", key, decision.explanation, extra=_fields(key, decision, "Explanation"))
        target = EventTarget(key.namespace, key.name, world.rendezvous.metadata.uid)
        for event in decision.events:
            self._recorder.emit(target, event.reason.value, event.message, warning=event.warning)

    def _orphans(self, key: Key) -> Iterable[Deletion]:
        """Nobody decides for a Rendezvous that is gone; its participants are still deleted once they are over."""
        self._groups.pop(key, None)
        self._metrics.forget(key)
        found = garbage.orphans(self._now(), self._cache.orphans(key), self._cache.answering_since)
        if found.until is not None:
            self._add(key, found.until)
        return found.deletions

    def _now(self) -> Now:
        return Now(self._clock(), datetime.now(timezone.utc))


def _fields(key: Key, decision: Decision, reason: str) -> dict[str, str | int]:
    """What a machine that reads the JSON logs can select by."""
    return {"rendezvous": str(key), "round": decision.status.round, "reason": reason}


def _patience(world: World) -> float:
    """Least time in seconds between two writes that change only counts and messages: each goes to every agent."""
    return 1.0 + len(world.participants) / 100
