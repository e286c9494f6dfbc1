"""The control plane's machine: etcd, kube-apiserver, kube-controller-manager and kube-scheduler."""

import signal
import socket
import ssl
from collections.abc import Callable

from rendezvous_controlplane import Report
from rendezvous_controlplane.commands import etcd_command, etcd_socket

from . import api, network
from .certificates import certificate, fingerprint, make_serving_certificate, private_key
from .credentials import previous_signing_key, replace_signing_key, signing_key, token_file, user_kubeconfig
from .layout import (
    API_PORT,
    CONTROL,
    CONTROL_ADDRESS,
    NODE_GRACE_SECONDS,
    SERVICE_NETWORK,
    ClusterError,
    log_tail,
    state_dir,
)
from .machine import Machine
from .programs import Programs
from .waiting import wait_until

PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
_START_SECONDS = 120.0


class ControlPlane:
    """The control plane, in a machine of its own."""

    def __init__(self, programs: Programs, report: Report) -> None:
        self.machine = Machine(CONTROL, programs, report)
        self._programs = programs
        self._report = report

    def start(self) -> None:
        """Start the machine and all its programs, as far as they do not run; returns when the API server is ready."""
        if not self.machine.is_on:
            self.machine.switch_on(lambda: network.connect_control(self.machine))
        self.start_etcd()
        self.start_api_server()
        self.start_controllers()

    def start_etcd(self) -> None:
        """Start etcd, unless it runs, and return when it listens."""
        if not self.machine.program_pids("etcd"):
            etcd_socket(state_dir()).unlink(missing_ok=True)  # left behind by a kill
            self.machine.spawn(etcd_command(self._programs.etcd, state_dir()))
        self._wait("etcd", "etcd to listen", _etcd_is_deaf)

    def stop_etcd(self) -> None:
        """Kill etcd. What it has confirmed is kept."""
        self.machine.stop_program("etcd", signal.SIGKILL)

    def start_api_server(self) -> None:
        """Start the API server, unless it runs, and return when it is ready."""
        self.machine.spawn(self._api_server_command())
        self._wait("kube-apiserver", "the API server to be ready", api.not_ready)

    def stop_api_server(self) -> None:
        """Kill the API server: connections break, and new ones are refused."""
        self.machine.stop_program("kube-apiserver", signal.SIGKILL)

    def start_controllers(self) -> None:
        """Start kube-controller-manager and kube-scheduler, unless they run."""
        self.machine.spawn(self._controller_manager_command())
        self.machine.spawn(self._scheduler_command())

    def stop_controllers(self) -> None:
        """Kill kube-controller-manager and kube-scheduler."""
        for name in ("kube-controller-manager", "kube-scheduler"):
            self.machine.stop_program(name, signal.SIGKILL)

    def replace_serving_certificate(self) -> None:
        """Give the API server another certificate and key, and return when it shows it to new connections."""
        make_serving_certificate()
        new = fingerprint(certificate("apiserver").read_text(encoding="ascii"))

        def missing() -> str:
            shown = ssl.get_server_certificate((CONTROL_ADDRESS, API_PORT))
            return "" if fingerprint(shown) == new else "it still shows the old one"

        wait_until("the API server to take its new certificate", missing, self._report, timeout=150, interval=1.0)

    def replace_signing_key(self, keep_previous: bool) -> None:
        """Sign service-account tokens with a new key; restarts the API server and the controllers."""
        replace_signing_key(keep_previous)
        self.stop_controllers()
        self.stop_api_server()
        self.start_api_server()
        self.start_controllers()

    def _wait(self, program: str, what: str, missing: Callable[[], str]) -> None:
        def still_missing() -> str:
            state = missing()
            if state and not self.machine.program_pids(program):
                raise ClusterError(f"{program} has ended; {log_tail(CONTROL, program)}")
            return state

        wait_until(
            what,
            still_missing,
            self._report,
            _START_SECONDS,
            interval=0.1,
            explain=lambda: log_tail(CONTROL, program),
        )

    def _api_server_command(self) -> list[str]:
        keys = [key for key in (signing_key(), previous_signing_key()) if key.exists()]
        return [
            str(self._programs.kube_apiserver),
            f"--etcd-servers=unix://{etcd_socket(state_dir())}",
            "--bind-address=0.0.0.0",
            f"--advertise-address={CONTROL_ADDRESS}",
            f"--secure-port={API_PORT}",
            f"--tls-cert-file={certificate('apiserver')}",
            f"--tls-private-key-file={private_key('apiserver')}",
            f"--client-ca-file={certificate('ca')}",
            f"--token-auth-file={token_file()}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            *(f"--service-account-key-file={key}" for key in keys),
            f"--service-account-signing-key-file={signing_key()}",
            f"--service-cluster-ip-range={SERVICE_NETWORK}",
            "--kubelet-preferred-address-types=InternalIP",
            f"--kubelet-client-certificate={certificate('apiserver-kubelet-client')}",
            f"--kubelet-client-key={private_key('apiserver-kubelet-client')}",
            "--allow-privileged",
            "--profiling=false",
        ]

    def _controller_manager_command(self) -> list[str]:
        return [
            str(self._programs.kubernetes / "kube-controller-manager"),
            *_client_flags("system:kube-controller-manager"),
            "--use-service-account-credentials",
            "--flex-volume-plugin-dir=/run/volume-plugins",  # it would make its folder below /usr/libexec
            f"--root-ca-file={certificate('ca')}",
            f"--service-account-private-key-file={signing_key()}",
            f"--node-monitor-grace-period={NODE_GRACE_SECONDS}s",
            "--profiling=false",
        ]

    def _scheduler_command(self) -> list[str]:
        return [
            str(self._programs.kubernetes / "kube-scheduler"),
            *_client_flags("system:kube-scheduler"),
            "--profiling=false",
        ]


def _client_flags(user: str) -> list[str]:
    # They serve only their own machine, and nobody there asks: no --authentication-kubeconfig.
    return [f"--kubeconfig={user_kubeconfig(user)}", "--bind-address=127.0.0.1", "--leader-elect=false"]


def _etcd_is_deaf() -> str:
    with socket.socket(socket.AF_UNIX) as probe:
        error = probe.connect_ex(str(etcd_socket(state_dir())))
    return f"its socket answers with error {error}" if error else ""
