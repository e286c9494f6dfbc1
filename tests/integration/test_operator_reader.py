"""What the operator reads before it decides, on a real API server."""

import asyncio
import time
from collections.abc import Callable, Coroutine

import pytest
from tests.integration.operator_support import Group
from tests.support import objects
from tests.support.api import Json

from rendezvous_api import names
from rendezvous_controlplane import LocalControlPlane
from rendezvous_operator.core.world import Target, World
from rendezvous_operator.kube.client import KINDS, MOST_SINGLE_READS, Client
from rendezvous_operator.kube.login import Login
from rendezvous_operator.kube.request_trace import Request, trace
from rendezvous_operator.reconcile.reader import Reader
from rendezvous_operator.watch.cache import Cache
from rendezvous_operator.watch.seen import Key

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
    monkeypatch.setenv("KUBECONFIG", str(control_plane.kubeconfig))

    def run(scenario: Scenario) -> None:
        async def whole() -> None:
            requests: list[Request] = []
            client = await Client.connect(Login(), traces=[trace(requests.append, lambda *_: None)])
            try:
                reader = Reader(client, Cache(time.monotonic), group.namespace)
                for kind in KINDS:
                    await reader.list(kind)
                await scenario(Place(reader, Key(group.namespace, group.name), requests))
            finally:
                await client.close()

        asyncio.run(whole())

    return run


def joined(group: Group, count: int) -> list[Json]:
    return [group.participant(f"n{number}") for number in range(count)]


def create(group: Group, items: list[Json]) -> list[str]:
    """Returns the UIDs."""
    return [group.api.create(item)["metadata"]["uid"] for item in items]


@pytest.mark.parametrize("count", [MOST_SINGLE_READS, MANY])
def test_many_participants_are_read_in_one_list(play: Play, group: Group, count: int) -> None:
    group.create()
    create(group, joined(group, count))
    targets = [Target(names.PARTICIPANT_KIND, f"train.n{number}") for number in range(count)]

    async def scenario(place: Place) -> None:
        began = time.monotonic()
        world = await place.confirm(targets)
        one_by_one = [Request("get", names.PARTICIPANT_PLURAL, group.namespace)] * count
        assert place.requests == (
            one_by_one if count == MOST_SINGLE_READS else _one_list(group, names.PARTICIPANT_PLURAL)
        )
        assert len(world.participants) == count
        assert all((seen.read_at or 0) >= began for seen in world.participants.values())
        assert world.absent == frozenset()

        # No watch tells of it.
        for name in ("train.n0", "train.n7"):
            group.api.delete(names.PARTICIPANT_KIND, name)
        world = await place.confirm(targets)
        assert {target.name for target in world.absent} == {"train.n0", "train.n7"}
        assert len(world.participants) == count - 2

    play(scenario)


def test_many_pods_are_read_in_one_list_whatever_their_labels(play: Play, group: Group) -> None:
    group.create()
    # Without the label: only a participant names each of them.
    uids = create(group, [objects.pod(f"pod-{number}", automountServiceAccountToken=False) for number in range(MANY)])
    create(
        group,
        [
            *(group.participant(f"n{number}", podName=f"pod-{number}", podUID=uid) for number, uid in enumerate(uids)),
            group.participant("gone", podName="pod-999", podUID="uid-999"),
            group.participant("replaced", podName="pod-0", podUID="uid-of-before"),
        ],
    )
    there = [Target(names.POD_KIND, f"pod-{number}", uid) for number, uid in enumerate(uids)]
    gone, replaced = Target(names.POD_KIND, "pod-999", "uid-999"), Target(names.POD_KIND, "pod-0", "uid-of-before")

    async def scenario(place: Place) -> None:
        world = await place.confirm([*there, gone, replaced])
        assert place.requests == _one_list(group, "pods")
        assert set(world.pods) == set(uids)
        assert not any(pod.known for pod in world.pods.values())
        assert world.absent == {gone, replaced}

    play(scenario)


def test_each_kind_is_counted_by_itself(play: Play, group: Group) -> None:
    group.create()
    create(group, joined(group, 1))
    participants = [Target(names.PARTICIPANT_KIND, f"train.n{number}") for number in range(MOST_SINGLE_READS)]
    pods = [Target(names.POD_KIND, f"pod-{number}", f"uid-{number}") for number in range(MANY)]

    async def scenario(place: Place) -> None:
        await place.confirm([*participants, *pods])
        assert sorted(set(place.requests)) == [
            Request("get", names.PARTICIPANT_PLURAL, group.namespace),
            Request("list", "pods", group.namespace),
        ]
        assert len(place.requests) == MOST_SINGLE_READS + 1

    play(scenario)


def _one_list(group: Group, plural: str) -> list[Request]:
    return [Request("list", plural, group.namespace)]
