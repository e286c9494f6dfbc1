"""The port of a round's store and the check-in at it, without an API server."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from tests.support.waiting import wait_until

from rendezvous_api.rendezvous import Store
from rendezvous_handler.agent.store_port import StorePort, StorePortError
from rendezvous_handler.join.answer import Membership
from rendezvous_handler.torchrun.round_store import RoundStore


@pytest.fixture
def cleanup() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_a_port_is_bound_at_one_address_and_does_not_listen(cleanup: ExitStack) -> None:
    port = StorePort("127.0.0.1", range(0, 1))
    cleanup.callback(port.close)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port.port), timeout=1)
    with socket.socket() as other:
        other.bind(("127.0.0.2", port.port))


def test_ports_of_a_range_are_tried_in_turn(cleanup: ExitStack) -> None:
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(1)]
    cleanup.callback(taken[0].close)
    first = taken[0].getsockname()[1]
    port = StorePort("localhost", range(first, first + 20))
    cleanup.callback(port.close)
    assert first < port.port < first + 20


def test_no_free_port_is_named(cleanup: ExitStack) -> None:
    taken = socket.create_server(("127.0.0.1", 0))
    cleanup.callback(taken.close)
    number = taken.getsockname()[1]
    with pytest.raises(StorePortError, match=rf"store_port {number}-{number} at 127\.0\.0\.1: .*in use"):
        StorePort("127.0.0.1", range(number, number + 1))
    with pytest.raises(StorePortError, match=r"cannot bind any port at 192\.0\.2\.99"):
        StorePort("192.0.2.99", range(0, 1))


def test_a_predecessors_connections_do_not_hold_the_port(cleanup: ExitStack) -> None:
    port = StorePort("127.0.0.1", range(0, 1))
    number = port.port
    server = socket.socket(fileno=port.detach())
    server.listen()
    client = socket.create_connection(("127.0.0.1", number))
    accepted, _ = server.accept()
    accepted.close()  # the server's side ends first, so it is the one in TIME_WAIT
    client.recv(1)
    client.close()
    server.close()
    again = StorePort("127.0.0.1", range(number, number + 1))
    cleanup.callback(again.close)
    assert again.port == number


class Group:
    """Some members of one round, all in this process."""

    def __init__(self, size: int, timeout: int = 10, shared: bool = True, round_number: int = 1):
        self.ports = [StorePort("127.0.0.1", range(0, 1)) for _ in range(size)]
        store = Store("127.0.0.1", self.ports[0].port)
        self.bells = [threading.Event() for _ in range(size)]
        self.members = [
            RoundStore(
                Membership("uid", round_number, rank, size, store, "run"), self.ports[rank], timeout, shared, bell.set
            )
            for rank, bell in enumerate(self.bells)
        ]

    def check_in(self, *ranks: int) -> None:
        for rank in ranks:
            self.members[rank].start_check_in()
        for rank in ranks:
            assert self.bells[rank].wait(20)

    def close(self) -> None:
        for member in self.members:
            member.close()


def test_all_check_in_whoever_comes_first(cleanup: ExitStack) -> None:
    group = Group(3)
    cleanup.callback(group.close)
    for rank in (2, 1):
        group.members[rank].start_check_in()
    time.sleep(0.2)
    start = time.monotonic()
    group.members[0].start_check_in()
    for bell in group.bells:
        assert bell.wait(10)
    assert time.monotonic() - start < 8  # the 10 s of the check-in
    assert [member.complete for member in group.members] == [True, True, True]
    assert {str(member.bootstrap) for member in group.members} == {str(group.members[0].bootstrap)}
    stores = [member.agent_store() for member in group.members]
    stores[0].set("key", "value")
    assert [store.get("key") for store in stores] == [b"value"] * 3
    # A key that the agent or a worker calls "check-in" is another one.
    assert stores[1].add("check-in", 1) == 1


def test_a_member_that_does_not_come_is_counted(cleanup: ExitStack) -> None:
    group = Group(3, timeout=5)
    cleanup.callback(group.close)
    group.check_in(0, 1)
    for member in group.members[:2]:
        assert not member.complete
        assert "2 of 3 members have come" in str(member.error)


def test_a_store_that_is_not_served_is_named(cleanup: ExitStack) -> None:
    group = Group(2, timeout=1)
    cleanup.callback(group.close)
    group.check_in(1)
    assert f"no store at 127.0.0.1:{group.ports[0].port}" in str(group.members[1].error)


def test_a_check_in_that_is_given_up_ends_and_serves_no_more(cleanup: ExitStack) -> None:
    group = Group(2, timeout=30)
    cleanup.callback(group.close)
    number = group.ports[0].port
    group.members[0].start_check_in()
    wait_until(lambda: group.members[0]._client, "its connection: torch would try to connect for 30 s after the close")
    socket.create_connection(("127.0.0.1", number)).close()
    group.members[0].close()
    assert group.bells[0].wait(20)
    assert group.members[0].error is not None
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", number), timeout=1)
    group.members[1].start_check_in()
    time.sleep(0.2)
    group.members[1].close()
    assert group.bells[1].wait(20)


def test_members_count_themselves_out(cleanup: ExitStack) -> None:
    group = Group(3)
    cleanup.callback(group.close)
    for member in group.members:
        member.start_check_in()
    for bell in group.bells:
        assert bell.wait(10)
    first, *others = group.members
    assert [member.others_left() for member in group.members] == [False, True, True]
    for member in others:
        assert member.check_out().wait(5)
    assert first.check_out().wait(5)
    assert first.others_left()


def test_an_unshared_store_agrees_on_another_port(cleanup: ExitStack) -> None:
    group = Group(2, shared=False)
    cleanup.callback(group.close)
    for member in group.members:
        member.start_check_in()
    for bell in group.bells:
        assert bell.wait(10)
    first, second = (member.bootstrap for member in group.members)
    assert first == second
    assert first is not None
    assert first.master_addr == "127.0.0.1"
    assert first.master_port != group.members[0].membership.store.port
