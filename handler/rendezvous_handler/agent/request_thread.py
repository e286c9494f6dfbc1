"""The thread that makes all requests of an agent except its watch, one after the other, and sends its heartbeats.

torch raises SignalException from a signal handler, at any bytecode of the main thread, also in the middle of a request
(torch/distributed/elastic/multiprocessing/api.py, ``_terminate_process_handler``). So the main thread makes none: it
hands them over and waits at a `queue.SimpleQueue`, which a signal can interrupt without leaving a lock behind.
"""

from __future__ import annotations

import logging
import math
import queue
import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from rendezvous_api.api_errors import ApiError, UnreachableError
from rendezvous_handler.kube.errors import advise

_logger = logging.getLogger(__name__)

T = TypeVar("T")

SHORTEST_INTERVAL = 0.9
"""As a part of the interval between two heartbeats."""

_PAUSE_AFTER_FAILURE = (0.05, 0.25)
"""As parts of the interval, where the API server does not ask for more (Retry-After)."""
_SOON_AGAIN_SECONDS = (0.05, 0.3)
"""After a heartbeat that was not to wait, if its connection broke: the operator waits for it for a second or two."""
_LATE_SECONDS = 2.0
"""A heartbeat that was sent in time may take that long."""


class NotDoneError(Exception):
    """A call was not finished in the time that was left for it. It may still be carried out later."""


class RequestThread:
    """Carries out calls in the order in which they come, and a heartbeat every interval."""

    def __init__(self, beat: Callable[[], None], name: str):
        """Start nothing yet.

        Args:
            beat: sends one heartbeat.
            name: of the thread.
        """
        self._interval: float | None = None
        self._base = 0.0
        self._tolerance = 15.0
        self._beat = beat
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._next_beat = 0.0
        self._not_before = 0.0
        """After a failure: no heartbeat is sent sooner, whatever asks for one."""
        self._within: float | None = None
        """In which time the next heartbeat was asked for; None: it comes when it is due."""
        self._last_success = 0.0
        self._sent_at: float | None = None
        """Of the heartbeat that is on its way; None: none is."""
        self._failing = False
        """The last one has failed."""
        self._warned = False

    @property
    def heartbeats_arrive(self) -> bool:
        """Whether heartbeats are sent, the last one has arrived, and none is late.

        With a long interval, the next one would show much later than a failure that the way is broken.
        """
        interval, sent_at, now = self._interval, self._sent_at, time.monotonic()
        if interval is None or self._failing or (sent_at is not None and now - sent_at > _LATE_SECONDS):
            return False
        return now - self._last_success <= interval + _LATE_SECONDS

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the calls that were handed over before."""
        self.stop_heartbeats()
        self._calls.put(None)

    def start_heartbeats(self, interval: float, tolerance: float, rare: float | None = None) -> None:
        """Send heartbeats from now on.

        Args:
            interval: seconds from the start of one heartbeat to that of the next, at most.
            tolerance: seconds without a successful heartbeat after which a warning is logged.
            rare: the interval after one that has arrived, if it is longer.
        """
        self._base, self._interval, self._tolerance = interval, rare or interval, tolerance

    def change_heartbeats(self, interval: float, tolerance: float, rare: float | None = None) -> None:
        """The same, if heartbeats are sent now."""
        if self._interval is not None:
            self.start_heartbeats(interval, tolerance, rare)

    def stop_heartbeats(self) -> None:
        """Send no more heartbeats."""
        self._interval = None

    def call(self, function: Callable[[], T], timeout: float | None = None) -> T:
        """Carry out a function and return its result, or raise its exception.

        Args:
            function: what to do.
            timeout: seconds to wait for it; None: as long as it takes.

        Raises:
            NotDoneError: it has not been finished in time.
        """
        reply: queue.SimpleQueue[tuple[T | None, Exception | None]] = queue.SimpleQueue()

        def answer() -> None:
            try:
                reply.put((function(), None))
            except Exception as error:  # noqa: BLE001 - raised again in the thread that has asked
                reply.put((None, error))

        self._calls.put(answer)
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        while True:
            try:
                result, error = reply.get(timeout=max(0.0, min(1.0, deadline - time.monotonic())))
            except queue.Empty:
                if time.monotonic() >= deadline:
                    raise NotDoneError(f"not done within {timeout:.1f} s") from None
                if not self._thread.is_alive():
                    raise NotDoneError("this agent was stopped") from None
            else:
                break
        if error is not None:
            raise error
        return result  # type: ignore[return-value]

    def beat_within(self, seconds: float) -> None:
        """Send a heartbeat at a random moment of the next seconds, and not later than the next one is due anyway."""
        at = time.monotonic() + random.uniform(0.0, min(seconds, self._interval or 0.0))

        def hasten() -> None:
            self._next_beat = max(min(self._next_beat or at, at), self._not_before)
            self._within = seconds if self._within is None else min(seconds, self._within)

        self._calls.put(hasten)

    def _run(self) -> None:
        self._last_success = time.monotonic()
        while True:
            try:
                call = self._calls.get(timeout=self._until_next_beat())
            except queue.Empty:
                pass
            else:
                if call is None:
                    return
                call()
            if self._until_next_beat() == 0:  # also while calls wait: with one always waiting, none would be sent
                self._send_beat()

    def _until_next_beat(self) -> float | None:
        interval = self._interval  # once: another thread may change it
        if interval is None:
            self._next_beat = 0.0
            return None
        now = time.monotonic()
        if not self._next_beat or self._next_beat > now + interval:
            self._next_beat = self._moment_of_next(now, interval)
        return max(0.0, self._next_beat - now)

    @staticmethod
    def _moment_of_next(start: float, interval: float) -> float:
        # The agents of a group join in the same moment: without jitter they would all write in the same moments, too.
        return start + interval * random.uniform(SHORTEST_INTERVAL, 1.0)

    def _send_beat(self) -> None:
        if self._interval is None:
            return
        now = time.monotonic()
        within, self._within = self._within, None
        self._next_beat = self._moment_of_next(now, self._base)  # from its start: soon after one that timed out
        self._sent_at = now
        try:
            self._beat()
        except ApiError as error:
            soon = self._soon_again(error, within)
            self._failing = True
            _logger.debug("heartbeat failed: %s", advise(error))
            # An API server that is overloaded must not be asked again at once by all agents. It may ask for more time,
            # but a heartbeat cannot wait for long.
            pause = max(self._base * random.uniform(*_PAUSE_AFTER_FAILURE), min(error.retry_after, self._base / 2))
            if soon is not None and soon < pause:
                self._next_beat = self._not_before = time.monotonic() + soon
            else:
                self._not_before = time.monotonic() + pause
                self._next_beat = max(self._next_beat, self._not_before)
            self._warn_of_failure(error, now)
        except Exception:
            self._failing = True
            _logger.exception("heartbeat failed unexpectedly")
        else:
            self._last_success, self._failing = time.monotonic(), False
            self._next_beat = self._moment_of_next(now, self._interval or self._base)
            if self._warned:
                self._warned = False
                _logger.info("heartbeats reach the API server again")
        finally:
            self._sent_at = None

    def _soon_again(self, error: ApiError, within: float | None) -> float | None:
        """In how many seconds a heartbeat that was not to wait comes again; None: it waits like any other.

        Once, and only if its connection broke. As many agents may have to send theirs again as were to send one within
        that time, so it is spread as much.
        """
        broken = isinstance(error, UnreachableError) and error.broken
        if within is None or self._failing or not broken:
            return None
        return random.uniform(*_SOON_AGAIN_SECONDS) + random.uniform(0.0, within)

    def _warn_of_failure(self, error: ApiError, now: float) -> None:
        if not self._warned and now - self._last_success > self._tolerance:
            self._warned = True
            _logger.warning(
                "no heartbeat has reached the API server for %.0f s; training goes on, but the operator may declare "
                "this node lost: %s",
                now - self._last_success,
                advise(error),
            )
