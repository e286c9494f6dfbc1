"""Every request, and every watch, ends at its deadline, whatever the server does."""

import socket
import threading
import time
from typing import Any

import pytest
from tests.support.raw_client import LATE, client_of, failure, get, patch
from tests.support.raw_server import (
    ENDLESS,
    LINE,
    LONG,
    RawServer,
    Script,
    after,
    answer,
    begin_and_hang,
    chunk,
    deaf_server,
    drip,
    read_request,
    silence,
)

from rendezvous_handler.kube.client import Client
from rendezvous_handler.kube.credentials import Fixed
from rendezvous_handler.kube.server import Server
from rendezvous_handler.kube.tls import Tls


@pytest.mark.parametrize(
    "script",
    [
        silence,
        drip(LONG[:20] + b"x" * 1000),  # in the headers
        begin_and_hang(LONG[:60]),
        begin_and_hang(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}"),
        begin_and_hang(ENDLESS + b"2\r\n{}\r\n"),
        drip(ENDLESS + b"1\r\n \r\n" * 400, 0.01),  # in the body: an answer that never ends
        drip(b"HTTP/1.1 100 Continue\r\n\r\n" * 100, 0.01),
        drip(b"HTTP/1.1 503 Busy\r\nContent-Length: 900\r\n\r\n" + b"x" * 900),
    ],
)
@pytest.mark.parametrize("kept", [False, True])
def test_a_request_ends_at_its_deadline(script: Script, kept: bool) -> None:
    with RawServer() as server:
        server.scripts += [after(server.serve(answer()), script)] * kept + [script]
        client = client_of(server)
        if kept:
            get(client)
        began = time.monotonic()
        problem = failure(lambda: patch(client, 0.3))
        assert 0.2 < time.monotonic() - began < 0.3 + LATE
        assert "timed out" in str(problem)
        assert not problem.not_carried_out
        assert client.contact.failing


def test_a_server_that_stops_in_the_tls_handshake(trusting: Tls) -> None:
    def run(sock: socket.socket) -> None:
        sock.recv(65536)
        for byte in b"\x16\x03\x03\x10\x00" + b"\x02" * 500:
            sock.sendall(bytes([byte]))
            time.sleep(0.05)

    with RawServer(run) as server:
        began = time.monotonic()
        problem = failure(lambda: patch(client_of(server, tls=trusting), 0.5))
        assert time.monotonic() - began < 0.5 + LATE
        assert "timed out waiting for the TLS handshake" in str(problem)
        assert problem.not_carried_out


def test_a_server_that_takes_no_more_bytes() -> None:
    with RawServer(silence) as server:
        began = time.monotonic()
        client = client_of(server)
        problem = failure(lambda: client.create_config_map("team", {"data": {"a": "x" * (16 << 20)}}, 0.5))
        assert time.monotonic() - began < 1.0 + LATE
        assert problem.not_carried_out


def test_a_name_that_is_not_looked_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    release = threading.Event()
    real = socket.getaddrinfo

    def slow(host: str, *arguments: Any, **options: Any) -> Any:
        if options.get("flags"):
            return real(host, *arguments, **options)
        calls.append(host)
        release.wait(10)
        raise socket.gaierror("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    client = Client(Server("http://api.example", Fixed()), "team", in_pod=False)
    for _ in range(3):
        began = time.monotonic()
        problem = failure(lambda: patch(client, 0.3))
        assert time.monotonic() - began < 0.3 + LATE
        assert "looking up api.example: no answer within 0.3 s" in str(problem)
        assert problem.not_carried_out
    assert calls == ["api.example"]  # one thread that hangs, not three
    release.set()


def test_no_address_that_does_not_answer_hides_one_that_does(monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer() as server, deaf_server() as deaf:
        server.scripts.append(server.serve(answer()))
        entry = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        closed = ("127.0.0.1", 1)
        unusable = (999, socket.SOCK_STREAM, 6, "", ("::1", server.port))
        found = [unusable, *((*entry, where) for where in (closed, deaf, ("127.0.0.1", server.port)))]
        monkeypatch.setattr("rendezvous_handler.kube.dial.Resolver.addresses", lambda *_: found)
        began = time.monotonic()
        assert get(client_of(server), 10.0) == {}
        assert time.monotonic() - began < 3.0


def test_a_watch_that_the_server_does_not_end_is_ended() -> None:
    def run(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(ENDLESS + chunk(LINE))
        for byte in chunk(b"\n") * 100:
            sock.sendall(bytes([byte]))
            time.sleep(0.05)

    with RawServer(run) as server:
        stream = client_of(server)._transport.stream("watch", "x", "team", "/", timeout=0.6, query={})
        began = time.monotonic()
        lines = iter(stream)
        next(lines)
        assert "the watch broke: timed out" in str(failure(lambda: next(lines)))
        assert time.monotonic() - began < 0.6 + LATE


def test_a_watch_that_does_not_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rendezvous_handler.kube.transport._WATCH_BEGINS_SECONDS", 0.3)
    with RawServer(silence) as server:
        began = time.monotonic()
        failure(lambda: client_of(server).watch_rendezvous("team", "train", "1", 60))
        assert time.monotonic() - began < 0.3 + LATE
