"""KubernetesRendezvousBackend on a real API server, by itself and under torch's DynamicRendezvousHandler."""

import base64
import json
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.integration.dynamic_support import agent_kubeconfig, cluster_of, config_map, kubeconfig_set
from tests.integration.handler_support import Node, eventually, proxy_to
from torch.distributed.elastic.rendezvous import (
    RendezvousClosedError,
    RendezvousConnectionError,
    RendezvousHandler,
    RendezvousParameters,
    RendezvousStateError,
)
from torch.distributed.elastic.rendezvous.registry import get_rendezvous_handler

from rendezvous_controlplane import LocalControlPlane
from rendezvous_handler.config_map import CONFIG_MAP_BYTES, Owner
from rendezvous_handler.dynamic_backend import KubernetesRendezvousBackend, create_backend
from rendezvous_handler.errors import UnreachableError

Make = Callable[..., KubernetesRendezvousBackend]


@pytest.fixture
def make(control_plane: LocalControlPlane, namespace: str) -> Make:
    """Makes a backend of its own for each agent of the run ``run-1``."""

    def backend(**options: Any) -> KubernetesRendezvousBackend:
        cluster = cluster_of(control_plane.kubeconfig)
        return KubernetesRendezvousBackend(cluster, **{"run_id": "run-1", "namespace": namespace, **options}, name="t")

    return backend


def stored(result: tuple[bytes, Any, bool] | None) -> tuple[bytes, Any, bool]:
    assert result is not None
    return result


# ---- what the abstract class promises; the first six are those by which torch tests its own backends


def test_there_is_no_state_at_first(make: Make) -> None:
    assert make().get_state() is None
    assert make().name == "kubernetes-dynamic"


def test_get_state_returns_what_was_set(make: Make) -> None:
    made = stored(make().set_state(b"x"))
    assert made[0] == b"x"
    assert made[2] is True
    assert make().get_state() == (b"x", made[1])


def test_a_state_is_set_if_the_token_fits(make: Make) -> None:
    backend, other = make(), make()
    _, first, _ = stored(backend.set_state(b"x"))
    state, second, has_set = stored(backend.set_state(b"y", first))
    assert (state, has_set) == (b"y", True)
    assert second != first
    # A token is good for every instance, as for other machines.
    state, third, has_set = stored(other.set_state(bytes(range(256)), second))
    assert (state, has_set) == (bytes(range(256)), True)
    assert backend.get_state() == (bytes(range(256)), third)


@pytest.mark.parametrize("token", ["invalid", "1", "99999999", b"1", 1, ("x",)])
def test_the_stored_state_is_returned_if_the_token_does_not_fit(make: Make, token: Any) -> None:
    backend = make()
    _, first, _ = stored(backend.set_state(b"x"))
    assert backend.set_state(b"y", token) == (b"x", first, False)
    assert make().set_state(b"y", token) == (b"x", first, False)


def test_without_a_token_a_state_is_set_only_if_there_is_none(make: Make) -> None:
    _, token, _ = stored(make().set_state(b"x"))
    backend = make()
    assert backend.set_state(b"y") == (b"x", token, False)
    assert backend.set_state(b"y", b"") == (b"x", token, False)
    assert backend.conflicts == 2


@pytest.mark.parametrize("change", [{"state": "AAAA"}, {"sha256": "AAAA"}, {"state": None}, {"sha256": None}])
def test_a_corrupt_state_is_noticed(
    make: Make, control_plane: LocalControlPlane, namespace: str, change: dict[str, str | None]
) -> None:
    backend = make()
    _, token, _ = stored(backend.set_state(b"x"))
    patch = json.dumps({"binaryData": change})
    control_plane.kubectl("patch", "configmap", "t.state.run-1", "-n", namespace, "--type=merge", "-p", patch)
    text = rf"the rendezvous state is corrupt: state and sha256 in the ConfigMap {namespace}/t.state.run-1 do not fit"
    with pytest.raises(RendezvousStateError, match=text):
        backend.get_state()
    with pytest.raises(RendezvousStateError, match=text):
        backend.set_state(b"y", token)
    with pytest.raises(RendezvousStateError, match=text):
        make().set_state(b"y")


def test_a_config_map_of_somebody_else_is_refused(make: Make, control_plane: LocalControlPlane, namespace: str) -> None:
    control_plane.kubectl("create", "configmap", "t.state.run-1", "-n", namespace, "--from-literal=colour=blue")
    text = f"the ConfigMap {namespace}/t.state.run-1 holds text: it is in use for something else"
    for call in (make().get_state, lambda: make().set_state(b"x")):
        with pytest.raises(RendezvousStateError, match=text):
            call()
    assert config_map(control_plane, namespace, "t.state.run-1")["data"] == {"colour": "blue"}


def test_base64_that_is_none_is_a_corrupt_state(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The API server checks it, so it takes a broken proxy to see that."""
    backend = make()
    backend.set_state(b"x")
    read = backend.cluster.get_config_map

    def broken(*arguments: Any) -> Any:
        return {**read(*arguments), "binaryData": {"state": "%%%"}}

    monkeypatch.setattr(backend.cluster, "get_config_map", broken)
    with pytest.raises(RendezvousStateError, match=r"corrupt: a value in the ConfigMap .* is no base64") as raised:
        backend.get_state()
    assert raised.value.__cause__ is not None


def test_a_state_that_was_deleted_can_be_set_anew(make: Make, control_plane: LocalControlPlane, namespace: str) -> None:
    backend = make()
    _, token, _ = stored(backend.set_state(b"x"))
    control_plane.kubectl("delete", "configmap", "t.state.run-1", "-n", namespace)
    assert backend.set_state(b"y", token) is None
    assert backend.get_state() is None
    assert stored(backend.set_state(b"z"))[2] is True


def test_an_empty_config_map_may_be_there_before(make: Make, control_plane: LocalControlPlane, namespace: str) -> None:
    control_plane.kubectl("create", "configmap", "t.state.run-1", "-n", namespace)
    backend = make()
    assert backend.get_state() is None
    _, token, has_set = stored(backend.set_state(b"x"))
    assert has_set
    assert make().set_state(b"y") == (b"x", token, False)


def test_runs_do_not_meet(make: Make) -> None:
    make().set_state(b"x")
    assert make(run_id="run-2").get_state() is None
    assert make(run_id="Run-1").get_state() is None
    with pytest.raises(ValueError, match=r"^The run id must be a non-empty string\.$"):
        make(run_id="")


def test_a_large_state_fits_and_a_larger_one_is_named_with_its_size(make: Make) -> None:
    backend = make()
    state = b"x" * (CONFIG_MAP_BYTES - 32)
    _, token, has_set = stored(backend.set_state(state))
    assert has_set
    text = r"state of 1048545 bytes does not fit into the ConfigMap .*, which may hold 1048576$"
    for each in (backend, make()):
        with pytest.raises(RendezvousStateError, match=text):
            each.set_state(state + b"x", token)
    assert make().get_state() == (state, token)


def test_500_nodes_and_their_pods_fit(make: Make, control_plane: LocalControlPlane, namespace: str) -> None:
    pods = [Owner("Pod", f"name-of-a-training-job-worker-{number}-abcde", str(uuid.uuid4())) for number in range(500)]
    backend = make(owner=pods[-1])
    make().set_state(b"x")
    patch = json.dumps({"metadata": {"ownerReferences": [pod.reference() for pod in pods[:-1]]}})
    control_plane.kubectl("patch", "configmap", "t.state.run-1", "-n", namespace, "--type=merge", "-p", patch)
    found = backend.get_state()
    assert found is not None
    _, token, has_set = stored(backend.set_state(b"x" * 100_000, found[1]))
    assert has_set
    assert make().get_state() == (b"x" * 100_000, token)
    assert len(config_map(control_plane, namespace, "t.state.run-1")["metadata"]["ownerReferences"]) == 500


def test_every_pod_that_writes_becomes_an_owner(make: Make, control_plane: LocalControlPlane, namespace: str) -> None:
    first, second = (make(owner=Owner("Pod", f"w-{number}", f"uid-{number}")) for number in (0, 1))
    first.set_state(b"1")
    found = second.get_state()
    assert found is not None
    _, token, _ = stored(second.set_state(b"2", found[1]))
    _, token, _ = stored(second.set_state(b"3", token))
    _, token, _ = stored(make().set_state(b"4", token))
    _, token, _ = stored(first.set_state(b"5", token))
    metadata = config_map(control_plane, namespace, "t.state.run-1")["metadata"]
    assert [(owner["kind"], owner["uid"]) for owner in metadata["ownerReferences"]] == [
        ("Pod", "uid-0"),
        ("Pod", "uid-1"),
    ]
    assert metadata["labels"] == {"rdzv.dev/rendezvous": "t"}
    owner = first.owner_reference()
    assert owner == Owner("ConfigMap", "t.state.run-1", metadata["uid"])


# ---- conflicts and outages


def test_agents_that_race_lose_no_change(make: Make) -> None:
    """Each of 8 agents adds itself 3 times, as torch does: it changes what a lost write has returned."""
    backends = [make() for _ in range(8)]
    barrier = threading.Barrier(8)

    def add(number: int) -> None:
        barrier.wait()
        state, token = b"", None
        for _ in range(3):
            while True:
                state, token, has_set = stored(backends[number].set_state(state + bytes([number]), token))
                if has_set:
                    break

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(8)))
    found = backends[0].get_state()
    assert found is not None
    assert sorted(found[0]) == sorted([*range(8)] * 3)
    assert sum(backend.conflicts for backend in backends) > 0


def test_who_loses_pauses_before_it_reads_what_it_returns(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    backend, rival = make(), make()
    _, stale, _ = stored(backend.set_state(b"1"))
    _, token, _ = stored(rival.set_state(b"2", stale))

    def meanwhile() -> None:
        rival.set_state(b"3", token)

    monkeypatch.setattr(backend._back_off, "pause", meanwhile)
    state, newest, has_set = stored(backend.set_state(b"lost", stale))
    assert (state, has_set) == (b"3", False)
    assert stored(backend.set_state(b"won", newest))[2] is True


@pytest.mark.parametrize("exists", [True, False])
def test_a_write_whose_answer_was_lost_is_no_conflict(
    make: Make, monkeypatch: pytest.MonkeyPatch, exists: bool
) -> None:
    backend = make()
    token = stored(backend.set_state(b"x"))[1] if exists else None
    method = "write" if exists else "create"
    write = getattr(backend._map, method)
    lost: list[Any] = []

    def losing(*arguments: Any) -> Any:
        result = write(*arguments)
        if not lost:
            lost.append(result)
            raise UnreachableError("read timed out", "patch", "configmaps", "x")
        return result

    monkeypatch.setattr(backend._map, method, losing)
    state, token, has_set = stored(backend.set_state(b"y", token))
    assert lost
    assert (state, has_set) == (b"y", True)
    assert make().get_state() == (b"y", token)


def test_an_api_server_that_does_not_answer(
    control_plane: LocalControlPlane, namespace: str, make: Make, tmp_path: Path
) -> None:
    with proxy_to(control_plane) as proxy:
        path = tmp_path / "kubeconfig"
        path.write_text(control_plane.kubeconfig.read_text().replace(f":{control_plane.port}", f":{proxy.port}"))
        backend = KubernetesRendezvousBackend(cluster_of(path), "run-1", namespace, "t", read_timeout=2)
        _, token, _ = stored(backend.set_state(b"x"))
        proxy.go_silent()
        for call in (backend.get_state, lambda: backend.set_state(b"y", token)):
            with pytest.raises(RendezvousConnectionError, match=r"cannot .* configmaps in namespace .*: https://127"):
                call()
        # A short outage is nobody's concern.
        patient = KubernetesRendezvousBackend(cluster_of(path), "run-1", namespace, "t", read_timeout=30)
        threading.Timer(1.0, proxy.speak_to_new_ones).start()
        assert patient.get_state() == (b"x", token)


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
    first, second = Node(handlers((1, 2))), Node(handlers((1, 2)))
    assert first.join().returned(60).world_size == 1
    second.join()
    eventually(lambda: first.handler.num_nodes_waiting() == 1, "one node waits")
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
