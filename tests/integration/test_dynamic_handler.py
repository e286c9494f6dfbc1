"""`--rdzv-backend=kubernetes-dynamic` as torch makes it: its settings, its permissions, and torch's handler over it."""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.handler_support import Node
from tests.support.operatorless import agent_kubeconfig, config_map, kubeconfig_set, stored
from tests.support.waiting import wait_until
from torch.distributed.elastic.rendezvous import (
    RendezvousClosedError,
    RendezvousConnectionError,
    RendezvousHandler,
    RendezvousParameters,
)
from torch.distributed.elastic.rendezvous.registry import get_rendezvous_handler

from rendezvous_controlplane import LocalControlPlane
from rendezvous_handler.operatorless.backend import create_backend


def parameters(endpoint: str, nodes: tuple[int, int] = (1, 1), run_id: str = "run-1", **conf: Any) -> Any:
    conf.setdefault("last_call_timeout", 1)
    return RendezvousParameters("kubernetes-dynamic", endpoint, run_id, *nodes, timeout=900, **conf)


def test_create_backend_fails_at_once_without_an_api_server(tmp_path: Path, control_plane: LocalControlPlane) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(control_plane.kubeconfig.read_text().replace(f":{control_plane.port}", ":1"))
    with kubeconfig_set(path), pytest.raises(RendezvousConnectionError, match=r"cannot get configmaps .*refused"):
        create_backend(parameters("t", read_timeout=1))
    with kubeconfig_set(tmp_path / "missing"), pytest.raises(RendezvousConnectionError, match="no configuration for"):
        create_backend(parameters("t"))


@pytest.mark.parametrize(
    ("endpoint", "run_id", "expected"),
    [("t", "Run 1", "t.state.run-1-"), ("", "run-1", "run-1.state.run-1"), ("{namespace}/t", "none", "t.state.none")],
)
def test_the_endpoint_is_a_name(
    control_plane: LocalControlPlane, namespace: str, tmp_path: Path, endpoint: str, run_id: str, expected: str
) -> None:
    with kubeconfig_set(agent_kubeconfig(control_plane, namespace, tmp_path)):
        backend, store = create_backend(parameters(endpoint.format(namespace=namespace), run_id=run_id))
    backend.set_state(b"x")
    store.set("a", "1")
    found = json.loads(control_plane.kubectl("get", "configmaps", "-n", namespace, "-o", "json"))["items"]
    names = [item["metadata"]["name"] for item in found if item["metadata"]["name"] != "kube-root-ca.crt"]
    assert len(names) == 2
    assert names[0].startswith(expected)
    assert names[1] == names[0].replace(".state.", ".store.")
    (owner,) = found[-1]["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"]) == ("ConfigMap", names[0])


# ---- permissions


@pytest.mark.parametrize("missing", ["get", "create", "patch"])
def test_a_missing_permission_is_named(
    control_plane: LocalControlPlane, namespace: str, tmp_path: Path, missing: str
) -> None:
    verbs = [verb for verb in ("get", "create", "patch") if verb != missing]
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": verbs}]

    def use() -> None:
        with kubeconfig_set(agent_kubeconfig(control_plane, namespace, tmp_path, rules)):
            backend, _ = create_backend(parameters("t"))
        _, token, _ = stored(backend.set_state(b"x"))
        backend.set_state(b"y", token)

    with pytest.raises(RendezvousConnectionError) as raised:
        use()
    text = str(raised.value)
    assert text.startswith(f"cannot {missing} configmaps in namespace {namespace}: configmaps ")
    assert text.endswith("needs the Role of an agent without operator, apiGroups ['']: configmaps get, create, patch")


def test_agents_need_not_create_anything_where_the_config_maps_are_there(
    control_plane: LocalControlPlane, namespace: str, tmp_path: Path
) -> None:
    """The narrowest Role: two objects, no `create`."""
    names = ["t.state.run-1", "t.store.run-1"]
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "resourceNames": names, "verbs": ["get", "patch"]}]
    for name in names:
        control_plane.kubectl("create", "configmap", name, "-n", namespace)
    with kubeconfig_set(agent_kubeconfig(control_plane, namespace, tmp_path, rules)):
        node = Node(get_rendezvous_handler(parameters("t")))
    assert node.join().returned().world_size == 1
    assert node.handler.shutdown()
    state, store = (config_map(control_plane, namespace, name) for name in names)
    assert "state" in state["binaryData"]
    assert [owner["uid"] for owner in store["metadata"]["ownerReferences"]] == [state["metadata"]["uid"]]


# ---- under torch's handler


@pytest.fixture
def handlers(
    control_plane: LocalControlPlane, namespace: str, tmp_path: Path
) -> Iterator[Callable[..., RendezvousHandler]]:
    """Makes handlers as torchrun does, with an account that has the documented Role and no more."""
    kubeconfig = agent_kubeconfig(control_plane, namespace, tmp_path)
    made: list[RendezvousHandler] = []

    def handler(*arguments: Any, **options: Any) -> RendezvousHandler:
        with kubeconfig_set(kubeconfig):
            made.append(get_rendezvous_handler(parameters("t", *arguments, **options)))
        return made[-1]

    yield handler
    for handler_ in made:
        handler_.shutdown()


@pytest.mark.parametrize("shared", ["0", "1"])
def test_nodes_meet_and_agree(
    handlers: Callable[..., RendezvousHandler], shared: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", shared)
    nodes = [Node(handlers((3, 3))) for _ in range(3)]
    found = [node.returned(60) for node in [node.join() for node in nodes]]
    assert sorted(info.rank for info in found) == [0, 1, 2]
    assert {info.world_size for info in found} == {3}
    assert len({(info.bootstrap_store_info.master_addr, info.bootstrap_store_info.master_port) for info in found}) == 1
    assert {node.handler.get_backend() for node in nodes} == {"kubernetes-dynamic"}
    found[0].store.set("k", "v")
    assert found[1].store.get("k") == b"v"
    assert [node.handler.num_nodes_waiting() for node in nodes] == [0, 0, 0]
    assert not nodes[0].handler.is_closed()
    # The first that ends closes the run for good; another run under the same name is another run.
    assert nodes[0].handler.shutdown()
    assert isinstance(Node(handlers((3, 3))).join().raised(60), RendezvousClosedError)
    assert Node(handlers((1, 1), "run-2")).join().returned(60).world_size == 1


def test_a_node_that_comes_later_is_seen_by_the_others(
    handlers: Callable[..., RendezvousHandler], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "1")
    # torch's waiting node looks once a second: the last call of the second round must last until it has.
    first, second = (Node(handlers((1, 2), last_call_timeout=5)) for _ in range(2))
    assert first.join().returned(60).world_size == 1
    second.join()
    wait_until(lambda: first.handler.num_nodes_waiting() == 1, "one node waits")
    first.join()
    assert {first.returned(60).world_size, second.returned(60).world_size} == {2}


def test_a_run_that_is_begun_anew_sees_nothing_of_the_old_one(
    handlers: Callable[..., RendezvousHandler], control_plane: LocalControlPlane, namespace: str
) -> None:
    """Its ConfigMaps go one after the other: the second is deleted by the garbage collector, some time later."""
    old = Node(handlers()).join().returned(60)
    old.store.set("stale", "1")
    control_plane.kubectl("delete", "configmap", "t.state.run-1", "-n", namespace)
    new = Node(handlers()).join().returned(60)
    assert not new.store.check(["stale"])
    assert new.bootstrap_store_info.master_port != old.bootstrap_store_info.master_port


def test_without_local_addr_the_address_is_that_of_the_route_to_the_api_server(
    handlers: Callable[..., RendezvousHandler],
) -> None:
    info = Node(handlers()).join().returned(60)
    assert info.bootstrap_store_info.master_addr == "127.0.0.1"


def test_the_state_is_what_torch_has_written_byte_by_byte(
    handlers: Callable[..., RendezvousHandler], control_plane: LocalControlPlane, namespace: str
) -> None:
    Node(handlers()).join().returned(60)
    data = config_map(control_plane, namespace, "t.state.run-1")["binaryData"]
    assert base64.b64decode(data["state"])[:1] == b"\x80"  # a pickle
