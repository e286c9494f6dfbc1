"""The HTTP server of the page: on the loopback, for who has the address with its token, and for reading only.

Other programs and users of this machine can reach the port, and so can each web page that the user's browser shows.
So nothing is answered without the token, which only the address has, nor under another name than that of the loopback
(which a page would use whose name was made to point here). There is no cookie that a browser would send by itself.
"""

import hmac
import secrets
import threading
import time
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from urllib.parse import parse_qs, urlsplit

from kube_rendezvous_cli.dashboard.live import Live

LOOPBACK = "127.0.0.1"
_NAMES = (LOOPBACK, "localhost")
_REQUEST_SECONDS = 20.0
"""For a whole request, and for each piece of an answer."""
_KEEP_ALIVE_SECONDS = 10.0
"""Without news a line comes that says nothing, so that an end of the connection is noticed."""
_MOST_STREAMS = 32
_ONCE_SECONDS = 120.0

_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of each answer: the page runs its own script only, and makes nothing that is text into markup."""


def page_files() -> dict[str, tuple[str, bytes]]:
    """The files of the page by name, each with its type; also from within a zip file."""
    folder = resources.files("kube_rendezvous_cli.dashboard").joinpath("page")
    return {
        each.name: (f"{_TYPES[each.name.rpartition('.')[2]]}; charset=utf-8", each.read_bytes())
        for each in folder.iterdir()
    }


class Server(ThreadingHTTPServer):
    """Serves the page until `shutdown`.

    Args:
        live: what the page shows.
        port: on the loopback; 0: any that is free.

    Raises:
        OSError: the port cannot be had.
    """

    daemon_threads = True

    def __init__(self, live: Live, port: int) -> None:
        self.live = live
        self.files: Mapping[str, tuple[str, bytes]] = page_files()
        self.token = secrets.token_urlsafe(32)
        self.streams = threading.BoundedSemaphore(_MOST_STREAMS)
        self._lock = threading.Lock()
        self._once: tuple[str, float] | None = None
        super().__init__((LOOPBACK, port), Handler)

    @property
    def address(self) -> str:
        """Of the page, with the token."""
        return f"http://{LOOPBACK}:{self.server_port}/{self.token}/"

    def address_for_once(self) -> str:
        """An address that leads to the page one time, within two minutes.

        Other users of the machine can see the command line of a browser while it starts.
        """
        with self._lock:
            self._once = (secrets.token_urlsafe(32), time.monotonic() + _ONCE_SECONDS)
            return f"http://{LOOPBACK}:{self.server_port}/once/{self._once[0]}"

    def redeem(self, given: str) -> bool:
        """Whether that is the token of the address for one time, which it is not any more then."""
        with self._lock:
            if self._once is None or time.monotonic() > self._once[1] or not same(given, self._once[0]):
                return False
            self._once = None
            return True

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser closes connections as it likes; this is no line for the user."""


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server
    timeout = _REQUEST_SECONDS

    def do_GET(self) -> None:
        """Answer."""
        if not self._host_is_ours():
            self._say(HTTPStatus.MISDIRECTED_REQUEST, "This page is served for the loopback address only.")
            return
        url = urlsplit(self.path)
        first, _, rest = url.path.removeprefix("/").partition("/")
        if first == "once" and self.server.redeem(rest):
            self._answer(HTTPStatus.SEE_OTHER, "text/plain", b"", {"Location": f"/{self.server.token}/"})
        elif not same(first, self.server.token) or not url.path.startswith(f"/{first}/"):
            self._say(
                HTTPStatus.NOT_FOUND,
                "There is nothing here. The address is in the terminal where `kubectl rdzv dashboard` runs.",
            )
        elif rest == "events":
            self._stream(parse_qs(url.query))
        elif (name := rest or "index.html") in self.server.files:
            self._answer(HTTPStatus.OK, *self.server.files[name])
        else:
            self._say(HTTPStatus.NOT_FOUND, "There is no such file.")

    def parse_request(self) -> bool:
        """Take no other method than GET: there is nothing to change."""
        if not super().parse_request():
            return False
        if self.command != "GET":
            self._say(HTTPStatus.METHOD_NOT_ALLOWED, "This page is read-only.", {"Allow": "GET"})
        return self.command == "GET"

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the library refuses, such as a request that is none."""
        self._say(HTTPStatus(code), message or "")

    def version_string(self) -> str:
        """Of the server, for the header."""
        return "kubectl-rdzv"

    def log_message(self, *_: object) -> None:
        """Requests are no lines for the user, and their paths have the token."""

    def _host_is_ours(self) -> bool:
        """Whether the browser was sent here by our address. The port may be that of a tunnel."""
        hosts = self.headers.get_all("Host") or []
        name, _, port = (hosts[0] if len(hosts) == 1 else "").partition(":")
        return name.lower() in _NAMES and (port == "" or port.isdecimal())

    def _stream(self, query: Mapping[str, list[str]]) -> None:
        """Server-sent events: each is the whole view, when it is another one."""
        if not self.server.streams.acquire(blocking=False):
            self._say(HTTPStatus.SERVICE_UNAVAILABLE, f"More than {_MOST_STREAMS} pages are open.")
            return
        try:
            self._head(HTTPStatus.OK, "text/event-stream; charset=utf-8", {})
            name = query.get("name")
            of = None if name is None else (query.get("namespace", [""])[0], name[0])
            number, shown = 0, b""
            while not self.server.live.ended:
                number, text = self.server.live.view(of, number, _KEEP_ALIVE_SECONDS)
                news = text is not None and text != shown
                self.wfile.write(b"data: %b\n\n" % text if news and text is not None else b":\n\n")
                shown = text or shown
        except (OSError, ValueError):  # the page was closed
            pass
        finally:
            self.server.streams.release()

    def _say(self, status: HTTPStatus, text: str, more: Mapping[str, str] | None = None) -> None:
        self._answer(status, "text/plain; charset=utf-8", f"{text}\n".encode(), more or {})

    def _answer(self, status: HTTPStatus, kind: str, body: bytes, more: Mapping[str, str] | None = None) -> None:
        self._head(status, kind, {**(more or {}), "Content-Length": str(len(body))})
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, status: HTTPStatus, kind: str, more: Mapping[str, str]) -> None:
        self.close_connection = True
        self.send_response(status)
        for name, value in {**HEADERS, "Content-Type": kind, **more}.items():
            self.send_header(name, value)
        self.end_headers()


def same(given: str, secret: str) -> bool:
    """Whether both are equal; how long that takes says nothing of the secret."""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), secret.encode())
