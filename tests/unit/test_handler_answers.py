"""What is an answer, what is none, and what the server says beside it."""

import socket
import time
from pathlib import Path

import pytest
from tests.support.raw_client import LATE, client_of, failure, get, patch
from tests.support.raw_server import (
    ENDLESS,
    LONG,
    RawServer,
    Script,
    answer,
    read_request,
    reset,
)

from rendezvous_api.api_errors import ApiError, UnauthorizedError, UnreachableError
from rendezvous_handler.kube.credentials import TokenFile


@pytest.mark.parametrize(
    "data",
    [
        answer(),
        b"HTTP/1.1 200 OK\r\nContent-Length:2\r\nConnection: close\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}",
        ENDLESS + b"1;x=y\r\n{\r\n1\r\n}\r\n0\r\nTrailer: x\r\nOther: y\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
        + answer(),
        answer(b"{}", "200 OK", *(f"X-{number}: {'y' * 500}" for number in range(90))),
        answer(b"{}", "201 Created"),
        ENDLESS + b"%x\r\n%s\r\n0\r\n\r\n" % (2 + (1 << 20), b"{}" + b" " * (1 << 20)),
    ],
)
def test_what_is_an_answer(data: bytes) -> None:
    """Also if the server closes the connection afterwards, with a word or without."""
    with RawServer() as server:
        server.scripts.append(server.serve(data))
        client = client_of(server)
        for request in (get, patch, patch):
            assert request(client) == {}
            time.sleep(0.1)  # let the end of the connection arrive
        assert server.connections == 3


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", "the answer broke off"),
        (ENDLESS + b"9\r\n{}", "the answer broke off"),
        (ENDLESS + b"2\r\n{}\r\n", "the answer broke off"),
        (ENDLESS + b"zz\r\n{}\r\n", "the answer broke off"),
        (b'HTTP/1.0 200 OK\r\n\r\n{"a":', "not that of an API server"),
        pytest.param(answer(b"[" * 100_000), "not that of an API server", id="too-deep"),
        (b"", "closed connection without response"),
        (b"HTTP/1.1 200 OK\r\nContent-", "not that of an API server"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "the answer is not HTTP"),
        (b"HTTP/1.1 900000 OK\r\n\r\n", "the answer is not HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70000 + b"\r\n\r\n", "the answer is not HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", "the answer is not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n{}", "99999999999 bytes is not that of an API server"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "Switching"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "not that of an API server"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "the answer is not HTTP"),
    ],
)
def test_what_is_none(data: bytes, why: str) -> None:
    with RawServer() as server:
        server.scripts.append(server.serve(data))
        client = client_of(server)
        with pytest.raises(ApiError, match=why) as raised:
            patch(client)
        if why != "Switching":
            assert isinstance(raised.value, UnreachableError)
            assert not raised.value.not_carried_out
            assert client.contact.failing


def test_an_answer_that_is_far_too_long() -> None:
    def run(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(ENDLESS)
        while True:
            sock.sendall(b"100000\r\n%s\r\n" % (b" " * (1 << 20)))

    with RawServer(run) as server:
        assert "bytes is not that of an API server" in str(failure(lambda: get(client_of(server), 30.0)))


@pytest.mark.parametrize("status", ["301 Moved", "307 Temporary Redirect", "308 Permanent Redirect"])
def test_no_redirect_is_followed(status: str) -> None:
    with RawServer() as server, RawServer() as other:
        server.scripts.append(server.serve(answer(b"gone", status, f"Location: http://127.0.0.1:{other.port}/")))
        with pytest.raises(ApiError, match="gone") as raised:
            get(client_of(server))
        assert not isinstance(raised.value, UnreachableError)
        assert other.connections == 0


def test_a_reset_in_the_middle() -> None:
    def run(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(LONG[:100])
        time.sleep(0.1)
        reset(sock)

    with RawServer(run) as server:
        client = client_of(server)
        assert not failure(lambda: patch(client)).not_carried_out
        assert not failure(lambda: get(client)).not_carried_out
        assert server.connections == 2  # an answer had begun, so nothing is asked twice


def test_a_refusal_before_all_has_been_sent_is_read() -> None:
    def run(sock: socket.socket) -> None:
        sock.recv(1000)
        sock.sendall(answer(b'{"message": "too large"}', "413 Too Large"))
        sock.shutdown(socket.SHUT_WR)
        time.sleep(0.2)

    with RawServer(run) as server, pytest.raises(ApiError, match="too large"):
        client_of(server).create_config_map("team", {"data": {"a": "x" * (16 << 20)}}, 10.0)


@pytest.mark.parametrize(("said", "expected"), [("1", 1.0), ("0", 0.0), ("3600", 10.0), ("soon", 0.0), ("-1", 0.0)])
@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
def test_the_time_for_which_the_server_wants_to_be_left_alone(status: str, said: str, expected: float) -> None:
    with RawServer() as server:
        server.scripts.append(server.serve(answer(b"busy", status, f"Retry-After: {said}")))
        began = time.monotonic()
        problem = failure(lambda: get(client_of(server)))
        assert time.monotonic() - began < LATE, "it is the caller who waits"
        assert problem.retry_after == expected
        assert server.connections == 1


def by_token(server: RawServer, good: bytes) -> Script:
    def run(sock: socket.socket) -> None:
        while request := read_request(sock):
            server.requests.append(request)
            fits = b"Authorization: Bearer " + good + b"\r\n" in request
            sock.sendall(answer(b"{}", "200 OK" if fits else "401 Unauthorized"))

    return run


def test_a_token_that_is_refused_is_read_again_at_once(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("old\n")
    with RawServer() as server:
        server.scripts.append(by_token(server, b"new"))
        client = client_of(server, TokenFile(file))
        with pytest.raises(UnauthorizedError):
            patch(client)
        assert len(server.requests) == 1  # there is no other one
        file.write_text("new\n")
        assert patch(client) == {}
        assert [b"new" in request for request in server.requests] == [False, False, True]
        file.write_text("other")
        assert patch(client) == {}, "it is not read each time"
        assert client.bearer_token() == "new"
        assert server.connections == 1


def test_a_token_is_read_again_each_minute_and_what_cannot_be_read_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("one")
    now = 1000.0
    token = TokenFile(file, now=lambda: now)
    assert token.header() == "Bearer one"
    file.write_text("two")
    now += 59
    assert token.header() == "Bearer one"
    now += 2
    assert token.header() == "Bearer two"
    for text in ("", "a\nb"):
        now += 61
        file.write_text(text)
        assert token.header() == "Bearer two"
        assert not token.refused("Bearer two")
    file.unlink()
    assert token.header() == "Bearer two"
    file.write_text("three")
    assert token.refused("Bearer two")
    assert token.header() == "Bearer three"
