"""What an agent keeps of the Rendezvous that it watches, and when it reads it again."""

import queue
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.waiting import wait_until

from rendezvous_api.api_errors import ExpiredError, UnreachableError
from rendezvous_api.backoff import Backoff
from rendezvous_api.codec import decode
from rendezvous_api.rendezvous import Rendezvous
from rendezvous_handler.agent import rendezvous_watch
from rendezvous_handler.agent.rendezvous_watch import RendezvousWatch, WatchState, is_newer, only_about
from rendezvous_handler.kube.client import Client, WatchEvent


def _member(name: str, rank: int) -> dict[str, Any]:
    return {"name": name, "incarnation": "abcd1234", "attempt": 1, "rank": rank}


def _rendezvous(**status: Any) -> dict[str, Any]:
    metadata = {"name": "train", "namespace": "team", "uid": "uid", "resourceVersion": "7"}
    return {"metadata": metadata, "spec": {"minNodes": 1, "maxNodes": 4}, "status": status}


def test_of_members_and_refusals_only_the_own_ones_are_kept() -> None:
    refusal = {"incarnation": "abcd1234", "attempt": 1, "reason": "RunClosed", "message": "closed"}
    found = _rendezvous(
        round=3,
        nodes=3,
        participants=[_member("train.a", 0), _member("train.b", 1), _member("train.c", 2)],
        spares=["train.d", "train.e"],
        refused=[{"name": "train.b", **refusal}, {"name": "train.f", **refusal}],
        store={"host": "192.0.2.1", "port": 29500},
    )
    status = decode(Rendezvous, only_about(found, "train.b")).status
    assert [(member.name, member.rank) for member in status.participants] == [("train.b", 1)]
    assert [refused.name for refused in status.refused] == ["train.b"]
    # The size of the group, and who waits as a spare, are said by other fields.
    assert (status.nodes, status.round, status.spares) == (3, 3, ("train.d", "train.e"))
    assert len(found["status"]["participants"]) == 3, "what was received is not changed"


def test_of_nodes_that_are_held_out_only_the_own_entry_is_kept() -> None:
    entry = {"reason": "StoreNotReached", "message": "round 3", "until": "2030-01-01T00:00:30Z", "times": 1}
    found = _rendezvous(heldOut=[{"name": "train.b", **entry}, {"name": "train.c", **entry}])
    assert [held.name for held in decode(Rendezvous, only_about(found, "train.b")).status.held_out] == ["train.b"]


def test_of_nodes_that_are_passed_over_only_the_own_entry_is_kept() -> None:
    entry = {"reason": "Cordoned", "message": "its machine gpu-7 is cordoned"}
    found = _rendezvous(passedOver=[{"name": "train.b", **entry}, {"name": "train.c", **entry}])
    assert [each.name for each in decode(Rendezvous, only_about(found, "train.b")).status.passed_over] == ["train.b"]


def test_a_rendezvous_without_a_status_stays_one() -> None:
    found = {key: value for key, value in _rendezvous().items() if key != "status"}
    assert decode(Rendezvous, only_about(found, "train.a")).status.participants == ()


class _Answers(Client):
    """An API server whose list has one Rendezvous, or none."""

    def __init__(self, found: dict[str, Any] | None, version: int) -> None:
        self.answer = found, str(version)

    def list_rendezvous(self, namespace: str, name: str, timeout: float) -> tuple[dict[str, Any] | None, str]:
        return self.answer


def test_a_list_is_taken_as_it_is_although_its_version_goes_back() -> None:
    """After etcd was restored from a snapshot; each older event of a watch is still ignored."""
    watch = RendezvousWatch(_Answers(_rendezvous(round=2), 7), "team", "train", "train.a", 60, 1.0)
    newer = _rendezvous(round=3)
    newer["metadata"] = {**newer["metadata"], "resourceVersion": "2000"}
    watch._show(newer)
    watch._show(_rendezvous(round=2))
    assert watch.state.rendezvous is not None
    assert watch.state.rendezvous.status.round == 3
    watch._list()
    assert watch.state.rendezvous.status.round == 2
    watch._client = _Answers(None, 7)
    watch._list()
    assert watch.state == WatchState(read=True)


def test_the_names_of_all_members_are_kept() -> None:
    members = [_member("train.a", 0), _member("train.b", 1)]
    watch = RendezvousWatch(
        _Answers(_rendezvous(round=2, participants=members), 7), "team", "train", "train.a", 60, 1.0
    )
    watch._list()
    assert watch.state.members == {0: "train.a", 1: "train.b"}
    watch._show(_rendezvous(round=3, participants=members[1:]))
    assert watch.state.members == {1: "train.b"}


class _Stream:
    """A watch in which nothing happens; it ends when the agent closes it."""

    def __init__(self) -> None:
        self._end: queue.SimpleQueue[None] = queue.SimpleQueue()

    def __iter__(self) -> Iterator[WatchEvent]:
        self._end.get()
        yield from ()

    def close(self) -> None:
        self._end.put(None)


class _Silent(_Answers):
    """An API server whose watches say nothing any more."""

    lists = 0

    def list_rendezvous(self, namespace: str, name: str, timeout: float) -> tuple[dict[str, Any] | None, str]:
        self.lists += 1
        return super().list_rendezvous(namespace, name, timeout)

    def watch_rendezvous(self, namespace: str, name: str, resource_version: str, seconds: int) -> Any:
        return _Stream()


def test_a_watch_that_says_nothing_is_passed_over_by_a_list() -> None:
    server = _Silent(_rendezvous(round=2), 7)
    watch = RendezvousWatch(server, "team", "train", "train.a", 60, 1.0)
    watch.start()
    try:
        wait_until(lambda: watch.state.read, "the first list")
        assert watch.listed == 0
        server.answer = _rendezvous(round=3), "8"
        number = watch.list_again()
        wait_until(lambda: watch.listed >= number, "a list that began after the call")
        assert watch.state.rendezvous is not None
        assert watch.state.rendezvous.status.round == 3
        assert server.lists == 2
    finally:
        watch.stop()


class _Busy(_Silent):
    """An API server that does not want to be asked again for a second."""

    def list_rendezvous(self, namespace: str, name: str, timeout: float) -> tuple[dict[str, Any] | None, str]:
        super().list_rendezvous(namespace, name, timeout)
        error = UnreachableError("busy", "list", "rendezvous", namespace)
        error.retry_after = 1.0
        raise error


def test_an_api_server_is_left_alone_for_as_long_as_it_asks_for() -> None:
    server = _Busy(_rendezvous(round=2), 7)
    watch = RendezvousWatch(server, "team", "train", "train.a", 60, 1.0)
    watch.start()
    time.sleep(2.2)
    watch.stop()
    assert 2 <= server.lists <= 3


class _Away(_Silent):
    """An API server that does not answer, until it does."""

    away = True

    def list_rendezvous(self, namespace: str, name: str, timeout: float) -> tuple[dict[str, Any] | None, str]:
        found = super().list_rendezvous(namespace, name, timeout)
        if self.away:
            raise UnreachableError("away", "list", "rendezvous", namespace)
        return found


def test_a_list_that_is_asked_for_waits_for_no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendezvous_watch, "_BACKOFF", Backoff(first=3600, longest=3600))
    server = _Away(_rendezvous(round=2), 7)
    watch = RendezvousWatch(server, "team", "train", "train.a", 60, 1.0)
    watch.start()
    try:
        wait_until(lambda: watch.state.error, "the first list to fail")
        server.away = False
        number = watch.list_again()
        wait_until(lambda: watch.listed >= number, "a list", timeout=20)
        assert watch.state.error is None
    finally:
        watch.stop()


def seen(version: int = 7, number: int = 3, uid: str = "uid") -> Rendezvous:
    found = _rendezvous(round=number)
    found["metadata"] = {**found["metadata"], "resourceVersion": str(version), "uid": uid}
    return decode(Rendezvous, found)


@pytest.mark.parametrize(
    ("found", "newer"),
    [
        (seen(8), True),
        (seen(7), True),
        (seen(6), False),
        (seen(8, number=2), False),
        (seen(6, number=1, uid="another"), True),
    ],
    ids=["newer", "the same", "an older version", "a lower round", "another object"],
)
def test_what_a_server_that_lags_behind_shows_is_not_newer(found: Rendezvous, newer: bool) -> None:
    assert is_newer(seen(7), found) is newer
    assert is_newer(None, found)


class _Events(_Silent):
    """An API server whose watches show these events, one watch after the other; the last one says nothing."""

    def __init__(self, *watches: Any) -> None:
        super().__init__(_rendezvous(round=2), 7)
        self.watches = [*watches]

    def watch_rendezvous(self, namespace: str, name: str, resource_version: str, seconds: int) -> Any:
        if not self.watches:
            return _Stream()
        shown = self.watches.pop(0)
        if isinstance(shown, Exception):
            raise shown
        return shown()


@pytest.mark.parametrize(("version", "deleted"), [(6, False), (8, True)])
def test_a_deletion_counts_if_it_came_after_what_is_known(version: int, deleted: bool) -> None:
    gone = _rendezvous()
    gone["metadata"] = {**gone["metadata"], "resourceVersion": str(version)}

    class Shows(_Stream):
        def __iter__(self) -> Iterator[WatchEvent]:
            yield WatchEvent("DELETED", gone)

    watch = RendezvousWatch(_Events(Shows), "team", "train", "train.a", 60, 1.0)
    watch._list()
    watch._watch()
    assert (watch.state.rendezvous is None) is deleted


def test_a_watch_that_began_before_a_list_was_asked_for_is_not_listened_to() -> None:
    """It may be the one that says nothing any more, and there was no stream yet that could be closed."""
    server = _Events()
    watch = RendezvousWatch(server, "team", "train", "train.a", 60, 1.0)
    numbers = []

    def asks() -> _Stream:
        numbers.append(watch.list_again())
        return _Stream()

    server.watches = [asks]
    watch.start()
    try:
        wait_until(lambda: numbers and watch.listed >= numbers[0], "the list", timeout=10)
    finally:
        watch.stop()


@pytest.mark.parametrize("what", ["is too old", "cannot be understood"])
def test_after_what_a_watch_cannot_show_the_rendezvous_is_listed_again(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rendezvous_watch, "_BACKOFF", Backoff(first=0.01, longest=0.01))
    strange = {"metadata": {"name": "train", "resourceVersion": "8"}, "spec": {"minNodes": "two"}}

    class Shows(_Stream):
        def __iter__(self) -> Iterator[WatchEvent]:
            yield WatchEvent("MODIFIED", strange)

    server = _Events(ExpiredError("too old", "watch", "rendezvous", "team") if what == "is too old" else Shows)
    watch = RendezvousWatch(server, "team", "train", "train.a", 60, 1.0)
    watch.start()
    try:
        wait_until(lambda: server.lists == 2 and watch.state.error is None, "another list", timeout=10)
        assert watch.state.rendezvous is not None
    finally:
        watch.stop()
