"""The queue of the operator, on a clock of the test's own."""

import asyncio
import time
from collections.abc import Awaitable
from typing import TypeVar

from rendezvous_operator.reconcile.work_queue import BACKOFF, WorkQueue

T = TypeVar("T")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def due(awaitable: Awaitable[T]) -> T | None:
    """What can be had now, without waiting for any time to pass."""
    task = asyncio.ensure_future(awaitable)
    for _ in range(5):
        await asyncio.sleep(0)
    if task.done():
        return task.result()
    task.cancel()
    return None


def test_keys_come_in_the_order_in_which_they_are_due() -> None:
    async def scenario() -> None:
        clock = Clock()
        queue: WorkQueue[str] = WorkQueue(clock)
        queue.add("later", 105)
        queue.add("soon", 101)
        assert await due(queue.get()) is None
        clock.now = 110
        assert [await due(queue.get()), await due(queue.get()), await due(queue.get())] == ["soon", "later", None]

    asyncio.run(scenario())


def test_a_key_that_is_added_twice_comes_once_and_at_the_earlier_moment() -> None:
    async def scenario() -> None:
        clock = Clock()
        queue: WorkQueue[str] = WorkQueue(clock)
        queue.add("a", 150)
        queue.add("a", 101)
        queue.add("a", 130)
        clock.now = 102
        assert await due(queue.get()) == "a"
        queue.done("a")
        clock.now = 200
        assert await due(queue.get()) is None

    asyncio.run(scenario())


def test_a_key_is_worked_on_by_one_worker_at_a_time_and_not_forgotten() -> None:
    async def scenario() -> None:
        queue: WorkQueue[str] = WorkQueue(Clock())
        queue.add("a")
        assert await due(queue.get()) == "a"
        queue.add("a")
        queue.add("b")
        assert await due(queue.get()) == "b"
        assert await due(queue.get()) is None
        queue.done("a")
        assert await due(queue.get()) == "a"

    asyncio.run(scenario())


def test_a_waiting_worker_is_woken_by_a_new_key() -> None:
    async def scenario() -> None:
        queue: WorkQueue[str] = WorkQueue(Clock())
        worker = asyncio.ensure_future(queue.get())
        await asyncio.sleep(0)
        queue.add("a")
        assert await asyncio.wait_for(worker, 5) == "a"

    asyncio.run(scenario())


def test_the_back_off_grows_to_a_bound_and_is_forgotten_after_a_success() -> None:
    async def scenario() -> None:
        queue: WorkQueue[str] = WorkQueue(Clock())
        backoffs = [queue.add_after_failure("a") for _ in range(30)]
        assert 0.1 <= backoffs[0] <= 0.2
        assert 1.6 <= backoffs[4] <= 3.2
        assert all(BACKOFF.longest / 2 <= backoff <= BACKOFF.longest for backoff in backoffs[10:])
        queue.succeeded("a")
        assert queue.add_after_failure("a") <= 0.2

    asyncio.run(scenario())


def test_a_key_that_is_due_and_worked_on_does_not_hide_when_the_next_one_is_due() -> None:
    async def scenario() -> None:
        queue: WorkQueue[str] = WorkQueue(time.monotonic)
        now = time.monotonic()
        queue.add("busy", now)
        assert await queue.get() == "busy"
        queue.add("busy", now)
        queue.add("far", now + 3600)
        queue.add("near", now + 0.01)
        assert await asyncio.wait_for(queue.get(), 5) == "near"

    asyncio.run(scenario())


def test_tenants_take_turns_however_many_keys_of_one_are_due() -> None:
    async def scenario() -> None:
        queue: WorkQueue[str] = WorkQueue(Clock(), lambda key: key[0], most_of_one=8)
        for number in range(100):
            queue.add(f"a{number}")
        assert await due(queue.get()) == "a0"
        queue.add("b0")
        queue.add("b1")
        queue.add("c0")
        assert [await due(queue.get()) for _ in range(6)] == ["a1", "b0", "c0", "a2", "b1", "a3"]

    asyncio.run(scenario())


def test_no_tenant_has_all_workers() -> None:
    """A write that gets no answer holds its worker, and may do so for all keys of a namespace."""

    async def scenario() -> None:
        queue: WorkQueue[str] = WorkQueue(Clock(), lambda key: key[0], most_of_one=2)
        for key in ("a0", "a1", "a2"):
            queue.add(key)
        assert [await due(queue.get()) for _ in range(3)] == ["a0", "a1", None]
        queue.add("b0")
        assert [await due(queue.get()) for _ in range(2)] == ["b0", None]
        queue.done("a0")
        assert await due(queue.get()) == "a2"

    asyncio.run(scenario())


def test_a_worker_that_waits_can_be_cancelled_at_any_moment() -> None:
    """Also while it wakes up. Up to Python 3.11 `asyncio.wait_for` may lose such a cancellation."""

    async def scenario(steps: int) -> None:
        queue: WorkQueue[str] = WorkQueue(Clock())
        queue.add("later", 1e6)
        worker = asyncio.ensure_future(queue.get())
        for _ in range(5):
            await asyncio.sleep(0)
        queue.add("much later", 1e9)
        for _ in range(steps):
            await asyncio.sleep(0)
        worker.cancel()
        await asyncio.wait({worker}, timeout=1)
        assert worker.cancelled(), f"after {steps} steps"

    for steps in range(8):
        asyncio.run(scenario(steps))


def test_a_key_that_was_due_earlier_once_comes_at_its_new_moment() -> None:
    async def scenario() -> None:
        clock = Clock()
        queue: WorkQueue[str] = WorkQueue(clock)
        queue.add("a", 150)
        queue.add("a", 101)
        clock.now = 102
        assert await due(queue.get()) == "a"
        queue.done("a")
        queue.add("a", 300)
        clock.now = 200
        assert await due(queue.get()) is None
        clock.now = 300
        assert await due(queue.get()) == "a"

    asyncio.run(scenario())


def test_of_a_tenant_with_two_workers_each_has_a_key_of_its_own() -> None:
    async def scenario() -> None:
        queue: WorkQueue[str] = WorkQueue(Clock(), lambda key: "tenant", most_of_one=2)
        queue.add("a")
        assert await due(queue.get()) == "a"
        queue.add("a")
        queue.add("b")
        assert await due(queue.get()) == "b"

    asyncio.run(scenario())


def test_a_waiting_worker_is_woken_when_another_one_is_done_with_the_key() -> None:
    async def scenario() -> None:
        queue: WorkQueue[str] = WorkQueue(Clock())
        queue.add("a")
        assert await due(queue.get()) == "a"
        queue.add("a")
        worker = asyncio.ensure_future(queue.get())
        for _ in range(5):
            await asyncio.sleep(0)
        assert not worker.done()
        queue.done("a")
        assert await due(worker) == "a"

    asyncio.run(scenario())
