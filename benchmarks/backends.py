"""What is compared: how the place where members meet is made, for each backend."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from benchmarks.cluster import NAMESPACE, PODS, Cluster
from benchmarks.group import Group

from rendezvous_api import names
from rendezvous_controlplane.cache import cache_dir

KUBERNETES, FLOOR = "kubernetes", "floor"
C10D, C10D_STUBBED, ETCD = "c10d", "c10d, stack inspection stubbed out", "etcd-v2"

_JOIN_SECONDS = 600
"""The members' own time limit: longer than that of any measurement."""


@dataclass(frozen=True)
class Shape:
    """What group is to be formed."""

    min_nodes: int
    max_nodes: int
    members: int
    """How many handlers are created."""
    alone: frozenset[int] = frozenset()
    """Those in a process of their own."""
    pods: bool = False
    """Each member has a pod that the operator knows."""


class Backend(ABC):
    """One backend; `open` and `close` may be called again and again."""

    name: str
    told = True
    """Members are told when one of them is lost."""

    def __init__(self) -> None:
        self._number = 0

    def next_name(self) -> str:
        """A new run."""
        self._number += 1
        return f"bench-{self._number}"

    @abstractmethod
    def open(self, group: Group, shape: Shape) -> None:
        """Make a new place to meet, and create the members."""

    def lose_pod(self, member: int) -> float:
        """Let the pod of a member be gone. Returns when."""
        raise NotImplementedError

    @abstractmethod
    def close(self) -> None:
        """Remove what `open` has made; the members are gone already."""


class Kubernetes(Backend):
    """The handler of this project with its operator, all gathering times 0."""

    name = KUBERNETES

    def __init__(self, cluster: Cluster) -> None:
        super().__init__()
        self._cluster = cluster
        self._collection = f"/apis/{names.API_VERSION}/namespaces/{NAMESPACE}"
        self._pods = 0

    def open(self, group: Group, shape: Shape) -> None:
        """See base class."""
        name = self.create_rendezvous(shape)
        kubeconfigs = self._make_pods(name, shape.members) if shape.pods else {}
        parameters = {
            "backend": "kubernetes",
            "endpoint": f"{NAMESPACE}/{name}",
            "run_id": "run-1",
            "min_nodes": shape.min_nodes,
            "max_nodes": shape.max_nodes,
            "local_addr": "127.0.0.1",
            "node_id": "node-{i:04d}",
        }
        if not kubeconfigs:
            kubeconfigs = {i: str(self._cluster.kubeconfig) for i in range(shape.members)}
        command = {"do": "create", "parameters": parameters, "kubeconfigs": kubeconfigs}
        group.create(range(shape.members), shape.alone, command)

    def create_rendezvous(self, shape: Shape) -> str:
        """Create the object, and wait until the operator has taken notice of it."""
        name = self.next_name()
        spec = {
            "minNodes": shape.min_nodes,
            "maxNodes": shape.max_nodes,
            # A group that may be smaller must still begin with all of them; c10d takes no less than a second, either.
            "timeouts": {
                "lastCallSeconds": 0 if shape.min_nodes == shape.max_nodes else 1,
                "replacementSeconds": 0,
            },
            "scaleUp": {"intervalSeconds": 0},
        }
        kind = {"apiVersion": names.API_VERSION, "kind": names.RENDEZVOUS_KIND}
        path = f"{self._collection}/{names.RENDEZVOUS_PLURAL}"
        self._cluster.request("POST", path, {**kind, "metadata": {"name": name}, "spec": spec})
        deadline = time.monotonic() + 60
        while not self._cluster.request("GET", f"{path}/{name}").get("status", {}).get("conditions"):
            if time.monotonic() > deadline:
                raise TimeoutError("the operator has taken no notice of the Rendezvous for 60 s")
            time.sleep(0.05)
        return name

    def lose_pod(self, member: int) -> float:
        """See base class."""
        at = time.monotonic()
        self._cluster.delete_pod(f"pod-{member}")
        return at

    def close(self) -> None:
        """See base class."""
        for plural in (names.RENDEZVOUS_PLURAL, names.PARTICIPANT_PLURAL):
            self._cluster.request("DELETE", f"{self._collection}/{plural}")
        if self._pods:
            self._cluster.request("DELETE", PODS, {"gracePeriodSeconds": 0})
            self._pods = 0
        time.sleep(0.5)  # let the operator and the API server come to rest

    def _make_pods(self, rendezvous: str, count: int) -> dict[int, str]:
        """Pods without a kubelet, and for each a kubeconfig with a token that is bound to it."""
        self._pods = count
        return {i: str(self._cluster.create_pod(f"pod-{i}", rendezvous)) for i in range(count)}


class Floor(Backend):
    """Bare requests to the same operator (`benchmarks.bare`); can only join."""

    name = FLOOR

    def __init__(self, kubernetes: Kubernetes, cluster: Cluster) -> None:
        super().__init__()
        self._kubernetes = kubernetes
        self._cluster = cluster

    def open(self, group: Group, shape: Shape) -> None:
        """See base class."""
        rendezvous = self._kubernetes.create_rendezvous(shape)
        command = {
            "do": "create bare",
            "nodes": shape.max_nodes,
            "rendezvous": rendezvous,
            "url": self._cluster.plane.url,
            "token": self._cluster.token,
            "authority": self._cluster.authority,
        }
        group.create(range(shape.members), shape.alone, command)

    def close(self) -> None:
        """See base class."""
        self._kubernetes.close()


class C10d(Backend):
    """torch's own. Its store is served by this process, which nothing happens to."""

    name = C10D
    told = False
    quick_names = False

    def open(self, group: Group, shape: Shape) -> None:
        """See base class."""
        from torch.distributed import TCPStore

        seconds = timedelta(seconds=_JOIN_SECONDS)
        self._store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False, timeout=seconds)
        parameters = self.parameters(shape) | {"endpoint": f"127.0.0.1:{self._store.port}", "is_host": "false"}
        group.create(range(shape.members), shape.alone, self.command(parameters, shape))

    def command(self, parameters: dict[str, Any], shape: Shape) -> dict[str, Any]:
        """How members are created. Where their number changes, without the shared store: with it torch's own fail."""
        changes = shape.min_nodes < shape.max_nodes or shape.members > shape.max_nodes
        return {
            "do": "create",
            "parameters": parameters,
            "kubeconfigs": {},
            "quick_names": self.quick_names,
            "shared_store": not changes,
        }

    def parameters(self, shape: Shape) -> dict[str, Any]:
        """What both of torch's backends are given; their last call may not be shorter than a second."""
        return {
            "backend": "c10d",
            "run_id": self.next_name(),
            "min_nodes": shape.min_nodes,
            "max_nodes": shape.max_nodes,
            "local_addr": "127.0.0.1",
            "last_call_timeout": 1,
            "join_timeout": _JOIN_SECONDS,
        }

    def close(self) -> None:
        """See base class."""
        del self._store


class C10dStubbed(C10d):
    """c10d without ``get_method_name``, which inspects the stack at each action to name it in a log."""

    name = C10D_STUBBED
    quick_names = True


class EtcdV2(C10d):
    """torch's handler over an etcd with the v2 API."""

    name = ETCD

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port

    def open(self, group: Group, shape: Shape) -> None:
        """See base class."""
        parameters = self.parameters(shape) | {"backend": "etcd-v2", "endpoint": f"127.0.0.1:{self._port}"}
        group.create(range(shape.members), shape.alone, self.command(parameters, shape))

    def close(self) -> None:
        """See base class."""


def find_etcd_v2() -> Path | None:
    """An etcd 3.4 or 3.5, the last ones with the v2 API: ``ETCD_V2``, the PATH's, else Debian's package from apt."""
    candidates: list[str | Path | None] = [os.environ.get("ETCD_V2"), shutil.which("etcd"), _etcd_of_debian()]
    for candidate in candidates:
        if candidate is None:
            continue
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            said = subprocess.run([candidate, "--version"], check=True, capture_output=True, text=True).stdout
            if "etcd Version: 3.4" in said or "etcd Version: 3.5" in said:
                return Path(candidate)
    return None


def _etcd_of_debian() -> Path | None:
    folder = cache_dir() / "etcd-v2"
    program = folder / "usr" / "bin" / "etcd"
    if program.exists():
        return program
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    download = subprocess.run(["apt-get", "download", "etcd-server"], cwd=folder, capture_output=True)
    packages = list(folder.glob("etcd-server_*.deb"))
    if download.returncode != 0 or not packages:
        return None
    subprocess.run(["dpkg-deb", "-x", packages[0], folder], check=True)
    return program


@contextlib.contextmanager
def running_etcd_v2(program: Path, folder: Path) -> Iterator[int]:
    """An etcd with the v2 API on a free port of the loopback; without fsync where it can be, as the other one here."""
    ports = free_ports(2)
    clients, peers = (f"http://127.0.0.1:{port}" for port in ports)
    command: Sequence[str | Path] = [
        program, "--enable-v2", "--data-dir", folder / "etcd-v2",
        "--listen-client-urls", clients, "--advertise-client-urls", clients,
        "--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers, "--initial-cluster", f"default={peers}",
    ]  # fmt: skip
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{clients}/health", timeout=2).close()
                break
            if time.monotonic() > deadline or server.poll() is not None:
                raise TimeoutError(f"{program} does not answer at {clients}")
            time.sleep(0.1)
        yield ports[0]
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)


def free_ports(count: int) -> Sequence[int]:
    """Ports of the loopback that nothing listens on now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for bound in sockets:
            bound.bind(("127.0.0.1", 0))
        return [int(bound.getsockname()[1]) for bound in sockets]
