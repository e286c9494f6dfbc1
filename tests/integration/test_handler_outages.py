"""What goes wrong around a handler: no API server, half-open connections, missing rights, missing objects."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.handler_support import (
    Node,
    Nodes,
    PlayedOperator,
    make_handler,
    proxy_to,
    until_kubectl_gets_rdzv,
)
from tests.waiting import wait_until
from torch.distributed.elastic.rendezvous import (
    RendezvousConnectionError,
    RendezvousStateError,
    RendezvousTimeoutError,
)

from rendezvous_controlplane import LocalControlPlane

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def own_control_plane() -> Iterator[LocalControlPlane]:
    """One whose API server may be stopped, with users who may do little."""
    with LocalControlPlane(users={"nobody": (), "reader": ("readers",)}) as control_plane:
        control_plane.apply(ROOT / "crds")
        yield control_plane


@pytest.fixture
def own_namespace(own_control_plane: LocalControlPlane, request: pytest.FixtureRequest) -> str:
    name = f"n{abs(hash(request.node.name)) % 10**8}"
    own_control_plane.kubectl("create", "namespace", name)
    return name


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
    operator.create(joinTimeoutSeconds=10)
    a = nodes.node("a").join()
    members = operator.joined({"train.a": 1})
    own_control_plane.stop_apiserver()
    try:
        time.sleep(13)
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
    operator.create(keepAliveMaxAttempts=2)
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


@pytest.mark.parametrize("join_timeout", [5, 60])
def test_a_half_open_watch_is_noticed(
    join_timeout: int,
    own_control_plane: LocalControlPlane,
    operator: PlayedOperator,
    own_namespace: str,
    nodes: Nodes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rendezvous_handler.agent._WATCH_SECONDS", 2)
    operator.create(joinTimeoutSeconds=join_timeout)
    with proxy_to(own_control_plane) as proxy:
        kubeconfig = own_control_plane.kubeconfig_via(proxy.port)
        a = nodes.node("a", kubeconfig=kubeconfig).join()
        members = operator.joined({"train.a": 1})
        proxy.go_silent()
        operator.publish(members)
        time.sleep(1)
        proxy.speak_to_new_ones()
        assert a.returned(timeout=60).world_size == 1


def test_the_handler_creates_the_rendezvous(
    operator: PlayedOperator, own_namespace: str, nodes: Nodes, caplog: pytest.LogCaptureFixture
) -> None:
    a = nodes.node("a", nodes=(2, 4), join_timeout=77, last_call_timeout=11, keep_alive_interval=50).join()
    b = nodes.node("b", nodes=(2, 4), join_timeout=77, last_call_timeout=11, keep_alive_interval=50).join()
    operator.joined({"train.a": 1, "train.b": 1})
    found = operator.rendezvous()
    assert found is not None
    assert found["metadata"]["labels"] == {"rdzv.dev/created-by": "agent"}
    spec = found["spec"]
    assert (spec["minNodes"], spec["maxNodes"], spec["joinTimeoutSeconds"]) == (2, 4, 77)
    assert (spec["lastCallTimeoutSeconds"], spec["keepAliveIntervalSeconds"]) == (11, 50)
    # A Rendezvous that the agents made is made anew when somebody deletes it.
    operator.delete()
    operator.joined({"train.a": 2, "train.b": 2})
    assert a.waits()
    assert b.waits()


def test_the_handler_creates_a_valid_rendezvous_for_a_large_group(operator: PlayedOperator, nodes: Nodes) -> None:
    nodes.node("a", nodes=(2, 2000), keep_alive_max_attempt=10).join()
    operator.joined({"train.a": 1})
    found = operator.rendezvous()
    assert found is not None
    spec = found["spec"]
    # 10 heartbeats, 40 s from one to the next.
    assert (spec["maxNodes"], spec["keepAliveIntervalSeconds"], spec["suspectTimeoutSeconds"]) == (2000, 5, 400)


def test_the_rendezvous_wins_with_one_warning(
    operator: PlayedOperator, nodes: Nodes, caplog: pytest.LogCaptureFixture
) -> None:
    operator.create(min_nodes=1, max_nodes=4, joinTimeoutSeconds=50)
    nodes.node("a", nodes=(2, 3), join_timeout=77).join()
    nodes.node("b").join()
    operator.joined({"train.a": 1, "train.b": 1})
    (warning,) = [line for line in caplog.messages if "it wins" in line]
    assert "--nnodes=2:3, Rendezvous 1:4" in warning
    assert "join_timeout=77, Rendezvous 50" in warning


def test_create_false(nodes: Nodes, operator: PlayedOperator) -> None:
    raised = nodes.node("a", create="false").join().raised()
    assert type(raised) is RendezvousStateError
    assert f"no Rendezvous {operator.namespace}/train" in str(raised)


def test_one_that_was_not_made_by_agents_is_waited_for(operator: PlayedOperator, nodes: Nodes) -> None:
    operator.create(joinTimeoutSeconds=6)
    a = nodes.node("a").join()
    operator.joined({"train.a": 1})
    operator.delete()
    raised = a.raised()
    assert type(raised) is RendezvousTimeoutError
    assert "was deleted" in str(raised)
    assert operator.rendezvous() is None


def test_no_rights(own_control_plane: LocalControlPlane, own_namespace: str, nodes: Nodes) -> None:
    raised = nodes.node("a", kubeconfig=own_control_plane.kubeconfig_for("nobody")).join().raised()
    assert type(raised) is RendezvousConnectionError
    text = str(raised)
    assert "cannot list rendezvous in namespace" in text
    assert 'User "nobody" cannot list resource "rendezvous"' in text
    assert "rendezvousparticipants/status update, patch" in text


def test_no_right_to_join(
    own_control_plane: LocalControlPlane, operator: PlayedOperator, own_namespace: str, nodes: Nodes
) -> None:
    operator.create()
    until_kubectl_gets_rdzv(own_control_plane, own_namespace)
    own_control_plane.kubectl(
        *("create", "role", "reader", "-n", own_namespace, "--verb=get,list,watch", "--resource=rendezvous.rdzv.dev")
    )
    own_control_plane.kubectl(
        *("create", "rolebinding", "reader", "-n", own_namespace, "--role=reader", "--group=readers")
    )
    kubeconfig = own_control_plane.kubeconfig_for("reader")
    until_kubectl_gets_rdzv(own_control_plane, own_namespace, kubeconfig)
    raised = nodes.node("a", kubeconfig=kubeconfig).join().raised()
    assert type(raised) is RendezvousConnectionError
    assert 'User "reader" cannot create resource "rendezvousparticipants"' in str(raised)


def test_a_missing_namespace(own_control_plane: LocalControlPlane) -> None:
    raised = Node(make_handler(own_control_plane.kubeconfig, "nowhere/train", node_id="a")).join().raised()
    assert type(raised) is RendezvousConnectionError
    assert 'namespaces "nowhere" not found' in str(raised)
    assert "Create the namespace" in str(raised)


def test_missing_crds() -> None:
    with LocalControlPlane() as bare:
        raised = Node(make_handler(bare.kubeconfig, "train", node_id="a")).join().raised()
    assert type(raised) is RendezvousConnectionError
    assert "rendezvous.rdzv.dev is not installed" in str(raised)
    assert "kubectl apply -f crds/" in str(raised)


def test_nodes_that_the_schema_refuses(nodes: Nodes) -> None:
    raised = nodes.node("a", nodes=(1, 3000)).join().raised()
    assert type(raised) is RendezvousStateError
    assert "spec.maxNodes" in str(raised)


def test_no_operator_is_told(
    operator: PlayedOperator, nodes: Nodes, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rendezvous_handler.waiting._OPERATOR_SECONDS", 1.0)
    operator.create(joinTimeoutSeconds=8)
    a = nodes.node("a").join()
    wait_until(lambda: any("taken no notice" in line for line in caplog.messages), "the warning")
    assert "taken no notice" in str(a.raised())


def test_set_closed_and_is_closed(operator: PlayedOperator, nodes: Nodes) -> None:
    operator.create()
    a = nodes.node("a")
    assert not a.handler.is_closed()
    with pytest.raises(RendezvousStateError, match="not joined"):
        a.handler.set_closed()
    a.join()
    operator.publish(operator.joined({"train.a": 1}))
    a.returned()
    a.handler.set_closed()
    assert operator.participant("train.a")["spec"]["closeRequested"] is True
    operator.write(closedRuns=[{"runID": "none", "reason": "CloseRequested"}])
    wait_until(a.handler.is_closed, "is_closed")
