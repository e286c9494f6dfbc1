"""Whose object it is: predecessors, siblings, successors; and who the agent is inside a pod."""

import time
from pathlib import Path
from typing import Any

from tests.integration.handler_support import Nodes, PlayedOperator, until_allowed
from tests.support import objects
from tests.support.api import Api, create_namespace
from tests.support.objects import AGENT_RULES
from tests.support.waiting import wait_until
from torch.distributed.elastic.rendezvous import RendezvousStateError

from rendezvous_controlplane import LocalControlPlane


def make_pod(control_plane: LocalControlPlane, namespace: str, name: str) -> tuple[str, Path]:
    """A pod object (no kubelet runs it) and a kubeconfig with the token that it would have got."""
    api = Api(control_plane, namespace)
    if api.find("ServiceAccount", "agent") is None:
        api.grant("agent", AGENT_RULES, api.create_account("agent"))
    uid = api.create(objects.pod(name, serviceAccountName="agent", nodeName="node-1"))["metadata"]["uid"]
    kubeconfig = control_plane.kubeconfig_with_token(api.token("agent", (name, uid)))
    until_allowed(control_plane, namespace, kubeconfig)
    return uid, kubeconfig


def test_a_restarted_node_takes_its_predecessors_object(operator: PlayedOperator, nodes: Nodes) -> None:
    operator.create()
    first = nodes.node("a").join()
    before = operator.joined({"train.a": 1})["train.a"]
    second = nodes.node("a").join()
    after = wait_until(
        lambda: (
            (item := operator.participant("train.a"))["spec"]["incarnation"] != before["spec"]["incarnation"] and item
        ),
        "the new incarnation",
    )
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["spec"]["attempt"] == 1

    # The first one notices, says by whom, and never takes the name back.
    raised = first.raised()
    assert type(raised) is RendezvousStateError
    assert after["spec"]["incarnation"] in str(raised)
    assert "node_id" in str(raised)
    first.handler.shutdown()
    assert operator.participant("train.a")["spec"] == after["spec"]
    operator.publish({"train.a": after})
    assert second.returned().world_size == 1
    first_error = first.join().raised()
    assert "shut down" in str(first_error)


def test_a_predecessor_in_a_round_notices_and_never_writes_over_its_successor(
    operator: PlayedOperator, nodes: Nodes
) -> None:
    operator.create()
    first = nodes.node("a").join()
    operator.publish(operator.joined({"train.a": 1}))
    first.returned()

    def heartbeat() -> Any:
        return operator.participant("train.a").get("status") or {}

    wait_until(lambda: heartbeat().get("round") == 1, "its heartbeat")
    second = nodes.node("a").join()
    assert wait_until(first.handler.num_nodes_waiting, "num_nodes_waiting") == 1
    successor = operator.participant("train.a")["spec"]["incarnation"]
    wait_until(lambda: heartbeat()["incarnation"] == successor, "the heartbeat of the successor")
    for _ in range(25):
        assert (heartbeat()["incarnation"], heartbeat()["round"]) == (successor, 0)
        time.sleep(0.1)
    assert type(first.join().raised()) is RendezvousStateError
    assert second.waits()


def test_a_deleted_object_is_created_anew(operator: PlayedOperator, nodes: Nodes) -> None:
    operator.create()
    a = nodes.node("a").join()
    before = operator.joined({"train.a": 1})["train.a"]
    operator.delete_participant("train.a")
    after = operator.joined({"train.a": 2})
    assert after["train.a"]["metadata"]["uid"] != before["metadata"]["uid"]
    operator.publish(after)
    a.returned()
    operator.delete_participant("train.a")
    assert wait_until(a.handler.num_nodes_waiting, "num_nodes_waiting") == 1
    a.join()
    assert operator.joined({"train.a": 3})["train.a"]["spec"]["attemptReason"] == "MembershipChange"


def test_identity_in_a_pod(control_plane: LocalControlPlane, operator: PlayedOperator, nodes: Nodes) -> None:
    operator.create()
    uid, kubeconfig = make_pod(control_plane, operator.namespace, "train-3")
    first = nodes.node("ignored", kubeconfig=kubeconfig).join()
    found = operator.joined({"train.train-3": 1})["train.train-3"]
    spec = found["spec"]
    assert (spec["podName"], spec["podUID"], spec["nodeName"], spec["podIndex"]) == ("train-3", uid, "node-1", 3)
    (owner,) = found["metadata"]["ownerReferences"]
    assert owner == {"apiVersion": "v1", "kind": "Pod", "name": "train-3", "uid": uid}

    # Another agent of the same pod gets a name of its own; when the first one goes, the next gets that one's.
    nodes.node("sibling", kubeconfig=kubeconfig).join()
    operator.joined({"train.train-3": 1, "train.train-3.1": 1})
    first.handler.shutdown()
    nodes.node("ignored", kubeconfig=kubeconfig).join()
    again = operator.joined({"train.train-3": 1, "train.train-3.1": 1})["train.train-3"]
    assert again["metadata"]["uid"] == found["metadata"]["uid"]


def test_the_object_of_a_former_pod_is_replaced(
    control_plane: LocalControlPlane, operator: PlayedOperator, nodes: Nodes
) -> None:
    made = operator.create()
    # As the garbage collector, which does not run here, would leave it for a moment.
    left_behind = operator.create_participant(
        objects.participant(
            "train-0", rendezvousUID=made["metadata"]["uid"], attempt=7, podName="train-0", podUID="gone"
        )
    )
    uid, kubeconfig = make_pod(control_plane, operator.namespace, "train-0")
    nodes.node("train-0", kubeconfig=kubeconfig).join()
    found = wait_until(
        lambda: (item := operator.participants().get("train.train-0")) and item["spec"]["podUID"] == uid and item,
        "its own object",
    )
    assert found["metadata"]["uid"] != left_behind["metadata"]["uid"]


def test_the_owner_reference_is_left_out_in_another_namespace(
    control_plane: LocalControlPlane, operator: PlayedOperator, nodes: Nodes
) -> None:
    operator.create()
    other = PlayedOperator(control_plane, f"{operator.namespace}-b")
    create_namespace(control_plane, other.namespace)
    _, kubeconfig = make_pod(control_plane, other.namespace, "w-0")
    agent = {"kind": "ServiceAccount", "name": "agent", "namespace": other.namespace}
    Api(control_plane, operator.namespace).grant("of-others", AGENT_RULES, agent)
    until_allowed(control_plane, operator.namespace, kubeconfig)
    nodes.node("w", kubeconfig=kubeconfig).join()
    assert "ownerReferences" not in operator.joined({"train.w-0": 1})["train.w-0"]["metadata"]
