"""Users, the kubelet and the controllers of Kubernetes: what happens to pods and to the Rendezvous from outside."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tests.model.api_server import Json
from tests.model.operator import KEY

from rendezvous_api import names
from rendezvous_api.codec import decode
from rendezvous_api.rendezvous_spec import RendezvousSpec

if TYPE_CHECKING:
    from tests.model.system import System

GRACE_SECONDS = 30
"""That a pod has which is deleted."""

OF_PODS = (
    "loses its label",
    "gets its label back",
    "is evicted",
    "loses its pod",
    "loses its pod, but lives on",
    "gets a pod",
)

EDITS = (
    ("minNodes", 1),
    ("minNodes", 2),
    ("maxNodes", 2),
    ("maxNodes", 3),
    ("maxNodes", 4),
    ("heartbeat", {"intervalSeconds": 5}),
    ("heartbeat", {"intervalSeconds": 20}),
    ("timeouts", {"lastCallSeconds": 30, "reentrySeconds": 60}),
    ("timeouts", {"lastCallSeconds": 5, "replacementSeconds": 5, "suspectSeconds": 75}),
)
"""Fields of the spec, and what a user sets them to."""


def possible(system: System) -> Iterator[tuple[Any, ...]]:
    """What they may do now."""
    may, server = system.setup.may, system.server
    for name in system.agents:
        pod = server.find(names.POD_KIND, name)
        if pod is None:
            yield ("gets a pod", name)
            continue
        if "labels" in may:
            yield ("loses its label" if pod["metadata"]["labels"] else "gets its label back", name)
        if "pods" in may:
            yield ("loses its pod", name)
        if "evicts" in may and not pod["metadata"].get("deletionTimestamp"):
            yield ("is evicted", name)
        if "forces" in may:
            yield ("loses its pod, but lives on", name)
    found = server.find(names.RENDEZVOUS_KIND, KEY.name)
    if "restores" in may or "bumps" in may:
        yield ("takes a snapshot",)
        yield ("is restored" if "restores" in may else "is restored with a bump",)
    if "compacts" in may:
        yield ("compacts",)
    if found is None:
        yield ("creates",)
        return
    if "requests" in may:
        yield ("asks for a round",)
    if "edits" in may:
        yield from (("edits", *edit) for edit in EDITS if _edited(found["spec"], *edit) is not None)
    if "suspends" in may:
        yield ("resumes" if found["spec"].get("suspend") else "suspends",)
    if "recreates" in may:
        yield ("deletes",)


def orphaned(system: System) -> list[str]:
    """Participants whose pods are gone."""
    server = system.server
    uids = {item["metadata"]["uid"] for (kind, _), item in server.objects.items() if kind == names.POD_KIND}
    return [
        item["metadata"]["name"]
        for item in server.all(names.PARTICIPANT_KIND)
        if item["metadata"]["ownerReferences"][0]["uid"] not in uids
    ]


def do(system: System, action: tuple[Any, ...]) -> None:
    """Carry out what one of them does, if it is possible."""
    what, *where = action
    server = system.server
    if what in OF_PODS:
        _pod(system, what, where[0])
    elif what == "collects garbage":
        for name in orphaned(system):
            server.delete(names.PARTICIPANT_KIND, name)
    elif what == "takes a snapshot":
        server.take_snapshot()
    elif what in ("is restored", "is restored with a bump"):
        _restore(system, bumped=what != "is restored")
    elif what == "compacts":
        server.compact()
    else:
        _rendezvous(system, what, *where)


def _rendezvous(system: System, what: str, *where: Any) -> None:
    server, kind = system.server, names.RENDEZVOUS_KIND
    found = server.find(kind, KEY.name)
    if found is None:
        if what == "creates":
            server.create(kind, KEY.name, {"spec": system.spec, "status": {}})
        return
    if what == "asks for a round":
        system.requested += 1
        annotations = {names.ANNOTATION_RESTART_REQUESTED_AT: str(system.requested)}
        server.change_metadata(kind, KEY.name, annotations=annotations)
    elif what == "edits":
        spec = _edited(found["spec"], *where)
        if spec is not None:
            server.change(kind, KEY.name, spec=spec)
    elif what in ("suspends", "resumes"):
        server.change(kind, KEY.name, spec={**found["spec"], "suspend": what == "suspends"})
    elif what == "deletes":
        server.delete(kind, KEY.name)
        system.safety.rendezvous_deleted(found["metadata"]["uid"])


def _edited(spec: Json, field: str, value: Any) -> Json | None:
    """The spec after an edit; None: it is as before, or the CRD refuses it."""
    edited = {**spec, field: {**spec.get(field, {}), **value} if isinstance(value, dict) else value}
    read = decode(RendezvousSpec, edited)
    fits = read.min_nodes <= read.max_nodes and read.silent_seconds <= read.timeouts.suspect_seconds
    return edited if fits and edited != spec else None


def _pod(system: System, what: str, name: str) -> None:
    server, agent = system.server, system.agents[name]
    pod = server.find(names.POD_KIND, name)
    if pod is None:
        if what == "gets a pod":
            system.new_pod(name)
        return
    if what == "loses its label":
        server.unlabel(name)
    elif what == "gets its label back" and not pod["metadata"]["labels"]:
        server.change_metadata(names.POD_KIND, name, labels=system.labels_of(name))
    elif what == "is evicted":
        # The time is of a clock that nobody else has.
        deletion = {"deletionTimestamp": "2030-01-01T00:00:00Z", "deletionGracePeriodSeconds": GRACE_SECONDS}
        server.change_metadata(names.POD_KIND, name, **deletion)
        system.ends_by.setdefault(pod["metadata"]["uid"], system.now + GRACE_SECONDS)
    elif what == "loses its pod":
        agent.dies()
        server.delete(names.POD_KIND, name)
    elif what == "loses its pod, but lives on":
        if agent.alive:
            key = f"the container of {name} in its life {agent.life}"
            system.ghosts[key] = agent
            system.agents[name] = agent.successor()
        server.delete(names.POD_KIND, name)


def _restore(system: System, *, bumped: bool) -> None:
    server = system.server
    server.restore(bumped=bumped)
    for process in system.processes.values():
        process.watch._resource_version = ""  # the API server was not there, so each agent lists again
    found = server.find(names.RENDEZVOUS_KIND, KEY.name)
    if found is not None:
        system.safety.restored(found["metadata"]["uid"], found["status"].get("round", 0))
