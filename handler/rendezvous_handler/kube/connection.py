"""One connection to the API server, by a proxy or without: made, used for one request after the other, checked, closed.

Every step has a deadline, also where bytes come one by one: before each call of the kernel the socket gets the time
that is left. The pieces of HTTP are those of `http.client`.

A connection belongs to one thread. Only `Connection.interrupt` may be called by another one.
"""

from __future__ import annotations

import contextlib
import io
import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from http.client import HTTPException, HTTPResponse
from urllib.parse import SplitResult, urlsplit

from rendezvous_handler.kube.dial import connected
from rendezvous_handler.kube.server import Server, proxy_authorization
from rendezvous_handler.kube.tls import Stream, Tls

_TLS_SECONDS = 5.0
"""For TLS, with the tunnel of a proxy. An API server that is busy takes its time."""

_BUFFER_BYTES = 1 << 14


class Connection:
    """One connection, for requests one after the other.

    Attributes:
        sent: the kernel has taken the last byte of the request. If not, it was certainly not carried out.
        answered: a byte of its answer has come.
        at_rest_since: when its last answer had been read, in monotonic seconds.
    """

    def __init__(self, server: Server, deadline: float):
        """Connect.

        Args:
            server: where to.
            deadline: in monotonic seconds.

        Raises:
            OSError: not until then; or its certificate, or that of the proxy, is not accepted.
        """
        self.sent = self.answered = False
        self.at_rest_since = 0.0
        self.interrupted = False
        self._server = server
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._context: ssl.SSLContext | None = None
        self._wire = _Wire(connected(server.resolver, deadline))
        self._stream: Stream = self._wire
        # The request may have more time than is good to wait at something dead that accepts connections.
        self._wire.deadline = min(deadline, time.monotonic() + _TLS_SECONDS)
        try:
            self._secure(server)
        except BaseException:
            self._wire.sock.close()
            raise
        self._reader = _Reader(_Raw(self))

    def _secure(self, server: Server) -> None:
        wire, tls = self._wire, server.tls
        proxy = urlsplit(server.proxy) if server.proxy is not None else None
        if proxy is not None and proxy.scheme == "https":
            assert tls is not None
            self._wrap_for_proxy(tls, proxy.hostname or "")
        if tls is None:
            return
        if proxy is not None:
            self._ask_for_tunnel(server, proxy)
        wire.arm()
        with _waiting_for("the TLS handshake"):
            if proxy is not None and proxy.scheme == "https":
                self._stream = inner = tls.inside(wire, server.host)
                self._context = inner.context
            else:
                wire.sock = wrapped = tls.wrap(wire.sock, server.host)
                self._context = wrapped.context

    def _wrap_for_proxy(self, tls: Tls, host: str) -> None:
        self._wire.arm()
        problem = ""
        try:
            with _waiting_for("the TLS handshake with the proxy"):
                self._wire.sock = tls.wrap_for_proxy(self._wire.sock, host)
        except ssl.SSLCertVerificationError as error:
            problem = error.verify_message
        if problem:  # not inside the other error, which would be taken for one about the server
            raise OSError(f"the certificate of the proxy {host} is not accepted: {problem}")

    def _ask_for_tunnel(self, server: Server, proxy: SplitResult) -> None:
        lines = [
            f"CONNECT {server.authority} HTTP/1.1",
            f"Host: {server.authority}",
            *proxy_authorization(proxy),
            "",
            "",
        ]
        head = "\r\n".join(lines)
        self._wire.send_all(head.encode("ascii"))
        self._reader = _Reader(_Raw(self))
        try:
            answer = self._read_head("CONNECT")
        except HTTPException as error:
            raise OSError(f"the proxy {proxy.hostname}: the answer is not that of a proxy: {error!r}") from None
        if answer.status not in range(200, 300):
            raise OSError(f"the proxy {proxy.hostname} refuses the connection: HTTP {answer.status}: {answer.reason}")

    def exchange(self, method: str, request: bytes, deadline: float) -> HTTPResponse:
        """Send a request, and read its answer up to the end of its headers.

        Args:
            method: of the request.
            request: all of it.
            deadline: in monotonic seconds, for the body of the answer, too.

        Raises:
            OSError: not until then, or the connection broke.
            HTTPException: the answer is not HTTP.
        """
        self._wire.deadline = deadline
        self.sent = self.answered = False
        try:
            self._stream.send_all(request)
            self.sent = True
        except (ConnectionError, ssl.SSLError) as error:
            # A server that refuses a request may answer, and close, before it has read all of it.
            try:
                answer = self._read_head(method)
            except (OSError, HTTPException):
                raise error from None
            answer.will_close = True
            return answer
        return self._read_head(method)

    def _read_head(self, method: str) -> HTTPResponse:
        while True:
            answer = HTTPResponse(self, method=method)  # type: ignore[arg-type]  # it calls only `makefile`
            answer.begin()
            if answer.status >= 200 or answer.status == 101:
                return answer
            # Others from 100 on announce the answer.

    def makefile(self, mode: str) -> io.BufferedReader:
        """What `HTTPResponse` reads from. It lives as long as the connection: there may be more in its buffer."""
        return self._reader

    @property
    def usable(self) -> bool:
        """Whether it can take a request: the server has not closed it, and has said nothing that nobody asked for.

        A client whose certificate was renewed shows it on a new connection. The former one may have expired. A child of
        fork has the connections of its parent, and what it sent on them would be in the midst of the parent's requests.
        """
        if self._process != os.getpid():
            return False
        tls = self._server.tls
        if tls is not None and self._context is not None and not tls.is_current(self._context):
            return False
        self._wire.deadline = None
        try:
            return not self._reader.peek(1) and not self._wire.ended
        except OSError:
            return False

    def extend(self, deadline: float) -> None:
        """Let the rest of the answer come until this deadline."""
        self._wire.deadline = deadline

    def rest(self) -> None:
        """Note that an answer has been read to its end: another request may follow."""
        first, self.at_rest_since = not self.at_rest_since, time.monotonic()
        tls, sock = self._server.tls, self._wire.sock
        if first and tls is not None and isinstance(sock, ssl.SSLSocket):
            tls.remember(sock)

    def interrupt(self) -> None:
        """End the connection from another thread: the one that reads gets an error, or the end."""
        with self._lock:  # else another thread may close it, and its number may be that of another file by then
            self.interrupted = True
            with contextlib.suppress(OSError):  # it was closed already
                # Not that of SSLSocket, which would take TLS away under the thread that reads.
                socket.socket.shutdown(self._wire.sock, socket.SHUT_RDWR)

    def close(self) -> None:
        """End the connection."""
        with self._lock:
            self._wire.sock.close()

    def receive_into(self, buffer: memoryview) -> int | None:
        """See `Stream`."""
        got = self._stream.receive_into(buffer)
        if got:
            self.answered = True
        elif got == 0:
            self._wire.ended = True
        return got


class _Wire:
    """A socket, with TLS or without, of which each call ends at a deadline."""

    def __init__(self, sock: socket.socket):
        self.sock = sock
        self.deadline: float | None = None
        """None: wait for nothing."""
        self.ended = False

    def arm(self) -> None:
        if self.deadline is None:
            self.sock.settimeout(0.0)
            return
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out waiting for an answer")
        self.sock.settimeout(left)

    def receive_into(self, buffer: memoryview) -> int | None:
        self.arm()
        try:
            return self.sock.recv_into(buffer)
        except (BlockingIOError, ssl.SSLWantReadError):
            return None
        except TimeoutError:
            raise TimeoutError("timed out waiting for an answer") from None

    def send_all(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            self.arm()
            with _waiting_for("the request to be sent"):
                view = view[self.sock.send(view) :]


class _Raw(io.RawIOBase):
    """A connection as something to read from."""

    def __init__(self, connection: Connection):
        self._connection = connection

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        """See `_Reader.close`. The garbage collector calls it, too, perhaps before an answer closes itself."""

    def readinto(self, buffer: memoryview) -> int | None:  # type: ignore[override]
        return self._connection.receive_into(buffer)


class _Reader(io.BufferedReader):
    """One that stays open when an answer has been read from it."""

    def __init__(self, raw: io.RawIOBase):
        super().__init__(raw, _BUFFER_BYTES)

    def close(self) -> None:
        """Only the connection is closed."""


@contextlib.contextmanager
def _waiting_for(what: str) -> Iterator[None]:
    """Let the error of a timeout say what has taken so long."""
    try:
        yield
    except TimeoutError:
        raise TimeoutError(f"timed out waiting for {what}") from None
