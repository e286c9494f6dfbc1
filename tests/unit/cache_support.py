"""Objects for the tests of the cache, and how it comes to know them."""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.support import objects

from rendezvous_api import names
from rendezvous_operator.core.world import SeenParticipant, Target, World
from rendezvous_operator.kube.client import KINDS
from rendezvous_operator.watch.cache import Cache
from rendezvous_operator.watch.seen import Asked, Key, Listed, Read

Json = dict[str, Any]

KEY = Key("ns", "train")


class Clock:
    """One that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def rendezvous(version: int = 1, uid: str = "r-1", created: str = "2026-01-01T00:00:00Z", **status: Any) -> Json:
    """The Rendezvous of `KEY`."""
    metadata = {"name": "train", "namespace": "ns", "uid": uid, "resourceVersion": str(version)}
    return {
        "metadata": {**metadata, "creationTimestamp": created},
        "spec": {"minNodes": 1, "maxNodes": 2},
        "status": status,
    }


def participant(name: str = "train.a", version: int = 1, beat: str | None = None, **changes: Any) -> Json:
    """A participant of it; ``beat``: the time of its heartbeat."""
    metadata = {"name": name, "namespace": "ns", "uid": f"uid-{name}", "resourceVersion": str(version)}
    status = {"incarnation": "aaaaaaaa", "attempt": 1, "round": 1, "heartbeatTime": beat} if beat else {}
    spec = {"rendezvousUID": "r-1", "incarnation": "aaaaaaaa", **changes}
    return {**objects.participant("a", metadata=metadata, **spec), "status": status}


def pod(uid: str = "p-1", phase: str = "Running", label: str | None = "train", version: int = 1) -> Json:
    """A pod with the label of that Rendezvous."""
    labels = {names.LABEL_RENDEZVOUS: label} if label else {}
    metadata = {"name": f"pod-{uid}", "namespace": "ns", "uid": uid, "resourceVersion": str(version)}
    return {"metadata": {**metadata, "labels": labels}, "status": {"phase": phase}}


def complete_cache(clock: Clock) -> Cache:
    """A cache that has seen a Rendezvous and complete lists of everything."""
    cache = Cache(clock)
    for kind in KINDS:
        listed(cache, kind, [rendezvous()] if kind == names.RENDEZVOUS_KIND else [])
    return cache


def listed(cache: Cache, kind: str, items: Sequence[Json], asked: Asked | None = None, version: int = 1000) -> set[Key]:
    """A list is taken; ``asked``: when it was requested, if not now."""
    return cache.take(Listed(asked or cache.asks(kind), items, version))


def read(cache: Cache, target: Target, item: Json | None, asked: Asked | None = None) -> set[Key]:
    """The answer to a read is taken; ``asked``: when it was requested, if not now."""
    return cache.take(Read(KEY, target, item, asked or cache.asks(target.kind)))


def world(cache: Cache) -> World:
    """What is seen of the Rendezvous."""
    found = cache.world(KEY)
    assert found is not None
    return found


def participants(cache: Cache) -> Mapping[str, SeenParticipant]:
    """Of the Rendezvous."""
    return world(cache).participants
