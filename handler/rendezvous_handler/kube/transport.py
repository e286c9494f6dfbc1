"""HTTP to the API server: requests on connections that are kept, watches on connections of their own.

Threads share three things. The connections at rest are in deques, whose ``append`` and ``pop`` are atomic: who takes a
connection is alone with it. Credentials and TLS replace what they know as a whole. No lock is held during a request, so
a signal in the main thread leaves none behind.

A request is made once. It is repeated, by itself, only where that cannot do twice what was asked for: on another
connection, if a kept one turned out to be dead before the request was sent, or before the answer began to a GET (as in
Go's ``net/http``) or to a heartbeat; and once after 401, if there are other credentials. All tries together have the
one deadline.
"""

from __future__ import annotations

import contextlib
import json
import time
import weakref
from collections import deque
from collections.abc import Generator, Mapping
from http.client import HTTPException, HTTPResponse, IncompleteRead
from typing import Any
from urllib.parse import urlencode

from rendezvous_api.access import certificate_problem
from rendezvous_api.api_errors import NoConfigurationError, UnreachableError, error_from_answer, json_object
from rendezvous_handler.kube.connection import Connection
from rendezvous_handler.kube.contact import Contact
from rendezvous_handler.kube.server import Server

Json = dict[str, Any]

_MOST_AT_REST = 2
_AT_REST_SECONDS = 60.0
"""The API server closes a connection after 90 s without a request; one that is about to be closed is not used."""

_WATCH_BEGINS_SECONDS = 30.0
"""For the answer to a watch to begin. Priority and fairness lets it wait in its queue for 15 s at most."""

_LONGEST_RETRY_AFTER = 10.0
"""No more is believed, in seconds."""

_MOST_BYTES = 32 << 20
"""Of an answer, and of a line of a watch. etcd takes objects of 1.5 MB, so more is no answer of an API server."""
_PART_BYTES = 1 << 16

_Where = tuple[str, str, str]


class Transport:
    """Connections to the API server. May be used by several threads at once."""

    def __init__(self, server: Server, contact: Contact):
        """Connect to nothing yet.

        Args:
            server: where it is, and who asks.
            contact: learns of each answer, and of each request without one.
        """
        self._server = server
        self._contact = contact
        self._at_rest: deque[Connection] = deque()
        # A watch holds its connection for long. From connections of its own it takes none that a request has just
        # used: so once the object has been read and is watched, the write that joins finds a connection open.
        self._watches_at_rest: deque[Connection] = deque()
        weakref.finalize(self, _close_all, self._at_rest, self._watches_at_rest).atexit = False

    @property
    def url(self) -> str:
        """Address of the API server."""
        return self._server.url

    def bearer_token(self) -> str:
        """The token of the next request, without its scheme; empty when there is none."""
        return self._server.credentials.header().partition(" ")[2]

    def request(
        self,
        verb: str,
        resource: str,
        namespace: str,
        method: str,
        path: str,
        *,
        timeout: float,
        query: Mapping[str, str] | None = None,
        body: Json | list[Json] | None = None,
        content_type: str = "application/json",
        repeatable: bool = False,
    ) -> Json:
        """Make a request and return the object of its answer.

        Args:
            verb: for errors; see `ApiError`.
            resource: for errors.
            namespace: for errors.
            method: of HTTP.
            path: from the root of the API server.
            timeout: seconds that it may take, with all its answer; of these 3 s for TCP and 5 s for TLS at most.
            query: behind the path.
            body: as JSON.
            content_type: of the body.
            repeatable: it does no harm if the API server gets it twice, as with a GET. Then it is sent again on a new
                connection if a kept one breaks without an answer.

        Raises:
            ApiError: the API server refuses the request, or does not answer.
        """
        where = (verb, resource, namespace)
        exchange = _Exchange(self._server, self._at_rest, timeout)
        data = self._answered(exchange, where, _Request(method, path, query, body, content_type, repeatable))
        answer = json_object(data)
        if answer is None:
            cause = f"{self.url}: the answer is not that of an API server: {data[:200]!r}"
            raise self._unreachable(cause, where, not_carried_out=False)
        self._contact.answered()
        return answer

    def stream(
        self, verb: str, resource: str, namespace: str, path: str, *, timeout: float, query: Mapping[str, str]
    ) -> JsonLines:
        """Make a GET request whose answer comes line by line, and has ended after ``timeout``; see `request`."""
        deadline = time.monotonic() + timeout
        exchange = _Exchange(self._server, self._watches_at_rest, min(timeout, _WATCH_BEGINS_SECONDS))
        request = _Request("GET", path, query, None, "application/json")
        self._open(exchange, (verb, resource, namespace), request)
        self._contact.answered()
        exchange.connection.extend(deadline)
        return JsonLines(exchange, self._contact, verb, resource, namespace)

    def _answered(self, exchange: _Exchange, where: _Where, request: _Request) -> bytes:
        """The body of an answer with a status of success."""
        self._open(exchange, where, request)
        try:
            return exchange.read()
        except (OSError, HTTPException) as error:
            raise self._unreachable(error, where, not_carried_out=False) from None

    def _open(self, exchange: _Exchange, where: _Where, request: _Request) -> None:
        """Begin an answer with a status of success, which is to be read."""
        try:
            header = self._server.credentials.header(exchange.left)
        except (NoConfigurationError, OSError, ValueError) as error:
            # The token is read again each minute, and is replaced by kubelet now and then.
            cause = f"the credentials cannot be read: {error}"
            raise self._unreachable(cause, where, not_carried_out=True) from None
        try:
            exchange.begin(request, header)
            if exchange.response.status in range(200, 300):
                return
            answer = exchange.read()
            if exchange.response.status == 401 and self._server.credentials.refused(header, exchange.left):
                exchange.begin(request, self._server.credentials.header(exchange.left))
                if exchange.response.status in range(200, 300):
                    return
                answer = exchange.read()
        except (NoConfigurationError, OSError, HTTPException, ValueError) as error:
            problem = self._unreachable(error, where, not_carried_out=not exchange.sent)
            # One that is overloaded shows by a time limit.
            problem.broken = not isinstance(error, TimeoutError)
            raise problem from None
        response = exchange.response
        refusal = error_from_answer(
            response.status,
            answer,
            reason=str(response.reason or ""),
            verb=where[0],
            resource=where[1],
            namespace=where[2],
        )
        if isinstance(refusal, UnreachableError):
            refusal.retry_after = _retry_after(response)
            self._contact.failed(str(refusal))
        else:
            self._contact.answered()
        raise refusal

    def _unreachable(self, cause: Exception | str, where: _Where, not_carried_out: bool) -> UnreachableError:
        untrusted = None
        if isinstance(cause, str):
            text = cause
        else:
            tls = self._server.tls
            untrusted = certificate_problem(cause, self.url, tls.settings.authority_file if tls else None)
            text = untrusted or f"{self.url}: {_cause_of(cause)}"
        problem = UnreachableError(text, *where)
        problem.not_carried_out = not_carried_out
        self._contact.failed(text, untrusted is not None)
        return problem


def _close_all(*pools: deque[Connection]) -> None:
    for pool in pools:
        while pool:
            pool.pop().close()


class _Request:
    """All of a request but the credentials."""

    def __init__(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Json | list[Json] | None,
        content_type: str,
        repeatable: bool = False,
    ):
        self.method = method
        self.repeatable = repeatable or method == "GET"
        self._target = path + (f"?{urlencode(query)}" if query else "")
        self._body = b"" if body is None else json.dumps(body).encode()
        self._content_type = content_type

    def bytes_for(self, server: Server, authorization: str) -> bytes:
        lines = [
            f"{self.method} {server.target}{self._target} HTTP/1.1",
            f"Host: {server.host_header}",
            "Accept: application/json",
            "Accept-Encoding: identity",
            "User-Agent: kube-rendezvous",
        ]
        if authorization:
            lines.append(f"Authorization: {authorization}")
        if self._body or self.method != "GET":
            lines += [f"Content-Type: {self._content_type}", f"Content-Length: {len(self._body)}"]
        lines += server.proxy_headers
        return "\r\n".join([*lines, "", ""]).encode("ascii") + self._body


class _Exchange:
    """A request and its answer; and the connection, which afterwards rests or is closed."""

    def __init__(self, server: Server, at_rest: deque[Connection], timeout: float):
        self._server = server
        self._at_rest = at_rest
        self.deadline = time.monotonic() + timeout
        self.connection: Connection
        self.response: HTTPResponse
        self.sent = False
        """The server may have got the request."""

    @property
    def left(self) -> float:
        """Seconds until the deadline."""
        return max(0.0, self.deadline - time.monotonic())

    def begin(self, request: _Request, authorization: str) -> None:
        """Send it, on a kept connection or a new one, and read the answer up to its headers."""
        self.sent = False
        data = request.bytes_for(self._server, authorization)
        while (connection := self._kept()) is not None:
            try:
                self._try(connection, request.method, data)
            except (OSError, HTTPException):
                if time.monotonic() >= self.deadline or connection.answered:
                    raise
                if connection.sent and not request.repeatable:
                    raise
                # It was closed while it was at rest, and nobody has noticed.
            else:
                return
        self._try(Connection(self._server, self.deadline), request.method, data)

    def _try(self, connection: Connection, method: str, data: bytes) -> None:
        try:
            self.response = connection.exchange(method, data, self.deadline)
        except BaseException:
            connection.close()
            raise
        finally:
            self.sent = connection.sent or connection.answered
        self.connection = connection

    def _kept(self) -> Connection | None:
        while True:
            try:
                connection = self._at_rest.pop()
            except IndexError:
                return None
            if time.monotonic() - connection.at_rest_since < _AT_REST_SECONDS and connection.usable:
                return connection
            connection.close()

    def read(self) -> bytes:
        """All of the body."""
        response = self.response
        if response.length is not None and response.length > _MOST_BYTES:
            self.close()
            raise OSError(f"an answer of {response.length} bytes is not that of an API server")
        parts, size = [], 0
        try:
            while part := _part(response):
                parts.append(part)
                size += len(part)
                if size > _MOST_BYTES:
                    raise OSError(f"an answer of more than {_MOST_BYTES} bytes is not that of an API server")
            if response.length:
                raise IncompleteRead(b"", response.length)
        except BaseException:
            # A signal, too: the rest of the answer must not be read as that of the next request.
            self.close()
            raise
        self.end()
        return b"".join(parts)

    def end(self) -> None:
        """The answer has been read to its end."""
        connection = self.connection
        if self.response.will_close:
            connection.close()
            return
        connection.rest()
        self._at_rest.append(connection)
        if len(self._at_rest) > _MOST_AT_REST:
            with contextlib.suppress(IndexError):  # other threads have taken them
                self._at_rest.popleft().close()

    def close(self) -> None:
        """The rest of the answer is of no interest."""
        self.connection.close()


class JsonLines:
    """An answer that is one JSON object per line; ends when the server ends it."""

    def __init__(self, exchange: _Exchange, contact: Contact, verb: str, resource: str, namespace: str):
        self._exchange = exchange
        self._contact = contact
        self._where = (verb, resource, namespace)
        self._ended = False

    def __iter__(self) -> Generator[Json, None, None]:
        """Iterate over the objects.

        Raises:
            UnreachableError: the connection broke, or the answer had not ended in time.
        """
        try:
            yield from self._objects()
            self._ended = True
        except (OSError, HTTPException, ValueError) as error:
            cause = f"the watch broke: {_cause_of(error)}"
            if not self._exchange.connection.interrupted:  # by `close`, which says nothing about the server
                self._contact.failed(cause)
            raise UnreachableError(cause, *self._where) from None
        finally:
            if self._ended:
                self._exchange.end()
            else:
                self._exchange.close()

    def _objects(self) -> Generator[Json, None, None]:
        response = self._exchange.response
        rest = b""
        while part := _part(response):
            self._contact.answered()
            *lines, rest = (rest + part).split(b"\n")
            if len(rest) > _MOST_BYTES:
                raise ValueError(f"a line of more than {_MOST_BYTES} bytes is not that of an API server")
            for line in lines:
                if line.strip():
                    item = json_object(line)
                    if item is None:
                        raise ValueError(f"a line of it is not that of an API server: {line[:200]!r}")
                    yield item
        if rest.strip():
            raise ValueError(f"its last line is cut off: {rest[:200]!r}")

    def close(self) -> None:
        """End the answer from another thread: its iteration stops, at the latest when the server ends it."""
        if not self._ended:
            self._exchange.connection.interrupt()


def _part(response: HTTPResponse) -> bytes:
    """The next bytes of the body, as soon as there are some; empty at its end."""
    if response.chunked or response.length is None:
        return response.read1(_PART_BYTES)
    # Up to Python 3.12 read1() does not count down what Content-Length has announced, and waits for more than that.
    return response.read(min(_PART_BYTES, response.length))


def _retry_after(response: HTTPResponse) -> float:
    """Seconds for which the server does not want to be asked again; 0: it says nothing about that."""
    said = response.getheader("Retry-After", "")
    if not (said.isascii() and said.isdigit()):
        return 0.0
    return min(float(said), _LONGEST_RETRY_AFTER)


def _cause_of(error: BaseException) -> str:
    """What went wrong, for people."""
    if isinstance(error, IncompleteRead):
        return "the answer broke off"
    if isinstance(error, HTTPException) and not isinstance(error, OSError):
        return f"the answer is not HTTP: {error!r}"
    return str(error) or type(error).__name__
