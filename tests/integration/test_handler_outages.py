"""Handlers while their API server is away."""

import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.handler_support import (
    Node,
    Nodes,
    PlayedOperator,
    Shutdown,
    make_handler,
)
from tests.support.api import create_namespace
from tests.support.groups import OWN_CONTROL_PLANE_ALONE
from tests.support.waiting import wait_until
from torch.distributed.elastic.rendezvous import (
    RendezvousConnectionError,
)

from rendezvous_controlplane import LocalControlPlane

CRDS = Path(__file__).parents[2] / "crds"

pytestmark = OWN_CONTROL_PLANE_ALONE


@pytest.fixture(scope="module")
def own_control_plane() -> Iterator[LocalControlPlane]:
    """One whose API server may be stopped."""
    with LocalControlPlane() as control_plane:
        control_plane.apply(CRDS)
        yield control_plane


@pytest.fixture
def own_namespace(own_control_plane: LocalControlPlane) -> str:
    return create_namespace(own_control_plane, f"test-{secrets.token_hex(4)}")


@pytest.fixture
def operator(own_control_plane: LocalControlPlane, own_namespace: str) -> PlayedOperator:
    return PlayedOperator(own_control_plane, own_namespace)


@pytest.fixture
def nodes(own_control_plane: LocalControlPlane, own_namespace: str) -> Iterator[Nodes]:
    made = Nodes(own_control_plane, own_namespace)
    yield made
    made.shut_down()


def test_an_outage_while_waiting_does_not_count(
    own_control_plane: LocalControlPlane, operator: PlayedOperator, nodes: Nodes
) -> None:
    operator.create(joinSeconds=5)
    a = nodes.node("a").join()
    members = operator.joined({"train.a": 1})
    own_control_plane.stop_apiserver()
    try:
        time.sleep(7)
        assert a.waits()
    finally:
        own_control_plane.start_apiserver()
    operator.publish(members)
    assert a.returned(timeout=60).world_size == 1


def test_members_train_on_through_an_outage(
    own_control_plane: LocalControlPlane, operator: PlayedOperator, nodes: Nodes, caplog: pytest.LogCaptureFixture
) -> None:
    def warnings() -> list[str]:
        return [line for line in caplog.messages if "no heartbeat has reached" in line]

    caplog.set_level("INFO", "rendezvous_handler")
    operator.create(maxMissed=2)
    a = nodes.node("a").join()
    operator.publish(operator.joined({"train.a": 1}))
    a.returned()
    own_control_plane.stop_apiserver()
    try:
        for _ in range(40):
            assert a.handler.num_nodes_waiting() == 0
            time.sleep(0.1)
        wait_until(warnings, "the warning")
        # Now: an API server that starts may take one heartbeat and be silent for a while again.
        assert len(warnings()) == 1
    finally:
        own_control_plane.start_apiserver()
    wait_until(lambda: "heartbeats reach the API server again" in caplog.messages, "the heartbeats")
    operator.write(waitingNodes=1)
    assert wait_until(a.handler.num_nodes_waiting, "num_nodes_waiting") == 1


def test_no_api_server_at_first_contact(own_control_plane: LocalControlPlane, own_namespace: str) -> None:
    own_control_plane.stop_apiserver()
    try:
        handler = make_handler(own_control_plane.kubeconfig, f"{own_namespace}/train", node_id="a", join_timeout=2)
        raised = Node(handler).join().raised()
        assert type(raised) is RendezvousConnectionError
        assert own_control_plane.url in str(raised)
        assert "refused" in str(raised)
        handler.shutdown()
    finally:
        own_control_plane.start_apiserver()


def test_an_api_server_that_comes_late_is_joined(
    own_control_plane: LocalControlPlane, operator: PlayedOperator, nodes: Nodes
) -> None:
    operator.create()
    own_control_plane.stop_apiserver()
    a = nodes.node("a").join()
    time.sleep(1.5)
    own_control_plane.start_apiserver()
    operator.publish(operator.joined({"train.a": 1}))
    a.returned()


def test_shutdown_without_an_api_server_is_bounded(
    own_control_plane: LocalControlPlane, operator: PlayedOperator, nodes: Nodes
) -> None:
    operator.create()
    a = nodes.node("a", close_timeout=2).join()
    operator.publish(operator.joined({"train.a": 1}))
    a.returned()
    own_control_plane.stop_apiserver()
    try:
        assert Shutdown(a.handler).end(15).result is False
    finally:
        own_control_plane.start_apiserver()
