"""The signs of life of the other end of a connection, and what follows when they do not come. Pure."""

from __future__ import annotations

from enum import Enum

from rendezvous_api.participant import MISSED_SECONDS

REOPEN_SECONDS = 1.0
"""Within this time a connection that was closed without a farewell must be opened again."""
LEFT_SECONDS = 1.0
"""A farewell counts that much later: an agent that joins again, or leaves, says more to the API server itself."""


class OwnTime:
    """A clock that leaves out the pauses of the thread that reads it."""

    def __init__(self) -> None:
        """Begin without a pause."""
        self._paused = 0.0

    def of(self, now: float) -> float:
        """The same moment by this clock, in seconds."""
        return now - self._paused

    def back(self, own: float) -> float:
        """The moment at which this clock will show that, if there is no further pause."""
        return own + self._paused

    def leave_out(self, seconds: float) -> None:
        """The thread was stopped for that long until now."""
        self._paused += seconds


class Presence(Enum):
    """What the signs say of the other end."""

    HERE = "here"
    MISSED = "missed"
    CLOSED = "closed"
    LEFT = "left"


class Signs:
    """When the last sign came, and how it ended. All times are those of an `OwnTime`."""

    __slots__ = ("_closed_at", "_excused", "_last", "_left_at")

    def __init__(self, own: float):
        """The first sign has come.

        Args:
            own: now.
        """
        self._last = own
        self._excused = False
        self._closed_at: float | None = None
        self._left_at: float | None = None

    def came(self, own: float) -> None:
        """A sign has come, by this connection or by another one that was opened. After a farewell it means nothing."""
        self._last, self._excused, self._closed_at = own, False, None

    def closed(self, own: float) -> None:
        """The kernel of the other machine has closed the connection, without a farewell.

        That the own kernel has given it up is no event: no more signs come then.
        """
        if self._closed_at is None:
            self._closed_at = own

    def left(self, own: float) -> None:
        """The other end has said farewell. That holds from then on."""
        if self._left_at is None:
            self._left_at = own

    @property
    def is_closed(self) -> bool:
        """The connection was closed without a farewell, and no other one is open yet."""
        return self._closed_at is not None and self._left_at is None

    def presence(self, own: float) -> Presence:
        """What they say at that moment."""
        if self._left_at is not None:
            return Presence.LEFT if own >= self._left_at + LEFT_SECONDS else Presence.HERE
        if self._closed_at is not None and own >= self._closed_at + REOPEN_SECONDS:
            return Presence.CLOSED
        return Presence.MISSED if own >= self._last + MISSED_SECONDS else Presence.HERE

    def excuse(self, own: float) -> None:
        """After a pause of this end, give the other one the whole time again, once until its next sign.

        Its signs may have been lost meanwhile. But one that did not come before the pause stays missed or closed: else
        a thread that is stopped again and again would never notice that the other end is dead.

        Args:
            own: now, without the pause.
        """
        if self._excused or self.presence(own) is not Presence.HERE:
            return
        self._last, self._excused = own, True
        if self._closed_at is not None:
            self._closed_at = own

    def changes_at(self, own: float) -> float | None:
        """When `presence` is another one next, if nothing comes; None: never."""
        if self._left_at is not None:
            moments = [self._left_at + LEFT_SECONDS]
        else:
            moments = [self._last + MISSED_SECONDS]
            if self._closed_at is not None:
                moments.append(self._closed_at + REOPEN_SECONDS)
        return min((moment for moment in moments if moment > own), default=None)
