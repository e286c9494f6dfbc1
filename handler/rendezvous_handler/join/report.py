"""What the log of an agent says while it waits for a round."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from rendezvous_api.rendezvous import Rendezvous, RendezvousStatus
from rendezvous_handler.join.answer import Waiting, describe_status
from rendezvous_handler.kube.contact import Contact

_logger = logging.getLogger(__name__)

_REPEAT_SECONDS = 30.0
_OPERATOR_SECONDS = 10.0
_OUTAGE_SECONDS = 5.0
"""A shorter outage, such as a watch that breaks when an API server restarts, is not logged."""


class Reporter:
    """Logs what the operator says about the group: at each change, and every 30 s."""

    def __init__(self, reference: str, url: str, now: Callable[[], float] = time.monotonic):
        """Log nothing yet.

        Args:
            reference: NAMESPACE/NAME of the Rendezvous.
            url: of the API server.
            now: a monotonic clock, in seconds.
        """
        self._reference = reference
        self._not_noticed = (
            f"The operator has not reacted to this node since it joined {reference}. Check that it runs and "
            "watches this namespace: kubectl get pods -A -l app.kubernetes.io/part-of=kube-rendezvous"
        )
        self._url = url
        self._now = now
        self._logged = ""
        self._logged_at = 0.0
        self._joined_at = now()
        self._status_at_join: RendezvousStatus | None = None
        self._must_change = False
        self.noticed = True
        """The operator has reacted to the last attempt, as far as that can be seen."""

    def joined(self, rendezvous: Rendezvous, must_change: bool) -> None:
        """An attempt was written.

        Args:
            rendezvous: as it was known just before.
            must_change: an operator that reacts to it changes the status; not so when the attempt only replaces that
                of a predecessor.
        """
        self._joined_at = self._now()
        self._status_at_join = rendezvous.status
        self._must_change = must_change
        self.noticed = False

    def waiting(self, rendezvous: Rendezvous, contact: Contact, waiting: Waiting, held_out: bool = False) -> None:
        """Log what there is to say about waiting for this Rendezvous.

        Args:
            rendezvous: as it is known now.
            contact: with its API server.
            waiting: what it says about this agent.
            held_out: the entry in `Waiting.held_out` counts still.
        """
        if self.outage(contact):
            return
        status = rendezvous.status
        self.noticed = self.noticed or self._operator_has_noticed(status, waiting)
        if not self.noticed:
            # What the status says is about the time before this attempt, such as the end of an earlier run.
            if self._now() - self._joined_at > _OPERATOR_SECONDS:
                self._log(logging.WARNING, self._not_noticed)
            return
        text = describe_status(status)
        if waiting.held_out is not None:
            held, when = waiting.held_out, "is" if held_out else "was"
            text = f"this node {when} held out until {held.until} ({held.times} in a row): {held.message}. {text}"
        elif waiting.passed_over is not None:
            text = f"this node is passed over: {waiting.passed_over.message}. {text}"
        elif waiting.spare and rendezvous.spec.nodes.groups is not None:
            text = f"this node is a spare: the round is full, or its replacement group is not whole. {text}"
        elif waiting.spare:
            text = f"the round is full; this node is a spare and takes the place of a lost member at once. {text}"
        if text:
            self._log(logging.INFO, f"waiting for {self._reference}: {text}")

    def first_contact(self, contact: Contact, limit: int) -> None:
        """Log that the API server has never answered yet, and for how many seconds that is tolerated."""
        if contact.failing:
            self._outage(contact, f"retrying for at most {limit} s")

    def outage(self, contact: Contact) -> bool:
        """Log that the API server does not answer any more; False when it answers."""
        if contact.silent_seconds >= _OUTAGE_SECONDS:
            self._outage(contact, "retrying, and this time does not count against the join timeout")
        return contact.failing

    def _outage(self, contact: Contact, retrying: str) -> None:
        text = f"the API server at {self._url} {contact.state}; {retrying}. {contact.cause}"
        self._log(logging.WARNING, text, topic="outage")

    def problem(self, text: str) -> None:
        """Log something that stands in the way but may pass."""
        self._log(logging.WARNING, text)

    def summary(self, rendezvous: Rendezvous) -> str:
        """Why there is no round yet, as far as it is known."""
        text = describe_status(rendezvous.status) or "the operator has said nothing about it"
        return text if self.noticed else f"{text}. {self._not_noticed}"

    def absent(self, why: str) -> None:
        """Log that there is no such Rendezvous, and why the agent waits for one."""
        self._log(logging.WARNING, f"there is no Rendezvous {self._reference}: {why}")

    def _operator_has_noticed(self, status: RendezvousStatus, waiting: Waiting) -> bool:
        if waiting.spare or waiting.held_out is not None or waiting.passed_over is not None:
            return True
        if not status.conditions:
            return False
        return not self._must_change or status != self._status_at_join

    def _log(self, level: int, text: str, topic: str = "") -> None:
        """Log the text unless it, or one of the same topic, was the last and is not 30 s old."""
        now, logged = self._now(), topic or text
        if logged != self._logged or now - self._logged_at >= _REPEAT_SECONDS:
            self._logged, self._logged_at = logged, now
            _logger.log(level, "%s", text)
