"""How late the machine lets this program run: what a busy machine adds to all times that are measured beside it."""

import threading
import time

_TICK_SECONDS = 0.1


class Lateness:
    """Measures in a thread of its own until this program ends."""

    def __init__(self) -> None:
        self._late: list[tuple[float, float]] = []
        threading.Thread(target=self._run, name="lateness", daemon=True).start()

    def most_since(self, began: float) -> float:
        """By how many seconds a wait of 0.1 s was late at most since a moment (CLOCK_MONOTONIC)."""
        return max([late for at, late in self._late if at >= began], default=0.0)

    def _run(self) -> None:
        while True:
            began = time.monotonic()
            time.sleep(_TICK_SECONDS)
            now = time.monotonic()
            self._late.append((now, now - began - _TICK_SECONDS))
