"""The waiting of one join in the agent's main thread."""

from __future__ import annotations

import contextlib
import logging
import queue
import time
from typing import NoReturn

from rendezvous_api.api_errors import ApiError, UnreachableError
from rendezvous_api.reasons import LeaveReason
from rendezvous_api.rendezvous import Rendezvous, RendezvousStatus
from rendezvous_handler.agent.agent import Agent
from rendezvous_handler.agent.request_thread import NotDoneError
from rendezvous_handler.join.answer import Waiting
from rendezvous_handler.join.clock import HoldOutClock, JoinClock, Unchanged
from rendezvous_handler.join.errors import ClosedError, ConnectError, TimedOutError
from rendezvous_handler.join.report import Reporter
from rendezvous_handler.kube.errors import advise, may_pass

_logger = logging.getLogger(__name__)

_PAUSE_SECONDS = 1.0
_LEAVE_SECONDS = 5.0


class JoinWait:
    """How long one join has waited, what is logged, and what happens when it has waited for too long."""

    def __init__(self, agent: Agent):
        """Start the clock.

        Args:
            agent: the agent that waits.
        """
        self.clock = JoinClock()
        self.reporter = Reporter(agent.reference, agent.client.url)
        self._limit = float(agent.settings.join_timeout)
        self._suspended = False
        self._gathers_seconds = 0
        self._gathers = Unchanged(lambda: self.clock.elapsed)
        self._hold_out = HoldOutClock(lambda: self.clock.elapsed)
        self.held_out = False
        """The operator held this agent out, as far as that was known at the last tick."""
        self._status = RendezvousStatus()
        self._agent = agent

    @property
    def limit(self) -> float:
        """Seconds of the join timeout: those of the settings until a Rendezvous was read; its own win."""
        return self._limit

    def follow(self, rendezvous: Rendezvous) -> None:
        """Wait for as long as this Rendezvous says; while it is suspended, no time counts."""
        self._limit = float(rendezvous.spec.timeouts.join_seconds)
        self._suspended = rendezvous.spec.suspend
        self._status = rendezvous.status
        self._gathers_seconds = rendezvous.spec.scale_up.interval_seconds

    @property
    def expired(self) -> bool:
        """Whether the join timeout has passed."""
        return self.clock.used > self._limit

    def tick(self, waiting: Waiting | None = None) -> None:
        """Count the time since the last tick, if it counts.

        Args:
            waiting: what the operator says about the attempt; None while there is none.

        Raises:
            ClosedError: another thread has shut the handler down.
        """
        agent = self._agent
        if agent.stopped:
            raise ClosedError("this handler was shut down")
        agent.notice_pause()
        # What an outage has hidden must be read before time counts again: the round may have been published long ago.
        error = agent.watch.state.error
        hidden = isinstance(error, UnreachableError) or (self._is_member and may_pass(error))
        counts = not agent.client.contact.failing and not hidden and not self._suspended
        self.clock.tick(counts, waiting is not None and self._is_aside(waiting))

    def _is_aside(self, waiting: Waiting) -> bool:
        # Both are asked each time: they remember since when.
        gathered = self._is_gathered(waiting.gathered)
        self.held_out = self._hold_out.counts(waiting.held_out, self._status)
        return waiting.spare or gathered or self.held_out or waiting.passed_over is not None

    def _is_gathered(self, gathered: bool) -> bool:
        """Whether it counts that a round gathers: as long as an operator that is there would let it go on.

        A spare, and who is held out, is named in the status. That a round gathers may be what an operator has written
        that is not there any more.
        """
        counts = gathered and self.reporter.noticed
        return self._gathers.seconds(counts) <= self._gathers_seconds and counts

    def restart(self) -> None:
        """Give the agent its whole join timeout again: it had a place in a round."""
        self.clock.restart()

    @property
    def _is_member(self) -> bool:
        """Whether this agent was in a round: then it waits for as long as it takes."""
        return self._agent.participant.last_run_id is not None

    def refused(self, error: ApiError) -> None:
        """Warn of a refusal that may pass. That time does not count for a member.

        Args:
            error: see `may_pass`.

        Raises:
            ConnectError: an agent that was never in a round has waited for its join timeout.
        """
        if self._is_member:
            self.clock.tick(counts=False)
        else:
            self.tick()
            if self.expired:
                raise ConnectError(f"{advise(error)} (waited {self._limit:.0f} s for that to change)")
        self.reporter.problem(f"retrying, since this may pass: {advise(error)}")

    def absent(self, why: str, explanation: str) -> None:
        """Log that there is no such Rendezvous.

        Args:
            why: this agent does not create it.
            explanation: of the timeout.

        Raises:
            TimedOutError: the join timeout has passed.
        """
        self.reporter.absent(why)
        if self.expired:
            self.give_up(explanation)

    def pause(self, seconds: float = _PAUSE_SECONDS) -> None:
        """Wait until the Rendezvous has changed or a check-in has ended, at most for this time."""
        with contextlib.suppress(queue.Empty):
            self._agent.watch.changed.get(timeout=seconds)

    def pause_for(self, seconds: float) -> None:
        """Wait for this time, whatever changes; it counts."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.pause(left)
        self.tick()

    def give_up(self, explanation: str) -> NoReturn:
        """Write that this agent has given up, and raise.

        Raises:
            TimedOutError: always.
        """
        self.leave()
        raise TimedOutError(
            f"no round of {self._agent.reference} within the join timeout of {self._limit:.0f} s. {explanation}"
        )

    def leave(self) -> None:
        """Write that this agent has given up, if the API server takes it within 5 s."""
        try:
            self._agent.leave(LeaveReason.TIMED_OUT, _LEAVE_SECONDS)
        except (ApiError, NotDoneError) as error:
            _logger.debug("could not write that this node has given up: %s", error)
