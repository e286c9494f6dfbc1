"""The thread that makes an agent's requests."""

import random
import threading
import time

import pytest
from tests.support.waiting import wait_until

from rendezvous_api.api_errors import ApiError, ConflictError, UnreachableError
from rendezvous_handler.agent.request_thread import _PAUSE_AFTER_FAILURE, SHORTEST_INTERVAL, NotDoneError, RequestThread


class Beats:
    def __init__(self) -> None:
        self.times: list[float] = []
        self.error: Exception | None = None

    def __call__(self) -> None:
        self.times.append(time.monotonic())
        if self.error:
            raise self.error


def test_calls_return_and_raise_in_order() -> None:
    thread = RequestThread(Beats(), "test")
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
    thread = RequestThread(Beats(), "test")
    thread.start()
    may_end = threading.Event()
    with pytest.raises(NotDoneError):
        thread.call(lambda: may_end.wait(5), timeout=0.1)
    may_end.set()
    assert thread.call(lambda: 2, timeout=5) == 2
    thread.stop()


def test_a_call_after_the_end_does_not_hang() -> None:
    thread = RequestThread(Beats(), "test")
    thread.start()
    thread.stop()
    with pytest.raises(NotDoneError, match="stopped"):
        thread.call(lambda: 1)


def test_heartbeats_keep_their_interval_and_survive_errors() -> None:
    beats = Beats()
    thread = RequestThread(beats, "test")
    thread.start()
    thread.call(lambda: time.sleep(0.1))
    assert beats.times == []
    refusal = beats.error = UnreachableError("no", "patch", "x", "y")
    refusal.retry_after = 3600
    began = time.monotonic()
    interval = 0.05
    thread.start_heartbeats(interval, tolerance=15)
    thread.call(lambda: None)
    wait_until(lambda: len(beats.times) >= 4, "heartbeats though they fail")
    beats.error = RuntimeError("unexpected")
    wait_until(lambda: len(beats.times) >= 8, "heartbeats after a defect")
    assert beats.times[7] - began >= 8 * SHORTEST_INTERVAL * interval
    thread.stop_heartbeats()
    thread.call(lambda: None)
    count = len(beats.times)
    thread.call(lambda: time.sleep(0.2))
    assert len(beats.times) == count
    thread.stop()


def test_an_early_heartbeat_does_not_wait_for_its_interval() -> None:
    beats = Beats()
    thread = RequestThread(beats, "test")
    thread.start_heartbeats(600, tolerance=15)
    thread.start()
    thread.beat_within(0.05)
    wait_until(lambda: beats.times, "the early heartbeat")
    thread.call(lambda: time.sleep(0.1))
    assert len(beats.times) == 1
    thread.stop()


def test_heartbeats_and_calls_take_turns() -> None:
    happened: list[str] = []

    def beat() -> None:
        happened.append("heartbeat")
        time.sleep(0.02)

    thread = RequestThread(beat, "test")
    thread.start_heartbeats(0.01, tolerance=15)  # a heartbeat takes longer, so the next one is due at once
    held, may_go_on = threading.Event(), threading.Event()

    def hold_the_others_up() -> None:
        held.set()
        may_go_on.wait(60)
        time.sleep(0.01)
        happened.clear()

    thread.start()
    callers = [threading.Thread(target=thread.call, args=(hold_the_others_up,))]
    callers[0].start()
    held.wait(60)
    for _ in range(3):
        callers.append(threading.Thread(target=thread.call, args=(lambda: happened.append("call"),)))
        callers[-1].start()
    wait_until(lambda: thread._calls.qsize() == 3, "the calls to be handed over")
    may_go_on.set()
    for caller in callers:
        caller.join(60)
    assert happened[:6] == ["heartbeat", "call"] * 3
    thread.stop()


def test_failures_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "rendezvous_handler")
    beats = Beats()
    thread = RequestThread(beats, "test")
    thread.start_heartbeats(0.02, tolerance=0.1)
    beats.error = UnreachableError("refused", "patch", "participants", "team")
    thread.start()
    wait_until(lambda: caplog.messages, "the warning")
    told_at = len(beats.times)
    wait_until(lambda: len(beats.times) > told_at + 3, "more heartbeats that fail")
    beats.error = None
    wait_until(lambda: len(caplog.messages) > 1, "the end of it")
    thread.call(lambda: None)
    thread.stop()
    told = [record.levelname for record in caplog.records]
    assert told == ["WARNING", "INFO"]
    assert "refused" in caplog.messages[0]


def test_an_interval_is_changed_only_while_heartbeats_are_sent() -> None:
    beats: list[float] = []
    thread = RequestThread(lambda: beats.append(time.monotonic()), name="test")
    thread.start()
    try:
        thread.change_heartbeats(0.01, 1.0)
        time.sleep(0.2)
        assert beats == []
        thread.start_heartbeats(60.0, 1.0)
        thread.change_heartbeats(0.01, 1.0)
        thread.call(lambda: None)
        time.sleep(0.3)
        assert len(beats) > 3
    finally:
        thread.stop()


def test_after_a_failure_the_next_heartbeat_waits_although_the_failed_one_took_long() -> None:
    """An API server that is overloaded answers late; then no agent asks again at once."""
    beats: list[float] = []
    ended: list[float] = []

    def beat() -> None:
        beats.append(time.monotonic())
        time.sleep(0.3)
        ended.append(time.monotonic())
        raise UnreachableError("no answer", "patch", "participants", "team")

    thread = RequestThread(beat, "test")
    thread.start_heartbeats(0.2, tolerance=15)
    thread.start()
    wait_until(lambda: len(beats) >= 3, "heartbeats though they fail")
    thread.stop()
    pauses = [after - before for before, after in zip(ended, beats[1:], strict=False)]
    assert min(pauses) >= 0.2 * min(_PAUSE_AFTER_FAILURE)


def test_a_shorter_interval_holds_for_the_next_heartbeat_already() -> None:
    beats = Beats()
    thread = RequestThread(beats, "test")
    thread.start_heartbeats(600, tolerance=15)
    thread.start()
    thread.call(lambda: None)  # the next heartbeat has its moment now
    thread.change_heartbeats(0.05, 15)
    thread.call(lambda: None)
    wait_until(lambda: beats.times, "a heartbeat", timeout=10)
    thread.stop()


def test_an_early_heartbeat_makes_no_other_one_later(monkeypatch: pytest.MonkeyPatch) -> None:
    beats = Beats()
    thread = RequestThread(beats, "test")
    thread.start_heartbeats(600, tolerance=15)
    thread.start()
    thread.beat_within(0.05)
    monkeypatch.setattr(random, "uniform", lambda least, most: most)
    thread.beat_within(500)
    wait_until(lambda: beats.times, "the early heartbeat", timeout=10)
    thread.stop()


def test_an_early_heartbeat_comes_not_sooner_than_the_pause_after_a_failure() -> None:
    """An API server that is overloaded must not be asked again at once, whatever there is to say."""
    beats = Beats()
    beats.error = UnreachableError("no", "patch", "x", "y")
    thread = RequestThread(beats, "test")
    thread.start_heartbeats(8, tolerance=15)
    thread.start()
    thread.beat_within(0)
    wait_until(lambda: beats.times, "the first heartbeat", timeout=10)
    for _ in range(10):
        thread.beat_within(0)
        thread.call(lambda: None)
    wait_until(lambda: len(beats.times) == 2, "the second heartbeat", timeout=10)
    assert beats.times[1] - beats.times[0] >= 8 * 0.05
    thread.stop()


def broken() -> UnreachableError:
    """The connection broke, or could not be made."""
    error = UnreachableError("connection reset", "patch", "x", "y")
    error.broken = True
    return error


def test_one_that_was_not_to_wait_comes_again_soon_if_its_connection_broke() -> None:
    beats = Beats()
    beats.error = broken()
    thread = RequestThread(beats, "test")
    thread.start_heartbeats(600, tolerance=15)
    thread.start()
    thread.beat_within(0)
    wait_until(lambda: len(beats.times) == 2, "the heartbeat and its repetition", timeout=10)
    thread.stop()


@pytest.mark.parametrize(
    ("error", "failing", "within", "soon"),
    [
        (broken(), False, 0.0, 0.3),
        (broken(), False, 0.5, 0.8),  # as many agents may have to send one again, so it is spread as before
        (broken(), True, 0.0, None),  # once
        (broken(), False, None, None),  # it was to wait
        (UnreachableError("too many requests", "patch", "x", "y"), False, 0.0, None),
        (ConflictError("another agent has this name", "patch", "x", "y"), False, 0.0, None),
    ],
)
def test_when_one_comes_again_soon(
    error: ApiError, failing: bool, within: float | None, soon: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All others wait: an API server that is overloaded is not asked more often."""
    monkeypatch.setattr(random, "uniform", lambda least, most: most)
    beats = Beats()
    beats.error = error
    thread = RequestThread(beats, "test")
    thread.start_heartbeats(600, tolerance=15)
    thread._failing, thread._within = failing, within
    before = time.monotonic()
    thread._send_beat()
    after = time.monotonic()
    least = 600.0 if soon is None else soon
    assert before + least <= thread._next_beat <= after + least
    assert thread._within is None


def test_it_never_waits_longer_than_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "uniform", lambda least, most: most)
    beats = Beats()
    beats.error = broken()
    thread = RequestThread(beats, "test")
    thread.start_heartbeats(600, tolerance=15)
    thread._within = 400.0
    thread._send_beat()
    assert thread._not_before <= time.monotonic() + 600 * max(_PAUSE_AFTER_FAILURE)


def test_one_that_has_failed_shows_that_heartbeats_do_not_arrive() -> None:
    """Whenever the next one would be late: an interval may be minutes long."""
    beats = Beats()
    thread = RequestThread(beats, "test")
    thread.start()
    thread.start_heartbeats(600, tolerance=600)
    thread.beat_within(0)
    thread.call(lambda: None)
    wait_until(lambda: len(beats.times) == 1, "a heartbeat", timeout=10)
    assert thread.heartbeats_arrive
    beats.error = UnreachableError("no", "patch", "x", "y")
    thread.beat_within(0)
    thread.call(lambda: None)
    wait_until(lambda: not thread.heartbeats_arrive, "one that fails", timeout=10)
    beats.error = None
    thread._not_before = 0.0  # after a failure it would wait for a part of the interval
    thread.beat_within(0)
    wait_until(lambda: thread.heartbeats_arrive, "the next one", timeout=10)
    thread.stop()


def test_heartbeats_do_not_arrive_while_one_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rendezvous_handler.agent.request_thread._LATE_SECONDS", 0.2)
    may_end = threading.Event()
    thread = RequestThread(lambda: (may_end.wait(10), None)[1], "test")
    thread.start()
    thread.start_heartbeats(600, tolerance=600)
    thread.beat_within(0)
    wait_until(lambda: not thread.heartbeats_arrive, "a late one", timeout=10)
    may_end.set()
    wait_until(lambda: thread.heartbeats_arrive, "its answer", timeout=10)
    thread.stop()


def test_heartbeats_arrive_as_long_as_none_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rendezvous_handler.agent.request_thread._LATE_SECONDS", 0.3)
    beats = Beats()
    thread = RequestThread(beats, "test")
    thread.start()
    wait_until(lambda: not thread.heartbeats_arrive, "none are sent")
    thread.start_heartbeats(0.2, tolerance=15)
    thread.call(lambda: None)
    wait_until(lambda: beats.times and thread.heartbeats_arrive, "a heartbeat", timeout=10)
    beats.error = UnreachableError("no", "patch", "x", "y")
    wait_until(lambda: not thread.heartbeats_arrive, "a late one", timeout=10)
    beats.error = None
    wait_until(lambda: thread.heartbeats_arrive, "the next one", timeout=10)
    thread.stop_heartbeats()
    wait_until(lambda: not thread.heartbeats_arrive, "none are sent")
    thread.stop()


def test_heartbeats_are_rare_only_after_one_that_has_arrived() -> None:
    """After a failure the pause is that of the usual interval, however rare they were."""
    beats = Beats()
    thread = RequestThread(beats, "test")
    thread.start()
    thread.start_heartbeats(0.05, tolerance=15, rare=600)
    beats.error = UnreachableError("no", "patch", "x", "y")
    thread.beat_within(0.0)
    wait_until(lambda: len(beats.times) >= 3, "heartbeats after one that has failed")
    beats.error = RuntimeError("unexpected")
    wait_until(lambda: len(beats.times) >= 6, "heartbeats after a defect")
    assert not thread.heartbeats_arrive
    beats.error = None
    wait_until(lambda: thread.heartbeats_arrive, "a heartbeat that arrives")
    count = len(beats.times)
    thread.call(lambda: time.sleep(0.3))
    assert len(beats.times) == count
    thread.change_heartbeats(0.05, tolerance=15)
    thread.call(lambda: None)
    wait_until(lambda: len(beats.times) >= count + 3, "the usual interval")
    thread.stop()
