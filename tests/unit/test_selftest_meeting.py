"""The meeting of the self-test's members, over the loopback interface."""

import asyncio
import random
import socket
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from tests.support.waiting import wait_until

from rendezvous_api.rendezvous import Member, Store
from rendezvous_handler.agent.store_port import StorePort
from rendezvous_handler.join.answer import Membership
from rendezvous_handler.selftest.meeting import Meeting, TcpMeeting, spelled


def bound() -> socket.socket:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock


def port_of(sock: socket.socket) -> int:
    return int(sock.getsockname()[1])


async def unless(stop: Callable[[], bool], meeting: Coroutine[Any, Any, None]) -> bool:
    """Carry out a meeting until it is done or ``stop`` says so; returns whether it is done."""
    task = asyncio.ensure_future(meeting)
    while not task.done() and not stop():
        await asyncio.wait({task}, timeout=0.05)
    done = task.done()
    task.cancel()
    return done


async def within(
    seconds: float, meeting: Coroutine[Any, Any, None], enough: Callable[[], bool] = lambda: False
) -> bool:
    """Whether it is done by then, or before what is seen of it is enough."""
    end = asyncio.get_running_loop().time() + seconds
    return await unless(lambda: enough() or asyncio.get_running_loop().time() > end, meeting)


def meet(nodes: int, ranks: list[int], seconds: float, round_number: int = 7) -> list[bool]:
    """Let rank 0 of round 7 and these ranks try for so long; returns who was done."""

    async def run() -> list[bool]:
        sock = bound()
        port = port_of(sock)
        visitors = [Meeting(round_number, rank, nodes).visit("127.0.0.1", port) for rank in ranks]
        tries = [Meeting(7, 0, nodes).serve(sock), *visitors]
        return list(await asyncio.gather(*(within(seconds, attempt) for attempt in tries)))

    return asyncio.run(run())


def test_all_are_done_once_all_are_there() -> None:
    assert meet(50, list(range(1, 50)), 20) == 50 * [True]


def test_no_member_is_done_while_one_is_missing() -> None:
    assert meet(4, [1, 3], 0.7) == [False, False, False]


def test_rank_0_knows_who_is_missing() -> None:
    async def run() -> list[int]:
        sock = bound()
        host, visitor = Meeting(1, 0, 4), Meeting(1, 2, 4)
        port = port_of(sock)
        serving = asyncio.ensure_future(host.serve(sock))
        for _ in range(2):
            await within(20, visitor.visit("127.0.0.1", port), lambda: 2 not in host.missing)
            missing = host.missing
            assert visitor.problem == "it has answered, and waits for other members"
            await within(20, asyncio.sleep(20), lambda: 2 in host.missing)
        serving.cancel()
        return missing

    assert asyncio.run(run()) == [1, 3]


def test_who_has_gone_again_counts_no_more() -> None:
    async def run() -> tuple[bool, list[int]]:
        sock = bound()
        host = Meeting(1, 0, 3)
        port = port_of(sock)
        serving = asyncio.ensure_future(within(3, host.serve(sock)))
        await within(0.3, Meeting(1, 1, 3).visit("127.0.0.1", port))
        done = await within(0.5, Meeting(1, 2, 3).visit("127.0.0.1", port))
        missing = host.missing
        serving.cancel()
        return done, missing

    done, missing = asyncio.run(run())
    assert not done
    assert 1 in missing


def test_a_member_of_another_round_counts_not() -> None:
    assert meet(2, [1], 0.7, round_number=6) == [False, False]


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\n\r\n", b"kube-rendezvous-selftest 7 9\n", b"x" * 1000])
def test_strangers_at_the_port_disturb_no_member(said: bytes) -> None:
    async def run() -> list[bool]:
        sock = bound()
        port = port_of(sock)
        host = asyncio.ensure_future(within(10, Meeting(7, 0, 2).serve(sock)))
        await asyncio.sleep(0.1)
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(said)
        await writer.drain()
        member = await within(10, Meeting(7, 1, 2).visit("127.0.0.1", port))
        writer.close()
        return [await host, member]

    assert asyncio.run(run()) == [True, True]


def test_rank_0_may_come_late() -> None:
    async def run() -> list[bool]:
        sock = bound()
        member = asyncio.ensure_future(within(10, Meeting(7, 1, 2).visit("127.0.0.1", port_of(sock))))
        await asyncio.sleep(0.5)
        return [await within(10, Meeting(7, 0, 2).serve(sock)), await member]

    assert asyncio.run(run()) == [True, True]


def test_what_answers_there_is_told_when_it_is_no_self_test() -> None:
    async def run() -> str:
        async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"SSH-2.0-OpenSSH\n")
            await writer.drain()
            writer.close()

        sock = bound()
        member = Meeting(7, 1, 2)
        async with await asyncio.start_server(talk, sock=sock):
            visit = member.visit("127.0.0.1", port_of(sock))
            assert not await within(20, visit, lambda: "a program other" in member.problem)
        return member.problem

    assert "a program other than a self-test answers there: b'SSH-2.0-OpenSSH" in asyncio.run(run())


def test_a_closed_meeting_has_freed_its_port() -> None:
    for _ in range(20):
        (host, other), _ = members_of_a_round(2)
        host.start_check_in()
        time.sleep(random.uniform(0, 0.02))
        host.close()
        other.close()
        port = host.membership.store.port
        StorePort("127.0.0.1", range(port, port + 1)).close()


def test_a_meeting_at_an_impossible_address_ends_with_the_reason() -> None:
    port, ended = StorePort("127.0.0.1", range(0, 1)), threading.Event()
    member = TcpMeeting(place(1, 2, Store("127.0.0.1", 70000)), port, ended.set)
    member.start_check_in()
    assert ended.wait(20)
    assert isinstance(member.error, OverflowError)
    member.close()


def test_one_member_alone_has_met() -> None:
    assert meet(1, [], 5) == [True]


def place(rank: int, nodes: int, store: Store) -> Membership:
    return Membership("uid", 3, rank, nodes, store, "run", Member(f"train.{rank}", "abcd1234", 1, rank))


def members_of_a_round(nodes: int) -> tuple[list[TcpMeeting], threading.Semaphore]:
    """Their meeting points at loopback addresses, and what counts those that have ended."""
    ports = [StorePort("127.0.0.1", range(0, 1)) for _ in range(nodes)]
    store, ended = Store("127.0.0.1", ports[0].port), threading.Semaphore(0)
    made = [TcpMeeting(place(rank, nodes, store), ports[rank], ended.release) for rank in range(nodes)]
    return made, ended


def test_all_members_check_in_as_at_a_store() -> None:
    members, ended = members_of_a_round(3)
    for member in members:
        member.start_check_in()
    assert all(ended.acquire(timeout=20) for _ in members)
    assert [(member.complete, member.error) for member in members] == 3 * [(True, None)]
    for member in members:
        member.close()


def test_a_meeting_that_is_closed_ends_and_is_not_complete() -> None:
    (host, visitor, absent), ended = members_of_a_round(3)
    host.start_check_in()
    visitor.start_check_in()
    wait_until(lambda: "rank 2 did" in host.progress, "rank 1 at rank 0")
    assert "the meeting at rank 0, 127.0.0.1:" in visitor.progress
    for member in (host, visitor, absent):
        member.close()
    assert ended.acquire(timeout=20)
    assert ended.acquire(timeout=20)
    assert [(member.complete, member.error) for member in (host, visitor)] == 2 * [(False, None)]


def test_ranks_are_spelled_for_people() -> None:
    assert spelled([3]) == "rank 3"
    assert spelled([1, 2]) == "ranks 1, 2"
    assert spelled(list(range(1, 14))) == "ranks 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 3 more"
