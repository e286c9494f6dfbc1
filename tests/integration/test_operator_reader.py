"""What the operator reads before it decides, on a real API server."""

import asyncio
import json
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from kubernetes.aio.config import kube_config
from tests.integration.operator_support import Group

from rendezvous_api import names
from rendezvous_controlplane import LocalControlPlane
from rendezvous_operator.cache import Cache, Key
from rendezvous_operator.cluster import KINDS, POD_KIND, Cluster
from rendezvous_operator.core.world import Target, World
from rendezvous_operator.reader import MOST_SINGLE_READS, Reader
from rendezvous_operator.traces import Request, trace

MANY = MOST_SINGLE_READS + 5


class Place:
    """A reader, and the requests that it sends."""

    def __init__(self, reader: Reader, key: Key, requests: list[Request]) -> None:
        self.reader = reader
        self.key = key
        self.requests = requests

    async def confirm(self, targets: list[Target]) -> World:
        self.requests.clear()
        await self.reader.evidence(self.key, targets)
        world = self.reader.cache.world(self.key)
        assert world is not None
        return world


Scenario = Callable[[Place], Coroutine[None, None, None]]
Play = Callable[[Scenario], None]


@pytest.fixture
def play(control_plane: LocalControlPlane, group: Group, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Runs a scenario with a reader that has listed everything."""
    # The client has read the environment when it was imported.
    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(control_plane.kubeconfig))

    def run(scenario: Scenario) -> None:
        async def whole() -> None:
            requests: list[Request] = []
            cluster = await Cluster.connect(lambda _: None, traces=[trace(requests.append, lambda *_: None)])
            try:
                reader = Reader(cluster, Cache(time.monotonic), group.namespace)
                for kind in KINDS:
                    await reader.list(kind)
                await scenario(Place(reader, Key(group.namespace, group.name), requests))
            finally:
                await cluster.close()

        asyncio.run(whole())

    return run


def participant(group: Group, number: int, **spec: Any) -> dict[str, Any]:
    full = {
        "rendezvousName": group.name,
        "rendezvousUID": group.uid,
        "nodeID": f"n{number}",
        "incarnation": "aaaaaaaa",
        "attempt": 1,
        "attemptReason": "Start",
        "address": "127.0.0.1",
        "storePort": 4000,
        "state": "Joined",
        **spec,
    }
    metadata = {"name": f"{group.name}.n{number}", "labels": {names.LABEL_RENDEZVOUS: group.name}}
    return {"apiVersion": names.API_VERSION, "kind": names.PARTICIPANT_KIND, "metadata": metadata, "spec": full}


def pod(number: int) -> dict[str, Any]:
    """One without the label: only a participant names it."""
    spec = {"automountServiceAccountToken": False, "containers": [{"name": "torchrun", "image": "none"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"pod-{number}"}, "spec": spec}


def create(group: Group, items: list[dict[str, Any]]) -> list[str]:
    """Returns the UIDs."""
    items_list = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    return group.kubectl("create", "-o", "jsonpath={.metadata.uid}{' '}", "-f", "-", input=items_list).split()


@pytest.mark.parametrize("count", [MOST_SINGLE_READS, MANY])
def test_many_participants_are_read_in_one_list(play: Play, group: Group, count: int) -> None:
    group.create()
    create(group, [participant(group, number) for number in range(count)])
    targets = [Target(names.PARTICIPANT_KIND, f"train.n{number}") for number in range(count)]

    async def scenario(place: Place) -> None:
        began = time.monotonic()
        world = await place.confirm(targets)
        one_by_one = [Request("get", names.PARTICIPANT_PLURAL)] * count
        assert place.requests == (one_by_one if count == MOST_SINGLE_READS else _one_list(names.PARTICIPANT_PLURAL))
        assert len(world.participants) == count
        assert all((seen.read_at or 0) >= began for seen in world.participants.values())
        assert world.absent == frozenset()

        # No watch tells of it.
        group.kubectl("delete", names.PARTICIPANT_PLURAL, "train.n0", "train.n7")
        world = await place.confirm(targets)
        assert {target.name for target in world.absent} == {"train.n0", "train.n7"}
        assert len(world.participants) == count - 2

    play(scenario)


def test_many_pods_are_read_in_one_list_whatever_their_labels(play: Play, group: Group) -> None:
    group.create()
    uids = create(group, [pod(number) for number in range(MANY)])
    create(
        group,
        [participant(group, number, podName=f"pod-{number}", podUID=uid) for number, uid in enumerate(uids)],
    )
    there = [Target(POD_KIND, f"pod-{number}", uid) for number, uid in enumerate(uids)]
    gone, replaced = Target(POD_KIND, "pod-999", "uid-999"), Target(POD_KIND, "pod-0", "uid-of-before")

    async def scenario(place: Place) -> None:
        world = await place.confirm([*there, gone, replaced])
        assert place.requests == _one_list("pods")
        assert set(world.pods) == set(uids)
        assert not any(pod.known for pod in world.pods.values())
        assert world.absent == {gone, replaced}

    play(scenario)


def test_each_kind_is_counted_by_itself(play: Play, group: Group) -> None:
    group.create()
    create(group, [participant(group, 0)])
    participants = [Target(names.PARTICIPANT_KIND, f"train.n{number}") for number in range(MOST_SINGLE_READS)]
    pods = [Target(POD_KIND, f"pod-{number}", f"uid-{number}") for number in range(MANY)]

    async def scenario(place: Place) -> None:
        await place.confirm([*participants, *pods])
        assert sorted(set(place.requests)) == [Request("get", names.PARTICIPANT_PLURAL), Request("list", "pods")]
        assert len(place.requests) == MOST_SINGLE_READS + 1

    play(scenario)


def _one_list(plural: str) -> list[Request]:
    return [Request("list", plural)]
