"""What strangers do at the port of a host, and what an agent without file descriptors does: members notice nothing."""

from __future__ import annotations

import errno
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.peers import SCALE, Round, peer, raw, shorten, threads
from tests.support.waiting import wait_until

from rendezvous_api.reasons import HostState
from rendezvous_handler.peers import descriptors, host, wire


@pytest.fixture(autouse=True)
def short_seconds(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    shorten(monkeypatch)
    yield
    wait_until(lambda: not threads(), "the threads of the connections to end", 10)


@pytest.fixture
def group() -> Iterator[Round]:
    """A host with two members, in which all is well; so it must be at the end."""
    with Round(4).start(1, 2) as made:
        wait_until(lambda: made.report() is not None and made.report().not_connected == "3", "two members", 10)
        wait_until(lambda: {made.state(1), made.state(2)} == {HostState.ANSWERS}, "answers", 10)
        yield made
        time.sleep(4 * SCALE)
        report = made.report()
        assert (report.missed, report.closed, report.left) == ("", "", "")
        assert {made.state(1), made.state(2)} == {HostState.ANSWERS}


def rest(connected: socket.socket) -> bytes:
    """All that comes until the host closes the connection."""
    found = b""
    try:
        while data := connected.recv(65536):
            found += data
    except ConnectionResetError:
        pass
    return found


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"no kube-rendezvous-peers/1 is spoken here\n"),
        (b"\x16\x03\x01\xff\xfe\n", b"no a line is no text\n"),
        (b"x" * 600, b"no a line is longer than 512 bytes\n"),
        (b"x" * 100000, b""),
        (wire.hello(peer(0, 4)), b"no the ranks of the other members are 1 to 3\n"),
        (wire.hello(peer(3, 4, fence="x")), b"no another round is served here\n"),
        (wire.hello(peer(3, 4)) + b"y" * 600, b"no a line is longer than 512 bytes\n"),
    ],
    ids=lambda value: value[:24].decode("ascii", "replace"),
)
def test_garbage_is_answered_and_closed(group: Round, said: bytes, answer: bytes) -> None:
    with raw(group.port) as stranger:
        with suppress(OSError):  # it may be closed while it is sent
            stranger.sendall(said)
        found = rest(stranger)
    assert found.startswith(answer) or (found == b"" and len(said) > 1000)


def test_who_says_nothing_is_closed_after_a_while(group: Round, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "_HELLO_SECONDS", 1.0)
    with raw(group.port) as silent, raw(group.port, wire.hello(peer(3, 4))[:20]) as half:
        began = time.monotonic()
        assert rest(silent) + rest(half) == b""
        assert time.monotonic() - began < 5


def test_who_never_reads_keeps_no_other_one_waiting(group: Round) -> None:
    with raw(group.port, wire.hello(peer(3, 4))) as deaf:
        deaf.settimeout(0.05)
        until = time.monotonic() + 8 * SCALE
        while time.monotonic() < until:
            with suppress(TimeoutError):
                deaf.sendall(wire.beat(wire.Beat(True)) * 50)
            assert group.report().missed == ""
        # Its connection is reset, since the host has what it did not read yet.
    wait_until(lambda: group.report().closed == "3", "its connection to be closed", 20)
    with raw(group.port, wire.hello(peer(3, 4)), wire.beat(wire.Beat(True)), wire.RETIRED):
        wait_until(lambda: group.report().not_connected == "3", "its end", 10)


def test_who_does_not_read_is_sent_no_more_answers(group: Round) -> None:
    guest = group.host._members[1]
    sent: list[bytes] = []
    full = SimpleNamespace(is_full=True, number=None, send=sent.append)
    group.host._answer(full)  # type: ignore[arg-type]
    assert sent == []
    assert not guest.is_full


def test_many_strangers_are_closed_for_newer_ones(group: Round, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "_STRANGERS", 20)
    monkeypatch.setattr(host, "_HELLO_SECONDS", 600.0)
    with ExitStack() as stack:
        strangers = [stack.enter_context(raw(group.port)) for _ in range(100)]
        assert [rest(stranger) for stranger in strangers[:80]] == [b""] * 80
        assert len(group.host._strangers) <= 20
        with raw(group.port, wire.hello(peer(3, 4)), wire.beat(wire.Beat(True))) as late:
            assert late.recv(100).startswith(b"answer")
            late.sendall(wire.RETIRED)
            wait_until(lambda: group.report().not_connected == "3", "its end", 10)


def test_a_second_connection_of_a_rank_takes_the_place_of_the_first(group: Round) -> None:
    with raw(group.port, wire.hello(peer(3, 4)), wire.beat(wire.Beat(True))) as first:
        wait_until(lambda: group.report().not_connected == "", "the first one", 10)
        with raw(group.port, wire.hello(peer(3, 4)), wire.beat(wire.Beat(True))) as second:
            assert rest(first).startswith(b"answer")
            time.sleep(2 * SCALE)
            assert group.report().closed == ""
            second.sendall(wire.beat(wire.Beat(False)) + wire.RETIRED)
            wait_until(lambda: group.report().not_connected == "3", "its end", 10)


def test_a_host_contradicts_a_member_that_gets_no_answers(group: Round) -> None:
    with raw(group.port, wire.hello(peer(3, 4)), wire.beat(wire.Beat(True))) as member:
        wait_until(lambda: group.report().not_connected == "", "its first beat", 10)
        assert group.heartbeats.asked == []
        member.sendall(wire.beat(wire.Beat(True, unanswered=True)))
        wait_until(lambda: group.heartbeats.asked == [0.0], "a heartbeat", 10)
        assert [said.report.accused for said in group.heartbeats.sent if said and said.report] == [frozenset()]
        member.sendall(wire.RETIRED)
        wait_until(lambda: group.report().not_connected == "3", "its end", 10)


# ---- file descriptors


class Full:
    """A listener that can accept nothing for a while."""

    def __init__(self, listener: socket.socket):
        self._listener = listener
        self.is_full = True
        self.tries = 0

    def accept(self) -> Any:
        self.tries += 1
        if self.is_full:
            raise OSError(errno.EMFILE, "Too many open files")
        return self._listener.accept()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._listener, name)


def test_a_host_without_file_descriptors_accuses_no_member(
    group: Round, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(host, "_ACCEPT_PAUSE_SECONDS", 0.1)
    full = Full(group.host._listener)
    group.host._listener = full  # type: ignore[assignment]
    call = group.members[2]._call
    assert call is not None
    call.socket.shutdown(socket.SHUT_RDWR)
    wait_until(lambda: group.report().not_connected == "2-3", "nothing to be said of rank 2", 10)
    time.sleep(4 * SCALE)
    assert group.report().closed == ""
    assert full.tries < 100
    full.is_full = False
    wait_until(lambda: group.report().not_connected == "3", "rank 2 to come back", 10)
    assert [message for message in caplog.messages if "can accept no connection" in message] == [
        "this agent, the host of the round, can accept no connection of another one: [Errno 24] Too many open files; a "
        "node that is lost is noticed later (ulimit -n)"
    ]


def test_a_member_without_file_descriptors_accuses_no_host(group: Round, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: Any) -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr("rendezvous_handler.peers.member.socket.socket", fails)
        call = group.members[2]._call
        assert call is not None
        call.socket.shutdown(socket.SHUT_RDWR)
        wait_until(lambda: group.state(2) is HostState.NOT_CONNECTED, "nothing to be said of the host", 10)
        time.sleep(4 * SCALE)
        assert group.state(2) is HostState.NOT_CONNECTED
    wait_until(lambda: group.state(2) is HostState.ANSWERS, "a connection", 10)
    wait_until(lambda: group.report().closed == "", "a connection", 10)


class Limits:
    """Those of open files, as the kernel has them."""

    def __init__(self, soft: int, hard: int):
        self.now = (soft, hard)

    def getrlimit(self, kind: int) -> tuple[int, int]:
        assert kind == resource.RLIMIT_NOFILE
        return self.now

    def setrlimit(self, kind: int, limits: tuple[int, int]) -> None:
        assert kind == resource.RLIMIT_NOFILE
        self.now = limits


@pytest.mark.parametrize(
    ("soft", "hard", "nodes", "becomes", "warns"),
    [
        (1024, 524288, 10, 1024, False),
        (1024, 524288, 1000, 65536, False),
        (1024, 1 << 30, 1000, 65536, False),
        (1024, 4096, 1000, 4096, False),
        (1024, 1500, 1000, 1500, True),
        (1024, 1024, 1000, 1024, True),
        (65536, 65536, 2000, 65536, False),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, 2000, resource.RLIM_INFINITY, False),
        (1024, resource.RLIM_INFINITY, 2000, 65536, False),
    ],
)
def test_the_limit_of_open_files_is_raised_where_it_is_too_low(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    soft: int,
    hard: int,
    nodes: int,
    becomes: int,
    warns: bool,
) -> None:
    limits = Limits(soft, hard)
    monkeypatch.setattr(resource, "getrlimit", limits.getrlimit)
    monkeypatch.setattr(resource, "setrlimit", limits.setrlimit)
    monkeypatch.setattr(descriptors, "_in_use", lambda: 20)
    descriptors.allow_for(nodes)
    assert limits.now == (becomes, hard)
    assert bool(caplog.messages) is warns
    if warns:
        assert f"the store of 1000 nodes, which needs about 2148 open files, and the limit is {becomes}" in caplog.text
