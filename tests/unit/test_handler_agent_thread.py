"""The thread that makes an agent's requests."""

import threading
import time

import pytest

from rendezvous_handler.agent_thread import AgentThread, NotDoneError
from rendezvous_handler.errors import UnreachableError


class Beats:
    def __init__(self) -> None:
        self.times: list[float] = []
        self.error: Exception | None = None

    def __call__(self) -> None:
        self.times.append(time.monotonic())
        if self.error:
            raise self.error


def test_calls_return_and_raise_in_order() -> None:
    thread = AgentThread(Beats(), "test")
    thread.start()
    numbers = iter(range(5))
    assert [thread.call(lambda: next(numbers)) for _ in range(5)] == [0, 1, 2, 3, 4]

    def fail() -> None:
        raise ValueError("of the call")

    with pytest.raises(ValueError, match="of the call"):
        thread.call(fail)
    assert thread.call(lambda: 1) == 1
    thread.stop()


def test_a_call_that_takes_too_long() -> None:
    thread = AgentThread(Beats(), "test")
    thread.start()
    may_end = threading.Event()
    with pytest.raises(NotDoneError):
        thread.call(lambda: may_end.wait(5), timeout=0.1)
    may_end.set()
    assert thread.call(lambda: 2, timeout=5) == 2
    thread.stop()


def test_a_call_after_the_end_does_not_hang() -> None:
    thread = AgentThread(Beats(), "test")
    thread.start()
    thread.stop()
    with pytest.raises(NotDoneError, match="stopped"):
        thread.call(lambda: 1)


def test_heartbeats_keep_their_interval_and_survive_errors() -> None:
    beats = Beats()
    thread = AgentThread(beats, "test")
    thread.start()
    time.sleep(0.1)
    assert beats.times == []
    beats.error = UnreachableError("no", "patch", "x", "y")
    thread.interval = 0.05
    thread.call(lambda: None)
    time.sleep(0.3)
    beats.error = RuntimeError("unexpected")
    time.sleep(0.3)
    assert 6 <= len(beats.times) <= 14
    thread.interval = None
    thread.call(lambda: None)
    count = len(beats.times)
    time.sleep(0.2)
    assert len(beats.times) == count
    thread.stop()


def test_an_early_heartbeat_does_not_wait_for_its_interval() -> None:
    beats = Beats()
    thread = AgentThread(beats, "test")
    thread.interval = 60
    thread.start()
    thread.beat_within(0.05)
    thread.call(lambda: time.sleep(0.1))
    thread.call(lambda: time.sleep(0.1))
    assert len(beats.times) == 1
    thread.stop()


def test_failures_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "rendezvous_handler")
    beats = Beats()
    thread = AgentThread(beats, "test")
    thread.tolerance = 0.1
    thread.interval = 0.02
    beats.error = UnreachableError("refused", "patch", "participants", "team")
    thread.start()
    time.sleep(0.4)
    beats.error = None
    time.sleep(0.1)
    thread.stop()
    told = [record.levelname for record in caplog.records]
    assert told == ["WARNING", "INFO"]
    assert "refused" in caplog.messages[0]
