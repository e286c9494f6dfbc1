"""How slow the machine is beside a measurement: the same calculation, again and again, as long as this program runs."""

import statistics
import threading
import time

from benchmarks.machine import PROBE_LOOPS

_PAUSE_SECONDS = 0.25


class Slowness:
    """Measures in a thread of its own until this program ends."""

    def __init__(self) -> None:
        self._took: list[tuple[float, float]] = []
        """When a calculation had ended (CLOCK_MONOTONIC), and how many milliseconds it had taken."""
        threading.Thread(target=self._run, name="slowness", daemon=True).start()

    def since(self, began: float) -> dict[str, float]:
        """The median and the most of all calculations that have ended since a moment, in milliseconds."""
        took = [milliseconds for at, milliseconds in list(self._took) if at >= began] or [0.0]
        return {"median_ms": round(statistics.median(took), 1), "most_ms": round(max(took), 1)}

    def _run(self) -> None:
        while True:
            began = time.monotonic()
            sum(range(PROBE_LOOPS))
            now = time.monotonic()
            self._took.append((now, (now - began) * 1000))
            time.sleep(_PAUSE_SECONDS)
