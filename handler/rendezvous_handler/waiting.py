"""Waiting for a round: how long, and what the user is told meanwhile."""

from __future__ import annotations

import contextlib
import logging
import queue
import random
import time
from collections.abc import Callable
from typing import NoReturn

from rendezvous_api.participant import ParticipantSpec
from rendezvous_api.reasons import LeaveReason
from rendezvous_api.rendezvous import Rendezvous, RendezvousStatus
from rendezvous_handler.admission import explain
from rendezvous_handler.agent import Agent
from rendezvous_handler.agent_thread import NotDoneError
from rendezvous_handler.client import Contact
from rendezvous_handler.errors import ApiError, ConflictError, UnreachableError
from rendezvous_handler.torch_errors import RendezvousClosedError, RendezvousTimeoutError

_logger = logging.getLogger(__name__)

RETRY_SECONDS = (0.2, 1.2)
"""Between two tries to write an attempt: evenly spread between the two."""
_PAUSE_SECONDS = 1.0
_LEAVE_SECONDS = 5.0
_REPEAT_SECONDS = 30.0
_OPERATOR_SECONDS = 10.0
_OUTAGE_SECONDS = 5.0
"""A shorter outage, such as a watch that breaks when an API server is restarted, is not worth a word."""


class JoinClock:
    """The time of one join that counts against its timeout.

    It stands still while the API server does not answer, and while the agent is a listed spare; when it is a spare no
    more, a fresh term begins.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic):
        """Start.

        Args:
            now: a monotonic clock, in seconds.
        """
        self._now = now
        self._last = now()
        self._spare = False
        self.used = 0.0
        """Seconds that have counted so far."""
        self.elapsed = 0.0
        """Seconds since the start, whether they count or not."""

    def tick(self, answering: bool, spare: bool) -> None:
        """Count the time since the last tick, unless it does not count.

        Args:
            answering: the API server answers.
            spare: the agent is listed as a spare.
        """
        now = self._now()
        self.elapsed += now - self._last
        if spare or self._spare:
            self.used = 0.0
        elif answering:
            self.used += now - self._last
        self._last, self._spare = now, spare


class Reporter:
    """Tells the user what the operator says: at each change, and every 30 s."""

    def __init__(self, reference: str, url: str, now: Callable[[], float] = time.monotonic):
        """Say nothing yet.

        Args:
            reference: NAMESPACE/NAME of the Rendezvous.
            url: of the API server.
            now: a monotonic clock, in seconds.
        """
        self._reference = reference
        self._unnoticed = (
            f"The operator has taken no notice of this node since it joined {reference}. Check that it runs and "
            "watches this namespace: kubectl get pods -A -l app.kubernetes.io/name=kube-rendezvous"
        )
        self._url = url
        self._now = now
        self._said = ""
        self._said_at = 0.0
        self._joined_at = now()
        self._status_at_join: RendezvousStatus | None = None
        self._must_change = False
        self._noticed = True

    def joined(self, rendezvous: Rendezvous, must_change: bool) -> None:
        """An attempt was written.

        Args:
            rendezvous: as it was known just before.
            must_change: an operator that takes notice of it changes the status; not so when the attempt only replaces
                that of a predecessor.
        """
        self._joined_at = self._now()
        self._status_at_join = rendezvous.status
        self._must_change = must_change
        self._noticed = False

    def waiting(self, rendezvous: Rendezvous, contact: Contact, spare: bool) -> None:
        """Tell what there is to tell about waiting for this Rendezvous."""
        if self.outage(contact):
            return
        status = rendezvous.status
        self._noticed = self._noticed or self._operator_has_noticed(status, spare)
        if not self._noticed and self._now() - self._joined_at > _OPERATOR_SECONDS:
            self._say(logging.WARNING, self._unnoticed)
            return
        text = explain(status)
        if spare:
            text = f"there is no place now, this node is a spare and takes a lost member's place at once. {text}"
        if text:
            self._say(logging.INFO, f"waiting for {self._reference}: {text}")

    def first_contact(self, contact: Contact, limit: int) -> None:
        """Tell about an API server that has never answered yet, and for how many seconds that is borne."""
        if contact.failing:
            self._outage(contact, f"trying on for at most {limit} s")

    def outage(self, contact: Contact) -> bool:
        """Tell about an API server that answers no more; False when it does."""
        if contact.silent_seconds >= _OUTAGE_SECONDS:
            self._outage(contact, "trying on, and this time does not count against the join timeout")
        return contact.failing

    def _outage(self, contact: Contact, trying: str) -> None:
        text = f"the API server at {self._url} does not answer; {trying}. {contact.cause}"
        self._say(logging.WARNING, text, topic="outage")

    def problem(self, text: str) -> None:
        """Tell about something that stands in the way but may pass."""
        self._say(logging.WARNING, text)

    def summary(self, rendezvous: Rendezvous) -> str:
        """Why there is no round yet, as far as it is known."""
        text = explain(rendezvous.status) or "the operator has said nothing about it"
        return text if self._noticed else f"{text}. {self._unnoticed}"

    def absent(self, why: str) -> None:
        """Tell that there is no such Rendezvous, and why that is waited for."""
        self._say(logging.WARNING, f"there is no Rendezvous {self._reference}: {why}")

    def _operator_has_noticed(self, status: RendezvousStatus, spare: bool) -> bool:
        if spare:
            return True
        if not status.conditions:
            return False
        return not self._must_change or status != self._status_at_join

    def _say(self, level: int, text: str, topic: str = "") -> None:
        """Log the text unless it, or one of the same topic, was the last and is not 30 s old."""
        now, said = self._now(), topic or text
        if said != self._said or now - self._said_at >= _REPEAT_SECONDS:
            self._said, self._said_at = said, now
            _logger.log(level, "%s", text)


class JoinWait:
    """The waiting of one join in the main thread, whatever it waits for."""

    def __init__(self, agent: Agent):
        """Start the clock.

        Args:
            agent: who waits.
        """
        self.clock = JoinClock()
        self.reporter = Reporter(agent.reference, agent.cluster.url)
        self.limit = float(agent.settings.join_timeout)
        """Seconds of the join timeout: those of ``--rdzv-conf`` until the Rendezvous has been read, which wins."""
        self._agent = agent

    @property
    def over(self) -> bool:
        """The join timeout has passed."""
        return self.clock.used > self.limit

    def tick(self, spare: bool = False) -> None:
        """Count the time since the last tick, if it counts.

        Raises:
            RendezvousClosedError: the handler was shut down meanwhile, by another thread.
        """
        agent = self._agent
        if agent.stopped:
            raise RendezvousClosedError("this handler was shut down")
        # What an outage has hidden must be read before the time runs on: the round may have been published long ago.
        answering = not agent.cluster.contact.failing and not isinstance(agent.view.state.error, UnreachableError)
        self.clock.tick(answering, spare)

    def pause(self, seconds: float = _PAUSE_SECONDS) -> None:
        """Wait until the view has changed or a check-in has ended, or for so many seconds."""
        with contextlib.suppress(queue.Empty):
            self._agent.view.bell.get(timeout=seconds)

    def pause_for(self, seconds: float) -> None:
        """Wait for so many seconds, whatever happens."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.pause(left)
        self.tick()

    def until_joined(self, rendezvous: Rendezvous, attempt: ParticipantSpec) -> None:
        """Write the attempt to join; waits as long as the API server does not answer.

        Raises:
            NameTakenError: another agent has this one's name.
            ApiError: the API server refuses it.
            RendezvousClosedError: as for `tick`.
        """
        agent = self._agent
        while True:
            try:
                agent.join(attempt, rendezvous.spec)
                break
            except (UnreachableError, ConflictError):
                self.reporter.outage(agent.cluster.contact)
            # Priority and fairness of the API server lets some hundred requests of one service account wait and refuses
            # the others (HTTP 429): they must neither wait for long nor come again together.
            self.pause_for(random.uniform(*RETRY_SECONDS))
        _logger.info(
            "joined %s as %s (incarnation %s, attempt %d, %s); store address, should this be rank 0: %s:%d",
            agent.reference,
            agent.participant.name,
            attempt.incarnation,
            attempt.attempt,
            attempt.attempt_reason,
            attempt.address,
            attempt.store_port,
        )
        self.reporter.joined(rendezvous, must_change=not agent.participant.took_over)

    def give_up(self, explanation: str) -> NoReturn:
        """Write that this agent has given up, and raise.

        Raises:
            RendezvousTimeoutError: always.
        """
        try:
            self._agent.leave(LeaveReason.TIMED_OUT, _LEAVE_SECONDS)
        except (ApiError, NotDoneError) as error:
            _logger.debug("could not write that this node has given up: %s", error)
        raise RendezvousTimeoutError(
            f"no round of {self._agent.reference} within the join timeout of {self.limit:.0f} s. {explanation}"
        )
