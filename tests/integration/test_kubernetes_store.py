"""KubernetesStore on a real API server: it behaves as torch's own stores do."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import torch.distributed as dist
from tests.support.operatorless import client_of, config_map
from torch.distributed.elastic.utils import store as store_util

from rendezvous_controlplane import LocalControlPlane
from rendezvous_handler.kube.client import Client
from rendezvous_handler.operatorless.config_map import CONFIG_MAP_BYTES, Owner
from rendezvous_handler.operatorless.store import KubernetesStore
from rendezvous_handler.torchrun.compat import QueueEmptyError

ALL_BYTES = bytes(range(256))


def patient(store: KubernetesStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each read take long, however short the wait is that is tested: a store gives the last one a second."""
    read = store._map.read
    monkeypatch.setattr(store._map, "read", lambda deadline: read(deadline + 20))


def outcome(store: Any, call: str, *arguments: Any) -> Any:
    try:
        return getattr(store, call)(*arguments)
    except ValueError:
        return ValueError


def test_it_does_what_torchs_hash_store_does(store: KubernetesStore) -> None:
    """Each call, in this order, has the same outcome on a HashStore, and under a PrefixStore."""
    calls: list[tuple[Any, ...]] = [
        ("check", ["a"]),
        ("set", "a", "1"),
        ("get", "a"),
        ("set", "a", "x y/ü"),
        ("get", "a"),
        ("set", "empty", ""),
        ("get", "empty"),
        ("check", ["a", "empty"]),
        ("check", ["a", "b"]),
        ("check", []),
        ("wait", ["a"]),
        ("wait", []),
        ("add", "n", 3),
        ("add", "n", -5),
        ("add", "n", 0),
        ("get", "n"),
        ("add", "a", 1),
        ("compare_set", "c", "expected", "v"),
        ("check", ["c"]),
        ("compare_set", "c", "", "v"),
        ("compare_set", "c", "", "w"),
        ("compare_set", "c", "v", "w"),
        ("compare_set", "c", "v", "z"),
        ("get", "c"),
        ("compare_set", "empty", "", "full"),
        ("num_keys",),
        ("delete_key", "c"),
        ("delete_key", "c"),
        ("num_keys",),
        ("append", "log", "one"),
        ("append", "log", "two"),
        ("get", "log"),
        ("multi_set", ["m1", "m2"], ["1", "2"]),
        ("multi_get", ["m2", "m1", "a"]),
        ("multi_get", []),
        ("has_extended_api",),
        ("num_keys",),
    ]
    reference = dist.HashStore()
    assert [outcome(store, *call) for call in calls] == [outcome(reference, *call) for call in calls]
    # The same once more below a prefix; only num_keys counts what is above it, too.
    calls = [call for call in calls if call[0] != "num_keys"]
    reference = dist.PrefixStore("below", dist.HashStore())
    below = dist.PrefixStore("below", store)
    assert [outcome(below, *call) for call in calls] == [outcome(reference, *call) for call in calls]
    assert store.get("below/m1") == b"1"
    assert below.num_keys() == store.num_keys() > 8


@pytest.mark.skipif(not hasattr(dist.Store, "queue_push"), reason="this torch has no queues")
def test_queues_do_what_those_of_torchs_hash_store_do(store: KubernetesStore, monkeypatch: pytest.MonkeyPatch) -> None:
    patient(store, monkeypatch)
    calls: list[tuple[Any, ...]] = [
        ("queue_len", "q"),
        ("check", ["q"]),
        ("queue_push", "q", "1"),
        ("queue_push", "q", ""),
        ("queue_push", "q", "3"),
        ("queue_len", "q"),
        ("check", ["q"]),
        ("wait", ["q"]),
        ("num_keys",),
        ("queue_pop", "q"),
        ("queue_pop", "q", False),
        ("queue_pop", "q"),
        ("queue_len", "q"),
        ("check", ["q"]),
    ]
    reference = dist.HashStore()
    assert [outcome(store, *call) for call in calls] == [outcome(reference, *call) for call in calls]
    for made in (store, reference):
        with pytest.raises(QueueEmptyError):
            made.queue_pop("q", False)
        made.set_timeout(timedelta(milliseconds=100))
        with pytest.raises(dist.DistStoreError):
            made.queue_pop("q")


def test_queue_pop_waits_for_a_value(store: KubernetesStore) -> None:
    with ThreadPoolExecutor() as pool:
        popped = pool.submit(store.queue_pop, "q")
        time.sleep(0.2)
        store.queue_push("q", ALL_BYTES)
        assert popped.result(20) == ALL_BYTES
    assert store.queue_len("q") == 0


def test_values_are_any_bytes(store: KubernetesStore, control_plane: LocalControlPlane, namespace: str) -> None:
    below = dist.PrefixStore("p", store)
    store.set("k/_ü", ALL_BYTES)
    below.set("k", ALL_BYTES)
    assert store.get("k/_ü") == below.get("k") == ALL_BYTES
    assert store.compare_set("k/_ü", ALL_BYTES, b"\xff") == b"\xff"
    assert store.list_keys() == ["k/_ü", "p/k"]
    assert set(config_map(control_plane, namespace, "keys")["binaryData"]) == {"k.k_2f_5f_c3_bc", "k.p_2fk"}


def test_values_must_be_text_or_bytes(store: KubernetesStore) -> None:
    with pytest.raises(TypeError, match="must be str or bytes, not int: 1"):
        store.set("k", 1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="one value for each key, not 1 for 2"):
        store.multi_set(["a", "b"], ["1"])
    store.set("word", "x")
    with pytest.raises(ValueError, match="cannot add to the key 'word': its value b'x' is no number"):
        store.add("word", 1)


def test_get_and_wait_wait(store: KubernetesStore, client: Client, namespace: str) -> None:
    other = KubernetesStore(client, namespace, "keys")
    with ThreadPoolExecutor() as pool:
        waiting: list[Future[Any]] = [
            pool.submit(store.get, "late"),
            pool.submit(store.multi_get, ["late", "later"]),
            pool.submit(store.wait, ["late", "later"]),
        ]
        time.sleep(0.3)
        assert not any(call.done() for call in waiting)
        other.set("late", "1")
        assert waiting[0].result(10) == b"1"
        assert not waiting[1].done()
        other.set("later", "2")
        assert waiting[1].result(10) == [b"1", b"2"]
        assert waiting[2].result(10) is None


def test_waiting_ends_with_the_timeout_and_names_what_is_missing(
    store: KubernetesStore, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient(store, monkeypatch)
    assert KubernetesStore(store._map.client, namespace, "keys").timeout == timedelta(seconds=300)
    assert store.timeout == timedelta(seconds=20)
    below = dist.PrefixStore("p", store)
    store.set("there", "1")
    below.set_timeout(timedelta(milliseconds=300))
    assert store.timeout == timedelta(milliseconds=300)
    started = time.monotonic()
    text = rf"wait timeout after 0.3 s; the ConfigMap {namespace}/keys has no p/a, p/b$"
    for call in ("multi_get", "wait"):
        with pytest.raises(dist.DistStoreError, match=text):
            getattr(below, call)(["a", "b"])
    assert 0.6 <= time.monotonic() - started < 15  # not the 20 s of the store itself
    with pytest.raises(dist.DistStoreError, match=r"after 0.001 s; .* has no a$"):
        store.wait(["there", "a"], timedelta(milliseconds=1))
    with pytest.raises(dist.DistStoreError, match=r"k0, k1, .*k9 and 2 more"):
        store.wait([f"k{number}" for number in range(12)], timedelta(milliseconds=1))


def at_once(count: int, function: Callable[[int], Any]) -> list[Any]:
    """Call it from so many threads at the same moment."""
    barrier = threading.Barrier(count)

    def call(number: int) -> Any:
        barrier.wait()
        return function(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(call, range(count)))


def test_add_is_atomic(control_plane: LocalControlPlane, namespace: str) -> None:
    """No sum is returned twice; the first of them also creates the ConfigMap at the same moment."""
    stores = [KubernetesStore(client_of(control_plane.kubeconfig), namespace, "keys") for _ in range(12)]

    def count(number: int) -> list[int]:
        return [stores[number].add("n", 1) for _ in range(4)]

    sums = at_once(12, count)
    assert sorted(total for of_one in sums for total in of_one) == list(range(1, 49))
    assert all(of_one == sorted(of_one) for of_one in sums)


def test_only_one_of_many_wins_a_compare_set(store: KubernetesStore) -> None:
    def compare(expected: str, number: int) -> bytes:
        return bytes(store.compare_set("leader", expected, names[number]))

    names = [f"node {number}" for number in range(12)]
    for expected in ("", "round 0"):
        if expected:
            store.set("leader", expected)
        found = at_once(12, partial(compare, expected))
        assert len(set(found)) == 1
        assert found[0].decode() in names
        assert store.get("leader") == found[0]


def test_nothing_is_lost_when_many_write_at_once(store: KubernetesStore) -> None:
    def write(number: int) -> None:
        store.set(f"own {number}", str(number))
        store.append("log", f"{number},")
        store.queue_push("queue", str(number))

    at_once(12, write)
    assert store.multi_get([f"own {number}" for number in range(12)]) == [str(number).encode() for number in range(12)]
    assert sorted(store.get("log").decode().split(",")) == sorted([*map(str, range(12)), ""])
    popped = at_once(12, lambda _: store.queue_pop("queue"))
    assert sorted(map(int, popped)) == list(range(12))


@pytest.fixture
def stores(client: Client, namespace: str) -> list[KubernetesStore]:
    """One object for each agent, as on different machines: torch changes its timeout meanwhile."""
    return [KubernetesStore(client, namespace, "keys", timedelta(seconds=20)) for _ in range(4)]


def test_torchs_synchronize_and_barrier_work_on_it(stores: list[KubernetesStore]) -> None:
    """What agents do at the start (rank assignment) and at the end (exit barrier)."""

    def agent(rank: int) -> list[bytes]:
        below = dist.PrefixStore("torch.rendezvous.run.1", stores[rank])
        data = store_util.synchronize(below, f"data of {rank}".encode(), rank, 4, "start/", timeout=60)
        store_util.barrier(below, 4, "end", barrier_timeout=60, rank=rank)
        return list(data)

    assert at_once(4, agent) == [[f"data of {rank}".encode() for rank in range(4)]] * 4
    assert stores[0].timeout == timedelta(seconds=20)


def test_torchs_barrier_names_who_is_missing(stores: list[KubernetesStore], monkeypatch: pytest.MonkeyPatch) -> None:
    for made in stores:
        patient(made, monkeypatch)

    def agent(rank: int) -> str:
        with pytest.raises(dist.DistStoreError) as raised:
            store_util.barrier(stores[rank], 3, "b", barrier_timeout=5, rank=rank, trace_timeout=5)
        return str(raised.value)

    of_rank_0, _ = at_once(2, agent)
    assert "missing_ranks=[2]" in of_rank_0


def test_a_process_group_can_be_made_over_it(store: KubernetesStore) -> None:
    """Not what it is for, but it is a Store like all others."""
    import torch

    def rank(number: int) -> float:
        made = dist.ProcessGroupGloo(dist.PrefixStore("group", store), number, 2, timedelta(seconds=60))
        value = torch.ones(1) + number
        made.allreduce([value]).wait()
        return float(value)

    assert at_once(2, rank) == [3.0, 3.0]


def test_what_does_not_fit_is_named_with_its_size(store: KubernetesStore, namespace: str) -> None:
    where = f"the ConfigMap {namespace}/keys"
    with pytest.raises(dist.DistStoreError, match=rf"^the key 'big' with 1048577 bytes does not fit into {where}: it "):
        store.set("big", b"x" * (CONFIG_MAP_BYTES + 1))
    with pytest.raises(dist.DistStoreError, match=r"^the key 'huge' with 50000000 bytes"):
        store.set("huge", b"x" * 50_000_000)
    store.set("half", b"x" * (CONFIG_MAP_BYTES // 2))
    text = rf"^the key 'rest' with 524289 bytes does not fit into {where}: it holds 524288 bytes, and may hold 1048576$"
    with pytest.raises(dist.DistStoreError, match=text):
        store.set("rest", b"x" * (CONFIG_MAP_BYTES // 2 + 1))
    with pytest.raises(dist.DistStoreError, match=r"^the keys 'a', 'b', 'c' and 1 more with 600000 bytes"):
        store.multi_set(["a", "b", "c", "d"], ["x" * 150_000] * 4)
    store.set("rest", b"x" * (CONFIG_MAP_BYTES // 2))
    assert store.num_keys() == 2


def test_keys_of_ended_rounds_are_removed(client: Client, namespace: str) -> None:
    store = KubernetesStore(client, namespace, "keys", rounds="torch.rendezvous.run_1")
    store.set("other", "stays")
    for number in range(1, 12):
        dist.PrefixStore(f"torch.rendezvous.run_1.{number}", store).set("MASTER_ADDR", "a")
        dist.PrefixStore(f"torch.rendezvous.run_1.{number}", store).set("MASTER_PORT", "1")
    kept = [f"torch.rendezvous.run_1.{number}/{key}" for number in (10, 11) for key in ("MASTER_ADDR", "MASTER_PORT")]
    assert store.list_keys() == sorted(["other", *kept])
    # A straggler of an old round removes nothing of a newer one.
    dist.PrefixStore("torch.rendezvous.run_1.9", store).set("late", "1")
    assert store.num_keys() == 6


def test_it_goes_with_its_owner_and_has_a_label(
    client: Client, namespace: str, control_plane: LocalControlPlane
) -> None:
    control_plane.kubectl("create", "configmap", "state", "-n", namespace)
    uid = config_map(control_plane, namespace, "state")["metadata"]["uid"]
    store = KubernetesStore(client, namespace, "keys", owner=lambda: Owner("ConfigMap", "state", uid), label="train")
    store.set("a", "1")
    metadata = config_map(control_plane, namespace, "keys")["metadata"]
    assert metadata["ownerReferences"] == [{"apiVersion": "v1", "kind": "ConfigMap", "name": "state", "uid": uid}]
    assert metadata["labels"] == {"rdzv.dev/rendezvous": "train"}
    # Deleted in between, it is there again with the next key.
    control_plane.kubectl("delete", "configmap", "keys", "-n", namespace)
    assert not store.check(["a"])
    assert store.add("a", 1) == 1


def test_keys_that_were_written_for_another_owner_do_not_count(
    client: Client, namespace: str, control_plane: LocalControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a run was begun anew before the garbage collector has seen that the old one is gone."""
    owners = [Owner("ConfigMap", "state", "uid-1")]
    store = KubernetesStore(client, namespace, "keys", timedelta(seconds=20), owner=lambda: owners[0])
    patient(store, monkeypatch)
    store.multi_set(["torch.rendezvous.r.0/MASTER_ADDR", "count"], ["old", "3"])
    owners[0] = Owner("ConfigMap", "state", "uid-2")
    assert not store.check(["count"])
    assert store.list_keys() == []
    store.set_timeout(timedelta(seconds=1))
    with pytest.raises(dist.DistStoreError, match="wait timeout"):
        store.get("torch.rendezvous.r.0/MASTER_ADDR")
    store.set_timeout(timedelta(seconds=20))
    assert store.add("count", 1) == 1
    assert store.add("count", 1) == 2
    assert store.list_keys() == ["count"]
    found = config_map(control_plane, namespace, "keys")
    assert [owner["uid"] for owner in found["metadata"]["ownerReferences"]] == ["uid-2"]
    assert set(found["binaryData"]) == {"k.count"}


def test_the_last_key_can_be_removed(store: KubernetesStore) -> None:
    store.set("a", "1")
    assert store.delete_key("a")
    assert store.num_keys() == 0
    store.set("b", "2")
    assert store.list_keys() == ["b"]
