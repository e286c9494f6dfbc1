"""The configuration that a pod has, and a pod without it."""

import base64
import json
import socket
from pathlib import Path

import pytest
from tests.integration.handler_support import Node, PlayedOperator, until_allowed
from tests.support import objects
from tests.support.api import Api
from tests.support.objects import AGENT_RULES
from torch.distributed.elastic.rendezvous import RendezvousConnectionError, RendezvousParameters

from rendezvous_controlplane import LocalControlPlane
from rendezvous_handler.kube.kubeconfig import connect
from rendezvous_handler.plugin import create_handler


def own_address() -> str:
    """An address of this machine that is no loopback address; the test is skipped where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            pytest.skip("this machine has no network")
        return str(probe.getsockname()[0])


@pytest.fixture
def in_pod(
    control_plane: LocalControlPlane, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> PlayedOperator:
    """This process finds what kubelet mounts into a container."""
    operator = PlayedOperator(control_plane, namespace)
    api = Api(control_plane, namespace)
    api.grant("agent", AGENT_RULES, api.create_account("agent"))
    uid = api.create(objects.pod("w-0", serviceAccountName="agent"))["metadata"]["uid"]
    token = api.token("agent", ("w-0", uid))
    until_allowed(control_plane, namespace, control_plane.kubeconfig_with_token(token))
    (tmp_path / "token").write_text(token)
    (tmp_path / "namespace").write_text(namespace)
    cluster = json.loads(control_plane.kubeconfig.read_text())["clusters"][0]["cluster"]
    (tmp_path / "ca.crt").write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
    monkeypatch.setattr("rendezvous_handler.kube.kubeconfig._SERVICE_ACCOUNT", tmp_path)
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(control_plane.port))
    return operator


def make(local_addr: str | None) -> Node:
    return Node(create_handler(RendezvousParameters("kubernetes", "train", "none", 1, 1, local_addr, close_timeout=2)))


def test_the_service_account_of_a_pod_is_enough(in_pod: PlayedOperator) -> None:
    in_pod.create()
    node = make(own_address()).join()
    found = in_pod.joined({"train.w-0": 1})
    assert found["train.w-0"]["spec"]["address"] == own_address()
    in_pod.publish(found)
    node.returned()
    assert node.handler.shutdown()


def test_a_token_volume_made_by_hand_needs_no_namespace(in_pod: PlayedOperator, tmp_path: Path) -> None:
    (tmp_path / "namespace").unlink()
    in_pod.create()
    node = make(own_address()).join()
    in_pod.publish(in_pod.joined({"train.w-0": 1}))
    node.returned()
    assert node.handler.shutdown()


def test_a_token_that_names_no_namespace_is_refused(in_pod: PlayedOperator, tmp_path: Path) -> None:
    (tmp_path / "namespace").unlink()
    (tmp_path / "token").write_text("opaque")
    with pytest.raises(RendezvousConnectionError, match="the namespace of this pod is not known"):
        make(None)


def test_a_kubeconfig_that_is_named_wins_over_the_service_account(
    in_pod: PlayedOperator, control_plane: LocalControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert connect().in_pod
    monkeypatch.setenv("KUBECONFIG", str(control_plane.kubeconfig))
    client = connect()
    assert (client.in_pod, client.namespace) == (False, "default")
    assert client.bearer_token() == json.loads(control_plane.kubeconfig.read_text())["users"][0]["user"]["token"]


@pytest.mark.parametrize("local_addr", [None, "127.0.0.1", "localhost"])
def test_a_loopback_address_is_refused(in_pod: PlayedOperator, local_addr: str | None) -> None:
    in_pod.create()
    node = make(local_addr)  # here the API server itself is at a loopback address, so the route to it is one too
    raised = node.join().raised()
    assert type(raised) is ValueError
    assert "loopback" in str(raised)
    assert "--local-addr" in str(raised)
    node.handler.shutdown()


def test_a_pod_without_a_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "192.0.2.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "missing"))
    with pytest.raises(RendezvousConnectionError, match="automountServiceAccountToken: true"):
        make(None)


def test_no_configuration_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "missing"))
    with pytest.raises(RendezvousConnectionError, match=r"neither that of a pod .* nor a kubeconfig"):
        make(None)
