"""What is done again, kept, closed or waited for when a connection does not do what is expected of it."""

import socket
import threading
import time
from pathlib import Path

import pytest
from tests.support.raw_client import LATE, client_of, failure, get, patch
from tests.support.raw_server import (
    ENDLESS,
    LINE,
    LONG,
    RawServer,
    after,
    answer,
    begin_and_hang,
    chunk,
    read_request,
    silence,
)

from rendezvous_api.api_errors import ApiError, ExpiredError, UnreachableError
from rendezvous_handler.kube.credentials import TokenFile
from rendezvous_handler.kube.tls import Tls

END = b"0\r\n\r\n"


def test_something_that_accepts_connections_and_says_nothing_is_given_up_soon(
    trusting: Tls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rendezvous_handler.kube.connection._TLS_SECONDS", 0.2)
    with RawServer(silence) as server:
        began = time.monotonic()
        assert "the TLS handshake" in str(failure(lambda: get(client_of(server, tls=trusting), 60.0)))
        assert time.monotonic() - began < LATE


def test_a_server_that_takes_the_bytes_slowly() -> None:
    def run(sock: socket.socket) -> None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        while sock.recv(1 << 14):
            time.sleep(0.05)

    with RawServer(run) as server:
        client = client_of(server)
        began = time.monotonic()
        problem = failure(lambda: client.create_config_map("team", {"data": {"a": "x" * (8 << 20)}}, 2.0))
        assert time.monotonic() - began < 2.0 + LATE
        assert "timed out waiting for the request to be sent" in str(problem)


def test_no_get_is_made_again_whose_answer_has_begun() -> None:
    def run(sock: socket.socket) -> None:
        server.serve(answer())(sock)
        server.requests.append(read_request(sock))
        sock.sendall(LONG[:100])

    with RawServer(run) as server:
        client = client_of(server)
        assert get(client) == {}
        failure(lambda: get(client))
        assert (server.connections, len(server.requests)) == (1, 2)


def test_no_get_is_made_again_when_its_time_is_over() -> None:
    with RawServer() as server:
        server.scripts.append(after(server.serve(answer()), silence))
        client = client_of(server)
        assert get(client) == {}
        assert "timed out waiting for an answer" in str(failure(lambda: get(client, 0.3)))
        assert server.connections == 1


def test_a_refusal_that_breaks_off_before_all_was_sent_may_stand_for_a_request_that_was_carried_out() -> None:
    def run(sock: socket.socket) -> None:
        sock.recv(1000)
        sock.sendall(b"HTTP/1.1 422 No\r\nContent-Length: 900\r\n\r\n{")
        sock.shutdown(socket.SHUT_WR)
        time.sleep(0.2)

    with RawServer(run) as server:
        client = client_of(server)
        body = {"data": {"a": "x" * (16 << 20)}}
        assert not failure(lambda: client.create_config_map("team", body, 10.0)).not_carried_out


def test_a_connection_that_the_server_wants_to_be_closed_is_not_used_again() -> None:
    """The server closes it a moment later, so a write would be lost, perhaps."""
    with RawServer() as server:
        server.scripts.append(server.serve(answer(b"{}", "200 OK", "Connection: close"), answer()))
        client = client_of(server)
        assert get(client) == patch(client) == {}
        assert server.connections == 2


def test_no_more_than_two_connections_rest() -> None:
    together = threading.Barrier(5)

    def run(sock: socket.socket) -> None:
        read_request(sock)
        together.wait(10)
        sock.sendall(answer())
        read_request(sock)

    with RawServer(run) as server:
        client = client_of(server)
        threads = [threading.Thread(target=get, args=(client, 10.0)) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (server.connections, len(client._transport._at_rest)) == (5, 2)


def test_only_a_401_is_about_the_token(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("old")

    def run(sock: socket.socket) -> None:
        server.requests.append(read_request(sock))
        file.write_text("new")
        sock.sendall(answer(b"{}", "404 Not Found"))
        server.serve(answer())(sock)

    with RawServer(run) as server:
        client = client_of(server, TokenFile(file))
        with pytest.raises(ApiError):
            get(client)
        assert len(server.requests) == 1


def test_a_refusal_is_an_answer() -> None:
    with RawServer() as server:
        server.scripts.append(server.serve(answer(b"{}", "404 Not Found")))
        client = client_of(server)
        client.contact.failed("no answer")
        with pytest.raises(ApiError):
            get(client)
        assert not client.contact.failing


def test_an_object_is_deleted_by_its_uid() -> None:
    """The agent that has replaced this one has the same name."""
    with RawServer() as server:
        server.scripts.append(server.serve(answer()))
        client_of(server).delete_participant("team", "train.a", "uid-1", 5.0)
        assert server.requests[0].endswith(b'{"preconditions": {"uid": "uid-1"}}')


# ---- watches


def test_a_watch_may_go_on_for_its_own_time_and_no_longer() -> None:
    with RawServer(begin_and_hang(ENDLESS + chunk(LINE))) as server:
        stream = client_of(server).watch_rendezvous("team", "train", "1", 600)
        deadline = stream._lines._exchange.connection._wire.deadline
        assert deadline is not None
        assert 600 < deadline - time.monotonic() <= 610


def test_each_part_of_a_watch_is_an_answer() -> None:
    with RawServer(begin_and_hang(ENDLESS + chunk(LINE))) as server:
        client = client_of(server)
        events = iter(client.watch_rendezvous("team", "train", "1", 60))
        client.contact.failed("no answer")
        next(events)
        assert not client.contact.failing


def test_a_line_that_is_far_too_long_breaks_the_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rendezvous_handler.kube.transport._MOST_BYTES", 1000)
    with RawServer(begin_and_hang(ENDLESS + chunk(b"x" * 2000))) as server:
        events = iter(client_of(server).watch_rendezvous("team", "train", "1", 2))
        assert "a line of more than 1000 bytes" in str(failure(lambda: next(events)))


def test_a_watch_that_has_ended_leaves_its_connection_to_the_next_one() -> None:
    with RawServer() as server:
        server.scripts.append(server.serve(*[ENDLESS + chunk(LINE) + END] * 2))
        client = client_of(server)
        for _ in range(2):
            stream = client.watch_rendezvous("team", "train", "1", 60)
            assert len(list(stream)) == 1
            stream.close()
        assert server.connections == 1


@pytest.mark.parametrize(("code", "kind"), [(410, ExpiredError), (500, UnreachableError), (None, UnreachableError)])
def test_only_a_version_that_is_gone_makes_it_list_again(code: int | None, kind: type[ApiError]) -> None:
    said = b'{"code": %d}' % code if code else b"{}"
    with RawServer() as server:
        server.scripts.append(server.serve(ENDLESS + chunk(b'{"type": "ERROR", "object": %s}\n' % said) + END))
        with pytest.raises(ApiError) as raised:
            list(client_of(server).watch_rendezvous("team", "train", "1", 5))
        assert type(raised.value) is kind
