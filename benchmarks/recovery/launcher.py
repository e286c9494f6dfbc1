"""What one launcher is: how it starts the nodes of a group, and what it needs beside them."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.backends import free_ports
from demo import processes

FAULTS = ("F1", "F2", "F3", "F4", "F5")
MIN_NODES, MAX_NODES = 2, 3
FIRST = "node-0"
"""The node that is started first."""

WORKER = str(Path(__file__).with_name("worker.py"))
"""The script that all train but torchft. Its first argument is the folder."""
_START_SECONDS = 300.0
MAX_RESTARTS = "--max-restarts=100"
SIZE = f"--nnodes={MIN_NODES}:{MAX_NODES}"
BRIEF_SECONDS = 5
"""Where a wait for more nodes is made shorter than by default."""

Command = tuple[Sequence[str], Mapping[str, str]]
"""Arguments, and what the environment has beside the usual."""


class Launcher:
    """One launcher; `open` and `close` around each case."""

    name: str
    """On the command line, and in the names of results."""
    packages: tuple[str, ...] = ("torch",)
    """Those whose versions the results have."""
    python = sys.executable
    faults: tuple[str, ...] = FAULTS
    spares = 0
    """How many nodes more than members a group has, because this launcher replaces lost nodes by spares only."""

    def missing(self) -> str | None:
        """Why it cannot be measured here, if that is so."""
        return None

    def versions(self) -> dict[str, str]:
        """Of what is measured."""
        program = (
            "import importlib.metadata as m, json, platform, sys;"
            "print(json.dumps({'python': platform.python_version(), **{n: m.version(n) for n in sys.argv[1:]}}))"
        )
        command = [self.python, "-c", program, *self.packages]
        found: dict[str, str] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        return found

    @contextlib.contextmanager
    def servers(self) -> Iterator[None]:
        """What runs for longer than a case."""
        yield

    def open(self, folder: Path, group: str, members: int) -> None:
        """Make what a new group needs.

        Args:
            folder: of the case, for logs.
            group: mark of all processes of the case (`demo.processes`).
            members: how many nodes the first round has.
        """
        raise NotImplementedError

    def command(self, node: str, folder: Path) -> Command:
        """How a node is started; the first one is started alone, before `first_started` is called."""
        raise NotImplementedError

    def first_started(self) -> None:
        """Return when the others can be started, so that the first one becomes the node of rank 0."""

    def killed(self, node: str) -> None:
        """A node was killed just now."""

    def close(self) -> None:
        """The case has ended, and all processes of its group."""


class AtPort(Launcher):
    """One whose nodes meet at a port of the loopback, at which the first of them listens, or a server of its own."""

    port = 0

    def open(self, folder: Path, group: str, members: int) -> None:
        """See base class."""
        [self.port] = free_ports(1)

    def serve(
        self, name: str, command: Sequence[str], folder: Path, group: str, variables: Mapping[str, str] | None = None
    ) -> None:
        """Start the server, and return when it listens.

        Args:
            name: of its log, too.
            command: how it is started.
            folder: see `open`.
            group: see `open`.
            variables: what the environment has beside the usual.
        """
        server = processes.start(group, name, command, {**os.environ, **(variables or {})}, folder / f"{name}.log")
        _wait_for_port(self.port, server)

    def first_started(self) -> None:
        """See base class."""
        _wait_for_port(self.port)


def store_option(serves: bool, *others: str) -> str:
    """Whether a node serves the store, said to it: only one may, and all have the same address here.

    Args:
        serves: it does.
        others: further options of ``--rdzv-conf``.
    """
    return f"--rdzv-conf={','.join((f'is_host={int(serves)}', *others))}"


def _wait_for_port(port: int, server: processes.Program | None = None) -> None:
    """Return when something listens there; the log of whatever should do so says why it does not.

    Args:
        port: of the loopback.
        server: the program that listens, if it does nothing else: when it has ended, it will not.

    Raises:
        TimeoutError: nothing listens in time, or ever.
    """
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        if server is not None and server.exit_code is not None:
            raise TimeoutError(f"{server.name} has ended with {server.exit_code}:\n{server.log_tail()}")
        time.sleep(0.1)
    raise TimeoutError(f"nothing has listened on port {port} of the loopback for {_START_SECONDS:.0f} s")
