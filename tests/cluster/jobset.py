"""The real JobSet controller, as a process beside an API server.

It runs with an administrator's kubeconfig and needs no objects of its own: no Deployment, no RBAC, no cert-manager. Of
its webhooks it has those of JobSets, which set defaults that the controller relies on; those of pods serve exclusive
placement alone, and would stand before each pod of the cluster. In a test::

    with JobSetController(cluster.kubectl, cluster.kubeconfig, tmp_path) as controller:
        cluster.kubectl("apply", "-f", "examples/jobset.yaml")
"""

import base64
import json
import os
import socket
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import trustme
from tests.cluster.go_modules import module_files, module_program
from tests.support.processes import Process
from tests.support.waiting import wait_until

MODULE = "sigs.k8s.io/jobset"
VERSION = "v0.12.0"

_CRD = "config/components/crd/bases/jobset.x-k8s.io_jobsets.yaml"
_WEBHOOKS = {
    "MutatingWebhookConfiguration": ("/mutate-jobset-x-k8s-io-v1alpha2-jobset", ["CREATE"]),
    "ValidatingWebhookConfiguration": ("/validate-jobset-x-k8s-io-v1alpha2-jobset", ["CREATE", "UPDATE"]),
}
_NAME = "jobset.kube-rendezvous.test"


class Kubectl(Protocol):
    """What runs kubectl as administrator, and returns what it has printed."""

    def __call__(self, *arguments: str, input: str | None = None) -> str: ...


def install_crd(kubectl: Kubectl) -> None:
    """Let the API server know JobSets, without a controller."""
    (crd,) = module_files("jobset", MODULE, VERSION, _CRD)
    kubectl("apply", "--server-side", "--force-conflicts", "-f", str(crd))
    served = ("api-resources", "--api-group=jobset.x-k8s.io", "--output=name")
    wait_until(lambda: "jobsets" in kubectl(*served), "the API server to know JobSets", 30)


class JobSetController:
    """The controller of one cluster, for a ``with`` block.

    Args:
        kubectl: see `Kubectl`.
        kubeconfig: an administrator's.
        folder: for its log, configuration and certificate.
        address: of this machine, at which the API server reaches it.
    """

    def __init__(self, kubectl: Kubectl, kubeconfig: Path, folder: Path, address: str = "127.0.0.1") -> None:
        self._kubectl = kubectl
        self._kubeconfig = kubeconfig
        self._folder = folder
        self._address = address
        self._process: Process | None = None

    def __enter__(self) -> "JobSetController":
        program = module_program("jobset", MODULE, VERSION)
        install_crd(self._kubectl)
        certificate = self._make_certificate()
        webhook_port, health_port = _free_port(self._address), _free_port("127.0.0.1")
        configuration = self._folder / "jobset.json"
        configuration.write_text(json.dumps(self._configuration(webhook_port, health_port)))
        self._process = Process(
            [str(program), f"--config={configuration}", f"--kubeconfig={self._kubeconfig}"],
            self._folder / "jobset.log",
            os.environ,
        )
        try:
            wait_until(lambda: self._is_ready(health_port), "the JobSet controller to be ready", 60)
            for kind in _WEBHOOKS:
                webhook = self._webhook(kind, webhook_port, certificate)
                self._kubectl("apply", "-f", "-", input=json.dumps(webhook))
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        # First: without its controller a webhook refuses every JobSet.
        self._kubectl("delete", "--ignore-not-found", ",".join(_WEBHOOKS), _NAME)
        if self._process is not None:
            self._process.kill()

    def _is_ready(self, port: int) -> bool:
        assert self._process is not None
        assert self._process.running, self._process.log
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _make_certificate(self) -> bytes:
        """Make the certificate of the webhook server, and return that of its authority (PEM)."""
        authority = trustme.CA()
        served = authority.issue_cert(self._address)
        served.private_key_pem.write_to_path(self._folder / "tls.key")
        served.cert_chain_pems[0].write_to_path(self._folder / "tls.crt")
        return authority.cert_pem.bytes()

    def _configuration(self, webhook_port: int, health_port: int) -> dict[str, Any]:
        return {
            "apiVersion": "config.jobset.x-k8s.io/v1alpha1",
            "kind": "Configuration",
            "webhook": {"host": self._address, "port": webhook_port, "certDir": str(self._folder)},
            "health": {"healthProbeBindAddress": f"127.0.0.1:{health_port}"},
            "metrics": {"bindAddress": "0"},
            "leaderElection": {"leaderElect": False},
            "internalCertManagement": {"enable": False},
        }

    def _webhook(self, kind: str, port: int, certificate: bytes) -> dict[str, Any]:
        path, operations = _WEBHOOKS[kind]
        rule = {
            "apiGroups": ["jobset.x-k8s.io"],
            "apiVersions": ["v1alpha2"],
            "operations": operations,
            "resources": ["jobsets"],
        }
        webhook = {
            "name": _NAME,
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "rules": [rule],
            "clientConfig": {
                "url": f"https://{self._address}:{port}{path}",
                "caBundle": base64.b64encode(certificate).decode(),
            },
        }
        return {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": kind,
            "metadata": {"name": _NAME},
            "webhooks": [webhook],
        }


def _free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])
