"""The operator as a user installs it: the chart, with the image that this checkout builds."""

import json
import subprocess
from pathlib import Path
from typing import Any

from testcluster import Cluster, ClusterError
from tests.support import objects
from tests.support.waiting import wait_until

from rendezvous_api import names

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "kube-rendezvous"
NAME = "kube-rendezvous"
NAMESPACE = "kube-rendezvous"
DEPLOYMENT = f"{NAME}-operator"
OPERATOR_PODS = f"app.kubernetes.io/instance={NAME},app.kubernetes.io/component=operator"
"""The label selector of the operator's pods."""
TEAM = "team"
"""A namespace in which the chart makes the role of agents (`workers.namespaces`)."""

_SELECTOR = f"--selector={OPERATOR_PODS}"
_POD_SECURITY = "pod-security.kubernetes.io/enforce"


def build_image(*options: str) -> tuple[Path, str]:
    """Build the operator's image. Returns its archive and its name."""
    subprocess.run([str(ROOT / "hack" / "build-image"), "--local", *options], cwd=ROOT, check=True)
    archive = max((ROOT / "build").glob("kube-rendezvous-operator-*.tar"), key=lambda path: path.stat().st_mtime)
    version = archive.stem.removeprefix("kube-rendezvous-operator-")
    return archive, f"localhost/kube-rendezvous-operator:{version}"


class Release:
    """The release of the chart in the cluster.

    Args:
        cluster: the test cluster.
        image: of the operator, with its tag; on both nodes.
    """

    def __init__(self, cluster: Cluster, image: str) -> None:
        self.cluster = cluster
        self.image = image

    def install(self, *options: str, chart: Path = CHART) -> str:
        """``helm upgrade --install`` with 2 replicas, waits until they are Ready and the injection holds.

        Returns what helm said.

        Args:
            options: further ones, such as `--set log.verbose=true`.
            chart: its folder.
        """
        repository, _, tag = self.image.rpartition(":")
        for namespace in (NAMESPACE, TEAM):
            self._create_namespace(namespace)
        self.cluster.kubectl("label", "namespace", NAMESPACE, "--overwrite", f"{_POD_SECURITY}=restricted")
        values = {
            "image.repository": repository,
            "image.tag": tag,
            "image.pullPolicy": "Never",
            "workers.namespaces": f"{{{TEAM}}}",
            # The name is the same for each build: without it the pods of an earlier build would go on.
            "podAnnotations.imageDigest": self.cluster.node("node-a").image_digest(self.image),
        }
        settings = [argument for name, value in values.items() for argument in ("--set", f"{name}={value}")]
        arguments = ["upgrade", "--install", NAME, str(chart), "--namespace", NAMESPACE, *settings, *options]
        said = self.cluster.helm(*arguments, "--wait", "--timeout=4m")
        self._wait_until_injected()
        return said

    def uninstall(self) -> None:
        """Remove the release; the CRDs stay (`crds.keep`)."""
        self.cluster.helm("uninstall", NAME, "--namespace", NAMESPACE, "--wait", "--timeout=2m", "--ignore-not-found")

    def kubectl(self, *arguments: str) -> str:
        """Run kubectl in the namespace of the release."""
        return self.cluster.kubectl("--namespace", NAMESPACE, *arguments)

    def pods(self) -> list[dict[str, Any]]:
        """The operator's pods, as JSON."""
        found: list[dict[str, Any]] = json.loads(self.kubectl("get", "pods", _SELECTOR, "--output=json"))["items"]
        return found

    def scale(self, replicas: int) -> None:
        """Change the number of operator pods, and wait until they are Ready, or gone where there are to be none."""
        self.kubectl("scale", "deployment", DEPLOYMENT, f"--replicas={replicas}")
        if replicas:
            self.kubectl("rollout", "status", f"deployment/{DEPLOYMENT}", "--timeout=120s")
        else:
            self.kubectl("wait", "--for=delete", "pod", _SELECTOR, "--timeout=60s")

    def logs(self, lines: int = 200) -> str:
        """The ends of all operator pods' logs, each line with the pod's name."""
        return self.kubectl("logs", _SELECTOR, "--prefix", f"--tail={lines}", "--all-containers")

    def _wait_until_injected(self) -> None:
        """The API server learns of another policy by a watch, some time after helm has written it."""
        values = self.cluster.helm("get", "values", NAME, "--namespace", NAMESPACE, "--all", "--output=json")
        injection = json.loads(values).get("injection", {})
        if "handler" in injection:  # an earlier chart has none
            wanted = injection["handler"]["method"] if injection["enabled"] else "none"
            wait_until(lambda: self._method_of_injection() == wanted, f"pods to get the handler by {wanted}")

    def _method_of_injection(self) -> str | None:
        pod = objects.pod("probe", metadata={"labels": {names.LABEL_RENDEZVOUS: "probe"}})
        create = ("--namespace", TEAM, "create", "--dry-run=server", "--output=json", "-f", "-")
        try:
            made = json.loads(self.cluster.kubectl(*create, input=json.dumps(pod)))
        except ClusterError:  # a new namespace has no service account for a moment
            return None
        volumes = [volume for volume in made["spec"]["volumes"] if volume["name"] == "rdzv-handler"]
        return "none" if not volumes else "imageVolume" if "image" in volumes[0] else "initContainer"

    def _create_namespace(self, name: str) -> None:
        manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        self.cluster.kubectl("apply", "-f", "-", input=json.dumps(manifest))
