"""A queue of keys, each due at a moment, each processed by one worker at a time (compare client-go's workqueue)."""

import asyncio
import contextlib
import heapq
from collections import Counter, deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from rendezvous_api.backoff import Backoff, Failures

K = TypeVar("K", bound=Hashable)

BACKOFF = Backoff(first=0.2, longest=30.0)


class WorkQueue(Generic[K]):
    """Keys in the order in which they are due. Adding a queued key can only make it due earlier.

    Tenants take turns: however many keys of one tenant are due, one of another tenant waits for one of them at most, if
    there is a worker, and no tenant has all workers.
    """

    def __init__(
        self, clock: Callable[[], float], tenant_of: Callable[[K], Hashable] = lambda key: key, most_of_one: int = 1
    ) -> None:
        """An empty queue.

        Args:
            clock: monotonic seconds, in outages, too: a retry must come.
            tenant_of: the tenant of a key; each key is one of its own if this is not given.
            most_of_one: how many keys of one tenant may be worked on at the same time.
        """
        self.clock = clock
        self._tenant_of = tenant_of
        self._most_of_one = most_of_one
        self._ready: dict[Hashable, deque[K]] = {}
        """Keys that are due, by tenant, in the order in which they became due; the next tenant is the first one."""
        self._are_ready: set[K] = set()
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
        self._ready.clear()
        self._are_ready.clear()
        self._failures.clear()

    async def get(self) -> K:
        """Wait for a key that is due and that no worker has. The caller must call `done` after its work."""
        while True:
            self._changed.clear()
            now = self.clock()
            self._note_ready(now)
            found = self._next()
            if found is not None:
                return found
            later = self._heap[0][0] - now if self._heap else None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(later):
                    await self._changed.wait()

    def _note_ready(self, now: float) -> None:
        while self._heap and self._heap[0][0] <= now:
            moment, _, key = heapq.heappop(self._heap)
            # Otherwise it was made due earlier, and may have been processed since.
            if self._due.get(key) == moment and key not in self._are_ready:
                self._are_ready.add(key)
                self._ready.setdefault(self._tenant_of(key), deque()).append(key)

    def _next(self) -> K | None:
        """The first key of the next tenant that has one without a worker."""
        busy = Counter(map(self._tenant_of, self._working))
        for tenant, keys in self._ready.items():
            found = next((key for key in keys if key not in self._working), None)
            if found is None or busy[tenant] >= self._most_of_one:
                continue
            keys.remove(found)
            self._are_ready.remove(found)
            del self._ready[tenant]
            if keys:
                self._ready[tenant] = keys  # after all others
            del self._due[found]
            self._working.add(found)
            return found
        return None

    def done(self, key: K) -> None:
        """Note that the worker that got the key has finished."""
        self._working.discard(key)
        self._changed.set()
