"""What both kinds share: object metadata, conditions and the format of times."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone

_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)")


@dataclass(frozen=True, slots=True)
class OwnerReference:
    """``metadata.ownerReferences[]``: the object is deleted by the garbage collector when all its owners are gone."""

    kind: str
    name: str
    uid: str
    api_version: str = "v1"


@dataclass(frozen=True, slots=True)
class ManagedFields:
    """``metadata.managedFields[]``: who has written to the object, and how."""

    manager: str = ""
    operation: str = ""
    """``Apply`` (server-side) or ``Update`` (all else)."""


@dataclass(frozen=True, slots=True)
class ObjectMeta:
    """The part of Kubernetes object metadata that the project reads. Times are RFC 3339 strings."""

    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str = ""
    deletion_timestamp: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    owner_references: tuple[OwnerReference, ...] = ()
    managed_fields: tuple[ManagedFields, ...] = ()


@dataclass(frozen=True)
class Condition:
    """``metav1.Condition``: what was observed, for people and for ``kubectl wait``."""

    type: str
    status: str
    """``True``, ``False`` or ``Unknown``."""
    reason: str
    message: str = ""
    last_transition_time: str = ""
    observed_generation: int = 0


def timestamp(moment: datetime) -> str:
    """A moment in UTC as ``metav1.Time``: RFC 3339, whole seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_time(moment: datetime) -> str:
    """A moment in UTC as ``metav1.MicroTime``: RFC 3339, microseconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def moment_of(text: str) -> datetime:
    """The moment in UTC of a time of the Kubernetes API (RFC 3339), with or without parts of a second.

    Raises:
        ValueError: it is no such time.
    """
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no time of the Kubernetes API")
    whole, fraction, zone = match.groups()
    # Up to Python 3.10, fromisoformat wants exactly 3 or 6 digits, and no Z.
    digits = (fraction or ".0")[1:7].ljust(6, "0")
    moment = datetime.fromisoformat(f"{whole}.{digits}{'+00:00' if zone == 'Z' else zone}")
    try:
        return moment.astimezone(timezone.utc)
    except OverflowError:
        raise ValueError(f"{text!r} is before the year 1 or after the year 9999 in UTC") from None


def parse_time(text: str | None) -> datetime | None:
    """The same of a text that may be missing or wrong, as one of another release; None: there is no such time in it."""
    try:
        return moment_of(text or "")
    except ValueError:
        return None


def version_number(resource_version: str) -> int:
    """A resource version as a number, by which two versions of one object are compared; 0: it is none.

    Kubernetes guarantees that they can be compared like this from 1.35 on (KEP-5504), and etcd has always kept it.
    """
    return int(resource_version) if resource_version.isdecimal() else 0
