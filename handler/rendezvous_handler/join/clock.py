"""The time of one join that counts against its timeout."""

from __future__ import annotations

import time
from collections.abc import Callable


class JoinClock:
    """Counts the seconds of one join, but not all of them.

    It stands still while the API server does not answer, and while the Rendezvous is suspended. While the agent is a
    listed spare, it stands at 0: an agent that is a spare no more has the whole join timeout again.
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

    def tick(self, counts: bool, spare: bool) -> None:
        """Count the time since the last tick, unless it does not count.

        Args:
            counts: the API server answers, and the Rendezvous is not suspended.
            spare: the agent is listed as a spare.
        """
        now = self._now()
        self.elapsed += now - self._last
        if spare or self._spare:
            self.used = 0.0
        elif counts:
            self.used += now - self._last
        self._last, self._spare = now, spare
