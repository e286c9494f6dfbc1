"""The server of the page: who has the address may read, and no request does anything else."""

import http.client
import re
import socket
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest
from tests.unit.cli.fed import Fed
from tests.unit.cli.played import trains

from kube_rendezvous_cli.dashboard import server as module
from kube_rendezvous_cli.dashboard.live import Live
from kube_rendezvous_cli.dashboard.server import HEADERS, LOOPBACK, Server, page_files

FILES = ("", "index.html", "page.css", "page.js", "icon.svg")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr("kube_rendezvous_cli.dashboard.live.TOGETHER_SECONDS", 0.01)
    scenario = trains()
    live = Live(Fed(scenario), lambda: scenario.now)
    live.follow()
    with Server(live, 0) as served:
        threading.Thread(target=served.serve_forever, args=(0.02,), daemon=True).start()
        yield served
        live.end()
        served.shutdown()


class Answer:
    """Of one request.

    Args:
        served: who answers.
        path: below the token; with a leading slash, below the port.
        method: of HTTP.
        headers: beside those of the client; None leaves one out.
    """

    def __init__(self, served: Server, path: str = "", method: str = "GET", **headers: str | None) -> None:
        connection = http.client.HTTPConnection(LOOPBACK, served.server_port, timeout=10)
        full = path if path.startswith("/") else f"/{served.token}/{path}"
        connection.putrequest(method, full, skip_host="Host" in headers)
        for name, value in headers.items():
            if value is not None:
                connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        self.status, self.headers = answer.status, answer.headers
        self.body = b"" if path.startswith("events") and answer.status == 200 else answer.read()
        self.first = answer.readline() if not self.body and answer.status == 200 else b""
        connection.close()


@pytest.mark.parametrize("path", FILES)
def test_the_page_is_served_to_who_has_the_address(server: Server, path: str) -> None:
    answer = Answer(server, path)
    assert answer.status == 200
    assert answer.body == page_files()[path or "index.html"][1]
    assert server.address == f"http://127.0.0.1:{server.server_port}/{server.token}/"
    assert len(server.token) >= 43


def test_all_parts_of_the_page_are_its_own_and_none_is_within_the_markup() -> None:
    """So that the policy of the browser can be as strict as it is."""
    files = {name: body.decode() for name, (_, body) in page_files().items()}
    wanted: set[str] = set()

    class Read(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            given = dict(attrs)
            assert not [name for name in given if name.startswith("on") or name == "style"], (tag, given)
            if tag in ("script", "link"):
                wanted.add(str(given.get("src") or given.get("href")))

        def handle_data(self, data: str) -> None:
            assert self.lasttag not in ("script", "style") or not data.strip()

    Read().feed(files["index.html"])
    for name, text in files.items():
        if name.endswith(".js"):
            wanted |= {match.removeprefix("./") for match in re.findall(r'from "([^"]+)"', text)}
            assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|Function\(", text), (
                name
            )
    assert wanted | {"index.html"} == {*files}


@pytest.mark.parametrize("path", ["/", "/index.html", "/page.js", "/events", "/token/", "/favicon.ico", "//", "/%00/"])
def test_without_the_token_there_is_nothing(server: Server, path: str) -> None:
    answer = Answer(server, path)
    assert answer.status == 404
    assert b"terminal" in answer.body


def test_a_token_that_is_almost_right_is_wrong(server: Server) -> None:
    token = server.token
    for wrong in (token[:-1], token + "a", token.swapcase(), token[:-1] + ("a" if token[-1] != "a" else "b")):
        assert Answer(server, f"/{wrong}/").status == 404
    assert Answer(server, f"/{token}").status == 404
    assert Answer(server, f"/{token}/../{token}/index.html").status == 404
    assert Answer(server, f"/{token}/none.html").status == 404


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200), ("127.0.0.1:9", 200), ("localhost:1234", 200), ("LocalHost", 200),
        ("evil.example", 421), ("evil.example:80", 421), ("127.0.0.1.evil.example", 421), ("localhost:80:80", 421),
        ("localhost:x", 421), ("", 421), (None, 421), ("127.0.0.1@evil.example", 421), ("[::1]", 421),
    ],
)  # fmt: skip
def test_only_the_names_of_the_loopback_are_served(server: Server, host: str | None, status: int) -> None:
    """A page may have a name that its owner lets point to 127.0.0.1: then the browser would let it read all."""
    answer = Answer(server, Host=host)
    assert answer.status == status
    assert server.token.encode() not in answer.body


def test_two_hosts_are_none(server: Server) -> None:
    with socket.create_connection((LOOPBACK, server.server_port)) as client:
        client.sendall(f"GET /{server.token}/ HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n".encode())
        assert client.recv(100).startswith(b"HTTP/1.0 421 ")


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "ANY"])
def test_no_other_method_is_taken(server: Server, method: str) -> None:
    answer = Answer(server, "" if method != "CONNECT" else "/", method)
    assert (answer.status, answer.headers["Allow"]) == (405, "GET")
    assert method != "HEAD" or not answer.body


@pytest.mark.parametrize(
    ("path", "method"), [("", "GET"), ("page.js", "GET"), ("events", "GET"), ("/", "GET"), ("", "OPTIONS")]
)
def test_every_answer_has_the_policy_of_the_page(server: Server, path: str, method: str) -> None:
    answer = Answer(server, path, method, Origin="https://evil.example", Cookie="token=1")
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert "http" not in policy
    assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
    assert "Set-Cookie" not in answer.headers
    assert answer.headers["Server"] == "kubectl-rdzv"


def test_a_browser_gets_an_address_that_holds_once(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Answer(server, "/once/").status == 404
    path = urlsplit(server.address_for_once()).path
    assert server.token not in path
    assert Answer(server, f"{path}x").status == 404
    first = Answer(server, path)
    assert (first.status, first.headers["Location"]) == (303, f"/{server.token}/")
    assert Answer(server, path).status == 404
    monkeypatch.setattr(module, "_ONCE_SECONDS", 0.0)
    assert Answer(server, urlsplit(server.address_for_once()).path).status == 404


def test_what_is_no_request_is_refused(server: Server) -> None:
    for sent in (
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xff/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET " + b"a" * 70000 + b" HTTP/1.1\r\n\r\n",
    ):
        with socket.create_connection((LOOPBACK, server.server_port), timeout=10) as client:
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
            assert b" 200 " not in client.recv(1000)
    assert Answer(server).status == 200, "it serves on"


def test_a_view_is_streamed(server: Server) -> None:
    answer = Answer(server, "events?namespace=team-a&name=train")
    assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert answer.first.startswith(b'data: {"stale":null,')
    assert b'"state":"training' in answer.first
    assert b'"groups":[{' in Answer(server, "events").first
    assert b'"group":null' in Answer(server, "events?namespace=team-b&name=train").first


def test_streams_are_limited_and_given_back(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.streams = threading.BoundedSemaphore(1)
    monkeypatch.setattr(module, "_KEEP_ALIVE_SECONDS", 0.05)
    with socket.create_connection((LOOPBACK, server.server_port), timeout=10) as client:
        client.sendall(f"GET /{server.token}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert client.recv(10)
        assert Answer(server, "events").status == 503
    for _ in range(200):
        if Answer(server, "events").status == 200:
            return
    raise AssertionError("the place of a page that was closed is not given back")
