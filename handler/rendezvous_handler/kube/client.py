"""The requests of an agent to the Kubernetes API.

Nothing here retries: only the caller knows what waiting means. Every request is bounded in time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from rendezvous_api import names
from rendezvous_api.api_errors import ExpiredError, UnreachableError
from rendezvous_handler.kube.contact import Contact
from rendezvous_handler.kube.errors import CONFIG_MAP_PLURAL
from rendezvous_handler.kube.server import Server
from rendezvous_handler.kube.transport import Json, JsonLines, Transport

JsonPatch = list[Json]

_METHODS = {"list": "GET", "get": "GET", "create": "POST", "patch": "PATCH", "delete": "DELETE"}
_JSON_PATCH = "application/json-patch+json"
_MERGE_PATCH = "application/merge-patch+json"


@dataclass(frozen=True)
class WatchEvent:
    """One line of a watch."""

    type: str
    """``ADDED``, ``MODIFIED``, ``DELETED`` or ``BOOKMARK``."""
    object: Json


class Client:
    """The API server as one agent uses it. May be used by several threads at once."""

    def __init__(self, server: Server, namespace: str, in_pod: bool):
        """Make no request yet.

        Args:
            server: where it is, and who asks.
            namespace: of the pod, or of the kubeconfig's current context.
            in_pod: this process runs in a pod.
        """
        self.namespace = namespace
        self.in_pod = in_pod
        self.contact = Contact()
        self._transport = Transport(server, self.contact)

    @property
    def url(self) -> str:
        """Address of the API server, for messages and to find the route to it."""
        return self._transport.url

    def bearer_token(self) -> str:
        """The token of the next request, without its scheme; empty when there is none."""
        return self._transport.bearer_token()

    def list_rendezvous(self, namespace: str, name: str, timeout: float) -> tuple[Json | None, str]:
        """The Rendezvous of that name, or None, and the resource version from which to watch it."""
        query = {"fieldSelector": f"metadata.name={name}"}
        found = self._request("list", names.RENDEZVOUS_PLURAL, namespace, timeout=timeout, query=query)
        items = found.get("items") or []
        return (items[0] if items else None), str(found.get("metadata", {}).get("resourceVersion", ""))

    def watch_rendezvous(self, namespace: str, name: str, resource_version: str, seconds: int) -> WatchStream:
        """Watch that one Rendezvous for at most ``seconds``.

        Only a watch by ``metadata.name`` is cheap for the API server: a watch by label is charged to every write of the
        kind in the namespace (kube-apiserver, flowcontrol/watch_tracker.go).
        """
        lines = self._transport.stream(
            "watch",
            names.RENDEZVOUS_PLURAL,
            namespace,
            _path(names.RENDEZVOUS_PLURAL, namespace),
            # A server that has gone without a word is noticed when the end has not come by then.
            timeout=seconds + 10,
            query={
                "fieldSelector": f"metadata.name={name}",
                "resourceVersion": resource_version,
                "allowWatchBookmarks": "true",
                "timeoutSeconds": str(seconds),
                "watch": "true",
            },
        )
        return WatchStream(lines)

    def create_rendezvous(self, namespace: str, body: Json, timeout: float) -> Json:
        """Create a Rendezvous.

        Raises:
            AlreadyExistsError: there is one of that name.
        """
        return self._request("create", names.RENDEZVOUS_PLURAL, namespace, body=body, timeout=timeout)

    def create_participant(self, namespace: str, body: Json, timeout: float) -> Json:
        """Create a RendezvousParticipant.

        Raises:
            AlreadyExistsError: there is one of that name.
        """
        return self._request("create", names.PARTICIPANT_PLURAL, namespace, body=body, timeout=timeout)

    def get_participant(self, namespace: str, name: str, timeout: float) -> Json:
        """Read a RendezvousParticipant."""
        return self._request("get", names.PARTICIPANT_PLURAL, namespace, name, timeout=timeout)

    def patch_participant(self, namespace: str, name: str, patch: JsonPatch, timeout: float) -> Json:
        """Apply a JSON patch (RFC 6902) to a RendezvousParticipant.

        Raises:
            InvalidError: an operation ``test`` failed, or the schema refuses the outcome (both are HTTP 422).
        """
        return self._request(
            "patch", names.PARTICIPANT_PLURAL, namespace, name, body=patch, content_type=_JSON_PATCH, timeout=timeout
        )

    def patch_participant_status(self, namespace: str, name: str, patch: JsonPatch, timeout: float) -> Json:
        """Apply a JSON patch to the status of a RendezvousParticipant; see `patch_participant`.

        A second time it must do no harm: it may be sent again if a connection breaks.
        """
        status = f"{names.PARTICIPANT_PLURAL}/status"
        return self._request(
            "patch",
            status,
            namespace,
            name,
            body=patch,
            content_type=_JSON_PATCH,
            timeout=timeout,
            repeatable=True,
        )

    def delete_participant(self, namespace: str, name: str, uid: str, timeout: float) -> None:
        """Delete the RendezvousParticipant with that UID, and no other one of that name."""
        body = {"preconditions": {"uid": uid}}
        self._request("delete", names.PARTICIPANT_PLURAL, namespace, name, body=body, timeout=timeout)

    def get_config_map(self, namespace: str, name: str, timeout: float) -> Json:
        """Read a ConfigMap."""
        return self._request("get", CONFIG_MAP_PLURAL, namespace, name, timeout=timeout)

    def create_config_map(self, namespace: str, body: Json, timeout: float) -> Json:
        """Create a ConfigMap.

        Raises:
            AlreadyExistsError: there is one of that name.
            TooLargeError: it is larger than a ConfigMap may be.
        """
        return self._request("create", CONFIG_MAP_PLURAL, namespace, body=body, timeout=timeout)

    def patch_config_map(self, namespace: str, name: str, patch: Json, timeout: float) -> Json:
        """Apply a JSON merge patch (RFC 7386) to a ConfigMap.

        Raises:
            ConflictError: the patch has a resourceVersion, and the object has another one by now.
            TooLargeError: the outcome would be larger than a ConfigMap may be.
        """
        return self._request(
            "patch", CONFIG_MAP_PLURAL, namespace, name, body=patch, content_type=_MERGE_PATCH, timeout=timeout
        )

    def _request(self, verb: str, resource: str, namespace: str, name: str = "", **options: Any) -> Json:
        path = _path(resource, namespace, name)
        return self._transport.request(verb, resource, namespace, _METHODS[verb], path, **options)


class WatchStream:
    """The events of one watch; ends when the server ends it."""

    def __init__(self, lines: JsonLines):
        self._lines = lines

    def __iter__(self) -> Iterator[WatchEvent]:
        """Iterate over the events.

        Raises:
            ExpiredError: the resource version is too old; list again.
            UnreachableError: the connection broke, or the server has not ended the watch in time.
        """
        with contextlib.closing(iter(self._lines)) as lines:
            for line in lines:
                yield _event(line)

    def close(self) -> None:
        """End the watch from another thread: its iteration stops, at the latest when the server ends it."""
        self._lines.close()


def _path(resource: str, namespace: str, name: str = "") -> str:
    plural, slash, subresource = resource.partition("/")
    root = "/api/v1" if plural == CONFIG_MAP_PLURAL else f"/apis/{names.API_VERSION}"
    path = f"{root}/namespaces/{quote(namespace, safe='')}/{plural}"
    return (f"{path}/{quote(name, safe='')}" if name else path) + slash + subresource


def _event(line: Json) -> WatchEvent:
    kind, status = line.get("type"), line.get("object")
    if not isinstance(kind, str) or not isinstance(status, dict):
        raise UnreachableError(f"the watch broke: {str(line)[:200]} is no event", "watch", names.RENDEZVOUS_PLURAL, "")
    if kind != "ERROR":
        return WatchEvent(type=kind, object=status)
    message = str(status.get("message", "the watch ended with an error"))
    problem = ExpiredError if status.get("code") == 410 else UnreachableError
    raise problem(message, "watch", names.RENDEZVOUS_PLURAL, "")
