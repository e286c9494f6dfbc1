"""Workers that start in some milliseconds, since they are forked from a process that has imported torch.

torchrun starts `stub`, which passes on its environment and its output to here. Here the worker is forked, and what
happens to the one happens to the other: signals, the exit code, and the end of the stub.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
from pathlib import Path

from tests.support.fork_server import ForkedProcess, ForkServer

WORKER = Path(__file__).with_name("worker.py")
STUB = Path(__file__).with_name("stub.py")
VARIABLE = "CHAOS_WORKERS"
"""The environment variable that leads stubs to here."""
_REQUEST_BYTES = 1 << 17


class Workers:
    """Forks a worker for each stub that asks."""

    def __init__(self, server: ForkServer, path: Path) -> None:
        self.path = path
        self._server = server
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(str(path))
        self._listener.listen(16)
        self._of_stub: dict[int, int] = {}
        threading.Thread(target=self._accept, name="workers", daemon=True).start()

    def of(self, pids: list[int]) -> list[int]:
        """The workers of those of these processes that are stubs."""
        return [worker for pid in pids if (worker := self._of_stub.get(pid)) is not None]

    def close(self) -> None:
        """Take no more requests."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                stub, _ = self._listener.accept()
            except OSError:
                return  # it was closed
            threading.Thread(target=self._serve, args=(stub,), daemon=True).start()

    def _serve(self, stub: socket.socket) -> None:
        with stub, contextlib.suppress(OSError):
            message, fds, _, _ = socket.recv_fds(stub, _REQUEST_BYTES, 1)
            if not message:
                return  # it was killed before it could ask
            request = json.loads(message)
            with os.fdopen(fds[0], "ab") as log:
                worker = self._server.start([str(WORKER), *request["arguments"]], log, request["environment"])
            self._of_stub[request["pid"]] = worker.pid
            waiting = threading.Thread(target=self._report, args=(worker, stub), daemon=True)
            waiting.start()
            while number := stub.recv(16):
                _signal(worker, int(number))
            _signal(worker, signal.SIGKILL)
            waiting.join()
            del self._of_stub[request["pid"]]

    def _report(self, worker: ForkedProcess, stub: socket.socket) -> None:
        code = worker.wait()
        with contextlib.suppress(OSError):
            stub.send(str(code).encode())
            stub.shutdown(socket.SHUT_WR)


def _signal(worker: ForkedProcess, number: int) -> None:
    if worker.returncode is None:
        with contextlib.suppress(ProcessLookupError, subprocess.SubprocessError):
            os.kill(worker.pid, number)
