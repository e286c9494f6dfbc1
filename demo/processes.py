"""The processes of the demo: each can be found, and killed with all that it has started, however that was started.

torchrun starts every worker in a session of its own, so process groups do not hold a node together, and a worker that
is left behind has another parent. What all of them keep is their environment: it carries a mark.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MARK = "KUBE_RENDEZVOUS_DEMO"
"""The environment variable of the mark, which is a path: the demo, then the group and the program within it."""

_PR_SET_PDEATHSIG = 1
_VANISH_SECONDS = 10.0


@dataclass(frozen=True)
class Program:
    """A program that was started: the operator, or one torchrun agent."""

    name: str
    mark: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def exit_code(self) -> int | None:
        """Its exit code, minus N after signal N; None while it runs."""
        return self.process.poll()

    def log_tail(self, lines: int = 15) -> str:
        """The last lines of its log, indented."""
        text = self.log.read_text(encoding="utf-8", errors="replace")
        return "\n".join(f"    {line[:300]}" for line in text.splitlines()[-lines:])


def start(group: str, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path) -> Program:
    """Start a program in a session of its own, which a terminal's Ctrl-C does not reach.

    Args:
        group: the mark is this, a slash, and the name.
        name: what to call it.
        command: what to run.
        environment: all of its environment but for the mark.
        log: the file that its output is appended to.
    """
    mark = f"{group}/{name}"
    with open(log, "ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**environment, MARK: mark},
            start_new_session=True,
            preexec_fn=_end_with_parent,
        )
    return Program(name, mark, process, log)


def kill(program: Program) -> list[int]:
    """Kill a program and all that it has started with SIGKILL. Returns the process ids, the program's own first."""
    pids = [program.process.pid, *(pid for pid in marked(program.mark) if pid != program.process.pid)]
    _kill_all(pids)
    program.process.wait()
    return pids


def kill_marked(mark: str) -> None:
    """Kill every process that `marked` finds, and return when they are gone, or after 10 s."""
    deadline = time.monotonic() + _VANISH_SECONDS
    while (pids := marked(mark)) and time.monotonic() < deadline:
        _kill_all(pids)
        time.sleep(0.05)


def marked(mark: str) -> list[int]:
    """The processes whose mark is `mark`, or begins with it and a slash; zombies do not count."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        # It may end at any moment, and other users' processes cannot be read.
        with contextlib.suppress(OSError):
            variables = (folder / "environ").read_bytes().split(b"\0")
            if any(variable == wanted or variable.startswith(wanted + b"/") for variable in variables):
                found.append(int(folder.name))
    return sorted(found)


def _kill_all(pids: Sequence[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _end_with_parent() -> None:
    # Runs in the child before it becomes the program. Should the demo itself be killed, torchrun takes its workers
    # down on SIGTERM, and the operator just ends.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
