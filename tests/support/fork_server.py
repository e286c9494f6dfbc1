"""Real programs of the project that start in some tenths of a second: forked from a process that has their libraries.

To import torch, or kopf, takes seconds of a processor, and most of what the end-to-end tests would take. So a server,
which is this file run as a program, imports them once. For each program it forks, and in the child its own main module
ends by running the program as ``__main__``: what happens before, and at its exit, is what happens in any process. The
child has the environment, the log and the session of its own that `processes.Process` gives.

What is read from the environment while libraries are imported is that of the server. Agents with variables of their own
are therefore not forked; see `Job.agent`.
"""

import contextlib
import ctypes
import gc
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

_REQUEST_BYTES = 1 << 17
_STATUS_BYTES = 64
_CLONE_NEWNET = 0x40000000


class ForkedProcess:
    """A child of the server, with those methods of `subprocess.Popen` that tests need."""

    def __init__(self, pid: int, answers: socket.socket) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._answers = answers

    def poll(self) -> int | None:
        """Exit code as Popen gives it; None while it runs."""
        return self._receive(0)

    def wait(self, timeout: float | None = None) -> int:
        """Exit code; raises subprocess.TimeoutExpired after ``timeout`` seconds."""
        code = self._receive(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(f"forked process {self.pid}", timeout or 0.0)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def _receive(self, timeout: float | None) -> int | None:
        if self.returncode is None:
            self._answers.settimeout(timeout)
            try:
                answer = self._answers.recv(_STATUS_BYTES)
            except (BlockingIOError, TimeoutError):
                return None
            assert answer, "the fork server has ended"
            self.returncode = int(answer)
            self._answers.close()
        return self.returncode


class ForkServer:
    """The server, as a process; used in a ``with`` block. Its children outlive it.

    Args:
        libraries: a function of this file, by its name: `torchrun` or `operator`.
        python: the interpreter of the server and its children.
    """

    def __init__(self, libraries: str, python: str = sys.executable) -> None:
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            # With one thread to compute, torch starts no other: a process with threads is not safe to fork.
            one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
            # The clients for Kubernetes, too, read one when they are imported.
            usual = {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}
            self._popen = subprocess.Popen(
                [python, __file__, libraries, str(theirs.fileno())],
                env={**usual, **one_thread},
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )

    def __enter__(self) -> "ForkServer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the server, but not its children."""
        self._requests.close()
        self._popen.wait(30)

    def start(
        self, command: Sequence[str], log: IO[bytes], environment: Mapping[str, str], network: Path | None = None
    ) -> ForkedProcess:
        """Run a script of Python, or ``-m`` and a module, in a session of its own; it prints to the log.

        ``network`` is the file of a network namespace; without it the process is in that of the server.
        """
        where = {} if network is None else {"network": str(network)}
        request = json.dumps({"command": list(command), "environment": dict(environment), **where}).encode()
        answers, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            socket.send_fds(self._requests, [request], [log.fileno(), theirs.fileno()])
        pid = answers.recv(_STATUS_BYTES)
        assert pid, "the fork server has ended"
        return ForkedProcess(int(pid), answers)


def enter_network(file: str | Path) -> None:
    """Let this thread, and what it starts, be in a network namespace; sockets stay in that of their creation.

    Raises:
        OSError: the file is no network namespace, or this user may not enter it.
    """
    # os.setns is new in Python 3.12.
    libc = ctypes.CDLL(None, use_errno=True)
    namespace = os.open(file, os.O_RDONLY)
    try:
        if libc.setns(namespace, _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(file))
    finally:
        os.close(namespace)


# What follows runs in the server.


def serve(requests: socket.socket) -> list[str] | None:
    """Fork a child for each request, and send its pid, then its exit code.

    Returns None when no more requests can come; and in each child what it has to run.
    """
    running: dict[int, tuple[int, int]] = {}
    """By the pidfd of a child: its pid, and where its exit code is sent."""
    with selectors.DefaultSelector() as selector:
        selector.register(requests, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is not requests:
                    selector.unregister(key.fd)
                    _send_exit_code(*running.pop(key.fd))
                    os.close(key.fd)
                    continue
                message, fds, _, _ = socket.recv_fds(requests, _REQUEST_BYTES, 2)
                if not message:
                    return None
                log, answers = fds
                pid = os.fork()
                if pid == 0:
                    requests.close()
                    for pidfd, (_, other) in running.items():
                        os.close(pidfd)
                        os.close(other)
                    os.close(answers)
                    return _become(json.loads(message), log)
                os.close(log)
                os.write(answers, str(pid).encode())
                pidfd = os.pidfd_open(pid)
                running[pidfd] = pid, answers
                selector.register(pidfd, selectors.EVENT_READ)


def _send_exit_code(pid: int, answers: int) -> None:
    _, status = os.waitpid(pid, 0)
    with contextlib.suppress(ConnectionError):  # the test has ended
        os.write(answers, str(os.waitstatus_to_exitcode(status)).encode())
    os.close(answers)


def _become(request: Any, log: int) -> list[str]:
    """Make the child what a fresh process would be."""
    os.setsid()
    # Whatever has started the tests in the background has made them, and so the server, ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    if "network" in request:
        enter_network(request["network"])
    os.environ.clear()
    os.environ.update(request["environment"])
    command: list[str] = request["command"]
    return command


def torchrun() -> None:
    """Import what each torchrun does."""
    import torch.distributed.elastic.agent.server.local_elastic_agent
    import torch.distributed.elastic.rendezvous.c10d_rendezvous_backend
    import torch.distributed.run  # noqa: F401


def operator() -> None:
    """Import the operator's libraries, but not itself, nor what reads the environment when it is imported."""
    import rendezvous_operator.app  # noqa: F401

    for name in list(sys.modules):
        if name.startswith(("rendezvous_", "kubernetes.config", "kubernetes.aio.config")):
            package, _, module = name.rpartition(".")
            if package in sys.modules:
                vars(sys.modules[package]).pop(module, None)
            del sys.modules[name]


if __name__ == "__main__":
    sys.path.pop(0)  # this folder: a process of the program's own does not have it
    {"torchrun": torchrun, "operator": operator}[sys.argv[1]]()
    gc.freeze()  # a collection in a child would copy all pages
    command = serve(socket.socket(fileno=int(sys.argv[2])))
    if command is not None and command[0] == "-m":
        sys.path.insert(0, os.getcwd())
        sys.argv = command[1:]
        runpy.run_module(command[1], run_name="__main__", alter_sys=True)
    elif command is not None:
        sys.path.insert(0, str(Path(command[0]).parent))
        sys.argv = command
        runpy.run_path(command[0], run_name="__main__")
