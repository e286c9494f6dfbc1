"""What the tests of the chart share: helm, what it renders, and pods with their bound tokens."""

import functools
import json
import os
import pickle
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from testcluster.programs import ensure_helm
from tests.support import objects
from tests.support.api import Api

from rendezvous_controlplane import KUBERNETES_VERSION, LocalControlPlane

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "kube-rendezvous"
RELEASE, SYSTEM = "kube-rendezvous", "rdzv-system"
MUTATING = "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"
COLLECTOR = "system:serviceaccount:kube-system:generic-garbage-collector"
NAMESPACE_CONTROLLER = "system:serviceaccount:kube-system:namespace-controller"
Json = dict[str, Any]


class HelmError(Exception):
    """What helm said when it failed."""


def helm(*arguments: str, kubeconfig: Path | None = None) -> str:
    """Run helm and return its standard output.

    Raises:
        HelmError: it failed.
    """
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig or os.devnull)}
    command = [str(ensure_helm()), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise HelmError(f"helm {arguments[0]}: {done.stderr.strip()}")
    return done.stdout


def options(values: Mapping[str, Any]) -> Iterator[str]:
    """The options of helm for values whose names are paths with dots."""
    for path, value in values.items():
        yield f"--set-json={path}={json.dumps(value)}"


def render(values: Mapping[str, Any] | None = None, *more: str, release: str = RELEASE) -> list[Json]:
    """The objects that the chart makes of these values."""
    found: list[Json] = pickle.loads(_rendered(release, *options(values or {}), *more))
    return found


@functools.cache
def _rendered(release: str, *more: str) -> bytes:
    """The same, packed, so that each caller gets objects of its own. Helm runs once for equal options."""
    common = (f"--namespace={SYSTEM}", f"--kube-version={KUBERNETES_VERSION}")
    text = helm("template", release, str(CHART), *common, *more)
    # The CRDs are long: the parser in Python takes a second for them, the one in C a tenth of that.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return pickle.dumps([document for document in yaml.load_all(text, Loader=loader) if document])


def mutates(plane: LocalControlPlane) -> bool:
    """Whether the API server has MutatingAdmissionPolicy v1 (Kubernetes 1.36)."""
    resources = json.loads(plane.kubectl("get", "--raw", "/apis/admissionregistration.k8s.io/v1"))["resources"]
    return "mutatingadmissionpolicies" in {item["name"] for item in resources}


def only(documents: Sequence[Json], kind: str, name: str | None = None) -> Json:
    """The one object of a kind, and of a name if one is given."""
    (found,) = [item for item in documents if item["kind"] == kind and name in (None, item["metadata"]["name"])]
    return found


def kinds(documents: Sequence[Json]) -> set[str]:
    return {item["kind"] for item in documents}


def is_hook(document: Json) -> bool:
    return "helm.sh/hook" in document["metadata"].get("annotations", {})


@dataclass(frozen=True)
class Pod:
    """A pod, and a kubeconfig with a token that is bound to it."""

    namespace: str
    name: str
    uid: str
    node: str | None
    kubeconfig: Path

    @property
    def owner(self) -> Json:
        return {"apiVersion": "v1", "kind": "Pod", "name": self.name, "uid": self.uid}


def make_pod(plane: LocalControlPlane, namespace: str, name: str, account: str, node: str | None = None) -> Pod:
    """Make a pod that nothing runs, and get a token as kubelet would."""
    api = Api(plane, namespace)
    on_node: Json = {} if node is None else {"nodeName": node}
    uid = api.create(objects.pod(name, serviceAccountName=account, **on_node))["metadata"]["uid"]
    return Pod(namespace, name, uid, node, plane.kubeconfig_with_token(api.token(account, (name, uid))))


def token_of(plane: LocalControlPlane, namespace: str, account: str) -> Path:
    """A kubeconfig with a token of a service account that is bound to no pod."""
    return plane.kubeconfig_with_token(Api(plane, namespace).token(account))


def participant(pod: Pod, rendezvous: str = "train", suffix: str = "", **spec: Any) -> Json:
    """What the agent of a pod writes; a field of the spec that is None is left out."""
    of_pod = {"podName": pod.name, "podUID": pod.uid, "nodeName": pod.node}
    metadata = {
        "namespace": pod.namespace,
        "name": f"{rendezvous}.{pod.name}{suffix}",
        "ownerReferences": [pod.owner],
    }
    return objects.participant(pod.name, of=rendezvous, metadata=metadata, **{**of_pod, **spec})


def install(plane: LocalControlPlane, folder: Path, documents: Sequence[Json]) -> None:
    """Apply what the chart makes, without its hooks."""
    items = [item for item in documents if not is_hook(item)]
    (folder / "chart.json").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    plane.apply(folder / "chart.json")
