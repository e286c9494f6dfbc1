"""A terminal with a shell in it: keys go in one by one, and what would be seen is kept with its time."""

import codecs
import fcntl
import os
import pty
import signal
import struct
import termios
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

from demo.console import DemoError

_PROMPT = "$ "
_KEY_SECONDS = 0.03
_READING_SECONDS = 1.2  # what a person needs to see what a command has printed
_ANSWER_SECONDS = 60.0
_POLL_SECONDS = 0.05
_CTRL_C = "\x03"


class Terminal:
    """`with Terminal(...) as terminal:` starts the shell, and ends it with the block."""

    def __init__(self, environment: Mapping[str, str], folder: Path, columns: int, rows: int) -> None:
        #: What was printed, with the seconds since the shell was started.
        self.events: list[tuple[float, str]] = []
        self._began = time.monotonic()
        self._environment = {**environment, "PS1": _PROMPT, "PS2": "> ", "TERM": "xterm-256color"}
        self._folder = folder
        self._size = struct.pack("HHHH", rows, columns, 0, 0)

    def __enter__(self) -> "Terminal":
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            # Without an editor for its lines the shell prints nothing but what is typed.
            os.chdir(self._folder)
            os.execvpe("bash", ["bash", "--norc", "--noprofile", "--noediting", "-i"], dict(self._environment))
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, self._size)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._wait(lambda text: text.endswith(_PROMPT))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._terminal)

    def run(self, command: str) -> None:
        """Type a command, and wait until the shell asks for the next one.

        Raises DemoError if it does not within a minute.
        """
        shown = len(self.events)
        self.type(command)
        self._wait_for_next_prompt(shown)

    def type(self, command: str) -> None:
        """Type a command, with Enter at the end."""
        time.sleep(_READING_SECONDS)
        for key in f"{command}\n":
            os.write(self._terminal, key.encode())
            time.sleep(_KEY_SECONDS)

    def interrupt(self) -> None:
        """Press Ctrl-C, and wait until the shell asks for the next command."""
        time.sleep(_READING_SECONDS)
        shown = len(self.events)
        os.write(self._terminal, _CTRL_C.encode())
        self._wait_for_next_prompt(shown)

    def _wait_for_next_prompt(self, shown: int) -> None:
        # The one before is the last that is shown until the keys are, and they end with a new line.
        self._wait(lambda text: "\n" in text and text.endswith(_PROMPT), shown)

    def _wait(self, until: Callable[[str], bool], shown: int = 0) -> None:
        """Wait for that to hold for what was printed, without the first `shown` events."""
        deadline = time.monotonic() + _ANSWER_SECONDS
        while not until("".join(text for _, text in self.events[shown:])):
            if time.monotonic() > deadline:
                raise DemoError(
                    "the shell does not answer; it has printed: " + "".join(t for _, t in self.events)[-500:]
                )
            time.sleep(_POLL_SECONDS)

    def _read(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        while True:
            try:
                data = os.read(self._terminal, 65536)
            except OSError:  # it was closed
                return
            self.events.append((time.monotonic() - self._began, decoder.decode(data)))
