"""What the reconciler remembers of a decision whose write succeeds, fails or is put off."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.unit.cache_support import KEY, participant
from tests.unit.reconciler_support import FIRST, ROUND, Answers, Place, failed, play, reconciles

from rendezvous_api import names
from rendezvous_api.api_errors import ConflictError, ForbiddenError, UnreachableError
from rendezvous_api.reasons import EventReason
from rendezvous_api.rendezvous import RendezvousStatus
from rendezvous_operator.core.world import Decision, Deletion, Event, Evidence, Memory, Now, Target, World
from rendezvous_operator.kube.client import Json
from rendezvous_operator.kube.outage_clock import OutageClock
from rendezvous_operator.reconcile import reconciler as module


@pytest.mark.parametrize("error", [failed(ConflictError), failed(UnreachableError), failed(ForbiddenError)])
def test_what_was_decided_and_could_not_be_written_is_not_remembered(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(place: Place) -> None:
        await reconciles(place, 3)
        assert place.remembered[:3] == [FIRST, FIRST, 2.0]
        assert place.client.status["round"] == 1

    play(lambda: Place(Answers(error), [ROUND, ROUND]), scenario, monkeypatch)


def test_after_a_write_the_next_turn_comes_at_once_and_without_a_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(place: Place) -> None:
        await reconciles(place, 2)
        assert place.remembered == [FIRST, 1.0]
        await asyncio.sleep(0.1)
        assert len(place.remembered) == 2, "a reconcile without a write causes no other"

    play(lambda: Place(Answers(), [ROUND]), scenario, monkeypatch)


def test_a_write_that_is_put_off_does_not_put_off_what_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    more = replace(ROUND, waiting_nodes=1)
    counted = replace(more, waiting_nodes=2)

    async def scenario(place: Place) -> None:
        await reconciles(place, 4)
        assert (place.remembered, place.client.writes) == ([FIRST, 1.0, 2.0, 3.0], 2)

    # The third changes nothing but a count, right after a write: the fourth reconcile comes when that may be written.
    play(lambda: Place(Answers(), [ROUND, more, counted]), scenario, monkeypatch)


@pytest.mark.parametrize("failure", ["the decision", "the write"])
def test_no_event_cuts_the_back_off_of_a_failure_short(failure: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = 0

    def fails(now: Now, world: World, memory: Memory) -> Decision:
        nonlocal tried
        tried += 1
        if failure == "the decision":
            raise ValueError("a defect")
        return Decision(ROUND, memory, "explained")

    async def scenario(place: Place) -> None:
        monkeypatch.setattr(module, "decide", fails)
        for _ in range(100):
            place.client.version += 1
            place.reconciler.event(names.RENDEZVOUS_KIND, "MODIFIED", place.client.item)
            await asyncio.sleep(0.005)
        assert 2 <= tried <= 5, "the back-offs are 0.1 to 0.2, 0.2 to 0.4 and 0.4 to 0.8 s"

    errors = [failed(ConflictError) for _ in range(50)]
    play(lambda: Place(Answers(*errors), [RendezvousStatus()]), scenario, monkeypatch)


def test_in_an_outage_writes_are_tried_again_and_timers_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock by which is decided stands still; that of the queue does not."""
    clock = OutageClock(time.monotonic)

    def place() -> Place:
        made = Place(Answers(failed(UnreachableError), failed(UnreachableError)), [ROUND] * 3, clock)
        made.wake_after = 0.2
        clock.failed(0.0)
        return made

    async def scenario(place: Place) -> None:
        began = clock()
        await reconciles(place, 8)
        assert clock() == began, "the moment has not come, but the end of the outage is not missed"
        assert place.client.writes == 3

    play(place, scenario, monkeypatch)


def test_a_new_term_begins_with_nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(place: Place) -> None:
        await reconciles(place, 2)
        place.reconciler.lead()
        await reconciles(place, 3)
        assert place.remembered[2] == FIRST

    play(lambda: Place(Answers(), [ROUND]), scenario, monkeypatch)


def test_a_rendezvous_that_is_recreated_begins_with_nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(place: Place) -> None:
        await reconciles(place, 2)
        place.client.version += 1
        item = place.client.item
        item["metadata"]["uid"] = "r-2"
        place.reconciler.event(names.RENDEZVOUS_KIND, "ADDED", item)
        await reconciles(place, 3)
        assert place.remembered[2] == FIRST

    play(lambda: Place(Answers(), [ROUND]), scenario, monkeypatch)


def test_one_deletion_that_is_refused_keeps_no_other_from_being_made(monkeypatch: pytest.MonkeyPatch) -> None:
    deletions = [Deletion(names.PARTICIPANT_KIND, name, f"uid-{name}", "1", "over") for name in "abc"]
    asked: list[str] = []

    async def delete(kind: str, namespace: str, name: str, uid: str, resource_version: str) -> bool:
        asked.append(name)
        if name == "a":
            raise failed(ForbiddenError)
        return True

    async def scenario(place: Place) -> None:
        monkeypatch.setattr(place.client, "delete", delete)
        monkeypatch.setattr(
            module, "decide", lambda now, world, memory: Decision(ROUND, memory, "", deletions=tuple(deletions))
        )
        place.client.version += 1
        place.reconciler.event(names.RENDEZVOUS_KIND, "MODIFIED", place.client.item)
        deadline = time.monotonic() + 30
        while len(asked) < 3:
            assert time.monotonic() < deadline, asked
            await asyncio.sleep(0.005)
        assert asked[:3] == ["a", "b", "c"]

    play(lambda: Place(Answers(), [RendezvousStatus()]), scenario, monkeypatch)


def test_the_first_deletion_without_an_answer_ends_the_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each may take as long as a request may: a thousand of them would hold the Rendezvous for hours."""
    asked: list[str] = []

    async def delete(kind: str, namespace: str, name: str, uid: str, resource_version: str) -> bool:
        asked.append(name)
        raise failed(UnreachableError)

    async def scenario(place: Place) -> None:
        monkeypatch.setattr(place.client, "delete", delete)
        deletions = tuple(Deletion(names.PARTICIPANT_KIND, name, f"uid-{name}", "1", "over") for name in "abc")
        monkeypatch.setattr(
            module, "decide", lambda now, world, memory: Decision(ROUND, memory, "", deletions=deletions)
        )
        place.client.version += 1
        place.reconciler.event(names.RENDEZVOUS_KIND, "MODIFIED", place.client.item)
        deadline = time.monotonic() + 30
        while len(asked) < 2:
            assert time.monotonic() < deadline, asked
            await asyncio.sleep(0.005)
        assert asked[:2] == ["a", "a"], "the second reconcile begins with the first of them again"

    play(lambda: Place(Answers(), [RendezvousStatus()]), scenario, monkeypatch)


def test_what_is_told_is_neither_put_off_nor_bound_to_a_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second changes nothing but a count, right after a write; the third changes nothing."""
    more = replace(ROUND, waiting_nodes=1)
    counted = replace(more, waiting_nodes=2)
    emitted: list[str] = []

    def decides(place: Place) -> Callable[[Now, World, Memory], Decision]:
        def decide(now: Now, world: World, memory: Memory) -> Decision:
            decision, turn = place.decide(now, world, memory), len(place.remembered)
            events = (Event(EventReason.MEMBER_SUSPECTED, f"turn {turn}"),) if turn <= 3 else ()
            return replace(decision, events=events)

        return decide

    async def scenario(place: Place) -> None:
        monkeypatch.setattr(module, "decide", decides(place))
        monkeypatch.setattr(place.recorder, "emit", lambda target, reason, note, *, warning: emitted.append(note))
        await reconciles(place, 3)
        await asyncio.sleep(0.1)
        assert (emitted, place.client.writes) == (["turn 1", "turn 2", "turn 3"], 2)

    play(lambda: Place(Answers(), [more, counted]), scenario, monkeypatch)


def test_a_rendezvous_that_a_write_does_not_find_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A watch may have missed its deletion, and would never show it: it was decided on, and written to, for ever."""

    async def write_status(namespace: str, name: str, uid: str, version: str, status: Json) -> Json | None:
        return None

    async def scenario(place: Place) -> None:
        await reconciles(place, 1)
        monkeypatch.setattr(place.client, "write_status", write_status)
        place.client.version += 1
        place.statuses[1:] = [RendezvousStatus(round=2)] * 10
        place.reconciler.event(names.RENDEZVOUS_KIND, "MODIFIED", place.client.item)
        deadline = time.monotonic() + 30
        while place.cache.keys():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.005)
        turns = len(place.remembered)
        await asyncio.sleep(0.3)
        assert len(place.remembered) == turns

    play(lambda: Place(Answers(), [ROUND]), scenario, monkeypatch)


def test_a_rendezvous_that_a_read_does_not_find_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    async def read(kind: str, namespace: str, name: str) -> Json | None:
        return None

    async def scenario(place: Place) -> None:
        monkeypatch.setattr(place.client, "read", read)
        deadline = time.monotonic() + 30
        while place.cache.keys():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.005)

    play(lambda: Place(Answers(failed(ConflictError)), [ROUND]), scenario, monkeypatch)


def test_after_a_restore_of_etcd_nothing_is_decided_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(place: Place) -> None:
        await reconciles(place, 2)
        place.client.version = 0
        await place.reconciler.list(names.RENDEZVOUS_KIND)
        await asyncio.wait_for(place.reconciler.until_restored(), 10)
        place.reconciler.lead()
        await asyncio.sleep(0.2)
        assert len(place.remembered) == 2

    play(lambda: Place(Answers(), [ROUND]), scenario, monkeypatch)


def test_the_end_of_a_worker_is_a_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(place: Place) -> None:
        await reconciles(place, 2)
        assert place.reconciler.defect is None
        (task,) = [task for task in asyncio.all_tasks() if task.get_name() == "reconciler-3"]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert place.reconciler.defect == "has ended: reconciler-3"

    play(lambda: Place(Answers(), [ROUND]), scenario, monkeypatch)


def test_a_decision_follows_on_what_one_has_asked_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if the read shows nothing new, so that no event follows from it."""

    async def read(kind: str, namespace: str, name: str) -> Json | None:
        return None

    async def scenario(place: Place) -> None:
        def decide(now: Now, world: World, memory: Memory) -> Decision | Evidence:
            decision = place.decide(now, world, memory)
            first = len(place.remembered) == 1
            return Evidence(frozenset({Target(names.PARTICIPANT_KIND, "a")})) if first else decision

        monkeypatch.setattr(place.client, "read", read)
        monkeypatch.setattr(module, "decide", decide)
        await reconciles(place, 2)

    play(lambda: Place(Answers(), [RendezvousStatus()]), scenario, monkeypatch)


def test_what_a_deletion_does_not_find_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A watch may have missed its end: it was deleted again and again."""
    asked: list[str] = []

    async def delete(kind: str, namespace: str, name: str, uid: str, resource_version: str) -> bool:
        asked.append(name)
        return False

    def decide(now: Now, world: World, memory: Memory) -> Decision:
        due = tuple(Deletion(names.PARTICIPANT_KIND, name, "uid", "1", "over") for name in world.participants)
        return Decision(world.rendezvous.status, memory, "", deletions=due)

    async def scenario(place: Place) -> None:
        monkeypatch.setattr(place.client, "delete", delete)
        monkeypatch.setattr(module, "decide", decide)
        place.reconciler.event(names.PARTICIPANT_KIND, "ADDED", participant())
        deadline = time.monotonic() + 30
        while place.cache.world(KEY) is None or place.cache.world(KEY).participants:  # type: ignore[union-attr]
            assert time.monotonic() < deadline
            await asyncio.sleep(0.005)
        assert asked == ["train.a"]

    play(lambda: Place(Answers(), []), scenario, monkeypatch)
