"""For how long the machine lets this program wait.

A loss on a machine that stands still says nothing about the project.
"""

import contextlib
import itertools
import threading
import time
from pathlib import Path

from chaos.journal import Writer

_TICK_SECONDS = 0.5
_TICKS_OF_A_SAMPLE = 10
_STARVED_SECONDS = 1.0
"""A tick that is later than this is written down."""


class Machine:
    """Measures in a thread of its own, from `start` to `stop`, and writes what it finds into the journal."""

    def __init__(self, journal: Writer) -> None:
        self.slowness: list[tuple[float, float]] = []
        """When it was measured (``time.monotonic()``), and by which factor programs took longer than without others."""
        self._journal = journal
        self._stopped = threading.Event()

    def start(self) -> None:
        """Begin to measure."""
        threading.Thread(target=self._run, name="machine", daemon=True).start()

    def stop(self) -> None:
        """Write nothing any more."""
        self._stopped.set()

    def _run(self) -> None:
        before = _scheduled()
        for tick in itertools.count(1):
            began = time.monotonic()
            time.sleep(_TICK_SECONDS)
            if self._stopped.is_set():
                return
            late = time.monotonic() - began - _TICK_SECONDS
            if late > _STARVED_SECONDS:
                self._journal.write("starved", seconds=round(late, 1))
            if tick % _TICKS_OF_A_SAMPLE == 0:
                now = _scheduled()
                ran, waited = now[0] - before[0], now[1] - before[1]
                self.slowness.append((time.monotonic(), (ran + waited) / max(1, ran)))
                self._journal.write("slowness", factor=round(self.slowness[-1][1], 2))
                before = now


def _scheduled() -> tuple[int, int]:
    """For how long the threads of this process have run so far, and waited for a processor, in nanoseconds."""
    ran = waited = 0
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):  # it has ended
            fields = (task / "schedstat").read_text().split()
            ran, waited = ran + int(fields[0]), waited + int(fields[1])
    return ran, waited
