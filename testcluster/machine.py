"""One machine of the test cluster: namespaces of its own (processes, mounts, network, host name) on this one.

Its first process only holds the namespaces. When that is killed the kernel kills everything in it at once, containers
included, and takes the mounts and the network away: that is a power cut. Its disk (folders in the state directory)
stays. Nothing about a running machine is kept in a file: it is found by looking at the processes.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rendezvous_controlplane import Report

from .layout import ClusterError, log_file, log_tail, state_dir
from .programs import Programs
from .waiting import wait_until

# On the machine's own /run, which is empty when it starts.
_PREPARED = "/run/kube-rendezvous-prepared"
_NAMESPACES = ("--pid", "--mount", "--net", "--uts", "--ipc")


def first_process_program() -> Path:
    """The program of a machine's first process; its path also is what such a process is recognised by."""
    return state_dir() / "bin" / "kube-rendezvous-machine"


class Machine:
    """A machine, which runs or not.

    Args:
        name: its host name.
        programs: their environment is that of all its processes.
        report: shows what is waited for.
    """

    def __init__(self, name: str, programs: Programs, report: Report) -> None:
        self.name = name
        self._programs = programs
        self._report = report

    @property
    def pid(self) -> int | None:
        """Its first process, by its number on the real machine; None if it does not run."""
        return find_machine(self.name)

    @property
    def root(self) -> Path:
        """The machine's file system, as seen from the real machine. Raises ClusterError if it does not run."""
        return Path(f"/proc/{self._running()}/root")

    @property
    def is_on(self) -> bool:
        """Whether it runs, and `switch_on` has come to its end."""
        pid = self.pid
        return pid is not None and Path(f"/proc/{pid}/root", _PREPARED.lstrip("/")).exists()

    def switch_on(self, prepare: Callable[[], None]) -> None:
        """Start it anew, with nothing in it, and call `prepare`, which may run commands in it."""
        self.cut_power()
        self._start()
        prepare()
        self.run("touch", _PREPARED)

    def _start(self) -> None:
        command = ["unshare", *_NAMESPACES, "--fork", "--mount-proc", "--propagation", "private"]
        # setsid: it outlives the terminal, and has no parent here that had to wait for it.
        _detach([*command, str(first_process_program()), self.name], log_file(self.name, "machine"), os.environ)
        wait_until(
            f"{self.name} to be switched on",
            lambda: "" if self.pid else "no first process",
            self._report,
            timeout=20,
            interval=0.02,
            explain=lambda: log_tail(self.name, "machine"),
        )
        self.run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
        self.run("hostname", self.name)
        self.run("ip", "link", "set", "lo", "up")

    def cut_power(self) -> None:
        """Kill everything in it at once, and wait until the kernel has cleared it away; does nothing if it is off."""
        pid = self.pid
        if pid is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        wait_until(
            f"the processes of {self.name} to be gone",
            lambda: f"process {pid} is there" if exists(pid) else "",
            self._report,
            timeout=30,
            interval=0.02,
        )

    def run(self, *command: str, input: str | None = None, timeout: float = 60.0) -> str:
        """Run a program in it, as root, and return its standard output.

        Raises ClusterError, with what it said, when it fails, takes longer than `timeout` seconds, or the machine is
        off.
        """
        shown = f"{' '.join(command)[:300]}` on {self.name}"
        try:
            done = subprocess.run(
                self._inside(command),
                input=input or "",
                capture_output=True,
                text=True,
                cwd="/",
                env=self._programs.environment,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ClusterError(f"`{shown} took longer than {timeout:g} s") from error
        if done.returncode != 0:
            raise ClusterError(f"`{shown} failed with exit code {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def spawn(self, command: Sequence[str]) -> None:
        """Start a program in it and leave it running; its log is in `log_file`. Does nothing if it runs already.

        Raises ClusterError, with the end of its log, when it ends at once.
        """
        name = Path(command[0]).name
        if self.program_pids(name):
            return
        _detach(self._inside(command), log_file(self.name, name), self._programs.environment)
        wait_until(
            f"{name} to start on {self.name}",
            lambda: "" if self.program_pids(name) else "no process of this name",
            self._report,
            timeout=10,
            interval=0.01,
            explain=lambda: log_tail(self.name, name),
        )

    def program_pids(self, name: str) -> list[int]:
        """The processes of a program of this name that run in it, outside containers."""
        pid = self.pid
        if pid is None:
            return []
        namespace = _pid_namespace(pid)
        return [other for other, argv in _processes() if _is(argv, name) and _pid_namespace(other) == namespace]

    def stop_program(self, name: str, with_signal: signal.Signals = signal.SIGTERM, timeout: float = 30.0) -> None:
        """End a program, and wait for it; kill it if it has not ended after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        pids = self.program_pids(name)
        while pids:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, with_signal)
            if time.monotonic() > deadline:
                with_signal = signal.SIGKILL
            _wait_gone(pids, seconds=1.0)
            pids = [pid for pid in pids if exists(pid)]

    def _running(self) -> int:
        pid = self.pid
        if pid is None:
            raise ClusterError(f"{self.name} does not run")
        return pid

    def _inside(self, command: Sequence[str]) -> list[str]:
        return ["nsenter", f"--target={self._running()}", *_NAMESPACES, "--", *command]


def find_machine(name: str) -> int | None:
    """The first process of a machine of this name; None if it is off."""
    program = str(first_process_program())
    for pid, argv in _processes():
        if argv[:2] == [program, name]:
            return pid
    return None


def _detach(command: Sequence[str], log: Path, environment: "os._Environ[str] | dict[str, str]") -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "ab") as output:
        subprocess.run(
            ["setsid", "--fork", *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=environment,
            check=True,
        )


def _processes() -> Iterator[tuple[int, list[str]]]:
    """Every process, with its command line; those of the kernel and those that have ended have none."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                argv = (folder / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
                if argv[0]:
                    yield int(folder.name), argv[:-1]


def _is(argv: Sequence[str], name: str) -> bool:
    return argv[0].rpartition("/")[2] == name


def _pid_namespace(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return f"{pid} has ended"


def exists(pid: int) -> bool:
    """Whether a process is there; one that has ended, and whose parent has not looked, is not.

    The kernel calls a process a zombie when its first thread has ended. Until the others have, its ports are taken.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    state, *fields = stat.rpartition(")")[2].split()
    threads = int(fields[16])  # field 20 in proc(5)
    return state != "Z" or threads > 1


def _wait_gone(pids: Sequence[int], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while any(map(exists, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
