"""Programs that tests run as processes, each with its log in a file."""

import atexit
import contextlib
import functools
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.fork_server import ForkedProcess, ForkServer

TORCHRUN = str(Path(sys.executable).with_name("torchrun"))
"""Its console script."""
CUT_TORCHRUN = str(Path(__file__).with_name("cut_torchrun.py"))
"""The same on a node whose way to the stores can be cut; see there."""


class Process:
    """A process started by a test. It is in a session of its own.

    Args:
        command: the program and its arguments; without Python in front of it, if a server is given.
        log: what it prints is appended to this file.
        environment: all variables that it has.
        server: forks it, so that it need not import its libraries.
        network: the file of a network namespace that it is in; only with a server.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str],
        server: ForkServer | None = None,
        network: Path | None = None,
    ) -> None:
        assert server is not None or network is None, "only a server puts a process into a network"
        self.log_path = log
        self.popen: subprocess.Popen[bytes] | ForkedProcess
        with log.open("ab") as output:
            if server is not None:
                self.popen = server.start(command, output, environment, network)
            else:
                self.popen = subprocess.Popen(
                    command, env=dict(environment), stdout=output, stderr=subprocess.STDOUT, start_new_session=True
                )

    @property
    def log(self) -> str:
        """Everything that it has printed."""
        return self.log_path.read_text(errors="replace")

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.popen.poll() is None

    def family(self) -> list[int]:
        """Its pid and those of all its descendants; torchrun puts each worker into a session of its own."""
        pids = [self.popen.pid]
        for pid in pids:
            with contextlib.suppress(OSError):
                for task in Path(f"/proc/{pid}/task").iterdir():
                    pids.extend(int(child) for child in (task / "children").read_text().split())
        return pids

    def signal_all(self, number: signal.Signals) -> None:
        """Send a signal to it and to all its descendants, unless it has ended: its pid may be that of another then."""
        for pid in self.family() if self.running else ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self) -> None:
        """SIGKILL to it and all its descendants at once, as when a node loses its power."""
        self.signal_all(signal.SIGSTOP)  # nobody may act on the death of another
        self.signal_all(signal.SIGKILL)
        self.popen.wait(30)

    def terminate(self) -> None:
        """SIGTERM to it alone, as the kubelet does."""
        self.popen.send_signal(signal.SIGTERM)

    def freeze(self) -> None:
        """SIGSTOP to it and all its descendants."""
        self.signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT to it and all its descendants."""
        self.signal_all(signal.SIGCONT)

    def wait(self, timeout: float = 90.0) -> int:
        """Exit code; fails with its log when it does not end in time."""
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.log_path.name} has not ended after {timeout} s:\n{self.log[-6000:]}") from None


@functools.cache
def _operators() -> ForkServer:
    """Forks the operators of this session. It ends with it.

    Agents run on older versions of Python than the operator. When the tests do, too, OPERATOR_PYTHON names its Python.
    """
    server = ForkServer("operator", os.environ.get("OPERATOR_PYTHON", sys.executable))
    atexit.register(server.close)
    return server


def start_operator(
    kubeconfig: Path, log: Path, *arguments: str, environment: Mapping[str, str] | None = None
) -> Process:
    """Start an operator as a process of its own, with these variables beside those of this process."""
    command = ["-m", "rendezvous_operator.app", *arguments]
    variables = {**os.environ, **(environment or {}), "KUBECONFIG": str(kubeconfig)}
    return Process(command, log, variables, _operators())
