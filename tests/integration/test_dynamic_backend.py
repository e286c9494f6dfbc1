"""KubernetesRendezvousBackend on a real API server, by itself and under torch's DynamicRendezvousHandler."""

import json
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.support.operatorless import client_of, config_map, stored
from tests.support.proxy import Proxy
from torch.distributed.elastic.rendezvous import (
    RendezvousConnectionError,
    RendezvousStateError,
)

from rendezvous_api.api_errors import UnreachableError
from rendezvous_controlplane import LocalControlPlane
from rendezvous_handler.operatorless.backend import KubernetesRendezvousBackend
from rendezvous_handler.operatorless.config_map import CONFIG_MAP_BYTES, Owner

Make = Callable[..., KubernetesRendezvousBackend]


@pytest.fixture
def make(control_plane: LocalControlPlane, namespace: str) -> Make:
    """Makes a backend of its own for each agent of the run ``run-1``."""

    def backend(**options: Any) -> KubernetesRendezvousBackend:
        client = client_of(control_plane.kubeconfig)
        return KubernetesRendezvousBackend(client, **{"run_id": "run-1", "namespace": namespace, **options}, name="t")

    return backend


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
    read = backend.client.get_config_map

    def broken(*arguments: Any) -> Any:
        return {**read(*arguments), "binaryData": {"state": "%%%"}}

    monkeypatch.setattr(backend.client, "get_config_map", broken)
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

    def during_the_pause() -> float:
        rival.set_state(b"3", token)
        return 0.0

    monkeypatch.setattr(backend._back_off, "pause", during_the_pause)
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
    with Proxy(control_plane.port) as proxy:
        path = tmp_path / "kubeconfig"
        path.write_text(control_plane.kubeconfig.read_text().replace(f":{control_plane.port}", f":{proxy.port}"))
        backend = KubernetesRendezvousBackend(client_of(path), "run-1", namespace, "t", read_timeout=2)
        _, token, _ = stored(backend.set_state(b"x"))
        proxy.swallow()
        for call in (backend.get_state, lambda: backend.set_state(b"y", token)):
            with pytest.raises(RendezvousConnectionError, match=r"cannot .* configmaps in namespace .*: https://127"):
                call()
        # A short outage is nobody's concern.
        patient = KubernetesRendezvousBackend(client_of(path), "run-1", namespace, "t", read_timeout=30)
        threading.Timer(1.0, proxy.mend).start()
        assert patient.get_state() == (b"x", token)
