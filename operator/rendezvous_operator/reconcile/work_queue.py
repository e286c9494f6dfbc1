"""A queue of keys, each due at a moment, each processed by one worker at a time (compare client-go's workqueue)."""

import asyncio
import heapq
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from rendezvous_api.backoff import Backoff, Failures

K = TypeVar("K", bound=Hashable)

BACKOFF = Backoff(first=0.2, longest=30.0)


class WorkQueue(Generic[K]):
    """Keys in the order in which they are due. Adding a queued key can only make it due earlier."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        """Monotonic seconds, in outages, too: a retry must come."""
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._counter = 0
        self._working: set[K] = set()
        self._failures: dict[K, Failures] = {}
        self._changed = asyncio.Event()
        self.retries = 0
        """How often a key was added after a failure, in total."""

    @property
    def depth(self) -> int:
        """The number of keys that are due and wait for a worker."""
        now = self.clock()
        return sum(moment <= now for moment in self._due.values())

    def add(self, key: K, at: float | None = None) -> None:
        """Make a key due now, or at a moment (the clock's seconds), unless it is due earlier already."""
        moment = self.clock() if at is None else at
        if key in self._due and self._due[key] <= moment:
            return
        self._due[key] = moment
        self._counter += 1
        heapq.heappush(self._heap, (moment, self._counter, key))
        self._changed.set()

    def add_after_failure(self, key: K) -> float:
        """Make a key due after a back-off that doubles with each failure in a row. Returns the back-off in seconds."""
        self.retries += 1
        backoff = self._failures.setdefault(key, Failures(BACKOFF)).pause()
        self.add(key, self.clock() + backoff)
        return backoff

    def succeeded(self, key: K) -> None:
        """Forget the failures of a key."""
        self._failures.pop(key, None)

    def clear(self) -> None:
        """Forget all keys and their failures. Workers finish the keys that they have."""
        self._due.clear()
        self._heap.clear()
        self._failures.clear()

    async def get(self) -> K:
        """Wait for a key that is due and that no worker has. The caller must call `done` after its work."""
        while True:
            self._changed.clear()
            now = self.clock()
            waiting: list[tuple[float, int, K]] = []
            found: K | None = None
            while self._heap and self._heap[0][0] <= now:
                moment, order, key = heapq.heappop(self._heap)
                if self._due.get(key) != moment:
                    continue  # it was made due earlier, and was processed since
                if key in self._working:
                    waiting.append((moment, order, key))
                    continue
                found = key
                break
            for item in waiting:
                heapq.heappush(self._heap, item)
            if found is not None:
                del self._due[found]
                self._working.add(found)
                return found
            # Not always the first of the heap: that one may be due and have a worker.
            later = min((moment for moment, _, _ in self._heap if moment > now), default=None)
            try:
                await asyncio.wait_for(self._changed.wait(), later - now if later is not None else None)
            except TimeoutError:
                continue

    def done(self, key: K) -> None:
        """Note that the worker that got the key has finished."""
        self._working.discard(key)
        self._changed.set()
