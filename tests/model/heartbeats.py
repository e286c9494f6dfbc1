"""When an agent of the model sends its heartbeats, in the place of the handler's thread; and what they have said."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import NamedTuple

from tests.model.api_server import Json

from rendezvous_api.codec import decode
from rendezvous_api.participant import ParticipantStatus, PeerEvidence

_LATE_SECONDS = 2.0
"""A heartbeat that is later than its interval by more than that does not arrive."""
_AGAIN_SECONDS = 1.0
"""After one that has failed."""


class Said(NamedTuple):
    """A heartbeat that has reached the API server."""

    at: float
    round: int
    peers: PeerEvidence | None


class Heartbeats:
    """Those of one process."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.said: list[Said] = []
        self.base = self.interval = 5
        """Seconds; the interval may be longer while its peers hear it."""
        self._due_at = 0.0
        self._answered_at = float("-inf")
        self._failing = False

    @property
    def arrive(self) -> bool:
        """Whether they reach the API server, as far as the agent knows."""
        return not self._failing and self._now() - self._answered_at <= self.interval + _LATE_SECONDS

    @property
    def is_due(self) -> bool:
        """Whether one is to be sent."""
        return self._now() >= self._due_at

    def hasten(self, within: float) -> None:
        """Send the next one within that time."""
        self._due_at = min(self._due_at, self._now() + ceil(within))

    def answered(self) -> None:
        """The API server has answered one, or another write of the agent."""
        self._answered_at, self._failing = self._now(), False
        self._due_at = self._now() + self.interval

    def failed(self) -> None:
        """One got no answer."""
        self._failing = True
        self._due_at = self._now() + _AGAIN_SECONDS

    def note(self, status: Json) -> None:
        """One is carried out."""
        read = decode(ParticipantStatus, status)
        self.said.append(Said(self._now(), read.round, read.peers))
