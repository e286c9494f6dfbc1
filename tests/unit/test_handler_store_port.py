"""The port of a round's store, which is bound before the round begins."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from rendezvous_handler.agent.store_port import StorePort, StorePortError


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
