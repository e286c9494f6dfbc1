"""Proxies between an agent and the API server: tunnels, TLS in TLS, names and passwords, refusals."""

import base64
import select
import socket
import ssl
import time
from pathlib import Path

import pytest
import trustme
from tests.support.raw_client import tls_of, trust_in
from tests.support.raw_server import (
    ENDLESS,
    LINE,
    RawServer,
    Script,
    answer,
    begin_and_hang,
    chunk,
    read_request,
    silence,
)

from rendezvous_api.api_errors import NoConfigurationError, UnreachableError
from rendezvous_handler.kube.client import Client
from rendezvous_handler.kube.credentials import Fixed
from rendezvous_handler.kube.server import Server
from rendezvous_handler.kube.tls import Pem, Tls, TlsSettings

NAME = "kubernetes.default.svc"
"""The server's name; only the proxy knows where that is."""


def client_of(authority: trustme.CA, proxy: str, url: str = f"https://{NAME}") -> Client:
    tls = trust_in(authority) if url.startswith("https") else None
    return Client(Server(url, Fixed(), tls, proxy), "team", in_pod=False)


def tunnel(target: int, asked: list[bytes]) -> Script:
    """Bytes in both directions, in one thread: two may not use one TLS connection at a time."""

    def run(sock: socket.socket) -> None:
        asked.append(read_request(sock))
        with socket.create_connection(("127.0.0.1", target)) as upstream:
            sock.sendall(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n")
            while True:
                pending = isinstance(sock, ssl.SSLSocket) and sock.pending() > 0
                ready = [sock] if pending else select.select([sock, upstream], [], [], 20)[0]
                for source in ready:
                    data = source.recv(65536)
                    if not data:
                        return
                    (upstream if source is sock else sock).sendall(data)

    return run


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("user", ["", "ann:p%40ss@"])
def test_a_tunnel(authority: trustme.CA, scheme: str, user: str) -> None:
    asked: list[bytes] = []
    big = b'{"a": "%s"}' % (b"x" * 300_000)
    with (
        RawServer(tls=tls_of(authority, NAME)) as server,
        RawServer(tls=tls_of(authority, "127.0.0.1") if scheme == "https" else None) as proxy,
    ):
        server.scripts.append(server.serve(answer(), answer(big), answer()))
        proxy.scripts.append(tunnel(server.port, asked))
        client = client_of(authority, f"{scheme}://{user}127.0.0.1:{proxy.port}")
        assert client.get_participant("team", "a", 10.0) == {}
        assert len(client.create_config_map("team", {"data": {"a": "y" * 300_000}}, 10.0)["a"]) == 300_000
        assert client.get_participant("team", "a", 10.0) == {}
        assert (server.connections, proxy.connections) == (1, 1)
        time.sleep(0.2)  # the server has closed it
        assert client.get_participant("team", "a", 10.0) == {}
        assert (server.connections, proxy.connections) == (2, 2)
    expected = f"CONNECT {NAME}:443 HTTP/1.1\r\nHost: {NAME}:443\r\n"
    if user:
        expected += f"Proxy-Authorization: Basic {base64.b64encode(b'ann:p@ss').decode()}\r\n"
    assert asked == [f"{expected}\r\n".encode()] * 2
    assert b"Proxy-Authorization" not in b"".join(server.requests)


def test_a_tunnel_that_is_refused(authority: trustme.CA) -> None:
    refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    with RawServer() as proxy:
        proxy.scripts.append(proxy.serve(refusal))
        with pytest.raises(UnreachableError, match=r"proxy 127\.0\.0\.1 refuses the connection: HTTP 407") as raised:
            client_of(authority, f"http://127.0.0.1:{proxy.port}").create_config_map("team", {}, 5.0)
    assert raised.value.not_carried_out


@pytest.mark.parametrize("said", [b"SSH-2.0-x\r\n", b""])
def test_what_is_no_proxy(authority: trustme.CA, said: bytes) -> None:
    with RawServer() as proxy:
        proxy.scripts.append(proxy.serve(said))
        with pytest.raises(UnreachableError, match=r"proxy|Remote end closed") as raised:
            client_of(authority, f"http://127.0.0.1:{proxy.port}").create_config_map("team", {}, 5.0)
    assert raised.value.not_carried_out


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_says_nothing(authority: trustme.CA, scheme: str) -> None:
    with RawServer(silence) as proxy:
        began = time.monotonic()
        with pytest.raises(UnreachableError, match="timed out") as raised:
            client_of(authority, f"{scheme}://127.0.0.1:{proxy.port}").create_config_map("team", {}, 0.4)
        assert time.monotonic() - began < 5
        assert raised.value.not_carried_out


def test_a_server_behind_tls_to_a_proxy_that_says_nothing(authority: trustme.CA) -> None:
    asked: list[bytes] = []
    with (
        RawServer(silence) as server,
        RawServer(tls=tls_of(authority, "127.0.0.1")) as proxy,
    ):
        proxy.scripts.append(tunnel(server.port, asked))
        began = time.monotonic()
        with pytest.raises(UnreachableError, match="timed out"):
            client_of(authority, f"https://127.0.0.1:{proxy.port}").get_participant("team", "a", 0.5)
        assert time.monotonic() - began < 5
        assert asked


def test_an_error_says_whose_certificate_it_is_about(authority: trustme.CA) -> None:
    other = trustme.CA()
    asked: list[bytes] = []
    with RawServer(tls=tls_of(other, "127.0.0.1")) as proxy:
        proxy.scripts.append(tunnel(1, asked))
        with pytest.raises(UnreachableError, match=r"the certificate of the proxy 127\.0\.0\.1 is not accepted: "):
            client_of(authority, f"https://127.0.0.1:{proxy.port}").get_participant("team", "a", 5.0)
        assert asked == []
    with RawServer(lambda _: None, tls=tls_of(other, NAME)) as server, RawServer() as proxy:
        proxy.scripts.append(tunnel(server.port, asked))
        with pytest.raises(UnreachableError, match=f"the certificate of https://{NAME} is not accepted: "):
            client_of(authority, f"http://127.0.0.1:{proxy.port}").get_participant("team", "a", 5.0)


def test_a_proxy_that_this_machine_trusts_and_another_name_in_the_certificate_of_the_server(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = trustme.CA()
    (tmp_path / "machine.crt").write_bytes(other.cert_pem.bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "machine.crt"))
    settings = TlsSettings(authority=Pem(text=authority.cert_pem.bytes().decode()), server_name=NAME)
    with (
        RawServer(tls=tls_of(authority, NAME)) as server,
        RawServer(tls=tls_of(other, "127.0.0.1")) as proxy,
    ):
        server.scripts.append(server.serve(answer()))
        proxy.scripts.append(tunnel(server.port, []))
        where = Server("https://api.example", Fixed(), Tls(settings), f"https://127.0.0.1:{proxy.port}")
        assert Client(where, "team", in_pod=False).get_participant("team", "a", 5.0) == {}


def test_a_server_without_tls(authority: trustme.CA) -> None:
    with RawServer() as proxy:
        proxy.scripts.append(proxy.serve(answer()))
        client = client_of(authority, f"http://ann:x@127.0.0.1:{proxy.port}", "http://api.example:8080/k8s")
        assert client.get_participant("team", "a", 5.0) == {}
    head = proxy.requests[0].decode()
    assert head.startswith("GET http://api.example:8080/k8s/apis/rdzv.dev/")
    assert "\r\nHost: api.example:8080\r\n" in head
    assert "\r\nProxy-Authorization: Basic " in head
    with pytest.raises(NoConfigurationError, match="a proxy with https is only used for a server with https"):
        client_of(authority, "https://127.0.0.1:1", "http://api.example:8080")


def test_a_watch_through_two_layers_of_tls_is_ended_by_another_thread(authority: trustme.CA) -> None:
    with (
        RawServer(begin_and_hang(ENDLESS + chunk(LINE)), tls=tls_of(authority, NAME)) as server,
        RawServer(tls=tls_of(authority, "127.0.0.1")) as proxy,
    ):
        proxy.scripts.append(tunnel(server.port, []))
        stream = client_of(authority, f"https://127.0.0.1:{proxy.port}").watch_rendezvous("team", "train", "1", 60)
        events = iter(stream)
        assert next(events).type == "BOOKMARK"
        stream.close()
        with pytest.raises(UnreachableError, match="the watch broke"):
            next(events)
