"""What a person sees: headings, what is done and why, how long is waited for what, and what was checked."""

import os
import shutil
import sys
import textwrap
import time
from collections.abc import Callable

WIDTH = 110
_POLL_SECONDS = 0.2
# In a log, where no line can be written over, one comes after the first of these, and then after every second.
_LOG_FIRST_SECONDS, _LOG_INTERVAL_SECONDS = 2.0, 10.0


class DemoError(Exception):
    """The demo cannot go on; the message is for the person who watches it."""


class Console:
    """Prints the demo, and keeps the score of its checks."""

    def __init__(self) -> None:
        self._terminal = sys.stdout.isatty()
        self._bold = self._terminal and "NO_COLOR" not in os.environ
        #: The checks that failed so far.
        self.failed: list[str] = []
        self.passed = 0

    def heading(self, text: str) -> None:
        """Begin a part of the demo."""
        _say("")
        _say(f"\x1b[1m{text}\x1b[0m" if self._bold else text)

    def tell(self, text: str) -> None:
        """Say what is done, and why; long text is wrapped."""
        for line in textwrap.wrap(text, WIDTH - 2):
            _say(f"  {line}")

    def command(self, command: str, output: str = "") -> None:
        """Show a command as one could type it, and what it prints."""
        _say("")
        _say(f"  $ {command}")
        for line in output.splitlines():
            _say(f"  {line.rstrip()}")
        _say("")

    def lines(self, *lines: str) -> None:
        """Show lines as they are."""
        for line in lines:
            _say(f"  {line}".rstrip())

    def expect(self, what: str, holds: bool, observed: object) -> None:
        """Check that something is as the rules say; the demo goes on if it is not, but fails in the end."""
        _say(f"  {'✓' if holds else '✗'} {what}: {observed}")
        if holds:
            self.passed += 1
        else:
            self.failed.append(f"{what}: {observed}")

    def fail(self, why: str) -> None:
        """Say that the demo cannot go on."""
        _say(f"  ✗ {why}")
        self.failed.append(why)

    def wait(self, what: str, reached: Callable[[], bool], timeout: float, state: Callable[[], str]) -> float:
        """Wait until something is reached, and return how many seconds that took.

        Args:
            what: what is waited for, as in "waiting for ...".
            reached: asked a few times a second; may raise to give up at once.
            timeout: in seconds.
            state: how far it is, for the progress line.

        Raises:
            DemoError: it took longer.
        """
        began = time.monotonic()
        next_line = began + _LOG_FIRST_SECONDS
        while not reached():
            now = time.monotonic()
            if now - began > timeout:
                raise DemoError(f"waited {now - began:.0f} s for {what}, in vain; now: {state()}")
            line = f"  … {now - began:.0f} s, waiting for {what}: {state()}"
            if self._terminal:
                print(f"\r{line[: shutil.get_terminal_size().columns - 1]}\x1b[K", end="", flush=True)
            elif now >= next_line:
                next_line += _LOG_INTERVAL_SECONDS
                _say(line)
            time.sleep(_POLL_SECONDS)
        if self._terminal:
            print("\r\x1b[K", end="", flush=True)
        return time.monotonic() - began


def _say(line: str) -> None:
    print(line, flush=True)
