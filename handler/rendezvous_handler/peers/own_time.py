"""The time that a thread has run: what it was stopped for does not count against the others. Pure."""

from __future__ import annotations

BEAT_SECONDS = 1.0
"""From one beat of a member to its next one."""
MISSED_SECONDS = 3 * BEAT_SECONDS
"""Without a beat, or an answer, the other end is missed."""
REOPEN_SECONDS = 1.0
"""Within this time a connection that was closed without a farewell must be opened again."""


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


class Signs:
    """When the other end of a connection gave its last sign of life, and whether its kernel has closed it since.

    All times are those of an `OwnTime`.
    """

    __slots__ = ("_excused", "_last", "closed_at")

    def __init__(self, own: float):
        """A connection was opened.

        Args:
            own: now.
        """
        self._last = own
        self._excused = False
        self.closed_at: float | None = None
        """When it was closed without a farewell; None: it is open."""

    def came(self, own: float) -> None:
        """A sign has come, by this connection or by another one that was opened."""
        self._last, self._excused, self.closed_at = own, False, None

    def is_missed(self, own: float) -> bool:
        """Whether three signs have not come."""
        return own >= self._last + MISSED_SECONDS

    def is_closed(self, own: float) -> bool:
        """Whether it was closed, and no other one was opened in the time for that."""
        return self.closed_at is not None and own >= self.closed_at + REOPEN_SECONDS

    def excuse(self, own: float) -> None:
        """After a pause of this end, give the other one the whole time again, once until its next sign.

        Its signs may have been lost meanwhile. But one that has accused itself by not coming stays accused: else a
        thread that is stopped again and again would never notice that the other end is dead.

        Args:
            own: now, without the pause.
        """
        if self._excused or self.is_missed(own) or self.is_closed(own):
            return
        self._last, self._excused = own, True
        if self.closed_at is not None:
            self.closed_at = own

    def changes_at(self, own: float) -> float | None:
        """When `is_missed` or `is_closed` becomes true next, if nothing comes."""
        moments = [self._last + MISSED_SECONDS]
        if self.closed_at is not None:
            moments.append(self.closed_at + REOPEN_SECONDS)
        return min((moment for moment in moments if moment > own), default=None)
