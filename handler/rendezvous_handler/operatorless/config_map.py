"""A ConfigMap that several agents write: read whole, written only over the version that was read."""

from __future__ import annotations

import binascii
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from rendezvous_api import names
from rendezvous_api.api_errors import NotFoundError, UnreachableError
from rendezvous_api.backoff import Backoff, Failures
from rendezvous_handler.agent.identity import BoundPod, distinct_subdomain, participant_name
from rendezvous_handler.kube.client import Client
from rendezvous_handler.kube.transport import Json

T = TypeVar("T")

CONFIG_MAP_BYTES = 1024 * 1024
"""What the values of a ConfigMap may have together (``MaxSecretSize`` of Kubernetes)."""

_LONGEST_REQUEST_SECONDS = 10.0


class CorruptError(Exception):
    """The ConfigMap holds what no agent has written."""


@dataclass(frozen=True)
class Owner:
    """An object with which a ConfigMap goes: the garbage collector deletes it when all its owners are gone."""

    kind: str
    """``Pod`` or ``ConfigMap``, in the namespace of the ConfigMap."""
    name: str
    uid: str

    def reference(self) -> Json:
        """The owner as an entry of ``metadata.ownerReferences``."""
        return {"apiVersion": "v1", "kind": self.kind, "name": self.name, "uid": self.uid}


@dataclass(frozen=True)
class Snapshot:
    """A ConfigMap as it was at one moment."""

    uid: str
    resource_version: str
    data: Mapping[str, bytes]
    """Its ``binaryData``."""
    owners: Sequence[Json]
    """Its ``metadata.ownerReferences``."""

    @property
    def size(self) -> int:
        """Bytes of all values."""
        return sum(map(len, self.data.values()))


def conflict_back_off() -> Failures:
    """Pauses after conflicts: up to 0.05 s at first, up to 1 s at most.

    An agent that retries at once after a conflict meets the same rivals. With N of them about N²/2 tries are needed,
    and none succeeds in time when they come faster than the API server writes.
    """
    return Failures(Backoff(0.05, 1.0, least=0.0))


class ConfigMap:
    """One ConfigMap, which need not be there yet. May be used by several threads at once."""

    def __init__(self, client: Client, namespace: str, name: str, label: str | None):
        """Make no request yet.

        Args:
            client: of the API server.
            namespace: of the ConfigMap.
            name: of the ConfigMap.
            label: value of the label ``rdzv.dev/rendezvous`` that it gets when it is created; None: no label.
        """
        self.client = client
        self.reference = f"{namespace}/{name}"
        """NAMESPACE/NAME, for messages."""
        self._namespace = namespace
        self._name = name
        self._label = label

    def read(self, deadline: float) -> Snapshot | None:
        """Read it; None when there is none. While the API server does not answer, try again until the deadline.

        Args:
            deadline: in seconds of `time.monotonic`.

        Raises:
            CorruptError: it holds text, so it is not one of an agent; or a value is no base64.
            ApiError: the API server refuses, or has not answered.
        """

        def get(timeout: float) -> Snapshot | None:
            try:
                return self._snapshot(self.client.get_config_map(self._namespace, self._name, _bounded(timeout)))
            except NotFoundError:
                return None

        return patiently(get, deadline)

    def create(self, data: Mapping[str, bytes], owner: Owner | None, timeout: float) -> Snapshot:
        """Create it.

        Args:
            data: its content.
            owner: the object with which it is deleted; None: it stays until it is deleted.
            timeout: seconds that the request may take.

        Raises:
            AlreadyExistsError: it is there.
            ApiError: the API server refuses, or does not answer.
        """
        metadata: Json = {"name": self._name}
        if self._label is not None:
            metadata["labels"] = {names.LABEL_RENDEZVOUS: self._label}
        if owner is not None:
            metadata["ownerReferences"] = [owner.reference()]
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "binaryData": _encoded(data)}
        return self._snapshot(self.client.create_config_map(self._namespace, body, _bounded(timeout)))

    def write(
        self, seen: Snapshot, changes: Mapping[str, bytes | None], owner: Owner | None, timeout: float
    ) -> Snapshot:
        """Change keys, unless anything in the object has changed since it was read.

        Args:
            seen: what was read; its resource version is the precondition.
            changes: the new value of each key; None removes the key.
            owner: what to add to the owners; None: nothing.
            timeout: seconds that the request may take.

        Raises:
            ConflictError: the object has changed.
            NotFoundError: it is gone.
            ApiError: the API server refuses, or does not answer.
        """
        # A stale version is answered with 409 at once. A patch without one is tried again and again inside the API
        # server, without a pause: with 32 writers that takes three times as long.
        metadata: Json = {"resourceVersion": seen.resource_version}
        if owner is not None and all(known["uid"] != owner.uid for known in seen.owners):
            metadata["ownerReferences"] = [*seen.owners, owner.reference()]
        patch = {"metadata": metadata, "binaryData": _encoded(changes)}
        return self._snapshot(self.client.patch_config_map(self._namespace, self._name, patch, _bounded(timeout)))

    def _snapshot(self, found: Json) -> Snapshot:
        if found.get("data"):
            raise CorruptError(f"the ConfigMap {self.reference} holds text: it is in use for something else")
        metadata = found["metadata"]
        try:
            data = {key: b64decode(value, validate=True) for key, value in (found.get("binaryData") or {}).items()}
        except binascii.Error as error:
            raise CorruptError(f"a value in the ConfigMap {self.reference} is no base64: {error}") from error
        return Snapshot(
            uid=str(metadata["uid"]),
            resource_version=str(metadata["resourceVersion"]),
            data=data,
            owners=metadata.get("ownerReferences") or [],
        )


def patiently(request: Callable[[float], T], deadline: float, repeatable: bool = True) -> T:
    """Make a request, again and again while the API server does not answer.

    Args:
        request: is called with the seconds that it may take.
        deadline: for all of it, in seconds of `time.monotonic`.
        repeatable: the request may be made again although it may have been carried out.

    Raises:
        UnreachableError: no answer until then; or, unless ``repeatable``, it is not known whether it was carried out.
    """
    back_off = Failures(Backoff(0.4, 2.0, least=0.0))
    while True:
        try:
            return request(deadline - time.monotonic())
        except UnreachableError as error:
            if not (repeatable or error.not_carried_out):
                raise
            time.sleep(max(0.0, min(back_off.pause() + error.retry_after, deadline - time.monotonic())))
            if time.monotonic() >= deadline:
                raise


def config_map_name(name: str, part: str, run_id: str) -> str:
    """``<name>.<part>.<run id>``: one ConfigMap for each run and part, so that runs never meet.

    A run id that is no DNS subdomain is made one, with a hash of what it was.
    """
    return participant_name(f"{name}.{part}", distinct_subdomain(run_id))


def owner_of(pod: BoundPod | None, namespace: str) -> Owner | None:
    """This agent's pod as an owner; None without a pod, or if it is in another namespace than what is to be owned.

    The garbage collector deletes an object at once whose owner is in another namespace.
    """
    return Owner("Pod", pod.name, pod.uid) if pod is not None and pod.namespace == namespace else None


def _encoded(values: Mapping[str, bytes | None]) -> dict[str, str | None]:
    return {key: None if value is None else b64encode(value).decode() for key, value in values.items()}


def _bounded(seconds: float) -> float:
    return min(max(0.1, seconds), _LONGEST_REQUEST_SECONDS)
