"""The time of one join that counts against its timeout."""

from __future__ import annotations

import time
from collections.abc import Callable

from rendezvous_api.rendezvous import HeldOut, RendezvousStatus


class JoinClock:
    """Counts the seconds of one join, but not all of them.

    It stands still while the API server does not answer, and while the Rendezvous is suspended. It stands at 0 while
    the agent is a listed spare, is gathered, is held out or passed over: after that it has the whole join timeout
    again.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic):
        """Start.

        Args:
            now: a monotonic clock, in seconds.
        """
        self._now = now
        self._last = now()
        self._aside = False
        self.used = 0.0
        """Seconds that have counted so far."""
        self.elapsed = 0.0
        """Seconds since the start, whether they count or not."""

    def restart(self) -> None:
        """Count from now on."""
        self.tick(counts=False)
        self.used = 0.0

    def tick(self, counts: bool, aside: bool = False) -> None:
        """Count the time since the last tick, unless it does not count.

        Args:
            counts: the API server answers, and the Rendezvous is not suspended.
            aside: the agent waits beside a round in which it has no place: a spare, gathered, or held out.
        """
        now = self._now()
        self.elapsed += now - self._last
        if aside or self._aside:
            self.used = 0.0
        elif counts:
            self.used += now - self._last
        self._last, self._aside = now, aside


class Unchanged:
    """For how long what somebody says has been the same."""

    def __init__(self, now: Callable[[], float]):
        """Nothing has been said yet.

        Args:
            now: a clock that only goes forward, in seconds.
        """
        self._now = now
        self._value: object = None
        self._since = now()

    def seconds(self, value: object) -> float:
        """For how many seconds that has been said, each time this was called."""
        if value != self._value:
            self._value, self._since = value, self._now()
        return self._now() - self._since


class HoldOutClock:
    """Whether this agent is held out still: its entry stays in the status after that time.

    Clocks of two machines are not compared. It is over when the operator has changed a condition after that time, by
    the operator's clock; or when the agent has seen the entry for the length of the hold-out, by its own clock.
    """

    def __init__(self, now: Callable[[], float]):
        """No entry was seen yet.

        Args:
            now: a clock that only goes forward, in seconds.
        """
        self._same = Unchanged(now)

    def counts(self, entry: HeldOut | None, status: RendezvousStatus) -> bool:
        """Whether the entry of this agent, which is to be given each time, counts still.

        Args:
            entry: of this agent; None: there is none.
            status: the whole status.
        """
        seconds = self._same.seconds(entry)
        told = max((condition.last_transition_time for condition in status.conditions), default="")
        return entry is not None and told < entry.until and seconds < entry.seconds
