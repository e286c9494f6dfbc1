"""A node: a machine with containerd, kubelet and kube-proxy."""

import os
import signal
import socket
from pathlib import Path

from rendezvous_controlplane import Report

from . import cgroups, network
from .credentials import user_kubeconfig
from .layout import NODE_ADDRESSES, ClusterError, log_tail
from .machine import Machine
from .node_config import CONTAINERD_SOCKET, mount_script, node_dir, write_configuration
from .programs import Programs
from .waiting import wait_until

PROGRAMS = ("containerd", "kubelet", "kube-proxy")


class Node:
    """A node, by its name `node-a` or `node-b`, which runs or not.

    Args:
        name: of the machine and of the Node object.
        control: the machine with the switch that all nodes are connected to.
        programs: where its programs are.
        report: shows what is waited for.
    """

    def __init__(self, name: str, control: Machine, programs: Programs, report: Report) -> None:
        self.name = name
        self.machine = Machine(name, programs, report)
        self._control = control
        self._programs = programs
        self._report = report

    @property
    def address(self) -> str:
        """Its address on the cluster's network."""
        return NODE_ADDRESSES[self.name]

    def start(self) -> None:
        """Start what of it does not run: all of it after `lose`, its agents after `stop`. It is Ready some time later.

        Raises ClusterError, with the end of its log, when containerd does not answer.
        """
        if not self.machine.is_on:
            self.machine.cut_power()  # it may have been left half prepared
            cgroups.make_group(self.name)
            write_configuration(self.name, self._programs.debian)
            self.machine.switch_on(self._prepare)
        self._start_containerd()
        kubernetes = self._programs.kubernetes
        self.machine.spawn(
            [
                str(kubernetes / "kubelet"),
                f"--config={node_dir(self.name) / 'kubelet.json'}",
                f"--kubeconfig={user_kubeconfig(f'system:node:{self.name}')}",
                f"--node-ip={self.address}",
                f"--hostname-override={self.name}",
            ]
        )
        self.machine.spawn([str(kubernetes / "kube-proxy"), f"--config={node_dir(self.name) / 'kube-proxy.json'}"])

    def stop(self) -> None:
        """End its agents (kubelet, kube-proxy, containerd). Its pods go on, without a kubelet."""
        for name in reversed(PROGRAMS):
            self.machine.stop_program(name)

    def stop_kubelet(self) -> None:
        """Kill the kubelet alone: the node becomes NotReady, its pods go on. `start` brings it back."""
        self.machine.stop_program("kubelet", signal.SIGKILL)

    def lose(self) -> None:
        """Cut its power: agents and pods are gone at once, without a word to anybody. Its disk stays, for `start`."""
        self.machine.cut_power()

    def load_image(self, archive: Path) -> str:
        """Import the archive of an image (as of `docker save`, or OCI); returns what `ctr` said: names and digests."""
        return self.ctr("images", "import", str(archive.absolute()), timeout=300)

    def ctr(self, *arguments: str, timeout: float = 60.0) -> str:
        """Run containerd's `ctr` for the containers and images of Kubernetes; returns what it printed."""
        return self.machine.run("ctr", "--namespace=k8s.io", *arguments, timeout=timeout)

    def has_image(self, name: str) -> bool:
        """Whether an image of this full name (`localhost/x:1`) is there."""
        return name in self.ctr("images", "list", "--quiet").split()

    def image_digest(self, name: str) -> str:
        """The digest of what an image of this full name is on the node. Raises ClusterError when it is not there."""
        for line in self.ctr("images", "list").splitlines():
            reference, _, digest, *_ = line.split()
            if reference == name:
                return digest
        raise ClusterError(f"{self.name} has no image {name}")

    def missing_programs(self) -> list[str]:
        """Those of its programs that do not run."""
        return [name for name in PROGRAMS if not self.machine.program_pids(name)]

    def log_tails(self) -> str:
        """The ends of its programs' logs."""
        return "\n".join(log_tail(self.name, name) for name in PROGRAMS)

    def _prepare(self) -> None:
        self.machine.run("sh", "-c", mount_script(self.name))
        network.disconnect_node(self.name, self._control)
        network.connect_node(self.machine, self._control)

    def _start_containerd(self) -> None:
        self.machine.spawn(["containerd", f"--config={node_dir(self.name) / 'containerd.toml'}"])
        wait_until(
            f"containerd of {self.name} to listen",
            self._containerd_is_deaf,
            self._report,
            timeout=60,
            interval=0.05,
            explain=lambda: log_tail(self.name, "containerd"),
        )

    def _containerd_is_deaf(self) -> str:
        # The machine's /run is its own; the kernel shows it here, too.
        path = self.machine.root / CONTAINERD_SOCKET.lstrip("/")
        with socket.socket(socket.AF_UNIX) as probe:
            error = probe.connect_ex(str(path))
        return f"its socket answers: {os.strerror(error)}" if error else ""
