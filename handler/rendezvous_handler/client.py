"""The requests of an agent to the Kubernetes API, over the official synchronous client.

Nothing here retries: who calls knows what waiting means. Every request is bounded in time.
"""

from __future__ import annotations

import functools
import json
import logging
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import urllib3
from kubernetes import client as kubernetes_client
from kubernetes import config as kubernetes_config

from rendezvous_api import names
from rendezvous_handler.errors import (
    CONFIG_MAP_PLURAL,
    AlreadyExistsError,
    ApiError,
    ConflictError,
    ExpiredError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    TooLargeError,
    UnauthorizedError,
    UnreachableError,
)

_logger = logging.getLogger(__name__)

Json = dict[str, Any]
JsonPatch = list[Json]

_CONNECT_SECONDS = 3.0

_KEEP_ALIVE_OPTIONS = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPIDLE", 0), 15),
    (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPINTVL", 0), 5),
    (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPCNT", 0), 3),
]

_NOT_SENT = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)

_RETRYABLE = frozenset({408, 429, 500, 502, 503, 504})
"""Answers of a server, or of a proxy before it, that say: not now."""


@dataclass(frozen=True)
class WatchEvent:
    """One line of a watch."""

    type: str
    """``ADDED``, ``MODIFIED``, ``DELETED`` or ``BOOKMARK``."""
    object: Json


class Contact:
    """Whether the API server answers, by the newest evidence of any request."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._since = 0.0
        self.failing = False
        self.cause = ""

    def answered(self) -> None:
        """The server has answered, be it with an error of ours."""
        self.failing = False

    def failed(self, cause: str) -> None:
        """A request got no answer."""
        self.cause = cause
        if not self.failing:
            self._since = self._now()
            self.failing = True

    @property
    def silent_seconds(self) -> float:
        """For how long requests have got no answer."""
        return self._now() - self._since if self.failing else 0.0


class Cluster:
    """The API server as one agent sees it. May be used by several threads at once."""

    def __init__(self, configuration: Any, namespace: str, in_pod: bool):
        self.configuration = configuration
        self.namespace = namespace
        """Namespace of the configuration: the pod's, or that of the kubeconfig's current context."""
        self.in_pod = in_pod
        self.contact = Contact()
        configuration.retries = False
        # Made here and not when first needed: several threads make requests at once.
        self._api = _custom_objects(configuration)
        # A watch holds its connection for long. From a pool of its own it takes none that a request has just used: so
        # once the object has been read and is watched, the write that joins finds a connection open.
        self._watch_api = _custom_objects(configuration)

    @functools.cached_property
    def _core(self) -> Any:
        """The client of the back end without operator."""
        return kubernetes_client.CoreV1Api(_with_keep_alive(_MergePatchClient(self.configuration)))

    @property
    def url(self) -> str:
        """Address of the API server, for messages and to find the route to it."""
        return str(self.configuration.host)

    def bearer_token(self) -> str:
        """The token that the next request would carry, without its scheme; empty when there is none."""
        value = self.configuration.auth_settings().get("BearerToken", {}).get("value") or ""
        return str(value).partition(" ")[2]

    def list_rendezvous(self, namespace: str, name: str, timeout: float) -> tuple[Json | None, str]:
        """The Rendezvous of that name, or None, and the resource version from which to watch it."""
        found = self._call(
            "list",
            names.RENDEZVOUS_PLURAL,
            self._api.list_namespaced_custom_object,
            *_path(namespace, names.RENDEZVOUS_PLURAL),
            timeout=timeout,
            field_selector=f"metadata.name={name}",
        )
        items = found.get("items") or []
        return (items[0] if items else None), str(found.get("metadata", {}).get("resourceVersion", ""))

    def watch_rendezvous(self, namespace: str, name: str, resource_version: str, seconds: int) -> WatchStream:
        """Watch that one Rendezvous for at most ``seconds``.

        Only a watch by ``metadata.name`` is cheap for the API server: a watch by label is charged to every write of the
        kind in the namespace (kube-apiserver, flowcontrol/watch_tracker.go).
        """
        response = self._call(
            "watch",
            names.RENDEZVOUS_PLURAL,
            self._watch_api.list_namespaced_custom_object,
            *_path(namespace, names.RENDEZVOUS_PLURAL),
            # A server that has gone without a word is noticed when nothing, not even the end, came by then.
            timeout=seconds + 10,
            field_selector=f"metadata.name={name}",
            resource_version=resource_version,
            allow_watch_bookmarks=True,
            timeout_seconds=seconds,
            watch=True,
            _preload_content=False,
        )
        return WatchStream(response, self.contact)

    def create_rendezvous(self, namespace: str, body: Json, timeout: float) -> Json:
        """Create a Rendezvous.

        Raises:
            AlreadyExistsError: there is one of that name.
        """
        path = _path(namespace, names.RENDEZVOUS_PLURAL)
        api = self._api.create_namespaced_custom_object
        return cast(Json, self._call("create", names.RENDEZVOUS_PLURAL, api, *path, body, timeout=timeout))

    def create_participant(self, namespace: str, body: Json, timeout: float) -> Json:
        """Create a RendezvousParticipant.

        Raises:
            AlreadyExistsError: there is one of that name.
        """
        path = _path(namespace, names.PARTICIPANT_PLURAL)
        api = self._api.create_namespaced_custom_object
        return cast(Json, self._call("create", names.PARTICIPANT_PLURAL, api, *path, body, timeout=timeout))

    def get_participant(self, namespace: str, name: str, timeout: float) -> Json:
        """Read a RendezvousParticipant."""
        path = _path(namespace, names.PARTICIPANT_PLURAL)
        api = self._api.get_namespaced_custom_object
        return cast(Json, self._call("get", names.PARTICIPANT_PLURAL, api, *path, name, timeout=timeout))

    def patch_participant(self, namespace: str, name: str, patch: JsonPatch, timeout: float) -> Json:
        """Apply a JSON patch (RFC 6902) to a RendezvousParticipant.

        Raises:
            InvalidError: an operation ``test`` failed, or the schema refuses the outcome (both are HTTP 422).
        """
        path = _path(namespace, names.PARTICIPANT_PLURAL)
        api = self._api.patch_namespaced_custom_object
        return cast(Json, self._call("patch", names.PARTICIPANT_PLURAL, api, *path, name, patch, timeout=timeout))

    def patch_participant_status(self, namespace: str, name: str, patch: JsonPatch, timeout: float) -> Json:
        """Apply a JSON patch to the status of a RendezvousParticipant; see `patch_participant`."""
        resource = f"{names.PARTICIPANT_PLURAL}/status"
        path = _path(namespace, names.PARTICIPANT_PLURAL)
        api = self._api.patch_namespaced_custom_object_status
        return cast(Json, self._call("patch", resource, api, *path, name, patch, timeout=timeout))

    def delete_participant(self, namespace: str, name: str, uid: str, timeout: float) -> None:
        """Delete the RendezvousParticipant with that UID, and no other one of that name."""
        path = _path(namespace, names.PARTICIPANT_PLURAL)
        api = self._api.delete_namespaced_custom_object
        body = {"preconditions": {"uid": uid}}
        self._call("delete", names.PARTICIPANT_PLURAL, api, *path, name, timeout=timeout, body=body)

    def get_config_map(self, namespace: str, name: str, timeout: float) -> Json:
        """Read a ConfigMap."""
        api = self._core.read_namespaced_config_map
        return self._config_map("get", api, name=name, namespace=namespace, timeout=timeout)

    def create_config_map(self, namespace: str, body: Json, timeout: float) -> Json:
        """Create a ConfigMap.

        Raises:
            AlreadyExistsError: there is one of that name.
            TooLargeError: it is larger than a ConfigMap may be.
        """
        api = self._core.create_namespaced_config_map
        return self._config_map("create", api, body=body, namespace=namespace, timeout=timeout)

    def patch_config_map(self, namespace: str, name: str, patch: Json, timeout: float) -> Json:
        """Apply a JSON merge patch (RFC 7386) to a ConfigMap.

        Raises:
            ConflictError: the patch has a resourceVersion, and the object has another one by now.
            TooLargeError: the outcome would be larger than a ConfigMap may be.
        """
        api = self._core.patch_namespaced_config_map
        return self._config_map("patch", api, name=name, body=patch, namespace=namespace, timeout=timeout)

    def _config_map(
        self, verb: str, api: Callable[..., Any], *, namespace: str, timeout: float, **arguments: Any
    ) -> Json:
        def request(*_: str, **options: Any) -> Json:
            # As JSON: the client's own models of the built-in kinds differ between its releases.
            response = api(namespace=namespace, _preload_content=False, **arguments, **options)
            if response.status not in range(200, 300):
                raise kubernetes_client.ApiException(http_resp=_ReadResponse(response))
            return cast(Json, json.loads(response.data))

        path = ("", "v1", namespace, CONFIG_MAP_PLURAL)
        return cast(Json, self._call(verb, CONFIG_MAP_PLURAL, request, *path, timeout=timeout))

    def _call(
        self, verb: str, resource: str, api: Callable[..., Any], *arguments: Any, timeout: float, **options: Any
    ) -> Any:
        connect = min(timeout, _CONNECT_SECONDS)
        namespace = str(arguments[2])
        try:
            answer = api(*arguments, _request_timeout=(connect, timeout), **options)
            if getattr(answer, "status", 200) not in range(200, 300):  # a stream of newer clients, not yet looked at
                raise kubernetes_client.ApiException(http_resp=_ReadResponse(answer))
        except kubernetes_client.ApiException as error:
            problem = _translate(error, verb, resource, namespace)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            problem = UnreachableError(f"{self.url}: {_cause(error)}", verb, resource, namespace)
            problem.not_carried_out = isinstance(error, _NOT_SENT)
        except kubernetes_config.ConfigException as error:
            # The token is read again each minute, and is replaced by kubelet now and then.
            problem = UnreachableError(f"the service-account token cannot be read: {error}", verb, resource, namespace)
        else:
            self.contact.answered()
            return answer
        if isinstance(problem, UnreachableError):
            self.contact.failed(str(problem))
        else:
            self.contact.answered()
        raise problem


def _custom_objects(configuration: Any) -> Any:
    return kubernetes_client.CustomObjectsApi(_with_keep_alive(_JsonPatchClient(configuration)))


def _with_keep_alive(api_client: Any) -> Any:
    # The client lets nobody set these, and a half-open connection is found out by them alone between two requests.
    pool = api_client.rest_client.pool_manager
    pool.connection_pool_kw["socket_options"] = [option for option in _KEEP_ALIVE_OPTIONS if option[1]]
    return api_client


class _JsonPatchClient(kubernetes_client.ApiClient):  # type: ignore[misc]  # the client has no types
    """A client whose patches are JSON patches: those of custom objects are merge patches in its generated code."""

    patches = "application/json-patch+json"

    def select_header_content_type(self, content_types: list[str], *more: Any) -> Any:
        """What the body of a request is; called by the generated code."""
        if any("patch" in content_type for content_type in content_types):
            return self.patches
        return super().select_header_content_type(content_types, *more)


class _MergePatchClient(_JsonPatchClient):
    """A client whose patches are JSON merge patches; older releases take no content type with a call."""

    patches = "application/merge-patch+json"


class WatchStream:
    """The events of one watch; ends when the server ends it."""

    def __init__(self, response: Any, contact: Contact):
        self._response = response
        self._contact = contact

    def __iter__(self) -> Iterator[WatchEvent]:
        """Iterate over the events.

        Raises:
            ExpiredError: the resource version is too old; list anew.
            UnreachableError: the connection broke, or nothing came for longer than the server may be quiet.
        """
        try:
            yield from self._events()
        except (urllib3.exceptions.HTTPError, OSError, ValueError, AttributeError) as error:
            # ValueError, AttributeError: what urllib3 raises in a thread whose response another one has closed.
            cause = f"the watch broke: {_cause(error)}"
            self._contact.failed(cause)
            raise UnreachableError(cause, "watch", names.RENDEZVOUS_PLURAL, "") from None
        finally:
            self._response.close()

    def _events(self) -> Iterator[WatchEvent]:
        rest = b""
        for chunk in self._response.stream(amt=None, decode_content=False):
            self._contact.answered()
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if line.strip():
                    yield _event(json.loads(line))

    def close(self) -> None:
        """End the watch from another thread: its iteration stops, at the latest when the server ends it."""
        connection = getattr(self._response, "connection", None) or getattr(self._response, "_connection", None)
        sock = getattr(connection, "sock", None)
        try:
            if sock is not None:
                sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            _logger.debug("the connection of the watch was closed already")


def _path(namespace: str, plural: str) -> tuple[str, str, str, str]:
    return names.GROUP, names.VERSION, namespace, plural


def _event(line: Json) -> WatchEvent:
    if line.get("type") != "ERROR":
        return WatchEvent(type=line["type"], object=line["object"])
    status = line.get("object") or {}
    message = str(status.get("message", "the watch ended with an error"))
    if status.get("code") == 410:
        raise ExpiredError(message, "watch", names.RENDEZVOUS_PLURAL, "")
    raise UnreachableError(message, "watch", names.RENDEZVOUS_PLURAL, "")


def _translate(error: Any, verb: str, resource: str, namespace: str) -> ApiError:
    try:
        status = json.loads(error.body or "{}")
    except ValueError:
        status = {}
    message = str(status.get("message") or error.body or error.reason or "").strip()[:1000]
    where = (message, verb, resource, namespace)
    code = error.status or 0
    if code in _RETRYABLE or code == 0:
        problem = UnreachableError(f"HTTP {code}: {message}", verb, resource, namespace)
        problem.not_carried_out = code == 429
        return problem
    if code == 409 and status.get("reason") == "AlreadyExists":
        return AlreadyExistsError(*where)
    if code == 404:
        details = status.get("details") or {}
        return NotFoundError(*where, kind=str(details.get("kind", "")), name=str(details.get("name", "")))
    causes = (status.get("details") or {}).get("causes") or []
    if code == 413 or (code == 422 and any(cause.get("reason") == "FieldValueTooLong" for cause in causes)):
        return TooLargeError(*where)
    by_code = {401: UnauthorizedError, 403: ForbiddenError, 409: ConflictError, 410: ExpiredError, 422: InvalidError}
    return by_code.get(code, ApiError)(*where)


def _cause(error: BaseException) -> str:
    """What went wrong, without the object reprs that urllib3 puts before it."""
    text = str(error.args[-1]) if error.args else type(error).__name__
    return text.rpartition(">: ")[2] or text


class _ReadResponse:
    """What ApiException reads of an HTTP response."""

    def __init__(self, response: Any):
        self.status = response.status
        self.reason = response.reason
        self.data = response.read()
        self._headers = response.headers

    def getheaders(self) -> Any:
        return self._headers
