"""HTTP to the API server, with the credentials of a pod or of a kubeconfig.

Beside `kubeconfig`, this is the only module that knows the ``kubernetes`` package. TLS, proxies and credentials come
from there. The requests are made here, since the methods of the package differ from release to release.
"""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Generator, Mapping
from typing import Any

import urllib3
from kubernetes import client as kubernetes_client
from kubernetes import config as kubernetes_config
from urllib3.util.ssl_ import create_urllib3_context

from rendezvous_api.access import certificate_problem, verify_as_kubectl
from rendezvous_api.api_errors import UnreachableError, error_from_answer, json_object
from rendezvous_handler.kube.contact import Contact

Json = dict[str, Any]

_CONNECT_SECONDS = 3.0

_SOCKET_OPTIONS = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPIDLE", 0), 15),
    (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPINTVL", 0), 5),
    (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPCNT", 0), 3),
]
"""By keep-alive alone a half-open connection is noticed between two requests."""

_NOT_SENT = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)


class Transport:
    """Connections to the API server. May be used by several threads at once."""

    def __init__(self, configuration: Any, contact: Contact):
        """Connect to nothing yet.

        Args:
            configuration: of the ``kubernetes`` package, loaded.
            contact: learns of each answer, and of each request without one.
        """
        self._configuration = configuration
        self._contact = contact
        self._pool = kubernetes_client.ApiClient(configuration).rest_client.pool_manager
        self._pool.connection_pool_kw["socket_options"] = [option for option in _SOCKET_OPTIONS if option[1]]
        self._pool.connection_pool_kw["ssl_context"] = _tls(configuration)

    @property
    def url(self) -> str:
        """Address of the API server."""
        return str(self._configuration.host)

    def bearer_token(self) -> str:
        """The token of the next request, without its scheme; empty when there is none."""
        return self._authorization().partition(" ")[2]

    def _authorization(self) -> str:
        # Not auth_settings(): that of kubernetes 36.0.0 does not know the key under which its loaders put the token.
        key = "BearerToken" if "BearerToken" in self._configuration.api_key else "authorization"
        return str(self._configuration.get_api_key_with_prefix(key) or "").strip()

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
    ) -> Json:
        """Make a request and return the object of its answer.

        Args:
            verb: for errors; see `ApiError`.
            resource: for errors.
            namespace: for errors.
            method: of HTTP.
            path: from the root of the API server.
            timeout: seconds without a byte of an answer; to connect takes at most 3 s of these.
            query: behind the path.
            body: as JSON.
            content_type: of the body.

        Raises:
            ApiError: the API server refuses the request, or does not answer.
        """
        response = self._open(verb, resource, namespace, method, path, timeout, query, body, content_type)
        where = (verb, resource, namespace)
        try:
            data = response.read()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._unreachable(error, *where) from None
        except BaseException:
            # A signal: the rest of the answer must not be read as that of the next request.
            response.close()
            raise
        response.release_conn()
        answer = json_object(data)
        if answer is None:
            raise self._unreachable(f"{self.url}: the answer is not that of an API server: {data[:200]!r}", *where)
        self._contact.answered()
        return answer

    def stream(
        self, verb: str, resource: str, namespace: str, path: str, *, timeout: float, query: Mapping[str, str]
    ) -> JsonLines:
        """Make a GET request whose answer comes line by line; see `request`."""
        response = self._open(verb, resource, namespace, "GET", path, timeout, query, None, "application/json")
        self._contact.answered()
        return JsonLines(response, self._contact, verb, resource, namespace)

    def _open(
        self,
        verb: str,
        resource: str,
        namespace: str,
        method: str,
        path: str,
        timeout: float,
        query: Mapping[str, str] | None,
        body: Json | list[Json] | None,
        content_type: str,
    ) -> Any:
        where = (verb, resource, namespace)
        try:
            headers = self._headers(content_type)
        except (kubernetes_config.ConfigException, OSError, ValueError) as error:
            # The token is read again each minute, and is replaced by kubelet now and then.
            unreadable = self._unreachable(f"the credentials cannot be read: {error}", *where)
            unreadable.not_carried_out = True
            raise unreadable from None
        try:
            response = self._pool.request(
                method,
                self.url + path,
                fields=query if body is None else None,
                body=None if body is None else json.dumps(body),
                headers=headers,
                timeout=urllib3.Timeout(connect=min(timeout, _CONNECT_SECONDS), read=timeout),
                retries=False,
                redirect=False,
                preload_content=False,
            )
            if response.status in range(200, 300):
                return response
            answer = response.read()
            response.release_conn()
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise self._unreachable(error, *where) from None
        problem = error_from_answer(
            response.status,
            answer,
            reason=str(response.reason or ""),
            verb=verb,
            resource=resource,
            namespace=namespace,
        )
        if isinstance(problem, UnreachableError):
            self._contact.failed(str(problem))
        else:
            self._contact.answered()
        raise problem

    def _headers(self, content_type: str) -> dict[str, str]:
        headers = {"Accept": "application/json", "Content-Type": content_type, "User-Agent": "kube-rendezvous"}
        if authorization := self._authorization():
            headers["authorization"] = authorization
        return headers

    def _unreachable(self, cause: Exception | str, verb: str, resource: str, namespace: str) -> UnreachableError:
        untrusted = None
        if isinstance(cause, str):
            text = cause
        else:
            untrusted = certificate_problem(cause, self.url, self._configuration.ssl_ca_cert)
            text = untrusted or f"{self.url}: {cause_of(cause)}"
        problem = UnreachableError(text, verb, resource, namespace)
        problem.not_carried_out = isinstance(cause, _NOT_SENT) or untrusted is not None
        self._contact.failed(text, untrusted is not None)
        return problem


def _tls(configuration: Any) -> ssl.SSLContext:
    """What TLS is to check. The pool adds the authority and the client's certificate to it."""
    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED if configuration.verify_ssl else ssl.CERT_NONE)
    verify_as_kubectl(context)
    if not configuration.ssl_ca_cert:
        context.load_default_certs()
    return context


class JsonLines:
    """An answer that is one JSON object per line; ends when the server ends it."""

    def __init__(self, response: Any, contact: Contact, verb: str, resource: str, namespace: str):
        self._response = response
        self._contact = contact
        self._where = (verb, resource, namespace)

    def __iter__(self) -> Generator[Json, None, None]:
        """Iterate over the objects.

        Raises:
            UnreachableError: the connection broke, or nothing came for longer than the timeout.
        """
        try:
            yield from self._objects()
        except (urllib3.exceptions.HTTPError, OSError, ValueError, AttributeError) as error:
            # ValueError, AttributeError: what urllib3 raises in a thread whose response another one has closed.
            cause = f"the watch broke: {cause_of(error)}"
            self._contact.failed(cause)
            raise UnreachableError(cause, *self._where) from None
        finally:
            self._response.close()

    def _objects(self) -> Generator[Json, None, None]:
        rest = b""
        for chunk in self._response.stream(amt=None, decode_content=False):
            self._contact.answered()
            *lines, rest = (rest + chunk).split(b"\n")
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
        connection = getattr(self._response, "connection", None) or getattr(self._response, "_connection", None)
        sock = getattr(connection, "sock", None)
        try:
            if sock is not None:
                sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it was closed already


def cause_of(error: BaseException) -> str:
    """What went wrong, without the object reprs that urllib3 puts before it."""
    text = str(error.args[-1]) if error.args else type(error).__name__
    return text.rpartition(">: ")[2] or text
