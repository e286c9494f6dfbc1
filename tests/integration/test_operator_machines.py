"""Machines as evidence, and their marks, with Nodes on a real API server.

The tests are their kubelets, and write the heartbeats.
"""

import json
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from tests.integration.operator_support import Group, Operators
from tests.support.api import Api, Json
from tests.support.objects import pod
from tests.support.waiting import wait_until

from rendezvous_api import names

OPERATOR_RULES: list[Json] = [
    {"apiGroups": [names.GROUP], "resources": ["*"], "verbs": ["*"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]},
]
CONFIRM_SECONDS = 3
SILENT_SECONDS = 3
GRACE_SECONDS = 2
_NUMBERS = count()


class Machine:
    """A Node, of which the test is the kubelet."""

    def __init__(self, group: Group) -> None:
        self._group = group
        self.name = f"gpu-7-{group.namespace}"
        self._kubectl("create", "-f", "-", body={"apiVersion": "v1", "kind": "Node", "metadata": {"name": self.name}})

    def reports(self, ready: str) -> None:
        """Its condition Ready."""
        conditions = [{"type": "Ready", "status": ready, "reason": "Test"}]
        patch = json.dumps({"status": {"conditions": conditions}})
        self._kubectl("patch", "node", self.name, "--subresource=status", "--type=merge", "-p", patch)

    def mark(self, patch: Json) -> None:
        """What an administrator or another program writes."""
        self._kubectl("patch", "node", self.name, "--type=merge", "-p", json.dumps(patch))

    def delete(self) -> None:
        self._kubectl("delete", "node", self.name)

    def _kubectl(self, *arguments: str, body: Json | None = None) -> None:
        self._group.control_plane.kubectl(*arguments, input=None if body is None else json.dumps(body))


@pytest.fixture
def machine(group: Group) -> Iterator[Machine]:
    made = Machine(group)
    made.reports("True")
    yield made
    made.delete()


def beat(group: Group, node: str, rank: int | None = None) -> None:
    """One heartbeat of a member of the first round; without a rank, of a node that waits."""
    written = f"2030-01-01T00:00:00.{next(_NUMBERS):06}Z"
    runs = {"round": 0} if rank is None else {"round": 1, "rank": rank}
    status = {"incarnation": "aaaaaaaa", "attempt": 1, "heartbeatTime": written, **runs}
    group.api.patch(names.PARTICIPANT_KIND, f"train.{node}", {"status": status}, "status")


def start(group: Group, machine: Machine) -> None:
    """A round of a and b begins; b runs on that machine."""
    group.create(heartbeatIntervalSeconds=1, suspectSeconds=3600, confirmSeconds=CONFIRM_SECONDS)
    group.join("a")
    group.join("b", nodeName=machine.name)
    group.wait_for_round(1)
    for rank, node in enumerate("ab"):
        beat(group, node, rank)


def lives_on(group: Group, *nodes: str, seconds: float = 60) -> bool:
    """These send heartbeats until the round ends. Returns whether it has."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for node in nodes:
            beat(group, node, "ab".index(node))
        if group.status.waiting_nodes:
            return True
        time.sleep(0.3)
    return False


def test_a_silent_member_on_a_machine_that_is_not_ready_is_lost(
    operators: Operators, group: Group, machine: Machine
) -> None:
    operator = operators.serve("--namespace", group.namespace, "--machines")
    start(group, machine)
    # Its machine alone is no evidence.
    machine.reports("False")
    assert not lives_on(group, "a", "b", seconds=SILENT_SECONDS + CONFIRM_SECONDS + 1)
    machine.reports("True")
    # Nor is its silence, for an hour.
    assert not lives_on(group, "a", seconds=SILENT_SECONDS + CONFIRM_SECONDS + 3)
    machine.reports("Unknown")
    assert lives_on(group, "a")
    record = group.status.history[-1]
    assert record.reason == "MemberLost"
    assert record.message == (f"train.b: no heartbeat for more than 3 s, and its machine {machine.name} is unreachable")
    counted = 'kube_rendezvous_detection_seconds_count{evidence="Machine"}'
    wait_until(lambda: operator.metrics()[counted] == 1, "the loss in the metrics")
    assert "machines are no evidence" not in operator.process.log


def spares_go_on(group: Group, seconds: float) -> bool:
    """The nodes c and d send heartbeats until they are the members of a round. Returns whether they are."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for node in "cd":
            beat(group, node)
        if [member.name for member in group.status.participants] == ["train.c", "train.d"]:
            return True
        time.sleep(0.3)
    return False


def test_an_isolated_round_is_over_when_a_pod_ought_to_have_ended_and_its_machine_is_down(
    operators: Operators, group: Group, machine: Machine
) -> None:
    """There is no kubelet, so the API server shows the pod for ever."""
    operators.serve("--namespace", group.namespace, "--machines")
    long = {"suspectSeconds": 3600, "isolatedRoundSeconds": 3600, "reentrySeconds": 3600}
    group.create(heartbeatIntervalSeconds=1, confirmSeconds=CONFIRM_SECONDS, **long)
    labels = {names.LABEL_RENDEZVOUS: group.name}
    made = group.api.create(pod("train-b", metadata={"labels": labels}, nodeName=machine.name))
    group.join("a")
    group.join("b", nodeName=machine.name, podName="train-b", podUID=made["metadata"]["uid"])
    group.wait_for_round(1)
    for rank, node in enumerate("ab"):
        beat(group, node, rank)
    group.join("c")
    group.join("d")
    assert not spares_go_on(group, SILENT_SECONDS + 2)
    group.api.delete(names.POD_KIND, "train-b", grace_seconds=GRACE_SECONDS)
    assert not spares_go_on(group, GRACE_SECONDS + 7), "the machine is well"
    machine.reports("Unknown")
    assert spares_go_on(group, 60)
    found = group.api.read(names.POD_KIND, "train-b")["metadata"]
    assert found["deletionGracePeriodSeconds"] == GRACE_SECONDS
    assert group.status.history[0].reason == "MemberEvicted"


def test_without_the_right_it_goes_by_silence_and_says_so_once(
    operators: Operators, group: Group, machine: Machine, tmp_path: Path
) -> None:
    group.api.grant("operator", OPERATOR_RULES, group.api.create_account("operator"))
    kubeconfig = group.api.kubeconfig(group.api.token("operator"), tmp_path / "operator")
    rights = Api(group.control_plane, group.namespace, kubeconfig)
    wait_until(lambda: rights.list("Pod") == [], "the rights of the operator")
    operator = operators.start("--namespace", group.namespace, "--machines", kubeconfig=kubeconfig)
    start(group, machine)
    machine.reports("False")
    assert not lives_on(group, "a", seconds=SILENT_SECONDS + CONFIRM_SECONDS + 9)
    assert operator.log.count("machines are no evidence, since they cannot be read: cannot get nodes") == 1
    assert "forbidden" in operator.log
    group.api.patch(names.RENDEZVOUS_KIND, group.name, {"spec": {"timeouts": {"suspectSeconds": SILENT_SECONDS}}})
    assert lives_on(group, "a")
    assert group.status.history[-1].message == "train.b: no heartbeat for more than 3 s"


def test_a_newcomer_on_a_bad_machine_is_taken_in_when_its_mark_is_gone(
    operators: Operators, group: Group, machine: Machine
) -> None:
    operators.start("--namespace", group.namespace, "--machines")
    machine.mark({"metadata": {"labels": {"dgxc.nvidia.com/nvsentinel-state": "draining"}}})
    group.create()
    group.join("a")
    group.join("b", nodeName=machine.name)
    message = f"its machine {machine.name} has the label dgxc.nvidia.com/nvsentinel-state=draining"
    (entry,) = wait_until(lambda: group.status.passed_over, "the node that is passed over")
    assert (entry.name, str(entry.reason), entry.message) == ("train.b", "Labelled", message)
    assert group.status.round == 0
    taint = {"key": "AggregatedNodeHealth", "value": "False", "effect": "NoSchedule"}
    label = {"dgxc.nvidia.com/nvsentinel-state": None}
    machine.mark({"metadata": {"labels": label}, "spec": {"taints": [taint]}})
    wait_until(lambda: group.status.passed_over[0].reason == "Tainted", "the next mark")
    machine.mark({"spec": {"taints": None}})
    assert group.wait_for_round(1).passed_over == ()
