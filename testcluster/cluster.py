"""The test cluster as a whole: starting, using, disturbing and removing it."""

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rendezvous_controlplane import Report

from . import api, cgroups, layout, network
from .certificates import make_certificates
from .control_plane import ControlPlane
from .credentials import make_credentials
from .host_image import HOST_IMAGE, build_host_image, host_archive
from .images import PAUSE_IMAGE, build_pause, pause_archive, pause_program
from .layout import NODES, ClusterError, lock_file, state_dir
from .machine import find_machine, first_process_program
from .node import Node
from .programs import Programs, ensure_helm, ensure_programs
from .waiting import wait_until


class Cluster:
    """The test cluster of this machine: there is one at most. Get it with `Cluster.up()` or `Cluster.attach()`."""

    def __init__(self, programs: Programs, report: Report) -> None:
        self.programs = programs
        self._report = report
        self.control_plane = ControlPlane(programs, report)
        self.nodes = {name: Node(name, self.control_plane.machine, programs, report) for name in NODES}

    # ---- starting and ending

    @classmethod
    def up(cls, report: Report | None = None) -> "Cluster":
        """Start what of the cluster does not run, and return when both machines are Ready. May be called at any time.

        Raises ClusterError or BinariesError, saying what is missing or does not start; what runs by then stays.
        """
        report = report or Report()
        _check_machine()
        with _lock(report):
            cluster = cls(ensure_programs(report), report)
            cluster._start()
        return cluster

    @classmethod
    def attach(cls, report: Report | None = None) -> "Cluster":
        """The cluster that runs. Raises ClusterError, with the remedy, when none runs or its nodes are not Ready."""
        if not _is_there():
            raise ClusterError("no test cluster runs: start it with `make cluster`, as root")
        report = report or Report()
        cluster = cls(ensure_programs(report), report)
        cluster.wait_until_ready()
        return cluster

    @staticmethod
    def down(report: Report | None = None) -> None:
        """End everything and remove all traces but the programs in the cache, and the lock file there.

        Does nothing if there is nothing. Raises ClusterError, with what is left, when something could not be removed.
        """
        report = report or Report()
        if os.geteuid() != 0:
            raise ClusterError("the test cluster belongs to root")
        with _lock(report):
            for name in (*NODES, layout.CONTROL):
                if pid := find_machine(name):
                    report.say(f"switching {name} off")
                    os.kill(pid, 9)
            wait_until("all machines to be off", _running_machines, report, timeout=60)
            network.remove_host_interface()
            cgroups.remove_groups()
            shutil.rmtree(state_dir(), ignore_errors=True)
            if left := leftovers():
                raise ClusterError(f"this could not be removed: {', '.join(left)}")

    def wait_until_ready(self, timeout: float = 120.0) -> None:
        """Wait until the API server is ready, both machines are Ready, and pods can be made."""
        self._wait_until_ready({}, timeout)

    # ---- using

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, valid on this machine."""
        return layout.kubeconfig()

    def node(self, name: str) -> Node:
        """The node `node-a` or `node-b`."""
        return self.nodes[name]

    def kubectl(
        self, *arguments: str, input: str | None = None, kubeconfig: Path | None = None, timeout: float = 120.0
    ) -> str:
        """Run kubectl and return what it printed.

        Args:
            arguments: such as `"get", "pods", "-A"`.
            input: its standard input; None is empty.
            kubeconfig: as whom; None is the administrator.
            timeout: in seconds.

        Raises ClusterError, with what it said, when it fails or takes longer.
        """
        config = kubeconfig or self.kubeconfig
        command = [str(self.programs.kubectl), f"--cache-dir={state_dir() / 'kubectl-cache'}", *arguments]
        return _run(command, {**os.environ, "KUBECONFIG": str(config)}, input, timeout)

    def helm(self, *arguments: str, input: str | None = None, timeout: float = 300.0) -> str:
        """Run helm as the administrator and return what it printed; raises as `kubectl` does."""
        homes = {f"HELM_{kind}_HOME": str(state_dir() / "helm" / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
        environment = {**os.environ, **homes, "KUBECONFIG": str(self.kubeconfig)}
        return _run([str(ensure_helm(self._report)), *arguments], environment, input, timeout)

    def load_image(self, archive: Path | str) -> None:
        """Import the archive of an image (as of `docker save`, or OCI) into both nodes.

        Pods name it as the archive does, with `imagePullPolicy: Never` or `IfNotPresent`; a name without a registry
        stands for docker.io/library/NAME.
        """
        for node in self.nodes.values():
            node.load_image(Path(archive))

    # ---- disturbing

    def restart_api_server(self) -> None:
        """Kill the API server and start it again; returns when it is ready."""
        self.control_plane.stop_api_server()
        self.control_plane.start_api_server()

    def stop_api_server(self) -> None:
        """Kill the API server; nodes and pods go on without it."""
        self.control_plane.stop_api_server()

    def start_api_server(self) -> None:
        """Start the API server again; returns when it is ready."""
        self.control_plane.start_api_server()

    def restart_etcd(self) -> None:
        """Kill etcd and start it again; the API server goes on, and fails in between."""
        self.control_plane.stop_etcd()
        self.control_plane.start_etcd()
        wait_until("the API server to be ready again", api.not_ready, self._report, timeout=60)

    def replace_serving_certificate(self) -> None:
        """Give the API server another certificate of the same authority; takes up to a minute, no restart."""
        self.control_plane.replace_serving_certificate()

    def rotate_service_account_key(self, keep_previous: bool = True) -> None:
        """Sign service-account tokens with a new key. API server, controllers and kubelets are restarted.

        The kubelets then get every pod a new token, and its file changes within some 20 s.

        keep_previous: whether the old tokens stay valid; else they are refused from the moment this returns.
        """
        self.control_plane.replace_signing_key(keep_previous)
        for node in self.nodes.values():
            node.stop_kubelet()
        self._start_nodes_and_wait()

    def cut_off(self, pods: Iterable[str], namespace: str = "default") -> None:
        """Drop all traffic between these pods, by name, and the API server; between pods it goes on."""
        network.drop_traffic(self.control_plane.machine, self.pod_addresses(pods, namespace))

    def reconnect(self, pods: Iterable[str], namespace: str = "default") -> None:
        """End `cut_off` for these pods, which must have the addresses that they had."""
        network.let_traffic_pass(self.control_plane.machine, self.pod_addresses(pods, namespace))

    def reconnect_all(self) -> None:
        """End `cut_off` for all pods, also for those that are gone."""
        network.let_all_traffic_pass(self.control_plane.machine)

    def pod_addresses(self, pods: Iterable[str], namespace: str = "default") -> list[str]:
        """The addresses of pods. Raises ClusterError when one has none."""
        query = ("--output=jsonpath={.status.podIP}", f"--namespace={namespace}")
        found = {pod: self.kubectl("get", "pod", pod, *query) for pod in pods}
        if without := [pod for pod, address in found.items() if not address]:
            raise ClusterError(f"no address yet: {', '.join(without)}")
        return list(found.values())

    # ---- inside

    def _start(self) -> None:
        state_dir().mkdir(mode=0o755, parents=True, exist_ok=True)
        build_pause()
        build_host_image()
        if not first_process_program().exists():
            shutil.copy2(pause_program(), first_process_program())
        make_certificates()
        make_credentials()
        if not self.control_plane.machine.is_on:
            network.check_addresses_are_free()
            for node in self.nodes.values():  # their cables have gone with the switch
                node.lose()
        self.control_plane.start()
        self._start_nodes_and_wait()

    def _start_nodes_and_wait(self) -> None:
        since = {}
        for node in self.nodes.values():
            if node.missing_programs():
                since[node.name] = time.time()
                node.start()
            for image, archive in ((PAUSE_IMAGE, pause_archive()), (HOST_IMAGE, host_archive())):
                if not node.has_image(image):
                    node.load_image(archive)
        self._wait_until_ready(since, timeout=180)

    def _wait_until_ready(self, since: dict[str, float], timeout: float) -> None:
        wait_until(
            "both nodes to be Ready",
            lambda: api.nodes_not_ready(since),
            self._report,
            timeout,
            interval=0.3,
            explain=lambda: "\n".join(node.log_tails() for node in self.nodes.values()),
        )


def leftovers() -> list[str]:
    """What of a cluster is on this machine beside the programs in the cache and the lock file, in words."""
    left = [f"machine {name} (process {pid})" for name in (layout.CONTROL, *NODES) if (pid := find_machine(name))]
    left += [f"interface {network.HOST_INTERFACE}"] if network.host_interface_is_left() else []
    return [*left, *map(str, cgroups.left_groups()), *([str(state_dir())] if state_dir().exists() else [])]


def _is_there() -> bool:
    return all(find_machine(name) for name in (layout.CONTROL, *NODES)) and layout.kubeconfig().exists()


def _running_machines() -> str:
    return ", ".join(name for name in (layout.CONTROL, *NODES) if find_machine(name))


def _check_machine() -> None:
    if sys.platform != "linux":
        raise ClusterError("the test cluster needs Linux: namespaces and control groups")
    if os.geteuid() != 0:
        raise ClusterError("the test cluster needs root, for namespaces, mounts and control groups")
    kinds = Path("/proc/filesystems").read_text(encoding="ascii").split()
    if "overlay" not in kinds and subprocess.run(["modprobe", "overlay"], capture_output=True, check=False).returncode:
        raise ClusterError("this kernel has no overlay file system, on which containerd puts images")
    command = ["unshare", "--pid", "--mount", "--net", "--uts", "--ipc", "--fork", "true"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ClusterError(f"this machine allows no namespaces: `{' '.join(command)}`: {done.stderr.strip()}")


@contextlib.contextmanager
def _lock(report: Report) -> Iterator[None]:
    lock_file().parent.mkdir(parents=True, exist_ok=True)
    with open(lock_file(), "a", encoding="ascii") as file:

        def held_by_another() -> str:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return "it is at work"
            return ""

        wait_until("another `testcluster` to end", held_by_another, report, timeout=1800)
        yield


def _run(command: Sequence[str], environment: dict[str, str], input: str | None, timeout: float) -> str:
    shown = " ".join([Path(command[0]).name, *command[1:]])
    try:
        done = subprocess.run(
            command, input=input or "", capture_output=True, text=True, timeout=timeout, env=environment, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ClusterError(f"`{shown}` took longer than {timeout:g} s") from error
    if done.returncode != 0:
        raise ClusterError(f"`{shown}` failed with exit code {done.returncode}: {done.stderr.strip()}")
    return done.stdout
