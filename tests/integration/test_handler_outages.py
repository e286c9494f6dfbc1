"""Handlers while their API server is away."""

import time

import pytest
from tests.integration.handler_support import (
    Node,
    Nodes,
    PlayedOperator,
    Shutdown,
    make_handler,
)
from tests.support.groups import OWN_CONTROL_PLANE_ALONE
from tests.support.waiting import wait_until
from torch.distributed.elastic.rendezvous import (
    RendezvousConnectionError,
)

from rendezvous_controlplane import LocalControlPlane

pytestmark = OWN_CONTROL_PLANE_ALONE


@pytest.fixture(scope="module")
def control_plane(own_control_plane: LocalControlPlane) -> LocalControlPlane:
    """One whose API server may be stopped."""
    return own_control_plane


def test_an_outage_while_waiting_does_not_count(
    control_plane: LocalControlPlane, operator: PlayedOperator, nodes: Nodes
) -> None:
    operator.create(joinSeconds=5)
    a = nodes.node("a").join()
    members = operator.joined({"train.a": 1})
    control_plane.stop_apiserver()
    try:
        time.sleep(7)
        assert a.waits()
    finally:
        control_plane.start_apiserver()
    operator.publish(members)
    assert a.returned(timeout=60).world_size == 1


def test_members_train_on_through_an_outage(
    control_plane: LocalControlPlane, operator: PlayedOperator, nodes: Nodes, caplog: pytest.LogCaptureFixture
) -> None:
    def warnings() -> list[str]:
        return [line for line in caplog.messages if "no heartbeat has reached" in line]

    caplog.set_level("INFO", "rendezvous_handler")
    operator.create(maxMissed=2)
    a = nodes.node("a").join()
    operator.publish(operator.joined({"train.a": 1}))
    a.returned()
    control_plane.stop_apiserver()
    try:
        for _ in range(40):
            assert a.handler.num_nodes_waiting() == 0
            time.sleep(0.1)
        wait_until(warnings, "the warning")
        # Now: an API server that starts may take one heartbeat and be silent for a while again.
        assert len(warnings()) == 1
    finally:
        control_plane.start_apiserver()
    wait_until(lambda: "heartbeats reach the API server again" in caplog.messages, "the heartbeats")
    operator.write(waitingNodes=1)
    assert wait_until(a.handler.num_nodes_waiting, "num_nodes_waiting") == 1


def test_no_api_server_at_first_contact(control_plane: LocalControlPlane, namespace: str) -> None:
    control_plane.stop_apiserver()
    try:
        handler = make_handler(control_plane.kubeconfig, f"{namespace}/train", node_id="a", join_timeout=2)
        raised = Node(handler).join().raised()
        assert type(raised) is RendezvousConnectionError
        assert control_plane.url in str(raised)
        assert "refused" in str(raised)
        handler.shutdown()
    finally:
        control_plane.start_apiserver()


def test_an_api_server_that_comes_late_is_joined(
    control_plane: LocalControlPlane, operator: PlayedOperator, nodes: Nodes
) -> None:
    operator.create()
    control_plane.stop_apiserver()
    a = nodes.node("a").join()
    time.sleep(1.5)
    control_plane.start_apiserver()
    operator.publish(operator.joined({"train.a": 1}))
    a.returned()


def test_shutdown_without_an_api_server_is_bounded(
    control_plane: LocalControlPlane, operator: PlayedOperator, nodes: Nodes
) -> None:
    operator.create()
    a = nodes.node("a", close_timeout=2).join()
    operator.publish(operator.joined({"train.a": 1}))
    a.returned()
    control_plane.stop_apiserver()
    try:
        assert Shutdown(a.handler).end(15).result is False
    finally:
        control_plane.start_apiserver()
