"""Connections that die, hang, drip or lie, and what the handler makes of them."""

import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from tests.support.raw_server import RawServer, Script, answer, read_request, reset

from rendezvous_api.api_errors import ApiError, UnauthorizedError, UnreachableError
from rendezvous_handler.kube.client import Client
from rendezvous_handler.kube.credentials import Credentials, Fixed, TokenFile
from rendezvous_handler.kube.server import Server
from rendezvous_handler.kube.tls import Pem, Tls, TlsSettings

LATE = 4.0
"""Seconds that something may take longer than its deadline, on a machine that is busy."""


def client_of(server: RawServer, credentials: Credentials | None = None, tls: Tls | None = None) -> Client:
    scheme = "https" if tls else "http"
    url = f"{scheme}://127.0.0.1:{server.port}"
    return Client(Server(url, credentials or Fixed(), tls), "team", in_pod=False)


def get(client: Client, timeout: float = 5.0) -> dict[str, Any]:
    return client.get_participant("team", "train.a", timeout)


def patch(client: Client, timeout: float = 5.0) -> dict[str, Any]:
    return client.patch_participant("team", "train.a", [{"op": "test", "path": "/a", "value": 1}], timeout)


def failure(request: Callable[[], object]) -> UnreachableError:
    with pytest.raises(UnreachableError) as raised:
        request()
    return raised.value


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def tls_of(authority: trustme.CA, *hosts: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*hosts or ("127.0.0.1",)).configure_cert(context)
    return context


@pytest.fixture
def trusting(authority: trustme.CA) -> Tls:
    return Tls(TlsSettings(authority=Pem(text=authority.cert_pem.bytes().decode())))


# ---- deadlines


def drip(data: bytes, seconds: float = 0.05) -> Script:
    def run(sock: socket.socket) -> None:
        read_request(sock)
        for byte in data:
            sock.sendall(bytes([byte]))
            time.sleep(seconds)

    return run


def after(first: Script, second: Script) -> Script:
    def run(sock: socket.socket) -> None:
        first(sock)
        second(sock)

    return run


def ask_only(sock: socket.socket) -> None:
    read_request(sock)


def silence(sock: socket.socket) -> None:
    time.sleep(20)


def begin_and_hang(data: bytes) -> Script:
    def run(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(data)
        time.sleep(20)

    return run


LONG = answer(b" " * 4000)
ENDLESS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


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
    with RawServer() as server, socket.socket() as deaf:
        server.scripts.append(server.serve(answer()))
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        filling = [socket.socket() for _ in range(3)]
        for sock in filling:  # its queue is full: further connections get no answer at all
            sock.setblocking(False)
            sock.connect_ex(deaf.getsockname())
        entry = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        closed = ("127.0.0.1", 1)
        unusable = (999, socket.SOCK_STREAM, 6, "", ("::1", server.port))
        found = [unusable, *((*entry, where) for where in (closed, deaf.getsockname(), ("127.0.0.1", server.port)))]
        monkeypatch.setattr("rendezvous_handler.kube.dial.Resolver.addresses", lambda *_: found)
        began = time.monotonic()
        assert get(client_of(server), 10.0) == {}
        assert time.monotonic() - began < 3.0
        for sock in filling:
            sock.close()


# ---- answers


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


# ---- kept connections


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


# ---- watches


LINE = b'{"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "1"}}}\n'


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


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
        stream.close()
        stream.close()


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


# ---- refusals


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


# ---- addresses


def ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.skipif(not ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize("tls", [False, True])
def test_ipv6(tls: bool, authority: trustme.CA, trusting: Tls) -> None:
    context = tls_of(authority, "::1") if tls else None
    with RawServer(host="::1", tls=context) as server:
        server.scripts.append(server.serve(answer()))
        url = f"{'https' if tls else 'http'}://[::1]:{server.port}"
        assert get(Client(Server(url, Fixed(), trusting if tls else None), "team", in_pod=False)) == {}
        assert f"\r\nHost: [::1]:{server.port}\r\n".encode() in server.requests[0]


# ---- TLS


@pytest.fixture
def files(tmp_path: Path, authority: trustme.CA) -> Path:
    (tmp_path / "ca.crt").write_bytes(authority.cert_pem.bytes())
    return tmp_path / "ca.crt"


def test_an_authority_that_was_replaced_is_read_again(files: Path, authority: trustme.CA) -> None:
    other = trustme.CA()
    with RawServer(tls=tls_of(authority)) as server:
        server.scripts.append(server.serve(answer()))
        client = client_of(server, tls=Tls(TlsSettings(authority=Pem(file=str(files)))))
        assert get(client) == {}
        server.tls = tls_of(other)
        problem = failure(lambda: patch(client))
        assert f"is not accepted: self-signed certificate in certificate chain. It was checked against {files}" in str(
            problem
        ) or "unable to get local issuer" in str(problem)
        assert problem.not_carried_out
        assert client.contact.untrusted
        files.write_text("being written")
        failure(lambda: patch(client))
        files.write_bytes(other.cert_pem.bytes())
        assert patch(client) == {}
        files.unlink()  # for a moment
        assert patch(client) == {}


def test_a_session_is_resumed(authority: trustme.CA, trusting: Tls) -> None:
    resumed = []
    with RawServer(tls=tls_of(authority)) as server:

        def run(sock: socket.socket) -> None:
            assert isinstance(sock, ssl.SSLSocket)
            resumed.append(sock.session_reused)
            server.serve(answer())(sock)

        server.scripts.append(run)
        client = client_of(server, tls=trusting)
        for _ in range(3):
            assert get(client) == {}
    assert resumed == [False, True, True]


def test_a_client_shows_its_certificate_from_files_or_data(authority: trustme.CA, tmp_path: Path) -> None:
    context = tls_of(authority)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    own = authority.issue_cert("ann@example.com")
    own.private_key_pem.write_to_path(str(tmp_path / "key"))
    (tmp_path / "certificate").write_bytes(own.cert_chain_pems[0].bytes())
    trust = Pem(text=authority.cert_pem.bytes().decode())
    by_file = [Pem(file=str(tmp_path / name)) for name in ("certificate", "key")]
    by_data = [Pem(text=Path(pem.file).read_text()) for pem in by_file]
    with RawServer(tls=context) as server:
        server.scripts.append(server.serve(answer()))
        for certificate, key in (by_file, by_data):
            settings = TlsSettings(authority=trust, certificate=certificate, key=key)
            assert get(client_of(server, tls=Tls(settings))) == {}
        failure(lambda: get(client_of(server, tls=Tls(TlsSettings(authority=trust)))))


def test_another_name_in_the_certificate_or_no_check(authority: trustme.CA) -> None:
    trust = Pem(text=authority.cert_pem.bytes().decode())
    with RawServer(tls=tls_of(authority, "kubernetes.default.svc")) as server:
        server.scripts.append(server.serve(answer()))
        assert "mismatch" in str(failure(lambda: get(client_of(server, tls=Tls(TlsSettings(authority=trust))))))
        named = TlsSettings(authority=trust, server_name="kubernetes.default.svc")
        assert get(client_of(server, tls=Tls(named))) == {}
        assert get(client_of(server, tls=Tls(TlsSettings(verify=False)))) == {}


def test_an_encrypted_key_is_an_error_and_no_question_on_the_terminal(authority: trustme.CA, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
        load_pem_private_key,
    )

    own = authority.issue_cert("a.example")
    key = load_pem_private_key(own.private_key_pem.bytes(), None)
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    with pytest.raises(OSError, match=r".+"):
        Tls(
            TlsSettings(
                certificate=Pem(text=own.cert_chain_pems[0].bytes().decode()),
                key=Pem(text=secret.decode()),
            )
        )
