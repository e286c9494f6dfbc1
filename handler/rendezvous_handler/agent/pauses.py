"""Notices that this process, or the whole machine, was paused."""

from __future__ import annotations

import time
from collections.abc import Callable

_USUAL = 2.0
"""A thread that comes by each half minute was not paused for half a minute."""


def _boot_time() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Pauses:
    """Watches over a thread that comes by at regular times."""

    def __init__(self, clocks: tuple[Callable[[], float], ...] = (_boot_time, time.time)):
        """Begin with a thread that has not come yet.

        Args:
            clocks: of this machine, in seconds. The monotonic clock stands still while a machine is suspended; and each
                clock but the wall clock may stand still while a virtual machine is paused.
        """
        self._clocks = clocks
        self._last: tuple[float, ...] | None = None
        self._usual = 0.0

    def reset(self) -> None:
        """Nothing is known of when the thread came last."""
        self._last, self._usual = None, 0.0

    def passed(self, longest: float) -> bool:
        """The thread comes by; returns whether it was away for longer than usual, and than ``longest`` seconds."""
        now = tuple(clock() for clock in self._clocks)
        last, self._last = self._last, now
        if last is None:
            return False
        away = max(later - earlier for later, earlier in zip(now, last, strict=True))
        usual, self._usual = self._usual, away
        return away > max(longest, _USUAL * usual)
