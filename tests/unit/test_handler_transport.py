"""Answers that a real API server never gives, but a proxy or a broken connection before it does."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rendezvous_api.api_errors import ExpiredError, UnreachableError
from rendezvous_handler.agent.rendezvous_watch import RendezvousWatch
from rendezvous_handler.kube.client import Client
from rendezvous_handler.kube.credentials import Credentials, Fixed, TokenFile, bearer
from rendezvous_handler.kube.server import Server

NOTHING: tuple[int, list[bytes]] = (0, [])
"""Instead of an answer the connection is closed."""


class Front(ThreadingHTTPServer):
    """Answers each request with the next of `answers`: a status, and the body or parts of it."""

    daemon_threads = True

    def __init__(self) -> None:
        self.answers: list[tuple[int, list[bytes]]] = []
        self.requests: list[Any] = []
        super().__init__(("127.0.0.1", 0), Answering)


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        front = self.server
        assert isinstance(front, Front)
        front.requests.append(SimpleNamespace(path=self.path, headers=dict(self.headers)))
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, parts = front.answers.pop(0)
        if not status:
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for part in parts:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        self.wfile.write(b"0\r\n\r\n")

    def do_PATCH(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def front() -> Iterator[Front]:
    with Front() as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


def client_of(front: Front, path: str = "", credentials: Credentials | None = None) -> Client:
    url = f"http://127.0.0.1:{front.server_address[1]}{path}"
    return Client(Server(url, credentials or Fixed(bearer("abc"))), "team", in_pod=False)


@pytest.mark.parametrize("body", [b"<html>login</html>", b"", b"null", b"[]", b"3", b'{"items": [', b"\xff\xfe"])
def test_an_answer_that_is_no_object_is_no_answer(front: Front, body: bytes) -> None:
    client = client_of(front)
    for _ in range(2):
        front.answers.append((200, [body] if body else []))
        with pytest.raises(UnreachableError, match="the answer is not that of an API server") as problem:
            client.list_rendezvous("team", "train", 5.0)
        assert not problem.value.not_carried_out
    assert client.contact.failing
    assert "not that of an API server" in client.contact.cause
    assert client.contact.silent_seconds > 0
    front.answers.append((200, [b'{"items": [], "metadata": {"resourceVersion": "7"}}']))
    assert client.list_rendezvous("team", "train", 5.0) == (None, "7")
    assert not client.contact.failing


@pytest.mark.parametrize("status", [408, 429, 500, 501, 502, 503, 504])
def test_not_now_is_no_answer(front: Front, status: int) -> None:
    client = client_of(front)
    front.answers.append((status, [b"<html>upstream</html>"]))
    with pytest.raises(UnreachableError, match=f"^HTTP {status}: <html>upstream</html>$") as problem:
        client.get_participant("team", "train.a", 5.0)
    assert problem.value.not_carried_out is (status == 429)
    assert not problem.value.broken
    assert client.contact.failing


@pytest.mark.parametrize("line", [b"<html>\n", b"[]\n", b"null\n"])
def test_a_line_of_a_watch_that_is_no_object_breaks_the_watch(front: Front, line: bytes) -> None:
    client = client_of(front)
    front.answers.append((200, [b'{"type": "BOOKMARK", "obj', b'ect": {}}\n', line]))
    events = iter(client.watch_rendezvous("team", "train", "1", 5))
    assert next(events).type == "BOOKMARK"
    with pytest.raises(UnreachableError, match="the watch broke: a line of it is not that of an API server"):
        next(events)
    assert client.contact.failing


@pytest.mark.parametrize("line", [b"{}", b'{"type": "ADDED"}', b'{"type": "ERROR", "object": "x"}'])
def test_a_line_of_a_watch_that_is_no_event_breaks_the_watch(front: Front, line: bytes) -> None:
    front.answers.append((200, [line + b"\n"]))
    with pytest.raises(UnreachableError, match=r"the watch broke: .* is no event"):
        list(client_of(front).watch_rendezvous("team", "train", "1", 5))


def test_a_watch_whose_last_line_is_cut_off_broke(front: Front) -> None:
    front.answers.append((200, [b"<html>login</html>"]))
    with pytest.raises(UnreachableError, match="the watch broke: its last line is cut off: b'<html>"):
        list(client_of(front).watch_rendezvous("team", "train", "1", 5))


def test_a_watch_that_ends_at_once_is_not_made_again_at_once(front: Front) -> None:
    front.answers += [(200, [b'{"items": [], "metadata": {"resourceVersion": "7"}}']), *[(200, [])] * 1000]
    watch = RendezvousWatch(client_of(front), "team", "train", "train.a", 60, 5.0)
    watch.start()
    time.sleep(2)
    watch.stop()
    # Pauses of at least 0.1, 0.2, 0.4 and 0.8 s.
    assert 3 <= len(front.requests) <= 7


@pytest.mark.parametrize("token", ["abc\n", "abc\u20ac", "a\nb", "\x00", ""])
def test_a_token_is_trimmed_and_one_that_is_no_header_is_a_reason_to_wait(
    front: Front, token: str, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(token)
    client = client_of(front, credentials=TokenFile(tmp_path / "token"))
    front.answers.append((200, [b"{}"]))
    if token.strip() == "abc":
        client.get_participant("team", "train.a", 5.0)
        assert front.requests[0].headers["Authorization"] == "Bearer abc"
        assert client.bearer_token() == "abc"
    else:
        with pytest.raises(UnreachableError, match="the credentials cannot be read") as problem:
            client.get_participant("team", "train.a", 5.0)
        assert problem.value.not_carried_out
        assert client.contact.failing


def test_names_cannot_leave_their_place_in_a_path(front: Front) -> None:
    front.answers.append((200, [b"{}"]))
    client_of(front).get_participant("a#b", "../secrets?x=%2f", 5.0)
    assert front.requests[0].path.endswith("/namespaces/a%23b/rendezvousparticipants/..%2Fsecrets%3Fx%3D%252f")


def test_a_watch_from_a_version_that_is_gone(front: Front) -> None:
    front.answers.append((200, [b'{"type": "ERROR", "object": {"code": 410, "message": "too old"}}\n']))
    with pytest.raises(ExpiredError, match="too old"):
        list(client_of(front).watch_rendezvous("team", "train", "1", 5))


def test_the_address_may_have_a_path(front: Front) -> None:
    front.answers.append((200, [b"{}"]))
    client_of(front, "/k8s/clusters/c-1").get_participant("team", "train.a", 5.0)
    (request,) = front.requests
    assert request.path == "/k8s/clusters/c-1/apis/rdzv.dev/v1alpha1/namespaces/team/rendezvousparticipants/train.a"
    assert request.headers["Authorization"] == "Bearer abc"


def test_a_heartbeat_is_sent_again_if_a_connection_breaks_that_was_kept(front: Front) -> None:
    """As when what is between forgets all connections. It does no harm to the API server to get it twice."""
    client = client_of(front)
    front.answers = [(200, [b"{}"]), NOTHING, (200, [b"{}"])]
    for _ in range(2):
        client.patch_participant_status("team", "a", [], 5.0)
    assert len(front.requests) == 3


def test_else_a_request_that_may_have_arrived_is_not_sent_again(front: Front) -> None:
    client = client_of(front)
    front.answers = [NOTHING]
    with pytest.raises(UnreachableError) as problem:
        client.patch_participant_status("team", "a", [], 5.0)  # on a connection of its own
    assert (problem.value.broken, problem.value.not_carried_out) == (True, False)
    front.answers = [(200, [b"{}"]), NOTHING]
    client.patch_participant("team", "a", [], 5.0)
    with pytest.raises(UnreachableError):
        client.patch_participant("team", "a", [], 5.0)
    assert len(front.requests) == 3
