"""A real API server takes each example as it is. What pods do with them is seen in tests/cluster."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.api import Api

from rendezvous_api import names
from rendezvous_controlplane import LocalControlPlane

EXAMPLES = Path(__file__).parents[2] / "examples"
OTHERS = {"jobset.x-k8s.io", "trainer.kubeflow.org"}
"""API groups whose CRDs are not part of Kubernetes: tests/cluster/test_jobset.py has them."""

Json = dict[str, Any]


def objects(path: Path) -> list[Json]:
    return [item for item in yaml.safe_load_all(path.read_text(encoding="utf-8")) if item]


def pods(node: Any) -> Iterator[Json]:
    """All pods and pod templates in an object."""
    if isinstance(node, dict):
        if "containers" in node.get("spec", {}):
            yield node
        for child in node.values():
            yield from pods(child)
    elif isinstance(node, list):
        for child in node:
            yield from pods(child)


SCENARIOS = EXAMPLES / "scenarios"
FILES = [path for path in sorted(EXAMPLES.rglob("*.yaml")) if path.parent != SCENARIOS]
WORKLOADS = [path for path in FILES if any(True for item in objects(path) for _ in pods(item))]
LABELLED = [path for path in WORKLOADS if path.parent.name == "label"]
"""Those that join by their label alone."""
TRAINING = [path for path in WORKLOADS if path.stem != "operator" and path not in LABELLED]


def name_of(path: Path) -> str:
    return str(path.relative_to(EXAMPLES))


@pytest.fixture
def team(control_plane: LocalControlPlane, namespace: str) -> str:
    """A namespace in which agents may join."""
    Api(control_plane, namespace).create_all(objects(EXAMPLES / "agent-rbac.yaml"))
    return namespace


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_the_api_server_takes_it(control_plane: LocalControlPlane, team: str, path: Path) -> None:
    for item in objects(path):
        own = item["metadata"].get("namespace")
        if own:
            new = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": own}}
            control_plane.kubectl("apply", "-f", "-", input=json.dumps(new))
        if item["apiVersion"].rpartition("/")[0] not in OTHERS:
            options = ("--validate=strict", "--dry-run=server", f"--namespace={own or team}")
            control_plane.kubectl("apply", *options, "-f", "-", input=json.dumps(item))


@pytest.mark.parametrize("path", [*TRAINING, *LABELLED], ids=name_of)
def test_its_pods_are_pods(control_plane: LocalControlPlane, team: str, path: Path) -> None:
    """Templates are checked loosely; a pod is checked for all that it says."""
    for item in objects(path):
        for template in pods(item):
            metadata = {"generateName": "pod-", "labels": template.get("metadata", {}).get("labels", {})}
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
            pod["spec"].setdefault("restartPolicy", "Always")
            control_plane.kubectl("-n", team, "create", "--validate=strict", "-f", "-", input=json.dumps(pod))


@pytest.mark.parametrize("path", TRAINING, ids=name_of)
def test_its_parts_fit_each_other(path: Path) -> None:
    """The pods join the Rendezvous that is there, as many as it wants, as the account that may."""
    found = objects(path)
    if not any(item["kind"] == names.RENDEZVOUS_KIND for item in found):
        found += objects(path.with_name("rendezvous.yaml"))
    (rendezvous,) = (item for item in found if item["kind"] == names.RENDEZVOUS_KIND)
    name, spec = rendezvous["metadata"]["name"], rendezvous["spec"]
    templates = [template for item in found for template in pods(item)]
    assert templates
    for template in templates:
        assert template["spec"]["serviceAccountName"] == "rendezvous-agent"
        labels = template.get("metadata", {}).get("labels", {})
        assert labels.get(names.LABEL_RENDEZVOUS, name) == name
        (container,) = template["spec"]["containers"]
        words = " ".join([*container.get("command", []), *container.get("args", [])])
        if words:
            assert f"--rdzv-backend=kubernetes --rdzv-endpoint={name} " in words
            nodes = re.search(r"--nnodes=(\S+)", words)
            assert nodes is not None
            assert nodes[1] in (f"{spec['minNodes']}:{spec['maxNodes']}", str(spec["maxNodes"]))
    assert sum(number_of_pods(item) for item in found) == spec["maxNodes"]


@pytest.mark.parametrize("path", LABELLED, ids=name_of)
def test_a_label_and_an_annotation_are_all_that_it_has(path: Path) -> None:
    """The rest is a workload as it is without this project."""
    (workload,) = (item for item in objects(path) if any(True for _ in pods(item)))
    (template,) = pods(workload)
    assert set(template["metadata"]) == {"labels", "annotations"}
    assert template["metadata"]["labels"] == {names.LABEL_RENDEZVOUS: workload["metadata"]["name"]}
    ((annotation, nodes),) = template["metadata"]["annotations"].items()
    assert annotation == "rdzv.dev/nnodes"
    assert int(nodes.partition(":")[2]) == number_of_pods(workload)
    assert "serviceAccountName" not in template["spec"]
    (container,) = template["spec"]["containers"]
    assert container["command"][0] == "torchrun"
    rest = [word for word in container["command"] if "rdzv" in word or "nnodes" in word]
    assert (rest, "args" in container, "env" in container) == ([], False, False)


def number_of_pods(item: Json) -> int:
    spec = item.get("spec", {})
    if item["kind"] == "JobSet":
        return sum(job["replicas"] * job["template"]["spec"]["parallelism"] for job in spec["replicatedJobs"])
    if item["kind"] == "TrainJob":
        return int(spec["trainer"]["numNodes"])
    if item["kind"] == "Pod":
        return 1
    return int(spec.get("parallelism") or spec.get("replicas") or 0)


def test_every_example_is_in_the_list() -> None:
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\]\(([^)#]+)\)", text))
    assert {name_of(path) for path in FILES} <= linked
    assert all((EXAMPLES / target).exists() for target in linked)
