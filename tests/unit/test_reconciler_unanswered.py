"""What the reconciler makes of writes without an answer: they may have been carried out."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.unit.reconciler_support import FIRST, ROUND, Answers, Place, failed, play, reconciles

from rendezvous_api import names
from rendezvous_api.api_errors import ConflictError, UnreachableError
from rendezvous_api.codec import encode
from rendezvous_api.reasons import EventReason
from rendezvous_api.rendezvous import RendezvousStatus
from rendezvous_operator.core.world import Decision, Event, Memory, Now, World
from rendezvous_operator.kube.client import Json
from rendezvous_operator.reconcile import reconciler as module


class _AnswersLost(Answers):
    """Carries out every write; the answers to the first ones are lost, and the next reads fail."""

    def __init__(self, writes: int, reads: int) -> None:
        super().__init__()
        self.lost = writes
        self.unread = reads

    async def write_status(self, namespace: str, name: str, uid: str, version: str, status: Json) -> Json | None:
        if version != str(self.version):
            raise failed(ConflictError)
        item = await super().write_status(namespace, name, uid, version, status)
        self.lost -= 1
        if self.lost >= 0:
            raise failed(UnreachableError)
        return item

    async def read(self, kind: str, namespace: str, name: str) -> Json | None:
        self.unread -= 1
        if self.unread >= 0:
            raise failed(UnreachableError)
        return self.item


@pytest.mark.parametrize("reads", [0, 1])
def test_a_write_whose_answer_is_lost_has_its_events_and_counts(reads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    emitted: list[str] = []
    published = replace(ROUND, nodes=1)

    def decides(place: Place) -> Callable[[Now, World, Memory], Decision]:
        def decide(now: Now, world: World, memory: Memory) -> Decision:
            decision = place.decide(now, world, memory)
            before, round_event = world.rendezvous.status, Event(EventReason.ROUND_PUBLISHED, "round 1")
            status = published if before.round == 0 else before
            return replace(decision, status=status, events=(round_event,) if status != before else ())

        return decide

    async def scenario(place: Place) -> None:
        monkeypatch.setattr(module, "decide", decides(place))
        monkeypatch.setattr(place.recorder, "emit", lambda target, reason, note, *, warning: emitted.append(reason))
        deadline = time.monotonic() + 30
        while not emitted:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.005)
        assert place.remembered[1 + reads] == 1.0, "the memory of the decision that was carried out is adopted"
        await asyncio.sleep(0.3)
        assert (emitted, place.client.writes) == (["RoundPublished"], 1)

    play(lambda: Place(_AnswersLost(1, reads), []), scenario, monkeypatch)


def test_a_write_that_was_not_carried_out_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(place: Place) -> None:
        await reconciles(place, 3)
        assert place.remembered[:3] == [FIRST, FIRST, 2.0]
        assert place.client.writes == 2

    play(lambda: Place(Answers(failed(UnreachableError)), [ROUND, ROUND]), scenario, monkeypatch)


class _AnswersOnce(_AnswersLost):
    """Drops the first write, and carries out the next one without an answer."""

    async def write_status(self, namespace: str, name: str, uid: str, version: str, status: Json) -> Json | None:
        if not self.writes:
            self.writes += 1
            raise failed(UnreachableError)
        return await super().write_status(namespace, name, uid, version, status)


def test_of_two_writes_without_an_answer_the_one_that_was_carried_out_is_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario(place: Place) -> None:
        await reconciles(place, 3)
        assert place.client.status["round"] == 2
        assert place.remembered[:3] == [FIRST, FIRST, 2.0]

    statuses = [ROUND, RendezvousStatus(round=2), RendezvousStatus(round=2)]
    play(lambda: Place(_AnswersOnce(1, 0), statuses), scenario, monkeypatch)


def test_what_was_refused_for_the_load_was_not_carried_out_whatever_is_seen_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another leader has written the same: its events and its memory are its own."""
    refused = failed(UnreachableError)
    assert isinstance(refused, UnreachableError)
    refused.not_carried_out = True

    async def scenario(place: Place) -> None:
        await reconciles(place, 1)
        assert place.client.writes == 1
        place.client.version += 1
        place.client.status = encode(ROUND)
        place.reconciler.event(names.RENDEZVOUS_KIND, "MODIFIED", place.client.item)
        await reconciles(place, 2)
        assert place.remembered[:2] == [FIRST, FIRST]

    play(lambda: Place(Answers(refused), [ROUND, ROUND]), scenario, monkeypatch)
