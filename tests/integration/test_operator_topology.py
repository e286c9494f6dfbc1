"""Ranks by topology, with Nodes and pods on a real API server. The tests are their kubelets and their scheduler."""

import json
from collections.abc import Iterator, Mapping

import pytest
from tests.integration.operator_support import Group, Operators
from tests.support import objects
from tests.support.api import Json
from tests.support.waiting import wait_until

from rendezvous_api import names

BLOCK, RACK = "cloud.provider.com/topology-block", "cloud.provider.com/topology-rack"
KUEUE_TOPOLOGY: Json = {
    "apiVersion": "kueue.x-k8s.io/v1beta2",
    "kind": "Topology",
    "metadata": {"name": "default"},
    "spec": {"levels": [{"nodeLabel": BLOCK}, {"nodeLabel": RACK}, {"nodeLabel": "kubernetes.io/hostname"}]},
}
"""That of the documentation of Kueue. Its kind is not installed here: only its levels are taken, as they are."""


class Nodes:
    """Machines with labels."""

    def __init__(self, group: Group) -> None:
        self._group = group
        self._made: list[str] = []

    def create(self, name: str, labels: Mapping[str, str]) -> str:
        """Returns its name, which no other test has."""
        full = f"{name}-{self._group.namespace}"
        metadata = {"name": full, "labels": {"kubernetes.io/hostname": full, **labels}}
        self.kubectl("create", "-f", "-", body={"apiVersion": "v1", "kind": "Node", "metadata": metadata})
        self._made.append(full)
        return full

    def label(self, name: str, label: str, value: str) -> None:
        self.kubectl("label", "--overwrite", "node", name, f"{label}={value}")

    def delete_all(self) -> None:
        for name in self._made:
            self.kubectl("delete", "node", name)

    def kubectl(self, *arguments: str, body: Json | None = None) -> None:
        self._group.control_plane.kubectl(*arguments, input=None if body is None else json.dumps(body))


@pytest.fixture
def nodes(group: Group) -> Iterator[Nodes]:
    made = Nodes(group)
    yield made
    made.delete_all()


def ranks(group: Group) -> list[str]:
    return [member.name.removeprefix(f"{group.name}.") for member in group.status.participants]


def domains(group: Group) -> list[tuple[tuple[str, ...], int]]:
    topology = group.status.topology
    assert topology is not None
    return [(domain.values, domain.nodes) for domain in topology.domains]


def test_ranks_follow_the_levels_of_a_topology_of_kueue(operators: Operators, group: Group, nodes: Nodes) -> None:
    keys = [level["nodeLabel"] for level in KUEUE_TOPOLOGY["spec"]["levels"]]
    places = {"a": ("b1", "r1"), "b": ("b2", "r1"), "c": ("b1", "r2"), "d": ("b2", "r1"), "e": ("b1", "r1")}
    on = {node: nodes.create(node, {BLOCK: block, RACK: rack}) for node, (block, rack) in places.items()}
    group.create(minNodes=5, maxNodes=5, ranks={"policy": "Topology", "keys": keys})
    operators.start("--namespace", group.namespace, "--machines")
    for node in places:
        group.join(node, nodeName=on[node])
    group.wait_for_round(1)
    assert ranks(group) == ["a", "e", "c", "b", "d"]
    assert domains(group)[0] == (("b1", "r1", on["a"]), 1)
    assert len(domains(group)) == 5


def test_a_label_that_comes_late_lets_the_round_begin_and_stays_known(
    operators: Operators, group: Group, nodes: Nodes
) -> None:
    on = {node: nodes.create(node, {RACK: "r1"} if node != "b" else {}) for node in "ab"}
    group.create(ranks={"policy": "Topology", "keys": [RACK], "segmentSize": 2})
    operator = operators.start("--namespace", group.namespace, "--machines")
    for node in "ab":
        group.join(node, nodeName=on[node])

    def message() -> str:
        running = group.status.condition(names.CONDITION_RUNNING)
        return running.message if running is not None else ""

    expected = (
        "2 of at least 2 nodes, 0 of them in whole segments of 2; "
        f"not in the order of machines: train.b is on machine {on['b']}, which has no label {RACK}"
    )
    wait_until(lambda: message() == expected, expected)
    nodes.label(on["b"], RACK, "r1")
    group.wait_for_round(1)
    assert domains(group) == [(("r1",), 2)]
    assert any("2 nodes, rank 0 is train.a; 1 domain" in line for line in operator.log.splitlines())


def test_without_rights_on_nodes_the_zone_is_that_of_the_pod(operators: Operators, group: Group, nodes: Nodes) -> None:
    """From Kubernetes 1.35 on, the API server gives a pod the labels of its machine when the pod is bound to it."""
    if int(group.control_plane.version.split(".")[1]) < 35:
        pytest.skip("pods get the labels of their machines from Kubernetes 1.35 on")
    zones = {"a": "east", "b": "west", "c": "east"}
    group.create(minNodes=3, maxNodes=3, ranks={"policy": "Topology", "keys": ["zone"]})
    operators.start("--namespace", group.namespace)
    group.api.create_account("default")
    for node, zone in zones.items():
        machine = nodes.create(node, {names.LABEL_ZONE: zone})
        labels = {names.LABEL_RENDEZVOUS: group.name}
        pod = group.api.create(objects.pod(f"pod-{node}", metadata={"labels": labels}))
        target = {"apiVersion": "v1", "kind": "Node", "name": machine}
        binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": f"pod-{node}"}, "target": target}
        path = f"/api/v1/namespaces/{group.namespace}/pods/pod-{node}/binding"
        nodes.kubectl("create", "--raw", path, "-f", "-", body=binding)
        found = group.api.read("Pod", f"pod-{node}")["metadata"]["labels"]
        assert found[names.LABEL_ZONE] == zone, "the API server itself has labelled it"
        uid = pod["metadata"]["uid"]
        group.join(node, podName=f"pod-{node}", podUID=uid, nodeName=machine)
    group.wait_for_round(1)
    assert ranks(group) == ["a", "c", "b"]
    assert domains(group) == [(("east",), 2), (("west",), 1)]
