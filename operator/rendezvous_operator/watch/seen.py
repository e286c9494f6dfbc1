"""What the API server has shown: by watches, and as the answers to lists and reads."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from rendezvous_api import names
from rendezvous_api.meta import ObjectMeta, version_number
from rendezvous_api.participant import Participant, ParticipantSpec
from rendezvous_api.reasons import AttemptReason, ParticipantState
from rendezvous_operator.core.world import Target
from rendezvous_operator.kube.client import Json

NOTHING_KNOWN = Participant(
    ObjectMeta(""),
    ParticipantSpec("", "", "", "", 0, AttemptReason.START, "", 0, ParticipantState.JOINED),
)
"""Of a participant whose first version already does not fit its CRD. It addresses no Rendezvous, so it never waits."""


class Key(NamedTuple):
    """Names one Rendezvous."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


Reference = tuple[str, str]
"""Namespace and UID of an object."""


@dataclass(eq=False)
class Asked:
    """A list or a read that was requested, and what watches have shown of its kind since: that may be newer than it."""

    kind: str
    at: float
    """When it was requested, in the seconds of the cache's clock."""
    newest: int
    """The newest version of the kind that had been seen then. No answer is older, unless etcd was restored."""
    shown: set[Reference] = field(default_factory=set)
    gone: set[Reference] = field(default_factory=set)
    outdated: set[Key] = field(default_factory=set)
    """Each Rendezvous of which another round has been seen since: the answer is no evidence about its members."""

    def note_shown(self, reference: Reference) -> None:
        """A watch has shown the object."""
        self.gone.discard(reference)
        self.shown.add(reference)

    def note_gone(self, reference: Reference) -> None:
        """A watch has shown that the object was deleted, or that a pod has lost its label."""
        self.shown.discard(reference)
        self.gone.add(reference)


@dataclass(frozen=True)
class Shown:
    """A state of an object: from a watch, or from the answer to a write."""

    kind: str
    item: Json


@dataclass(frozen=True)
class Gone:
    """An object that a watch shows no more, in its last state: it was deleted, or a pod has lost its label."""

    kind: str
    item: Json


@dataclass(frozen=True)
class Listed:
    """All objects of a kind."""

    asked: Asked
    items: Sequence[Json]
    version: int
    """Of the list."""


@dataclass(frozen=True)
class Read:
    """The answer to a request about one object."""

    key: Key
    """Of the Rendezvous whose decision needs it."""
    target: Target
    item: Json | None
    """None: the object does not exist."""
    asked: Asked


Seen = Shown | Gone | Listed | Read


_REQUESTS = (names.ANNOTATION_RESTART_REQUESTED_AT, names.ANNOTATION_RETRY_AT)
"""Annotations whose values decisions compare."""
_LONGEST_VALUE = 128
"""Of such an annotation, in characters, if it is kept as it is."""


def slim(item: Json) -> Json:
    """The object without the metadata on which no decision depends, however much of it somebody has written."""
    metadata = {key: value for key, value in item["metadata"].items() if key not in ("labels", "managedFields")}
    labels, written = item["metadata"].get("labels", {}), metadata.pop("annotations", {})
    if names.LABEL_CREATED_BY in labels:
        metadata["labels"] = {names.LABEL_CREATED_BY: labels[names.LABEL_CREATED_BY]}
    annotations = {name: _bounded(written[name]) for name in _REQUESTS if name in written}
    if names.ANNOTATION_LAST_APPLIED in written:
        annotations[names.ANNOTATION_LAST_APPLIED] = ""  # its presence counts
    applied = [fields for fields in item["metadata"].get("managedFields", []) if fields.get("operation") == "Apply"]
    return {**item, "metadata": {**metadata, "annotations": annotations, "managedFields": applied[:1]}}


def _bounded(value: str) -> str:
    """A value of which only equality and its beginning count."""
    return value if len(value) <= _LONGEST_VALUE else value[:64] + hashlib.sha256(value.encode()).hexdigest()


def reference_of(item: Json) -> Reference:
    """Namespace and UID."""
    return (item["metadata"].get("namespace", ""), item["metadata"]["uid"])


def version_of(item: Json) -> int:
    """The resource version; versions of one kind are ordered."""
    return version_number(item["metadata"].get("resourceVersion", ""))
