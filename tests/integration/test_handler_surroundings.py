"""What a handler finds around it, or misses: the Rendezvous, rights, a namespace, an operator, a live watch."""

import time

import pytest
from tests.integration.handler_support import Node, Nodes, PlayedOperator, make_handler, until_allowed
from tests.support.api import Api
from tests.support.objects import AGENT_RULES
from tests.support.proxy import Proxy
from tests.support.waiting import wait_until
from torch.distributed.elastic.rendezvous import (
    RendezvousConnectionError,
    RendezvousStateError,
    RendezvousTimeoutError,
)

from rendezvous_api import names
from rendezvous_api.api_errors import ForbiddenError
from rendezvous_controlplane import LocalControlPlane


@pytest.mark.parametrize("join_timeout", [5, 60])
def test_a_half_open_watch_is_noticed(
    join_timeout: int,
    control_plane: LocalControlPlane,
    operator: PlayedOperator,
    namespace: str,
    nodes: Nodes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rendezvous_handler.agent.agent._WATCH_SECONDS", 2)
    operator.create(joinSeconds=join_timeout)
    with Proxy(control_plane.port) as proxy:
        kubeconfig = control_plane.kubeconfig_via(proxy.port)
        a = nodes.node("a", kubeconfig=kubeconfig).join()
        members = operator.joined({"train.a": 1})
        proxy.swallow()
        operator.publish(members)
        time.sleep(1)
        proxy.mend()
        assert a.returned(timeout=60).world_size == 1
        a.handler.shutdown()  # as long as there is a way to say so


def test_a_watch_that_died_with_the_heartbeats_is_renewed_when_they_come_through(
    control_plane: LocalControlPlane, operator: PlayedOperator, nodes: Nodes, caplog: pytest.LogCaptureFixture
) -> None:
    """Long before the watch ends by itself, which is after a minute and more."""
    operator.create(heartbeatIntervalSeconds=1, maxMissed=2)
    with Proxy(control_plane.port) as proxy:
        a = nodes.node("a", kubeconfig=control_plane.kubeconfig_via(proxy.port)).join()
        operator.publish(operator.joined({"train.a": 1}))
        a.returned()
        proxy.swallow()
        wait_until(lambda: "no heartbeat has reached" in caplog.text, "the heartbeats to fail")
        operator.write(waitingNodes=1)
        proxy.mend()
        wait_until(a.handler.num_nodes_waiting, "num_nodes_waiting", timeout=30)
        a.handler.shutdown()


def test_the_handler_creates_the_rendezvous(
    operator: PlayedOperator, namespace: str, nodes: Nodes, caplog: pytest.LogCaptureFixture
) -> None:
    a = nodes.node("a", nodes=(2, 4), join_timeout=77, last_call_timeout=11, keep_alive_interval=50).join()
    b = nodes.node("b", nodes=(2, 4), join_timeout=77, last_call_timeout=11, keep_alive_interval=50).join()
    operator.joined({"train.a": 1, "train.b": 1})
    found = operator.rendezvous()
    assert found is not None
    assert found["metadata"]["labels"] == {"rdzv.dev/created-by": "agent"}
    spec = found["spec"]
    assert (spec["minNodes"], spec["maxNodes"], spec["timeouts"]["joinSeconds"]) == (2, 4, 77)
    assert (spec["timeouts"]["lastCallSeconds"], spec["heartbeat"]["intervalSeconds"]) == (11, 50)
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
    assert (spec["heartbeat"]["intervalSeconds"], spec["timeouts"]["suspectSeconds"]) == (5, 400)


def test_the_rendezvous_wins_with_one_warning(
    operator: PlayedOperator, nodes: Nodes, caplog: pytest.LogCaptureFixture
) -> None:
    operator.create(min_nodes=1, max_nodes=4, joinSeconds=50)
    nodes.node("a", nodes=(2, 3), join_timeout=77).join()
    nodes.node("b").join()
    operator.joined({"train.a": 1, "train.b": 1})
    (warning,) = [line for line in caplog.messages if "the Rendezvous wins" in line]
    assert "--nnodes=2:3, Rendezvous 1:4" in warning
    assert "join_timeout=77, Rendezvous 50" in warning


def test_create_false(nodes: Nodes, operator: PlayedOperator) -> None:
    raised = nodes.node("a", create="false", join_timeout=1).join().raised()
    assert type(raised) is RendezvousTimeoutError
    assert f"there is no Rendezvous {operator.namespace}/train, and create=false in --rdzv-conf" in str(raised)


def test_a_rendezvous_that_comes_late(
    nodes: Nodes, operator: PlayedOperator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("RDZV_CREATE", "false")
    nodes.node("a").join()
    wait_until(lambda: "RDZV_CREATE=false forbids to create it; waiting" in caplog.text, "the warning")
    operator.create()
    operator.joined({"train.a": 1})


def test_one_that_was_not_made_by_agents_is_waited_for(operator: PlayedOperator, nodes: Nodes) -> None:
    operator.create(joinSeconds=6)
    a = nodes.node("a").join()
    operator.joined({"train.a": 1})
    operator.delete()
    raised = a.raised()
    assert type(raised) is RendezvousTimeoutError
    assert "was deleted" in str(raised)
    assert operator.rendezvous() is None


def test_no_rights(control_plane: LocalControlPlane, namespace: str, nodes: Nodes) -> None:
    raised = nodes.node("a", kubeconfig=control_plane.kubeconfig_for("nobody"), join_timeout=1).join().raised()
    assert type(raised) is RendezvousConnectionError
    text = str(raised)
    assert "cannot list rendezvous in namespace" in text
    assert 'User "nobody" cannot list resource "rendezvous"' in text
    assert "rendezvousparticipants/status update, patch" in text


def test_no_right_to_join(
    control_plane: LocalControlPlane, operator: PlayedOperator, namespace: str, nodes: Nodes
) -> None:
    operator.create(joinSeconds=5)
    verbs = ["get", "list", "watch"]
    Api(control_plane, namespace).grant(
        "reader",
        [{"apiGroups": [names.GROUP], "resources": [names.RENDEZVOUS_PLURAL], "verbs": verbs}],
        {"kind": "Group", "name": "readers"},
    )
    kubeconfig = control_plane.kubeconfig_for("reader")
    until_allowed(control_plane, namespace, kubeconfig)
    raised = nodes.node("a", kubeconfig=kubeconfig).join().raised()
    assert type(raised) is RendezvousConnectionError
    assert 'User "reader" cannot create resource "rendezvousparticipants"' in str(raised)


def _is_refused(node: Node) -> bool:
    agent = node.handler._agent
    try:
        agent.call(agent.participant.beat)
    except ForbiddenError:
        return True
    return False


def test_rights_that_come_late_and_go_while_a_member_joins_again(
    control_plane: LocalControlPlane,
    operator: PlayedOperator,
    namespace: str,
    nodes: Nodes,
    caplog: pytest.LogCaptureFixture,
) -> None:
    operator.create(joinSeconds=5)
    api = Api(control_plane, namespace)
    account = api.create_account("late")
    kubeconfig = control_plane.kubeconfig_with_token(api.token("late"))
    a = nodes.node("a", kubeconfig=kubeconfig, join_timeout=60).join()
    wait_until(lambda: "retrying, since this may pass: cannot list rendezvous" in caplog.text, "the warning")
    api.grant("late", AGENT_RULES, account)
    operator.publish(operator.joined({"train.a": 1}))
    a.returned()

    api.delete("RoleBinding", "late")
    wait_until(lambda: _is_refused(a), "the rights to be gone")
    a.join()
    with pytest.raises(AssertionError, match="in vain"):
        wait_until(lambda: not a.waits(), "it gives up", timeout=7.0)
    assert "cannot patch rendezvousparticipants" in caplog.text
    api.delete("Role", "late")
    api.grant("late", AGENT_RULES, account)
    operator.publish(operator.joined({"train.a": 2}), round_number=2)
    a.returned()


def test_a_missing_namespace(control_plane: LocalControlPlane) -> None:
    made = make_handler(control_plane.kubeconfig, "nowhere/train", node_id="a", join_timeout=1)
    raised = Node(made).join().raised()
    assert type(raised) is RendezvousConnectionError
    assert 'namespaces "nowhere" not found' in str(raised)
    assert "Create the namespace" in str(raised)


def test_nodes_that_the_schema_refuses(nodes: Nodes) -> None:
    raised = nodes.node("a", nodes=(1, 3000)).join().raised()
    assert type(raised) is RendezvousStateError
    assert "spec.maxNodes" in str(raised)


def test_no_operator_is_told(
    operator: PlayedOperator, nodes: Nodes, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rendezvous_handler.join.report._OPERATOR_SECONDS", 1.0)
    operator.create(joinSeconds=8)
    a = nodes.node("a").join()
    wait_until(lambda: any("has not reacted" in line for line in caplog.messages), "the warning")
    assert "has not reacted" in str(a.raised())


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
