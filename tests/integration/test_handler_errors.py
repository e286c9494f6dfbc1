"""torch's errors and timeouts, where they are not tested elsewhere: docs/torch.md says where each one is."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.integration.handler_support import Node, Nodes, PlayedOperator, make_handler
from tests.support.api import Api
from tests.support.groups import OWN_CONTROL_PLANE
from tests.support.objects import rendezvous
from tests.support.proxy import Proxy
from torch.distributed.elastic import rendezvous as torch_rendezvous
from torch.distributed.elastic.rendezvous import (
    RendezvousClosedError,
    RendezvousConnectionError,
    RendezvousError,
    RendezvousGracefulExitError,
    RendezvousStateError,
    RendezvousTimeoutError,
)

from rendezvous_controlplane import LocalControlPlane

CRD = Path(__file__).parents[2] / "crds" / "rendezvous.yaml"


def test_all_of_torchs_errors_are_rendezvous_errors() -> None:
    found = {name for name in torch_rendezvous.__all__ if name.endswith("Error")}
    assert len(found) == 6
    assert all(issubclass(getattr(torch_rendezvous, name), RendezvousError) for name in found)


@pytest.mark.parametrize(
    ("reason", "expected"),
    [("RunClosed", RendezvousClosedError), ("RunSucceeded", RendezvousGracefulExitError)],
)
def test_one_except_clause_catches_what_ends_a_join(
    operator: PlayedOperator, nodes: Nodes, reason: str, expected: type[RendezvousError]
) -> None:
    operator.create()
    a = nodes.node("a").join()
    operator.joined({"train.a": 1})
    operator.refuse("train.a", reason, "run none is over")
    with pytest.raises(RendezvousError, match="run none is over") as raised:
        a.returned()
    assert type(raised.value) is expected


@pytest.fixture
def bare() -> Iterator[LocalControlPlane]:
    """One that does not know the kinds of the project."""
    with LocalControlPlane() as control_plane:
        yield control_plane


@OWN_CONTROL_PLANE
def test_missing_crds(bare: LocalControlPlane) -> None:
    late = Node(make_handler(bare.kubeconfig, "train", node_id="b", join_timeout=60)).join()
    raised = Node(make_handler(bare.kubeconfig, "train", node_id="a", join_timeout=1)).join().raised()
    assert type(raised) is RendezvousConnectionError
    assert "rendezvous.rdzv.dev is not installed" in str(raised)
    assert "kubectl apply --server-side -f crds/" in str(raised)
    # And if they come a little late, nothing has happened.
    bare.apply(sorted(CRD.parent.glob("*.yaml")))
    PlayedOperator(bare, "default").joined({"train.b": 1})
    assert late.waits()
    late.handler.shutdown()


@OWN_CONTROL_PLANE
def test_a_state_that_cannot_be_read(bare: LocalControlPlane, tmp_path: Path) -> None:
    """As where the CRD is of a later release than the handler."""
    crd = yaml.safe_load(CRD.read_text())
    for version in crd["spec"]["versions"]:
        version["schema"]["openAPIV3Schema"] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    (tmp_path / "crd.yaml").write_text(yaml.safe_dump(crd))
    bare.apply(tmp_path / "crd.yaml")
    Api(bare, "default").create(rendezvous("train", minNodes="two", maxNodes=2))
    handler = make_handler(bare.kubeconfig, "train", node_id="a")
    raised = Node(handler).join().raised()
    assert type(raised) is RendezvousStateError
    assert "cannot read rendezvous in namespace default: DecodeError: spec.minNodes: 'two' is no int" in str(raised)
    with pytest.raises(RendezvousStateError, match=r"spec\.minNodes"):
        handler.is_closed()
    handler.shutdown()


def test_close_timeout_bounds_closing(
    control_plane: LocalControlPlane, operator: PlayedOperator, nodes: Nodes, namespace: str
) -> None:
    operator.create()
    with Proxy(control_plane.port) as proxy:
        a = nodes.node("a", kubeconfig=control_plane.kubeconfig_via(proxy.port), close_timeout=1, read_timeout=30)
        a.join()
        operator.publish(operator.joined({"train.a": 1}))
        a.returned()
        proxy.swallow()
        with pytest.raises(
            RendezvousTimeoutError, match=rf"cannot close {namespace}/train \(close_timeout\): not done"
        ):
            a.handler.set_closed()
        assert not a.handler.shutdown()


@pytest.mark.parametrize(
    ("conf", "expected"),
    [
        ({"heartbeat_timeout": "2"}, 2.0),
        ({"heartbeat_timeout": "60"}, 5.0),  # no longer than its interval
        ({"heartbeat_timeout": "60", "read_timeout": "3"}, 3.0),
        ({}, 5.0),
    ],
)
def test_heartbeat_timeout_bounds_a_heartbeat(
    operator: PlayedOperator, nodes: Nodes, conf: dict[str, Any], expected: float
) -> None:
    operator.create(heartbeatIntervalSeconds=5)
    a = nodes.node("a", **conf).join()
    operator.publish(operator.joined({"train.a": 1}))
    a.returned()
    assert a.handler._agent.participant.beat_timeout == expected
