"""What is compared: how the nodes of a group are started by each launcher, and what it needs beside them."""

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
from benchmarks.cluster import NAMESPACE, ROOT, Cluster, running_cluster
from demo import processes

from rendezvous_api import names

OTHERS = ROOT / ".venv-recovery" / "bin"
"""The programs of the launchers that are no part of torch; see hack/recovery.txt."""

FAULTS = ("F1", "F2", "F3", "F4", "F5")
MIN_NODES, MAX_NODES = 2, 3
FIRST = "node-0"
"""The node that is started first."""

_HERE = Path(__file__).parent
_WORKER, _TORCHFT_WORKER = str(_HERE / "worker.py"), str(_HERE / "torchft_worker.py")
_START_SECONDS = 300.0
_WITH_OWN_FOLDERS = (
    'for folder in /tmp/ckpt_sock /tmp/dlrover; do mkdir -p "$folder"; mount --bind "$0" "$folder"; done; exec "$@"'
)
"""Runs a command where the folders of DLRover are another folder."""
_MAX_RESTARTS = "--max-restarts=100"
_SIZE = f"--nnodes={MIN_NODES}:{MAX_NODES}"

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


class Ours(Launcher):
    """This rendezvous, with the defaults of a Rendezvous."""

    name = "kubernetes"
    packages = ("torch", "kube-rendezvous")

    def __init__(self) -> None:
        self._cluster: Cluster | None = None
        self._rendezvous = ""
        self._number = 0

    @property
    def cluster(self) -> Cluster:
        """The one that `servers` has started."""
        assert self._cluster is not None
        return self._cluster

    @contextlib.contextmanager
    def servers(self) -> Iterator[None]:
        """See base class."""
        with running_cluster() as self._cluster:
            yield

    def open(self, folder: Path, group: str, members: int) -> None:
        """See base class."""
        self._number += 1
        self._rendezvous = f"recovery-{self._number}"
        kind = {"apiVersion": names.API_VERSION, "kind": names.RENDEZVOUS_KIND}
        body = {
            **kind,
            "metadata": {"name": self._rendezvous},
            "spec": {"minNodes": MIN_NODES, "maxNodes": MAX_NODES},
        }
        self.cluster.request("POST", f"{_COLLECTION}/{names.RENDEZVOUS_PLURAL}", body)

    def command(self, node: str, folder: Path) -> Command:
        """See base class."""
        return self._torchrun(folder, f"--rdzv-conf=node_id={node}"), {"KUBECONFIG": str(self.cluster.kubeconfig)}

    def _torchrun(self, folder: Path, *options: str) -> Sequence[str]:
        endpoint = f"--rdzv-endpoint={NAMESPACE}/{self._rendezvous}"
        return [
            *_torchrun(self.python, "kubernetes"), "--rdzv-id=run-1", endpoint, *options, _WORKER, str(folder),
        ]  # fmt: skip

    def close(self) -> None:
        """See base class."""
        for plural in (names.RENDEZVOUS_PLURAL, names.PARTICIPANT_PLURAL):
            self.cluster.request("DELETE", f"{_COLLECTION}/{plural}")


_COLLECTION = f"/apis/{names.API_VERSION}/namespaces/{NAMESPACE}"


class OursWithPods(Ours):
    """The same with labelled pods, whose status is written by hand, as a kubelet would write it."""

    name = "kubernetes-pods"

    def __init__(self) -> None:
        super().__init__()
        self._pods: set[str] = set()

    def command(self, node: str, folder: Path) -> Command:
        """See base class."""
        self._pods.add(node)
        return self._torchrun(folder), {"KUBECONFIG": str(self.cluster.create_pod(node, self._rendezvous))}

    def killed(self, node: str) -> None:
        """See base class."""
        terminated = {"exitCode": 137, "reason": "Error", "containerID": f"containerd://{node}"}
        container = {"name": "torchrun", "image": "none", "imageID": "", "ready": False, "restartCount": 0}
        statuses = [{**container, "state": {"terminated": terminated}}]
        self.cluster.write_pod_status(node, phase="Failed", containerStatuses=statuses)

    def close(self) -> None:
        """See base class."""
        super().close()
        for pod in self._pods:
            self.cluster.delete_pod(pod)
        self._pods.clear()


class C10d(Launcher):
    """torch's own rendezvous; the first node serves its store."""

    name = "c10d"
    shared_store = True

    def __init__(self) -> None:
        self._port = 0

    def open(self, folder: Path, group: str, members: int) -> None:
        """See base class."""
        [self._port] = free_ports(1)

    def command(self, node: str, folder: Path) -> Command:
        """See base class."""
        endpoint = f"--rdzv-endpoint=127.0.0.1:{self._port}"
        options = ["--rdzv-id=run-1", endpoint, _serves_store(node)]
        command = [*_torchrun(self.python, "c10d"), *options, _WORKER, str(folder)]
        return command, {} if self.shared_store else {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}

    def first_started(self) -> None:
        """See base class."""
        _wait_for_port(self._port)


class C10dOwnStore(C10d):
    """The same where the workers of each round have a store of their own."""

    name = "c10d-own-store"
    shared_store = False


class Other(Launcher):
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
    heartbeats: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    def __init__(self) -> None:
        self._port = self._members = 0

    def open(self, folder: Path, group: str, members: int) -> None:
        """See base class."""
        [self._port], self._members = free_ports(1), members

    def command(self, node: str, folder: Path) -> Command:
        """See base class."""
        # It always trains with the lower number of nodes; all beyond are spares.
        command = [
            self.python, "-m", "nvidia_resiliency_ext.fault_tolerance.launcher",
            f"--nnodes={self._members}:{self._members + 1}", "--nproc-per-node=1", _MAX_RESTARTS,
            "--rdzv-backend=c10d", "--rdzv-id=run-1", f"--rdzv-endpoint=127.0.0.1:{self._port}",
            _serves_store(node), "--local-addr=127.0.0.1", *self.options, _WORKER, str(folder), *self.heartbeats,
        ]  # fmt: skip
        return command, {"NVRX_ENABLE_MULTI_LAUNCHERS_PER_NODE": "1"}

    def first_started(self) -> None:
        """See base class."""
        _wait_for_port(self._port)


class NvrxWithHeartbeats(Nvrx):
    """The same with a script that reports each step, as its documentation advises."""

    name = "nvrx-heartbeats"
    faults = ("F5",)
    heartbeats = ("--heartbeats",)
    options = ("--ft-initial-rank-heartbeat-timeout=60", "--ft-rank-heartbeat-timeout=10")


class DLRover(Other):
    """DLRover with its local master; its relaunch of nodes, which needs Kubernetes, is not measured."""

    name = "dlrover"
    packages = ("torch", "dlrover")

    def __init__(self) -> None:
        self._port = 0

    def open(self, folder: Path, group: str, members: int) -> None:
        """See base class."""
        [self._port] = free_ports(1)
        command = [
            self.python, "-m", "dlrover.python.master.main", "--platform=local", f"--port={self._port}",
            f"--node_num={members}", "--job_name=recovery",
        ]  # fmt: skip
        master = processes.start(group, "master", command, os.environ, folder / "master.log")
        _wait_for_port(self._port, master)

    def command(self, node: str, folder: Path) -> Command:
        """See base class."""
        # Sockets and files of each agent have fixed paths, and another agent that finds them takes them away. Where
        # each node has a machine or a pod, none does.
        own = folder / f"{node}-own"
        own.mkdir()
        command = [
            "unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"]), "sh", "-ec", _WITH_OWN_FOLDERS,
            str(own), self.python, "-m", "dlrover.trainer.torch.main",
            _SIZE, "--nproc-per-node=1", _MAX_RESTARTS, _WORKER, str(folder),
        ]  # fmt: skip
        number = node.rpartition("-")[2]
        return command, {
            "DLROVER_MASTER_ADDR": f"127.0.0.1:{self._port}",
            "ELASTIC_JOB_NAME": "recovery",
            "NODE_ID": number,
            "NODE_RANK": number,
            "NODE_NUM": str(MAX_NODES),
            "POD_NAME": node,
        }


class Torchft(Other):
    """torchft: a lighthouse, and each node a replica group with a torchrun of its own."""

    name = "torchft"
    packages = ("torch", "torchft-nightly")

    def __init__(self) -> None:
        self._port = 0

    def open(self, folder: Path, group: str, members: int) -> None:
        """See base class."""
        [self._port] = free_ports(1)
        command = [
            str(OTHERS / "torchft_lighthouse"), f"--min_replicas={MIN_NODES}", "--quorum_tick_ms=100",
            "--join_timeout_ms=10000", "--bind", f"[::]:{self._port}",
        ]  # fmt: skip
        lighthouse = processes.start(group, "lighthouse", command, os.environ, folder / "lighthouse.log")
        _wait_for_port(self._port, lighthouse)

    def command(self, node: str, folder: Path) -> Command:
        """See base class."""
        command = [
            self.python, "-m", "torch.distributed.run", "--nnodes=1", "--nproc-per-node=1", _MAX_RESTARTS,
            "--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0", _TORCHFT_WORKER, str(folder),
        ]  # fmt: skip
        return command, {"TORCHFT_LIGHTHOUSE": f"http://127.0.0.1:{self._port}"}


ALL: tuple[type[Launcher], ...] = (
    Ours, OursWithPods, C10d, C10dOwnStore, Nvrx, NvrxWithHeartbeats, DLRover, Torchft,
)  # fmt: skip


def _torchrun(python: str, backend: str) -> Sequence[str]:
    return [
        python, "-m", "torch.distributed.run", f"--rdzv-backend={backend}", _SIZE, "--nproc-per-node=1",
        _MAX_RESTARTS, "--local-addr=127.0.0.1",
    ]  # fmt: skip


def _serves_store(node: str) -> str:
    """Only the first node does, as where each has a machine of its own: here the address is that of all."""
    return f"--rdzv-conf=is_host={int(node == FIRST)}"


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
