"""One run of the checks: a process, and a thread that waits for it until the deadline. Nothing here can hang the agent.

A check may hang for ever: a driver that does not answer, a file system that is gone. A process can be ended from
outside, and one that the kernel does not let go is left behind. It cannot break the agent's memory or threads, either.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence

_MODULE = "rendezvous_handler.health.process"
_READ_BYTES = 65536
_REAP_SECONDS = 1.0
_POLL_SECONDS = 0.01
_LONGEST_TEXT = 1024
"""That of ``spec.unhealthy`` of a participant."""
_NO_TEXT = re.compile(r"[\s\x00-\x1f\x7f-\x9f\ud800-\udfff]+")


class HealthRun:
    """Begins at once. `over` is true when it has ended, at the latest after its deadline."""

    def __init__(self, checks: Sequence[str], seconds: float, notify: Callable[[], None] = lambda: None):
        """Start the process and the thread.

        Args:
            checks: their names, at least one; see `names.parse`.
            seconds: the deadline of all of them together.
            notify: called in the thread when the run has ended.
        """
        self.over = False
        self.found: str | None = None
        """When it is over: which check has failed, and what it has found, in one line; None: all have succeeded."""
        self.running = checks[0]
        """The check that runs now."""
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        self._notify = notify
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        read, write = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", _MODULE, str(write), str(seconds), *checks],
                stdin=subprocess.DEVNULL,
                pass_fds=(write,),
                env=_environment(),
                start_new_session=True,  # with all that a check starts, it can be ended together
            )
            threading.Thread(target=self._wait, args=(read,), name="rendezvous-health", daemon=True).start()
        except (OSError, RuntimeError) as error:  # RuntimeError: no further thread can be started
            os.close(read)
            self.stop()
            self._end(f"the health checks cannot be started: {error}")
        finally:
            os.close(write)

    def stop(self) -> None:
        """End the process, and what it has started. One that the kernel holds is not waited for."""
        with self._lock:
            process = self._process
            if process is None or process.returncode is not None:
                return
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_REAP_SECONDS)

    def _wait(self, read: int) -> None:
        found: str | None = f"{self.running}: not known, since waiting for it has failed"
        try:
            found = self._outcome(read)
        finally:
            os.close(read)
            self.stop()
            self._end(found)

    def _outcome(self, read: int) -> str | None:
        for line in self._lines(read):
            said = json.loads(line)
            if "found" in said:
                self._await_end()  # what the checks have printed is written by then
                return None if said["found"] is None else str(said["found"])
            self.running = str(said["check"])
        if time.monotonic() >= self._deadline:
            return f"{self.running}: has not ended within {self._seconds:g} s"
        return f"{self.running}: its process has ended{self._how_it_ended()}"

    def _lines(self, read: int) -> Iterator[bytes]:
        """What the process writes, until it has ended or the deadline has passed."""
        left, poll = b"", select.poll()
        poll.register(read, select.POLLIN)
        while (seconds := self._deadline - time.monotonic()) > 0 and poll.poll(seconds * 1000):
            received = os.read(read, _READ_BYTES)
            if not received:
                return
            *lines, left = (left + received).split(b"\n")
            yield from lines

    def _how_it_ended(self) -> str:
        """Its exit code or signal, as soon as it is known."""
        ended = self._await_end()
        if ended is None:
            return ""
        return f" with {'exit code' if ended.si_code == os.CLD_EXITED else 'signal'} {ended.si_status}"

    def _await_end(self) -> os.waitid_result | None:
        """How the process has ended; None: it has not, in time. It is not reaped: its number must stay its own."""
        assert self._process is not None
        until = time.monotonic() + _REAP_SECONDS
        while time.monotonic() < until:
            ended = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
            if ended is not None:
                return ended
            time.sleep(_POLL_SECONDS)
        return None

    def _end(self, found: str | None) -> None:
        self.found = None if found is None else _in_one_line(found)
        self.over = True
        self._notify()


def _environment() -> dict[str, str]:
    """That of the agent, and where it imports from."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def _in_one_line(text: str) -> str:
    line = _NO_TEXT.sub(" ", text).strip() or "a check has failed"
    return line if len(line) <= _LONGEST_TEXT else line[: _LONGEST_TEXT - 3] + "..."
