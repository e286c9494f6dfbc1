"""KubernetesStore where the API server refuses, does not answer, or its answer is lost."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch.distributed as dist
from tests.support.operatorless import client_of
from tests.support.proxy import Proxy

from rendezvous_api.api_errors import NotFoundError, UnreachableError
from rendezvous_controlplane import LocalControlPlane
from rendezvous_handler.kube.client import Client
from rendezvous_handler.operatorless.store import KubernetesStore


def test_a_config_map_of_somebody_else_is_refused(
    store: KubernetesStore, control_plane: LocalControlPlane, namespace: str
) -> None:
    control_plane.kubectl("create", "configmap", "keys", "-n", namespace, "--from-literal=colour=blue")
    text = f"the ConfigMap {namespace}/keys holds text: it is in use for something else"
    for call in (lambda: store.set("a", "1"), lambda: store.get("a"), lambda: store.add("a", 1)):
        with pytest.raises(dist.DistStoreError, match=text):
            call()


def test_a_namespace_that_is_missing_is_named(client: Client) -> None:
    store = KubernetesStore(client, "no-such-namespace", "keys")
    with pytest.raises(dist.DistStoreError, match="cannot create configmaps in namespace no-such-namespace"):
        store.set("a", "1")


def test_an_api_server_that_does_not_answer_for_a_while(
    control_plane: LocalControlPlane, namespace: str, tmp_path: Path
) -> None:
    with Proxy(control_plane.port) as proxy:
        path = tmp_path / "kubeconfig"
        text = control_plane.kubeconfig.read_text()
        path.write_text(text.replace(f":{control_plane.port}", f":{proxy.port}"))
        store = KubernetesStore(client_of(path), namespace, "keys", timedelta(seconds=6))
        assert store.add("n", 1) == 1
        proxy.swallow()
        with pytest.raises(dist.DistNetworkError, match=r"cannot get configmaps in namespace .*: https://127.0.0.1"):
            store.get("n")
        proxy.mend()
        assert store.get("n") == b"1"


def lose_answers(store: KubernetesStore, monkeypatch: pytest.MonkeyPatch, sent: bool = True) -> list[str]:
    """The next write is carried out, if it is sent, but its answer does not arrive."""
    lost: list[str] = []

    def losing(write: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            if lost:
                return write(*arguments)
            lost.append(write.__name__)
            if sent:
                write(*arguments)
            error = UnreachableError("read timed out", "patch", "configmaps", "x")
            error.not_carried_out = not sent
            raise error

        return call

    monkeypatch.setattr(store._map, "write", losing(store._map.write))
    monkeypatch.setattr(store._map, "create", losing(store._map.create))
    return lost


@pytest.mark.parametrize("exists", [True, False])
def test_a_call_that_may_be_repeated_survives_a_lost_answer(
    store: KubernetesStore, monkeypatch: pytest.MonkeyPatch, exists: bool
) -> None:
    if exists:
        store.set("a", "0")
    for call, expected in (
        (lambda: store.set("b", "1"), None),
        (lambda: store.compare_set("c", "", "1"), b"1"),
        (lambda: store.delete_key("b"), True),
    ):
        lost = lose_answers(store, monkeypatch)
        assert call() == expected
        assert lost
        monkeypatch.undo()
    assert store.get("c") == b"1"
    assert not store.check(["b"])


def test_a_call_that_must_not_be_repeated_says_that_nobody_knows(
    store: KubernetesStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.set("n", "1")
    calls: list[Callable[[], Any]] = [
        lambda: store.add("n", 1),
        lambda: store.append("n", "1"),
        lambda: store.queue_push("q", "1"),
        lambda: store.queue_pop("q"),
    ]
    for call in calls:
        lose_answers(store, monkeypatch)
        with pytest.raises(dist.DistNetworkError, match="it is not known whether it was carried out"):
            call()
        monkeypatch.undo()
    assert store.get("n") == b"21"
    # What has certainly not been carried out is done again.
    lost = lose_answers(store, monkeypatch, sent=False)
    assert store.add("n", 1) == 22
    assert lost


def test_what_was_refused_or_never_sent_was_not_carried_out(
    control_plane: LocalControlPlane, namespace: str, tmp_path: Path
) -> None:
    path = tmp_path / "kubeconfig"
    text = control_plane.kubeconfig.read_text()

    def outcome(client: Client) -> bool:
        with pytest.raises(UnreachableError) as raised:
            client.create_config_map(namespace, {"metadata": {"name": "keys"}}, 1.0)
        return raised.value.not_carried_out

    with Proxy(control_plane.port) as proxy:
        path.write_text(text.replace(f":{control_plane.port}", f":{proxy.port}"))
        connected, late = client_of(path), client_of(path)
        with pytest.raises(NotFoundError):
            connected.get_config_map(namespace, "none", 5.0)
        path.write_text(text.replace(f":{control_plane.port}", ":1"))
        assert outcome(client_of(path))
        proxy.swallow()
        assert not outcome(connected)
        assert outcome(late)
