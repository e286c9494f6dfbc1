"""The control plane and the operator that everything here is measured on: real ones, of this machine."""

import base64
import contextlib
import functools
import json
import os
import re
import ssl
import subprocess
import sys
import tempfile
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rendezvous_api import names
from rendezvous_controlplane import LocalControlPlane

ROOT = Path(__file__).parents[1]
NAMESPACE = "benchmark"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"

_START_SECONDS = 600.0
"""Servers that start slowly say something about the machine, and they are no part of a measurement."""

_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'(\w+)="([^"]*)"')

Samples = Counter[tuple[str, tuple[tuple[str, str], ...]]]
"""Values of metrics, by name and sorted labels."""


@dataclass(frozen=True)
class Cluster:
    """What a benchmark needs to know of the control plane."""

    plane: LocalControlPlane
    kubeconfig: Path
    """Of a service account, so that priority and fairness of the API server hold for it as in a cluster."""
    token: str
    operator: int | None = None
    """Process id, if there is one."""

    @property
    def admin_token(self) -> str:
        """Of a user that priority and fairness does not hold back: for what is no part of a measurement."""
        config = json.loads(self.plane.kubeconfig.read_text(encoding="utf-8"))
        return str(config["users"][0]["user"]["token"])

    @property
    def authority(self) -> str:
        """The certificate authority of the API server, PEM."""
        config = json.loads(self.kubeconfig.read_text(encoding="utf-8"))
        return base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"]).decode("ascii")

    def tls(self) -> ssl.SSLContext:
        """Trusts this API server."""
        return ssl.create_default_context(cadata=self.authority)

    @functools.cached_property
    def _opener(self) -> urllib.request.OpenerDirector:
        return urllib.request.build_opener(urllib.request.HTTPSHandler(context=self.tls()))

    def request(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> dict[str, Any]:
        """Ask the API server for something as the administrator; returns its answer.

        Raises:
            OSError: it refuses (``HTTPError``), or has not answered for 60 s.
        """
        request = urllib.request.Request(
            self.plane.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.admin_token}", "Content-Type": kind},
        )
        with self._opener.open(request, timeout=60) as answer:
            found: dict[str, Any] = json.loads(answer.read())
            return found

    def write_pod_status(self, name: str, **status: Any) -> None:
        """Write fields of the status of a pod, as its kubelet does."""
        self.request("PATCH", f"{PODS}/{name}/status", {"status": status}, "application/merge-patch+json")

    def create_pod(self, name: str, rendezvous: str) -> Path:
        """Create a running pod without a kubelet, labelled; returns a kubeconfig whose token is bound to it."""
        metadata = {"name": name, "labels": {names.LABEL_RENDEZVOUS: rendezvous}}
        containers = [{"name": "torchrun", "image": "none"}]
        spec = {"serviceAccountName": "agents", "nodeName": "node", "restartPolicy": "Never", "containers": containers}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        uid = self.request("POST", PODS, pod)["metadata"]["uid"]
        self.write_pod_status(name, phase="Running")
        bound = {"kind": "Pod", "apiVersion": "v1", "name": name, "uid": uid}
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"audiences": [], "expirationSeconds": 7200, "boundObjectRef": bound},
        }
        path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/agents/token"
        config = json.loads(self.kubeconfig.read_text(encoding="utf-8"))
        config["users"][0]["user"] = {"token": self.request("POST", path, request)["status"]["token"]}
        kubeconfig = self.plane.data_dir / f"{name}.kubeconfig"
        kubeconfig.write_text(json.dumps(config), encoding="utf-8")
        return kubeconfig

    def delete_pod(self, name: str) -> None:
        """Delete a pod; it is gone at once."""
        self.request("DELETE", f"{PODS}/{name}", {"gracePeriodSeconds": 0})

    def processes(self) -> dict[str, int]:
        """Process ids of the servers, by what they are."""
        found = {"operator": self.operator} if self.operator is not None else {}
        for name in ("kube-apiserver", "etcd"):
            found[name] = _child_called(name, str(self.plane.data_dir))
        return found

    def metrics(self) -> Samples:
        """What the API server says of itself at ``/metrics``."""
        headers = {"Authorization": f"Bearer {self.admin_token}"}
        request = urllib.request.Request(f"{self.plane.url}/metrics", headers=headers)
        with urllib.request.urlopen(request, context=self.tls(), timeout=60) as answer:
            text = answer.read().decode()
        samples: Samples = Counter()
        for line in text.splitlines():
            if found := _SAMPLE.match(line):
                name, labels, value = found.groups()
                samples[name, tuple(sorted(_LABEL.findall(labels or "")))] = float(value)  # type: ignore[assignment]
        return samples


@contextlib.contextmanager
def running_cluster(
    further_objects: Sequence[Path] = (), *, operator: bool = True, log: Path | None = None
) -> Iterator[Cluster]:
    """A control plane with the CRDs and a running operator, if it is wanted; it and the agents are service accounts.

    What the operator prints is in the file ``log``, if one is given; else it goes with the cluster.
    """
    with tempfile.TemporaryDirectory() as folder, LocalControlPlane(start_timeout=_START_SECONDS) as plane:
        plane.apply([ROOT / "crds", *further_objects])
        plane.kubectl("create", "namespace", NAMESPACE)
        tokens, kubeconfigs = {}, {}
        for account in ("agents", "operator"):
            plane.kubectl("create", "serviceaccount", "-n", NAMESPACE, account)
            plane.kubectl(
                "create", "clusterrolebinding", account, "--clusterrole=cluster-admin",
                f"--serviceaccount={NAMESPACE}:{account}",
            )  # fmt: skip
            tokens[account] = plane.kubectl("create", "token", "-n", NAMESPACE, account, "--duration=4h").strip()
            kubeconfigs[account] = plane.kubeconfig_with_token(tokens[account])
        if not operator:
            yield Cluster(plane, kubeconfigs["agents"], tokens["agents"])
            return
        log = log or Path(folder) / "operator.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "rendezvous_operator.app"],
                env={**os.environ, "KUBECONFIG": str(kubeconfigs["operator"])},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            yield Cluster(plane, kubeconfigs["agents"], tokens["agents"], process.pid)
            if process.poll() is not None:
                raise RuntimeError(f"the operator has ended by itself:\n{log.read_text()[-3000:]}")
        finally:
            process.terminate()
            process.wait(30)


def _child_called(name: str, folder: str) -> int:
    """The descendant of this process that has that name and uses that folder."""
    pids = [os.getpid()]
    for pid in pids:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                pids.extend(int(child) for child in (task / "children").read_text().split())
    for pid in pids:
        with contextlib.suppress(OSError):
            program, *arguments = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
            if os.path.basename(program) == name and any(folder in argument for argument in arguments):
                return pid
    raise LookupError(f"this process has no descendant {name} that uses {folder}")
