"""The queue of Events: `emit` never waits, and Events beyond the bound are dropped and logged."""

import asyncio
import re
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from rendezvous_api.api_errors import ForbiddenError
from rendezvous_operator.kube.client import Client, Json
from rendezvous_operator.kube.event_recorder import MOST_QUEUED, EventTarget, Recorder


class _Held(Client):
    """Answers each request when the test says so."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.notes: list[str] = []
        self.errors: list[Exception] = []

    async def request(self, method: str, path: str, *arguments: Any, **options: Any) -> Json:
        await self.go_on.wait()
        if self.errors:
            raise self.errors.pop()
        self.notes.append(options["body"]["note"])
        return {}


def emit(recorder: Recorder, number: int) -> None:
    # Each about another object: there is a bound for each.
    recorder.emit(EventTarget("ns", "train", f"uid-{number}"), "RoundPublished", f"{number}", warning=False)


def play(scenario: Callable[[Recorder, _Held], Coroutine[None, None, None]]) -> None:
    async def whole() -> None:
        client = _Held()
        recorder = Recorder(client, "test", lambda: 0.0)
        recorder.start()
        try:
            await scenario(recorder, client)
        finally:
            await recorder.stop(0)

    asyncio.run(whole())


async def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.001)


def dropped(text: str) -> int:
    return sum(map(int, re.findall(r"(\d+) events were not sent", text)))


def test_events_are_sent_in_the_order_in_which_they_are_emitted() -> None:
    async def scenario(recorder: Recorder, client: _Held) -> None:
        for number in range(50):
            emit(recorder, number)
        client.go_on.set()
        await until(lambda: len(client.notes) == 50)
        assert client.notes == [f"{number}" for number in range(50)]

    play(scenario)


def test_when_the_queue_is_full_the_newest_are_dropped_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(recorder: Recorder, client: _Held) -> None:
        emit(recorder, -1)
        await asyncio.sleep(0.01)  # it is on its way now, and in the queue no more
        for number in range(MOST_QUEUED + 7):
            emit(recorder, number)
        assert client.notes == []
        client.go_on.set()
        await until(lambda: len(client.notes) == 1 + MOST_QUEUED)
        assert client.notes[-1] == f"{MOST_QUEUED - 1}"
        assert dropped(caplog.text) == 7

    play(scenario)


def test_what_is_queued_is_sent_at_the_end() -> None:
    async def scenario(recorder: Recorder, client: _Held) -> None:
        for number in range(50):
            emit(recorder, number)
        client.go_on.set()
        await recorder.stop(30)
        assert len(client.notes) == 50

    play(scenario)


def test_the_end_does_not_wait_for_an_api_server_that_does_not_answer(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(recorder: Recorder, client: _Held) -> None:
        for number in range(50):
            emit(recorder, number)
        async with asyncio.timeout(10):
            await recorder.stop(0.05)
        assert client.notes == []
        assert dropped(caplog.text) == 50

    play(scenario)


@pytest.mark.parametrize("error", [ForbiddenError("forbidden", "create", "events", "ns"), ValueError("a defect")])
def test_one_that_fails_does_not_keep_the_others(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(recorder: Recorder, client: _Held) -> None:
        client.errors.append(error)
        client.go_on.set()
        emit(recorder, 1)
        emit(recorder, 2)
        await until(lambda: client.notes == ["2"])
        assert "the event RoundPublished was not sent" in caplog.text
        assert recorder.defect is None

    play(scenario)


def test_the_end_of_its_task_is_a_defect() -> None:
    async def scenario(recorder: Recorder, client: _Held) -> None:
        (task,) = [task for task in asyncio.all_tasks() if task.get_name() == "events"]
        defects = [recorder.defect]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        defects.append(recorder.defect)
        await recorder.stop(10)
        assert [*defects, recorder.defect] == [None, "has ended: events", None], "the last end was requested"

    play(scenario)
