"""The real controllers of JobSets and TrainJobs, as processes beside an API server.

They run with an administrator's kubeconfig and need no objects of their own: no Deployment, no RBAC, no cert-manager.
They have the webhooks of their own kinds, which set defaults that the controllers rely on. In a test::

    with JobSetController(cluster.kubectl, cluster.kubeconfig, tmp_path) as controller:
        cluster.kubectl("apply", "-f", "examples/jobset.yaml")
"""

import base64
import json
import os
import socket
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import trustme
from tests.cluster.go_modules import module_files, module_program
from tests.support.processes import Process
from tests.support.waiting import wait_until

_MUTATING, _VALIDATING = "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"


class Kubectl(Protocol):
    """What runs kubectl as administrator, and returns what it has printed."""

    def __call__(self, *arguments: str, input: str | None = None) -> str: ...


@dataclass(frozen=True)
class Webhook:
    """What the controller is asked about: its path, and the operations on which resource."""

    kind: str
    path: str
    operations: Sequence[str]
    resource: str


class _Controller:
    """A controller of one cluster, for a ``with`` block.

    Args:
        kubectl: see `Kubectl`.
        kubeconfig: an administrator's.
        folder: for its log, configuration and certificate.
        address: of this machine, at which the API server reaches it.
    """

    NAME: str
    MODULE: str
    VERSION: str
    PACKAGE = "."
    CRDS: Sequence[str]
    """Files in the module."""
    GROUP: str
    API_VERSION: str
    WEBHOOKS: Sequence[Webhook]

    def __init__(self, kubectl: Kubectl, kubeconfig: Path, folder: Path, address: str = "127.0.0.1") -> None:
        self._kubectl = kubectl
        self._kubeconfig = kubeconfig
        self._folder = folder
        self._address = address
        self._process: Process | None = None

    def __enter__(self) -> Self:
        program = module_program(self.NAME, self.MODULE, self.VERSION, self.PACKAGE)
        self._install_crds()
        # Where the controllers look for their certificate, unless they are told otherwise.
        certificates = self._folder / "k8s-webhook-server" / "serving-certs"
        authority = self._make_certificate(certificates)
        webhook_port, health_port = _free_port(self._address), _free_port("127.0.0.1")
        configuration = self._folder / f"{self.NAME}.json"
        common = {
            "webhook": {"host": self._address, "port": webhook_port},
            "health": {"healthProbeBindAddress": f"127.0.0.1:{health_port}"},
            "metrics": {"bindAddress": "0"},
            "leaderElection": {"leaderElect": False},
        }
        configuration.write_text(json.dumps({**common, **self._configuration()}))
        self._process = Process(
            [str(program), f"--config={configuration}", f"--kubeconfig={self._kubeconfig}"],
            self._folder / f"{self.NAME}.log",
            {**os.environ, "TMPDIR": str(self._folder)},
        )
        try:
            wait_until(lambda: self._is_ready(health_port), f"the controller {self.NAME} to be ready", 60)
            for kind in (_MUTATING, _VALIDATING):
                configured = self._webhooks(kind, f"https://{self._address}:{webhook_port}", authority)
                self._kubectl("apply", "-f", "-", input=json.dumps(configured))
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _configuration(self) -> dict[str, Any]:
        """What its configuration has beside what all have."""
        raise NotImplementedError

    def _stop(self) -> None:
        # First: without its controller a webhook refuses every object.
        self._kubectl("delete", "--ignore-not-found", f"{_MUTATING},{_VALIDATING}", self._webhook_name)
        if self._process is not None:
            self._process.kill()

    @property
    def _webhook_name(self) -> str:
        return f"{self.NAME}.kube-rendezvous.test"

    def _install_crds(self) -> None:
        for crd in module_files(self.NAME, self.MODULE, self.VERSION, *self.CRDS):
            self._kubectl("apply", "--server-side", "--force-conflicts", "-f", str(crd))
        served = ("api-resources", f"--api-group={self.GROUP}", "--output=name")
        kinds = {f"{webhook.resource}.{self.GROUP}" for webhook in self.WEBHOOKS}
        wait_until(lambda: kinds <= set(self._kubectl(*served).split()), f"the API server to know {kinds}", 30)

    def _is_ready(self, port: int) -> bool:
        assert self._process is not None
        assert self._process.running, self._process.log
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _make_certificate(self, folder: Path) -> bytes:
        """Make the certificate of the webhook server, and return that of its authority (PEM)."""
        folder.mkdir(parents=True)
        authority = trustme.CA()
        served = authority.issue_cert(self._address)
        served.private_key_pem.write_to_path(folder / "tls.key")
        served.cert_chain_pems[0].write_to_path(folder / "tls.crt")
        return authority.cert_pem.bytes()

    def _webhooks(self, kind: str, server: str, authority: bytes) -> dict[str, Any]:
        bundle = base64.b64encode(authority).decode()
        webhooks = [
            {
                "name": f"{webhook.resource}.{self._webhook_name}",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "rules": [
                    {
                        "apiGroups": [self.GROUP],
                        "apiVersions": [self.API_VERSION],
                        "operations": list(webhook.operations),
                        "resources": [webhook.resource],
                    }
                ],
                "clientConfig": {"url": f"{server}{webhook.path}", "caBundle": bundle},
            }
            for webhook in self.WEBHOOKS
            if webhook.kind == kind
        ]
        return {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": kind,
            "metadata": {"name": self._webhook_name},
            "webhooks": webhooks,
        }


class JobSetController(_Controller):
    """That of JobSets, without its webhooks of pods.

    These serve exclusive placement alone, and would stand before each pod of the cluster.
    """

    NAME = "jobset"
    MODULE = "sigs.k8s.io/jobset"
    VERSION = "v0.12.0"
    CRDS = ("config/components/crd/bases/jobset.x-k8s.io_jobsets.yaml",)
    GROUP = "jobset.x-k8s.io"
    API_VERSION = "v1alpha2"
    WEBHOOKS = (
        Webhook(_MUTATING, "/mutate-jobset-x-k8s-io-v1alpha2-jobset", ["CREATE"], "jobsets"),
        Webhook(_VALIDATING, "/validate-jobset-x-k8s-io-v1alpha2-jobset", ["CREATE", "UPDATE"], "jobsets"),
    )

    def _configuration(self) -> dict[str, Any]:
        return {
            "apiVersion": "config.jobset.x-k8s.io/v1alpha1",
            "kind": "Configuration",
            "internalCertManagement": {"enable": False},
        }


class TrainerController(_Controller):
    """That of TrainJobs (Kubeflow Trainer). It makes JobSets, so it needs the controller of these beside it."""

    NAME = "trainer"
    MODULE = "github.com/kubeflow/trainer/v2"
    VERSION = "v2.2.0"
    PACKAGE = "./cmd/trainer-controller-manager"
    _KINDS = ("clustertrainingruntimes", "trainingruntimes", "trainjobs")
    CRDS = tuple(f"manifests/base/crds/trainer.kubeflow.org_{kind}.yaml" for kind in _KINDS)
    GROUP = "trainer.kubeflow.org"
    API_VERSION = "v1alpha1"
    WEBHOOKS = (
        Webhook(_MUTATING, "/mutate-trainer-kubeflow-org-v1alpha1-trainjob", ["CREATE", "UPDATE"], "trainjobs"),
        *(
            Webhook(_VALIDATING, f"/validate-trainer-kubeflow-org-v1alpha1-{kind[:-1]}", ["CREATE", "UPDATE"], kind)
            for kind in _KINDS
        ),
    )

    def _configuration(self) -> dict[str, Any]:
        return {
            "apiVersion": "config.trainer.kubeflow.org/v1alpha1",
            "kind": "Configuration",
            "certManagement": {"enable": False},
        }


def _free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])
