"""One server process (etcd or kube-apiserver), started under a supervisor."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from . import supervisor


class Server:
    """A server that ends when this process ends, even by SIGKILL.

    Args:
        name: for messages.
        command: what to run.
        log: the file that its output is appended to.
        ending: the signal that ends it.
        temporary: a folder that is removed should this process vanish without stopping the server; None for none.
    """

    def __init__(
        self, name: str, command: Sequence[str], log: Path, ending: signal.Signals, temporary: Path | None
    ) -> None:
        self.name = name
        self.log = log
        supervised = [sys.executable, "-I", "-S", supervisor.__file__]
        supervised += [str(os.getpid()), str(int(ending)), str(temporary or "")]
        with open(log, "ab") as output:
            self._supervisor = subprocess.Popen(
                [*supervised, *command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C in a terminal goes to us alone: we stop the servers in order
            )
        assert self._supervisor.stdin is not None
        self._pipe = self._supervisor.stdin

    @property
    def exit_code(self) -> int | None:
        """The server's exit code (128 + N after signal N), or None while it runs."""
        return self._supervisor.poll()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Let the server stand still (SIGSTOP) for the time of a `with` block."""
        group = self._supervisor.pid  # it leads a session of its own, in which there is only the server beside it
        os.killpg(group, signal.SIGSTOP)
        os.kill(group, signal.SIGCONT)  # should we vanish meanwhile, it still ends the server
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):  # it was stopped meanwhile
                os.killpg(group, signal.SIGCONT)

    def stop(self) -> None:
        """End the server, if that is not done yet, and wait for it.

        A server that has not ended supervisor.GRACE_SECONDS after its signal is killed.
        """
        if self._pipe.closed:
            return
        with contextlib.suppress(BrokenPipeError):  # it has ended already
            self._pipe.write(b".")
            self._pipe.flush()
        try:
            self._supervisor.wait(supervisor.GRACE_SECONDS + 5)
        except subprocess.TimeoutExpired:
            self._supervisor.kill()  # and the kernel ends the server with it
            self._supervisor.wait()
        with contextlib.suppress(BrokenPipeError):
            self._pipe.close()

    def log_tail(self, lines: int = 15) -> str:
        """The last lines of the log, each indented and cut at 300 characters."""
        try:
            text = self.log.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            return f"  (no log: {error})"
        return "\n".join(f"  {line[:300]}" for line in text.splitlines()[-lines:]) or "  (its log is empty)"


def listens(path: Path) -> bool:
    """Whether a server listens on this unix socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(os.fsencode(path)) == 0
