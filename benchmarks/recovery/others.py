"""The launchers that are no part of torch."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from benchmarks.cluster import ROOT
from benchmarks.recovery.launcher import (
    BRIEF_SECONDS,
    FIRST,
    MAX_NODES,
    MAX_RESTARTS,
    MIN_NODES,
    SIZE,
    WORKER,
    AtPort,
    Command,
    store_option,
)

OTHERS = ROOT / ".venv-recovery" / "bin"
"""Their programs; see hack/recovery.txt."""

_TORCHFT_WORKER = str(Path(__file__).with_name("torchft_worker.py"))
_WITH_OWN_FOLDERS = (
    'for folder in /tmp/ckpt_sock /tmp/dlrover; do mkdir -p "$folder"; mount --bind "$0" "$folder"; done; exec "$@"'
)
"""Runs a command where the folders of DLRover are another folder."""
_ON_ONE_MACHINE = {"NVRX_ENABLE_MULTI_LAUNCHERS_PER_NODE": "1"}
"""NVRx refuses several nodes there, unless it is told."""


class Other(AtPort):
    """One that is no part of torch."""

    python = str(OTHERS / "python")

    def missing(self) -> str | None:
        """See base class."""
        if not Path(self.python).exists():
            return f"{self.python} does not exist: run `hack/setup recovery`"
        try:
            self.versions()
        except subprocess.CalledProcessError as error:
            return str(error.stderr).strip().rpartition("\n")[2]
        return None


class Nvrx(Other):
    """NVIDIA's Resiliency Extension: its in-job restart, with one spare, which is how it replaces a lost node."""

    name = "nvrx"
    packages = ("torch", "nvidia-resiliency-ext")
    spares = 1
    serves_apart = False
    """The store is served by a program of its own, and not by the first node."""
    heartbeats: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    def __init__(self) -> None:
        self._members = 0

    def open(self, folder: Path, group: str, members: int) -> None:
        """See base class."""
        super().open(folder, group, members)
        self._members = members
        if self.serves_apart:
            command = [*self._program("control_plane"), "--ft-enable-log-server=false"]
            self.serve("control", command, folder, group, _ON_ONE_MACHINE)

    def command(self, node: str, folder: Path) -> Command:
        """See base class."""
        store = store_option(node == FIRST and not self.serves_apart)
        command = [
            *self._program("launcher"), "--nproc-per-node=1", MAX_RESTARTS, store, *self.options, WORKER, str(folder),
            *self.heartbeats,
        ]  # fmt: skip
        return command, _ON_ONE_MACHINE

    def _program(self, name: str) -> Sequence[str]:
        # It always trains with the lower number of nodes; all beyond are spares.
        return [
            self.python, "-m", f"nvidia_resiliency_ext.fault_tolerance.{name}",
            f"--nnodes={self._members}:{self._members + 1}", "--rdzv-backend=c10d", "--rdzv-id=run-1",
            f"--rdzv-endpoint=127.0.0.1:{self.port}", "--local-addr=127.0.0.1",
        ]  # fmt: skip


class NvrxWithHeartbeats(Nvrx):
    """The same with a script that reports each step, as its documentation advises."""

    name = "nvrx-heartbeats"
    faults = ("F5",)
    heartbeats = ("--heartbeats",)
    options = ("--ft-initial-rank-heartbeat-timeout=60", "--ft-rank-heartbeat-timeout=10")


class NvrxServedApart(Nvrx):
    """The same where nvrx-control serves the store, which is not killed."""

    name = "nvrx-control"
    faults = ("F3",)
    serves_apart = True


class DLRover(Other):
    """DLRover with its local master; its relaunch of nodes, which needs Kubernetes, is not measured."""

    name = "dlrover"
    packages = ("torch", "dlrover")
    options: tuple[str, ...] = ()

    def missing(self) -> str | None:
        """See base class."""
        return super().missing() or ("there is no program unshare" if shutil.which("unshare") is None else None)

    def open(self, folder: Path, group: str, members: int) -> None:
        """See base class."""
        super().open(folder, group, members)
        command = [
            self.python, "-m", "dlrover.python.master.main", "--platform=local", f"--port={self.port}",
            f"--node_num={members}", "--job_name=recovery",
        ]  # fmt: skip
        self.serve("master", command, folder, group)

    def command(self, node: str, folder: Path) -> Command:
        """See base class."""
        # Sockets and files of each agent have fixed paths, and another agent that finds them takes them away. Where
        # each node has a machine or a pod, none does.
        own = folder / f"{node}-own"
        own.mkdir()
        command = [
            "unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"]), "sh", "-ec", _WITH_OWN_FOLDERS,
            str(own), self.python, "-m", "dlrover.trainer.torch.main",
            SIZE, "--nproc-per-node=1", MAX_RESTARTS, *self.options, WORKER, str(folder),
        ]  # fmt: skip
        number = node.rpartition("-")[2]
        return command, {
            "DLROVER_MASTER_ADDR": f"127.0.0.1:{self.port}",
            "ELASTIC_JOB_NAME": "recovery",
            "NODE_ID": number,
            "NODE_RANK": number,
            "NODE_NUM": str(MAX_NODES),
            "POD_NAME": node,
        }


class DLRoverBrief(DLRover):
    """The same where the wait for more nodes is 5 s."""

    name = "dlrover-5s"
    faults = ("F2",)
    options = (f"--rdzv-conf=lastcall_timeout={BRIEF_SECONDS}",)


class Torchft(Other):
    """torchft: a lighthouse, and each node a replica group with a torchrun of its own."""

    name = "torchft"
    packages = ("torch", "torchft-nightly")
    options: tuple[str, ...] = ()
    """Of its lighthouse."""

    def open(self, folder: Path, group: str, members: int) -> None:
        """See base class."""
        super().open(folder, group, members)
        command = [
            str(OTHERS / "torchft_lighthouse"), f"--min_replicas={MIN_NODES}", "--quorum_tick_ms=100",
            "--join_timeout_ms=10000", *self.options, "--bind", f"[::]:{self.port}",
        ]  # fmt: skip
        self.serve("lighthouse", command, folder, group)

    def command(self, node: str, folder: Path) -> Command:
        """See base class."""
        command = [
            self.python, "-m", "torch.distributed.run", "--nnodes=1", "--nproc-per-node=1", MAX_RESTARTS,
            "--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0", _TORCHFT_WORKER, str(folder),
        ]  # fmt: skip
        return command, {"TORCHFT_LIGHTHOUSE": f"http://127.0.0.1:{self.port}"}


class TorchftBrief(Torchft):
    """The same where a replica group is lost after 1 s without heartbeats."""

    name = "torchft-1s"
    faults = ("F2",)
    options = ("--heartbeat_timeout_ms=1000",)
