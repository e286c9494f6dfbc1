"""What is decided in a term as leader is not written after it, on a real API server."""

import asyncio
import time
from collections.abc import Callable, Coroutine

import pytest
from tests.integration.operator_support import Group

from rendezvous_api import names
from rendezvous_api.rendezvous import RendezvousStatus
from rendezvous_controlplane import LocalControlPlane
from rendezvous_operator.kube.client import Client
from rendezvous_operator.kube.event_recorder import Recorder
from rendezvous_operator.kube.login import Login
from rendezvous_operator.reconcile.fence import Fence
from rendezvous_operator.reconcile.reader import Reader
from rendezvous_operator.reconcile.reconciler import Reconciler
from rendezvous_operator.reconcile.work_queue import WorkQueue
from rendezvous_operator.serve.metrics import Metrics
from rendezvous_operator.watch.cache import Cache
from rendezvous_operator.watch.seen import Key


def _nothing() -> None:
    pass


class _Watched(Metrics):
    """Calls back between a decision and its write, where a process may be stopped for any time."""

    on_decision: Callable[[], None] = staticmethod(_nothing)

    def decided(self, seconds: float) -> None:
        super().decided(seconds)
        self.on_decision()


class Place:
    """The reconciler of an operator, and its term as leader in the hands of the test."""

    def __init__(self, client: Client, namespace: str) -> None:
        self.term: int | None = 1
        self.cache = Cache(time.monotonic)
        queue: WorkQueue[Key] = WorkQueue(time.monotonic)
        self.metrics = _Watched(self.cache, queue, time.monotonic, lambda: self.term is not None)
        self.recorder = Recorder(client, "test", time.monotonic)
        reader, fence = Reader(client, self.cache, namespace), Fence(client, lambda: self.term)
        self.reconciler = Reconciler(reader, fence, queue, self.recorder, self.metrics)
        self.decisions = 0

    def lose_the_lease_after_the_next_decision(self, next_term: int | None = None) -> None:
        def lose() -> None:
            self.decisions += 1
            self.term = next_term

        self.metrics.on_decision = lose

    def win_the_lease(self, term: int) -> None:
        self.metrics.on_decision = _nothing
        self.term = term
        self.reconciler.lead()


Scenario = Callable[[Place], Coroutine[None, None, None]]
Play = Callable[[Scenario], None]


@pytest.fixture
def play(control_plane: LocalControlPlane, namespace: str, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Runs a scenario in an operator without watches that has listed everything."""
    monkeypatch.setenv("KUBECONFIG", str(control_plane.kubeconfig))

    def run(scenario: Scenario) -> None:
        async def whole() -> None:
            client = await Client.connect(Login())
            place = Place(client, namespace)
            try:
                place.recorder.start()
                await place.reconciler.start()
                await scenario(place)
            finally:
                await place.reconciler.stop(1)
                await place.recorder.stop(1)
                await client.close()

        asyncio.run(whole())

    return run


async def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        await asyncio.sleep(0.05)


def events(group: Group) -> list[str]:
    return [event["reason"] for event in group.events()]


@pytest.mark.parametrize("next_term", [None, 2], ids=["another leads", "it leads again already"])
def test_a_round_decided_in_a_term_that_is_over_is_not_published(
    play: Play, group: Group, next_term: int | None
) -> None:
    group.create()
    for node in ("a", "b"):
        group.join(node)

    async def scenario(place: Place) -> None:
        place.lose_the_lease_after_the_next_decision(next_term)
        place.reconciler.lead()
        await until(lambda: place.decisions, "a decision")
        await asyncio.sleep(0.5)
        assert group.status == RendezvousStatus()
        assert events(group) == []
        assert place.decisions == 1

        place.win_the_lease(3)
        await until(lambda: group.status.round == 1, "the round")
        await until(lambda: "RoundPublished" in events(group), "its event")

    play(scenario)


def test_what_was_to_be_deleted_in_a_term_that_is_over_is_kept(play: Play, group: Group) -> None:
    group.create(ttlSecondsAfterFinished=0)
    group.join("a", closeRequested=True)

    async def scenario(place: Place) -> None:
        place.reconciler.lead()
        await until(lambda: group.status.holds("Failed"), "the end of the run")
        place.lose_the_lease_after_the_next_decision()
        group.join("a", closeRequested=True, state="Left", leaveReason="Failed")
        await place.reconciler.list(names.PARTICIPANT_KIND)
        await until(lambda: place.decisions, "the decision to delete it")
        await asyncio.sleep(0.5)
        assert group.is_there

        place.win_the_lease(2)
        await until(lambda: not group.is_there, "it to be deleted")

    play(scenario)
