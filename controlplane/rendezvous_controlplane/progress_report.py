"""Progress of what takes long, for a person at a terminal or the reader of a log."""

import sys
import time
from typing import TextIO

# On a terminal one line is rewritten; in a log (CI), where nothing can be rewritten, a line comes this often.
LOG_INTERVAL_SECONDS = 10.0
TERMINAL_INTERVAL_SECONDS = 0.2


def duration(seconds: float) -> str:
    """A duration for people: `42 s`, `3 min 05 s`."""
    whole = int(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60:02d} s"


class Report:
    """Writes lines, and a progress line that is rewritten in place where the stream is a terminal.

    stream: where to write; None is the standard error of the moment this object is made.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._terminal = self._stream.isatty()
        self._next_progress = 0.0
        self._open_line = False

    def say(self, line: str) -> None:
        """Write one line, at once."""
        self._end_progress()
        print(line, file=self._stream, flush=True)

    def progress(self, line: str) -> None:
        """Write how far a step is. May be called often: most calls write nothing."""
        now = time.monotonic()
        if now < self._next_progress:
            return
        if self._terminal:
            self._next_progress = now + TERMINAL_INTERVAL_SECONDS
            # ESC [ K clears what a longer line before left behind.
            print(f"\r{line}\x1b[K", end="", file=self._stream, flush=True)
            self._open_line = True
        else:
            self._next_progress = now + LOG_INTERVAL_SECONDS
            print(line, file=self._stream, flush=True)

    def _end_progress(self) -> None:
        if self._open_line:
            print(file=self._stream)
            self._open_line = False
        self._next_progress = 0.0
