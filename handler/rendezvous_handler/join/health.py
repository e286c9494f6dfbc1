"""Whether this node may take part in a round, by its own health checks (rule "health").

They run before each attempt to join, after the old workers have stopped. A node that waits, such as a spare, runs them
again when the next round begins to be formed: it may be chosen for that one at any moment. While it waits they do not
hold it up: a process runs them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from rendezvous_api import names
from rendezvous_api.backoff import Backoff, Failures
from rendezvous_api.rendezvous import Rendezvous, RendezvousStatus
from rendezvous_handler.health.run import HealthRun
from rendezvous_handler.join.errors import UnhealthyError
from rendezvous_handler.join.wait import JoinWait

_logger = logging.getLogger(__name__)

AGAIN_SECONDS = 300.0
"""So long after the last run a node that waits runs its checks again, so that people learn early that it is broken."""
_AFTER_FAILURE = Backoff(first=5.0, longest=300.0)
_LONG_AGO_SECONDS = 600.0
"""After so long the next failure is the first one again. A group forgets in the same time that a node has crashed."""
_SLOW_SECONDS = 10.0


@dataclass(frozen=True)
class Unhealthy:
    """A check has failed."""

    found: str
    """Which one, and what it has found; in one line."""


class Checks(Protocol):
    """One run of the checks; see `HealthRun`."""

    over: bool
    found: str | None
    running: str

    def stop(self) -> None:
        """End it."""


Begin = Callable[[Sequence[str], float, Callable[[], None]], Checks]


class Health:
    """The checks of one agent, from its first join to its end."""

    def __init__(
        self,
        checks: Sequence[str] = (),
        seconds: float = 60.0,
        retry_seconds: float | None = None,
        notify: Callable[[], None] = lambda: None,
        begin: Begin = HealthRun,
        now: Callable[[], float] = time.monotonic,
    ):
        """Run nothing yet.

        Args:
            checks: their names; none: the node is healthy.
            seconds: the deadline of all of them together.
            retry_seconds: for how long after a failure they are run again; None: until the join timeout.
            notify: called when a run has ended.
            begin: starts a run.
            now: a monotonic clock, in seconds.
        """
        self._checks = checks
        self._seconds = seconds
        self._retry_seconds = retry_seconds
        self._notify = notify
        self._begin = begin
        self._now = now
        self._run: Checks | None = None
        self._run_is_for: int | None = None
        self._covered: int | None = None
        """The round for which the checks have succeeded."""
        self._began_at = float("-inf")
        self._failures = Failures(_AFTER_FAILURE)
        self._failed_at = float("-inf")
        self._unhealthy_since: float | None = None
        self._of_run: str | None = None
        """The run that has gone on when this node began to stay out."""

    def stop(self) -> None:
        """End a run that goes on."""
        if self._run is not None:
            self._run.stop()
            self._run = None

    def before_join(self, rendezvous: Rendezvous, wait: JoinWait) -> Unhealthy | None:
        """Run the checks, and wait for them. An unhealthy node whose run is over asks for its answer all the same."""
        if not self._checks or self._is_over(rendezvous):
            return None
        self._start(_forming(rendezvous.status))
        return self._await(wait)

    def while_waiting(self, rendezvous: Rendezvous) -> Unhealthy | None:
        """Run them again in time; answers at once, with what has been found since the last call."""
        if not self._checks or self._is_over(rendezvous):
            return None
        forming = _forming(rendezvous.status)
        due = forming not in (None, self._covered) or self._now() - self._began_at > AGAIN_SECONDS
        if self._run is None and due:
            self._start(forming)
        return self._ended() if self._run is not None and self._run.over else None

    def before_round(self, number: int, wait: JoinWait) -> Unhealthy | None:
        """Of a new member of that round: wait for the run for it, if there is one, or for a new one."""
        if not self._checks or self._covered == number:
            return None
        if self._run is None or self._run_is_for != number:
            self._start(number)
        return self._await(wait)

    def stay_out(
        self, rendezvous: Rendezvous, found: Unhealthy, wait: JoinWait, current: Callable[[], Rendezvous | None]
    ) -> None:
        """Wait until the checks are to be run again.

        Args:
            rendezvous: as it was when the node began to stay out.
            found: by the checks.
            wait: of this join.
            current: gives the newest state; None: it was deleted.

        Raises:
            UnhealthyError: they have failed for too long.
            ClosedError: another thread has shut the handler down.
        """
        wait.tick()
        now, status = self._now(), rendezvous.status
        if status.run_id is not None and status.closed_reason(status.run_id) is None:
            self._of_run = status.run_id
        if now - self._failed_at > _LONG_AGO_SECONDS:
            self._failures.reset()
        if self._unhealthy_since is None:
            self._unhealthy_since = now
        self._failed_at = now
        left = self._seconds_left(now, wait)
        if left <= 0:
            since = now - self._unhealthy_since
            raise UnhealthyError(
                f"this node is unhealthy: {found.found}. Its health checks have failed for {since:.0f} s, and it does "
                "not try again"
            )
        pause = min(self._failures.pause(), left)
        _logger.warning(
            "this node is unhealthy, and stays out of %s: %s; its health checks run again in %.0f s",
            f"{rendezvous.metadata.namespace}/{rendezvous.metadata.name}",
            found.found,
            pause,
        )
        asked = rendezvous.metadata.annotations.get(names.ANNOTATION_RETRY_AT)
        until = wait.clock.elapsed + pause
        while (seconds := until - wait.clock.elapsed) > 0 and not wait.expired:
            wait.pause(min(seconds, 1.0))
            wait.tick()
            seen = current()
            if seen is not None and self._is_over(seen):
                return
            if seen is not None and seen.metadata.annotations.get(names.ANNOTATION_RETRY_AT) != asked:
                return

    def _seconds_left(self, now: float, wait: JoinWait) -> float:
        left = wait.limit - wait.clock.used
        if self._retry_seconds is None or self._unhealthy_since is None:
            return left
        return min(left, self._unhealthy_since + self._retry_seconds - now)

    def _is_over(self, rendezvous: Rendezvous) -> bool:
        """Whether there is nothing to take part in any more: how that ended, this node is told when it joins."""
        if self._unhealthy_since is None:
            return False
        return rendezvous.spec.closed or rendezvous.status.closed_reason(self._of_run) is not None

    def _start(self, number: int | None) -> None:
        self.stop()
        self._run_is_for, self._began_at = number, self._now()
        self._run = self._begin(self._checks, self._seconds, self._notify)

    def _await(self, wait: JoinWait) -> Unhealthy | None:
        while (run := self._run) is not None and not run.over:
            seconds = self._now() - self._began_at
            if seconds > _SLOW_SECONDS:
                most = f"all checks end after at most {self._seconds:.0f} s"
                wait.reporter.problem(f"waiting for the health check {run.running} of this node; {most}")
            wait.pause()
            wait.tick()
        was_unhealthy = self._unhealthy_since is not None
        found = self._ended()
        if found is None and was_unhealthy:
            wait.restart()
        return found

    def _ended(self) -> Unhealthy | None:
        run, self._run = self._run, None
        assert run is not None
        if run.found is not None:
            self._covered = None
            return Unhealthy(run.found)
        self._covered, self._unhealthy_since = self._run_is_for, None
        return None


def _forming(status: RendezvousStatus) -> int | None:
    """The number of the round that is being formed; None: one runs."""
    return None if status.running else status.round + 1
