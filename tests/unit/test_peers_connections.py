"""Hosts and members with real connections on the loopback; a beat takes a quarter of a second here."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.support.peers import LOOPBACK, SCALE, Heartbeats, Round, kill, listener, peer, shorten, threads
from tests.support.proxy import Proxy
from tests.support.waiting import wait_until

from rendezvous_api.participant import PeerEvidence
from rendezvous_api.reasons import HostState
from rendezvous_handler.peers import member, wire
from rendezvous_handler.peers.host import Host
from rendezvous_handler.peers.member import MOST_UNANSWERED, Member


@pytest.fixture(autouse=True)
def short_seconds(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    shorten(monkeypatch)
    yield
    wait_until(lambda: not threads(), "the threads of the connections to end", 10)


def soon(condition: Callable[[], Any], what: str) -> None:
    wait_until(condition, what, 10)


@pytest.mark.parametrize("address", [LOOPBACK, "::1"])
def test_a_round_that_runs_well_accuses_no_member(address: str) -> None:
    with Round(4, address).start() as group:
        group.await_connected()
        until = time.monotonic() + 8 * SCALE
        while time.monotonic() < until:
            report = group.report()
            assert (report.missed, report.closed, report.left, report.not_connected) == ("", "", "", "")
            assert {group.state(rank) for rank in (1, 2, 3)} == {HostState.ANSWERS}
            time.sleep(0.02)
        assert group.heartbeats.asked == []
        assert [given.asked for given in group.heartbeats_of.values()] == [[], [], []]


def test_a_member_that_is_killed_is_closed_and_the_host_says_so_at_once() -> None:
    with Round(3).start() as group:
        group.await_connected()
        kill(group.members[2])
        soon(lambda: group.report().closed == "2", "rank 2 in the report")
        soon(lambda: group.heartbeats.asked == [0.0], "a heartbeat")
        assert [said.report.closed for said in group.heartbeats.sent if said and said.report] == ["2"]
        # The other one is not asked to do anything.
        assert group.heartbeats_of[1].asked == []


def test_a_member_that_says_farewell_has_left() -> None:
    with Round(3).start() as group:
        group.await_connected()
        group.members[1].stop()
        soon(lambda: group.report().left == "1", "rank 1 in the report")
        time.sleep(4 * SCALE)
        assert (group.report().closed, group.report().missed) == ("", "")
        assert group.members[1].evidence() is None


def test_a_host_that_says_farewell_has_left_and_frees_its_port_at_once() -> None:
    with Round(3).start() as group:
        group.await_connected()
        group.host.stop()
        listener(port=group.port).close()
        soon(lambda: {group.state(1), group.state(2)} == {HostState.LEFT}, "the farewell")
        assert group.host.evidence() is None
        time.sleep(4 * SCALE)
        assert group.state(1) is HostState.LEFT


def test_a_member_connects_no_more_after_the_farewell_of_the_host() -> None:
    """Another host may listen at that port by then."""
    with Round(2).start() as group:
        group.await_connected()
        group.host.stop()
        soon(lambda: group.state(1) is HostState.LEFT, "the farewell")
        with listener(port=group.port) as another:
            another.listen()
            another.settimeout(1.0)
            with pytest.raises(socket.timeout):
                another.accept()


def test_a_host_that_is_killed_is_closed() -> None:
    with Round(3).start() as group:
        group.await_connected()
        kill(group.host)
        soon(lambda: {group.state(1), group.state(2)} == {HostState.CLOSED}, "closed")
        for heartbeats in group.heartbeats_of.values():
            soon(lambda heartbeats=heartbeats: heartbeats.asked, "a heartbeat")  # type: ignore[misc]
            assert heartbeats.sent == [PeerEvidence(HostState.CLOSED)]
            assert heartbeats.asked[0] <= 0.5


def test_a_member_of_which_the_host_gets_no_beats_is_missed_and_comes_back() -> None:
    with Round(3) as group, Proxy(group.port) as proxy:
        group.start(1)
        group.connect(2, proxy.port)
        group.await_connected()
        proxy.swallow()
        soon(lambda: group.report().missed == "2", "missed")
        soon(lambda: group.state(2) is HostState.MISSED, "missed")
        assert group.state(1) is HostState.ANSWERS
        soon(lambda: group.heartbeats_of[2].asked, "a heartbeat")
        proxy.mend()
        soon(lambda: group.report().missed == "" and group.state(2) is HostState.ANSWERS, "beats again")


def test_a_member_that_may_be_accused_contradicts_again_and_again() -> None:
    with Round(2).start() as group:
        group.await_connected()
        group.heartbeats_of[1].confirm_seconds = 2.4
        began = time.monotonic()
        kill(group.host)
        soon(lambda: len(group.heartbeats_of[1].asked) >= 3, "three heartbeats")
        assert time.monotonic() - began > 1.5


def test_a_member_that_gets_no_answers_says_so_with_its_beats() -> None:
    """They may come to the host, which does not know then that it is accused."""
    with listener() as host:
        host.listen()
        one = Member(peer(1, 2), LOOPBACK, host.getsockname()[1])
        one.start(Heartbeats())
        connection, _ = host.accept()
        with connection, connection.makefile("rb") as lines:
            assert lines.readline() == wire.hello(peer(1, 2))
            assert lines.readline() == b"beat yes\n"
            connection.sendall(b"answer 0 -\n")
            said = [lines.readline() for _ in range(MOST_UNANSWERED)]
            assert (said[0], said[-1]) == (b"beat yes\n", b"beat yes unanswered\n")
            one.stop()


def test_a_connection_that_breaks_is_opened_again_before_it_is_news() -> None:
    with Round(2) as group, Proxy(group.port) as proxy:
        group.host.start(group.heartbeats)
        group.connect(1, proxy.port)
        group.await_connected()
        for _ in range(3):
            proxy.refuse()
            proxy.mend()
            time.sleep(4 * SCALE)
        assert group.report().closed == ""
        assert group.heartbeats.asked == []
        assert group.state(1) is HostState.ANSWERS


def test_a_member_without_a_connection_says_nothing_and_warns_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(member, "_WARN_SECONDS", 0.2)
    free = listener()
    port = free.getsockname()[1]
    free.close()
    alone = Member(peer(1, 2), LOOPBACK, port)
    heartbeats = Heartbeats()
    alone.start(heartbeats)
    soon(lambda: caplog.messages, "a warning")
    time.sleep(4 * SCALE)
    evidence = alone.evidence()
    alone.stop()
    assert evidence is not None
    assert (evidence.host, evidence.report) == (HostState.NOT_CONNECTED, None)
    assert len(caplog.messages) == 1
    assert f"no connection to the agent of rank 0 at 127.0.0.1:{port}: [Errno 111] Connection" in caplog.messages[0]
    assert heartbeats.asked == []


def test_a_member_of_another_round_is_told_why_and_is_no_member(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(member, "_WARN_SECONDS", 0.5)
    with Round(3).start(1) as group:
        other = Member(peer(2, 3, fence="2026-01-01T00:00:00Z.0000000008.0123abcd"), LOOPBACK, group.port)
        other.start(Heartbeats())
        soon(lambda: caplog.messages, "a warning")
        evidence = other.evidence()
        other.stop()
        assert evidence is not None
        assert evidence.host is HostState.NOT_CONNECTED
        assert "another round is served here" in caplog.messages[0]
        assert group.report().not_connected == "2"


def test_the_report_is_passed_on_by_the_lowest_rank_that_reaches_the_api_server() -> None:
    with Round(4).start() as group:
        group.await_connected()
        group.heartbeats_of[1].arrive = False
        # Else the host would name rank 1 until its next beat, and rank 2 would have that as news of its own.
        soon(lambda: group.host._judge.passes_on(time.monotonic(), arrives=False) == 2, "the host to know of rank 1")
        group.heartbeats.arrive = False

        def passed_on() -> dict[int, Any]:
            said = {rank: each.evidence() for rank, each in group.members.items()}
            return {rank: found.report for rank, found in said.items() if found and found.report}

        soon(lambda: list(passed_on()) == [2], "rank 2 to pass it on")
        assert passed_on()[2] == group.report()
        assert group.heartbeats_of[2].asked == [0.0]
        kill(group.members[3])
        soon(lambda: passed_on() and passed_on()[2].closed == "3", "the next report")
        soon(lambda: group.heartbeats_of[2].asked == [0.0, 0.0], "a heartbeat")
        group.heartbeats.arrive = True
        soon(lambda: not passed_on(), "nothing to be passed on")


def test_a_host_whose_thread_stands_still_says_nothing_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rendezvous_handler.peers.thread._FRESH_SECONDS", 4 * SCALE)
    with Round(2).start() as group:
        group.await_connected()
        hangs = threading.Event()
        turn = group.host.turn

        def hang(now: float) -> Any:
            assert hangs.wait(60), "the test goes on"
            return turn(now)

        monkeypatch.setattr(group.host, "turn", hang)
        soon(lambda: group.host.evidence() is None, "no evidence")
        hangs.set()
        soon(lambda: group.report() is not None, "evidence")
        assert group.report().missed == ""


def test_a_thread_that_fails_says_so_and_accuses_no_agent(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(now: float) -> None:
        raise ZeroDivisionError("wrong")

    with Round(3).start() as group:
        group.await_connected()
        monkeypatch.setattr(group.members[1], "turn", fail)
        soon(lambda: group.report().not_connected == "1", "a member that says nothing")
        time.sleep(4 * SCALE)
        assert (group.report().closed, group.report().missed) == ("", "")
        monkeypatch.setattr(group.host, "turn", fail)
        soon(lambda: group.state(2) is HostState.NOT_CONNECTED, "a host that says nothing")
        time.sleep(4 * SCALE)
        assert group.state(2) is HostState.NOT_CONNECTED
        assert group.host.evidence() is None
    assert [message.split(";")[0] for message in caplog.messages] == [
        "the connections to the other agents of the round failed unexpectedly"
    ] * 2


def test_a_worker_that_was_forked_does_not_keep_the_connections_open() -> None:
    with Round(3).start() as group:
        group.await_connected()
        goes_on, wakes = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.read(goes_on, 1)
            finally:
                os._exit(0)
        try:
            for each in (group.members[1], group.host):
                # As when the kernel closes what a killed process has: nothing is shut down.
                monkey = each._close_copies
                each._free = monkey  # type: ignore[method-assign]
            kill(group.members[1])
            soon(lambda: group.report().closed == "1", "the connection to be closed")
            kill(group.host)
            soon(lambda: group.state(2) is HostState.CLOSED, "the connection to be closed")
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((LOOPBACK, group.port), timeout=5)
        finally:
            os.write(wakes, b"\0")
            os.waitpid(child, 0)
            os.close(goes_on)
            os.close(wakes)


def test_what_was_never_started_is_closed_without_a_thread() -> None:
    bound = listener()
    port = bound.getsockname()[1]
    host = Host(peer(0, 2), bound)
    assert host.evidence() is None
    host.stop()
    host.stop()
    listener(port=port).close()
    alone = Member(peer(1, 2), LOOPBACK, port)
    alone.stop()
    assert alone.evidence() is None


def test_a_host_that_can_start_no_thread_does_without(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    host = Host(peer(0, 2), listener())
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fails)
        host.start(Heartbeats())
    assert host.evidence() is None
    host.stop()
    assert caplog.messages == ["there are no connections to the other agents of the round: can't start new thread"]
