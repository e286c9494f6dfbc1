"""Real torchrun processes that start in some tenths of a second: forked from a process that has imported torch.

To import torch takes seconds of a processor, and most of what the end-to-end tests would take. So a server, which is
this file run as a program, imports it once. For each agent it forks, and in the child its own main module ends by
running torchrun's console script as ``__main__``: what happens before, and at its exit, is what happens in any
torchrun. The child has the environment, the log and the session of its own that `processes.Process` gives.

What is read from the environment while torch is imported is that of the server. Agents with variables of their own are
therefore not forked; see `Job.agent`.
"""

import contextlib
import gc
import json
import os
import runpy
import selectors
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

_REQUEST_BYTES = 1 << 17
_STATUS_BYTES = 64


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
            raise subprocess.TimeoutExpired(f"forked torchrun {self.pid}", timeout or 0.0)
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
            assert answer, "the server of forked torchruns has ended"
            self.returncode = int(answer)
            self._answers.close()
        return self.returncode


class TorchrunServer:
    """The server, as a process; used in a ``with`` block. Its children outlive it."""

    def __init__(self) -> None:
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            # With one thread to compute, torch starts no other: a process with threads is not safe to fork.
            one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
            # The client for Kubernetes, too, reads one when it is imported.
            usual = {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}
            self._popen = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                env={**usual, **one_thread},
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )

    def __enter__(self) -> "TorchrunServer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._requests.close()
        self._popen.wait(30)

    def start(self, command: Sequence[str], log: IO[bytes], environment: Mapping[str, str]) -> ForkedProcess:
        """Run torchrun's console script, the command's first word, in a session of its own; it prints to the log."""
        request = json.dumps({"command": list(command), "environment": dict(environment)}).encode()
        answers, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            socket.send_fds(self._requests, [request], [log.fileno(), theirs.fileno()])
        pid = answers.recv(_STATUS_BYTES)
        assert pid, "the server of forked torchruns has ended"
        return ForkedProcess(int(pid), answers)


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
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    os.environ.clear()
    os.environ.update(request["environment"])
    command: list[str] = request["command"]
    return command


if __name__ == "__main__":
    import torch.distributed.elastic.agent.server.local_elastic_agent
    import torch.distributed.elastic.rendezvous.c10d_rendezvous_backend
    import torch.distributed.run  # noqa: F401

    gc.freeze()  # a collection in a child would copy all pages
    command = serve(socket.socket(fileno=int(sys.argv[1])))
    if command is not None:
        sys.argv = command
        sys.path[0] = str(Path(command[0]).parent)
        runpy.run_path(command[0], run_name="__main__")
