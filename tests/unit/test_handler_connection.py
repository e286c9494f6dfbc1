"""Connections that are kept, those of watches, and what happens when they die."""

import os
import socket
import threading
import time
from typing import Any

import pytest
import trustme
from tests.support.raw_client import LATE, client_of, failure, get, patch, tls_of
from tests.support.raw_server import (
    ENDLESS,
    LINE,
    RawServer,
    Script,
    answer,
    ask_only,
    begin_and_hang,
    chunk,
    read_request,
    reset,
)

from rendezvous_api.api_errors import ApiError
from rendezvous_handler.kube.client import Client
from rendezvous_handler.kube.credentials import Fixed
from rendezvous_handler.kube.server import Server
from rendezvous_handler.kube.tls import Tls


def test_a_connection_is_kept() -> None:
    with RawServer() as server:
        server.scripts.append(server.serve(*[answer(), answer(b"{}", "404 Not Found")] * 3))
        client = client_of(server)
        for _ in range(3):
            get(client)
            with pytest.raises(ApiError):
                get(client)
        assert server.connections == 1


@pytest.mark.parametrize("end", [lambda sock: sock.shutdown(socket.SHUT_RDWR), reset])
@pytest.mark.parametrize("request_", [get, patch])
def test_a_kept_connection_that_the_server_has_closed_is_noticed(end: Script, request_: Any) -> None:
    with RawServer() as server:

        def run(sock: socket.socket) -> None:
            server.serve(answer())(sock)
            end(sock)

        server.scripts.append(run)
        client = client_of(server)
        for _ in range(4):
            assert request_(client) == {}
            time.sleep(0.1)
        assert server.connections == 4


def closes_on_the_second(server: RawServer) -> Script:
    """As if the request and the end of the connection had crossed on their way."""

    def run(sock: socket.socket) -> None:
        server.serve(answer())(sock)
        server.requests.append(read_request(sock))

    return run


def test_a_get_whose_kept_connection_dies_is_made_again() -> None:
    with RawServer() as server:
        server.scripts.append(closes_on_the_second(server))
        client = client_of(server)
        assert get(client) == get(client) == get(client) == {}
        assert server.connections == 3


def test_a_write_whose_kept_connection_dies_is_not_made_again() -> None:
    """It may have been carried out. What that means only the caller knows."""
    with RawServer() as server:
        server.scripts.append(closes_on_the_second(server))
        client = client_of(server)
        assert patch(client) == {}
        problem = failure(lambda: patch(client))
        assert not problem.not_carried_out
        assert (server.connections, len(server.requests)) == (1, 2)


def test_a_get_on_a_new_connection_is_made_once() -> None:
    with RawServer(ask_only) as server:
        failure(lambda: get(client_of(server)))
        assert server.connections == 1


def test_what_nobody_has_asked_for_is_no_answer_to_the_next_request() -> None:
    with RawServer() as server:
        stray = answer(b'{"stray": true}')
        server.scripts += [server.serve(answer() + stray, stray), server.serve(answer(), answer())]
        client = client_of(server)
        assert get(client) == get(client) == {}
        assert server.connections == 2


def test_a_connection_that_was_long_at_rest_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rendezvous_handler.kube.transport._AT_REST_SECONDS", 0.2)
    with RawServer() as server:
        server.scripts.append(server.serve(answer(), answer()))
        client = client_of(server)
        get(client)
        get(client)
        time.sleep(0.3)
        get(client)
        assert server.connections == 2


def test_many_threads_share_a_client() -> None:
    with RawServer() as server:

        def run(sock: socket.socket) -> None:
            while request := read_request(sock):
                name = request.split()[1].rpartition(b"/")[2]
                sock.sendall(answer(b'{"name": "%s"}' % name))

        server.scripts.append(run)
        client = client_of(server)
        wrong = []

        def ask(number: int) -> None:
            for i in range(100):
                name = f"n{number}-{i}"
                if client.get_participant("team", name, 10.0) != {"name": name}:
                    wrong.append(name)

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
        assert server.connections < 100


def test_a_signal_in_an_answer_leaves_nothing_for_the_next_request(monkeypatch: pytest.MonkeyPatch) -> None:
    class Signal(BaseException):
        pass

    with RawServer() as server:
        server.scripts.append(server.serve(*[answer(b'{"a": 1}')] * 2))
        client = client_of(server)

        def interrupt(_: object) -> bytes:
            raise Signal

        with monkeypatch.context() as patched:
            patched.setattr("rendezvous_handler.kube.transport._part", interrupt)
            with pytest.raises(Signal):
                get(client)
        assert get(client) == {"a": 1}
        assert server.connections == 2


def test_a_watch_has_a_connection_of_its_own_and_events_come_at_once() -> None:
    with RawServer() as server:
        go_on = threading.Event()

        def watch(sock: socket.socket) -> None:
            read_request(sock)
            sock.sendall(ENDLESS + chunk(LINE[:10]))
            sock.sendall(chunk(LINE[10:] + LINE))
            go_on.wait(10)
            sock.sendall(chunk(LINE) + b"0\r\n\r\n")
            server.serve(ENDLESS + b"0\r\n\r\n")(sock)

        server.scripts += [server.serve(answer(), answer()), watch]
        client = client_of(server)
        get(client)
        events = iter(client.watch_rendezvous("team", "train", "1", 30))
        assert next(events).type == next(events).type == "BOOKMARK"
        get(client)  # meanwhile
        go_on.set()
        assert len(list(events)) == 1
        assert list(client.watch_rendezvous("team", "train", "1", 30)) == []
        assert server.connections == 2  # the second watch was on the connection of the first


@pytest.mark.parametrize("tls", [False, True])
def test_a_watch_is_ended_by_another_thread(tls: bool, authority: trustme.CA, trusting: Tls) -> None:
    with RawServer(begin_and_hang(ENDLESS + chunk(LINE)), tls=tls_of(authority) if tls else None) as server:
        client = client_of(server, tls=trusting if tls else None)
        stream = client.watch_rendezvous("team", "train", "1", 60)
        events = iter(stream)
        next(events)
        threading.Timer(0.2, stream.close).start()
        began = time.monotonic()
        problem = failure(lambda: next(events))
        assert time.monotonic() - began < 0.2 + LATE
        assert "the watch broke" in str(problem)
        assert not client.contact.failing, "the server has done nothing wrong"
        stream.close()
        stream.close()


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.0 200 OK\r\n\r\n" + LINE + LINE,
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (2 * len(LINE)) + LINE + LINE,
        ENDLESS + chunk(LINE + LINE) + b"0\r\nX: y\r\n\r\n",
    ],
)
def test_a_watch_by_a_proxy_that_waits_for_its_end(data: bytes) -> None:
    with RawServer() as server:
        server.scripts.append(server.serve(data))
        client = client_of(server)
        for _ in range(2):
            assert len(list(client.watch_rendezvous("team", "train", "1", 5))) == 2


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_child_of_fork_leaves_the_connections_of_its_parent_alone() -> None:
    """Both would send on one connection, and each might read the answer to the other."""
    with RawServer() as server:
        server.scripts.append(server.serve(*[answer()] * 4))
        client = client_of(server)
        get(client)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                code = 0 if get(client) == {} else 1
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert server.connections == 2
        get(client)
        assert server.connections == 2


def test_an_ipv6_address_with_a_zone() -> None:
    with RawServer(host="::1") as server:
        server.scripts.append(server.serve(answer()))
        url = f"http://[::1%251]:{server.port}"
        assert get(Client(Server(url, Fixed()), "team", in_pod=False)) == {}
        assert f"Host: [::1]:{server.port}\r\n".encode() in server.requests[0]
