"""The parts that metrics are made of, on a clock of the test's own, and what they are shown."""

from datetime import datetime, timedelta, timezone
from typing import Any

from tests.support import objects

from rendezvous_api import names
from rendezvous_api.rendezvous import RendezvousStatus, RoundRecord
from rendezvous_operator.reconcile.work_queue import WorkQueue
from rendezvous_operator.serve.metrics import Metrics
from rendezvous_operator.watch.cache import Cache
from rendezvous_operator.watch.seen import Key, Shown

KEY = Key("ns", "train")
OF_TRAIN = {"namespace": "ns", "rendezvous": "train"}


def record(number: int, reason: str | None = None, run: str = "run") -> RoundRecord:
    asked = "2030-01-01T01:00:00.000000Z" if reason else None
    return RoundRecord(number, run, 2, "2030-01-01T00:00:00.000000Z", asked=asked, reason=reason)


def status(*history: RoundRecord, **fields: Any) -> RendezvousStatus:
    number = max((item.round for item in history), default=0)
    return RendezvousStatus(round=number, history=history, **fields)


RUNNING = status(record(1))
ENDED = status(record(1, "MemberLost"), waiting_nodes=1)
AGAIN = status(record(1, "MemberLost"), record(2))


class Place:
    """The parts that metrics are made of."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.leads = True
        self.cache = Cache(self.clock)
        self.queue: WorkQueue[Key] = WorkQueue(self.clock)
        self.metrics = Metrics(self.cache, self.queue, self.clock, lambda: self.leads, self.wall)
        self._version = 0

    def clock(self) -> float:
        return self.now

    def wall(self) -> datetime:
        return datetime(2030, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=self.now - 1000)

    def show(self, status: dict[str, Any], uid: str = "r-1") -> None:
        """The Rendezvous is seen with this status."""
        self._version += 1
        metadata = {"name": "train", "namespace": "ns", "uid": uid, "resourceVersion": str(self._version)}
        item = {"metadata": {**metadata, "creationTimestamp": ""}, "spec": {"minNodes": 1, "maxNodes": 4}}
        self.cache.take(Shown(names.RENDEZVOUS_KIND, {**item, "status": status}))

    def beat(self, name: str, **spec: Any) -> None:
        """A heartbeat of a participant is seen."""
        self._version += 1
        metadata = {"name": name, "namespace": "ns", "uid": f"u-{name}", "resourceVersion": str(self._version)}
        spec = {"rendezvousUID": "r-1", "incarnation": "aaaaaaaa", **spec}
        heartbeat = {"incarnation": "aaaaaaaa", "attempt": 1, "round": 1, "heartbeatTime": f"{self.now}"}
        item = objects.participant(name, metadata=metadata, **spec)
        self.cache.take(Shown(names.PARTICIPANT_KIND, {**item, "status": heartbeat}))

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"kube_rendezvous_{name}", labels)

    def of_train(self, name: str, **labels: str) -> float | None:
        return self.value(name, **OF_TRAIN, **labels)


def running(number: int = 3) -> dict[str, Any]:
    members = [
        {"name": name, "incarnation": "aaaaaaaa", "attempt": 1, "rank": rank} for rank, name in enumerate(("a", "b"))
    ]
    conditions = [
        {"type": name, "status": str(holds), "reason": name, "message": "", "lastTransitionTime": ""}
        for name, holds in (("Running", True), ("Degraded", False))
    ]
    history = [{"round": number, "runID": "run", "nodes": 2, "formed": "2030-01-01T00:00:00.000000Z"}]
    rounds = {"round": number, "nodes": 2, "history": history}
    return {**rounds, "participants": members, "conditions": conditions, "run": {"id": "run"}}


def forming(reason: str = "WaitingForNodes", joined: int = 1, number: int = 0) -> dict[str, Any]:
    formation = {"reason": reason, "message": "", "startTime": "2030-01-01T00:00:00Z", "joined": joined}
    waits = {"type": "Running", "status": "False", "reason": reason, "message": "", "lastTransitionTime": ""}
    return {"round": number, "formation": formation, "conditions": [waits], "run": {"id": "run"}}


def names_of(place: Place, only: dict[str, str] | None = None) -> list[str]:
    """Names without the prefix of all series that have these labels."""
    return [
        sample.name.removeprefix("kube_rendezvous_")
        for family in place.metrics.registry.collect()
        for sample in family.samples
        if (only or {}).items() <= sample.labels.items()
    ]
