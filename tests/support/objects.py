"""Objects of the project as JSON, as users and agents write them; each test says only what matters to it."""

from collections.abc import Mapping
from typing import Any

from tests.support.specs import in_groups

from rendezvous_api import names

Json = dict[str, Any]

REMOVED = None
"""As the value of a field of a spec: the field is left out."""

RENDEZVOUS_UID = "0b5c7d5e-64ab-4c47-8b4f-5c6d2f9e9b1a"
"""Of a Rendezvous whose UID nothing compares."""

AGENT_RULES = [
    {"apiGroups": [names.GROUP], "resources": [names.RENDEZVOUS_PLURAL], "verbs": ["get", "list", "watch", "create"]},
    {
        "apiGroups": [names.GROUP],
        "resources": [names.PARTICIPANT_PLURAL],
        "verbs": ["get", "create", "update", "patch", "delete"],
    },
    {"apiGroups": [names.GROUP], "resources": [f"{names.PARTICIPANT_PLURAL}/status"], "verbs": ["update", "patch"]},
]
"""All that an agent may do; see the Role of an agent in the documentation."""


def without_removed(fields: Mapping[str, Any]) -> Json:
    """The fields that have a value."""
    return {name: value for name, value in fields.items() if value is not REMOVED}


def rendezvous(name: str = "train", **spec: Any) -> Json:
    """A Rendezvous with these settings; see `specs`."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.RENDEZVOUS_KIND,
        "metadata": {"name": name},
        "spec": in_groups(without_removed(spec)),
    }


def participant(node: str, *, of: str = "train", metadata: Mapping[str, Any] | None = None, **spec: Any) -> Json:
    """The object of a node that joins for the first time; `of`: the name of its Rendezvous."""
    joined = {
        "rendezvousName": of,
        "rendezvousUID": RENDEZVOUS_UID,
        "nodeID": node,
        "incarnation": "abcd1234",
        "attempt": 1,
        "attemptReason": "Start",
        "address": "10.0.0.1",
        "storePort": 29500,
        "state": "Joined",
    }
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.PARTICIPANT_KIND,
        "metadata": {"name": f"{of}.{node}", "labels": {names.LABEL_RENDEZVOUS: of}, **(metadata or {})},
        "spec": without_removed({**joined, **spec}),
    }


def pod(name: str, *, metadata: Mapping[str, Any] | None = None, **spec: Any) -> Json:
    """A pod of one container that nothing runs."""
    containers = [{"name": "torchrun", "image": "none"}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, **(metadata or {})},
        "spec": {"containers": containers, **spec},
    }
