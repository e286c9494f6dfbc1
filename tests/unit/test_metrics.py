"""What Prometheus is told, on a clock of the test's own, and that it is documented."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest
from prometheus_client.core import Metric

from rendezvous_api import names
from rendezvous_api.reasons import ClosedReason, RoundEndReason
from rendezvous_api.rendezvous import RendezvousStatus, RoundRecord
from rendezvous_operator.cache import Cache, Gone, Key, Shown
from rendezvous_operator.metrics import LOSSES, Change, Metrics, change, operator_version
from rendezvous_operator.traces import Request
from rendezvous_operator.work_queue import WorkQueue

ROOT = Path(__file__).parents[2]
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


# ---- what one write has changed


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (status(), status(), Change(None, None)),
        (status(), RUNNING, Change(None, "Start")),
        (RUNNING, RUNNING, Change(None, None)),
        (RUNNING, ENDED, Change("MemberLost", None)),
        (ENDED, replace(ENDED, waiting_nodes=2), Change(None, None)),
        (ENDED, AGAIN, Change(None, "MemberLost")),
        (RUNNING, AGAIN, Change("MemberLost", "MemberLost")),
        (RUNNING, status(record(1, "RunSucceeded")), Change("RunSucceeded", None)),
        (
            status(record(1, "RunSucceeded")),
            status(record(1, "RunSucceeded"), record(2, run="b")),
            Change(None, "Start"),
        ),
    ],
)
def test_what_a_write_has_changed(before: RendezvousStatus, after: RendezvousStatus, expected: Change) -> None:
    assert change(before, after) == expected


def test_the_history_may_have_been_cut() -> None:
    before = status(*(record(number, "ScaleUp") for number in range(1, 10)), record(10))
    after = status(*(record(number, "ScaleUp") for number in range(2, 11)), record(11))
    assert change(before, after) == Change("ScaleUp", "ScaleUp")


# ---- what is exported


class Place:
    """The parts that metrics are made of."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.leads = True
        self.cache = Cache(self.clock)
        self.queue: WorkQueue[Key] = WorkQueue(self.clock)
        self.metrics = Metrics(self.cache, self.queue, self.clock, lambda: self.leads)
        self._version = 0

    def clock(self) -> float:
        return self.now

    def show(self, status: dict[str, Any], uid: str = "r-1") -> None:
        """The Rendezvous is seen with this status."""
        self._version += 1
        metadata = {"name": "train", "namespace": "ns", "uid": uid, "resourceVersion": str(self._version)}
        item = {"metadata": {**metadata, "creationTimestamp": ""}, "spec": {"minNodes": 1, "maxNodes": 4}}
        self.cache.take(Shown(names.RENDEZVOUS_KIND, {**item, "status": status}))

    def beat(self, name: str, **spec: Any) -> None:
        """A heartbeat of a participant is seen."""
        self._version += 1
        full = {
            "rendezvousName": "train",
            "rendezvousUID": "r-1",
            "nodeID": name,
            "incarnation": "aaaaaaaa",
            "attempt": 1,
            "attemptReason": "Start",
            "address": "10.0.0.1",
            "storePort": 1,
            "state": "Joined",
            **spec,
        }
        metadata = {"name": name, "namespace": "ns", "uid": f"u-{name}", "resourceVersion": str(self._version)}
        heartbeat = {"incarnation": "aaaaaaaa", "attempt": 1, "round": 1, "heartbeatTime": f"{self.now}"}
        self.cache.take(Shown(names.PARTICIPANT_KIND, {"metadata": metadata, "spec": full, "status": heartbeat}))

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"kube_rendezvous_{name}", labels)

    def of_train(self, name: str, **labels: str) -> float | None:
        return self.value(name, **OF_TRAIN, **labels)


def running(reason: str = "Running", number: int = 3) -> dict[str, Any]:
    members = [
        {"name": name, "incarnation": "aaaaaaaa", "attempt": 1, "rank": rank} for rank, name in enumerate(("a", "b"))
    ]
    ready = {"type": "Ready", "status": "True", "reason": reason, "message": "", "lastTransitionTime": ""}
    history = [{"round": number, "runID": "run", "nodes": 2, "formed": "2030-01-01T00:00:00.000000Z"}]
    rounds = {"round": number, "nodes": 2, "history": history}
    return {**rounds, "participants": members, "conditions": [ready], "runID": "run"}


def forming(reason: str = "WaitingForNodes", joined: int = 1, number: int = 0) -> dict[str, Any]:
    formation = {"reason": reason, "message": "", "startTime": "2030-01-01T00:00:00Z", "joined": joined}
    ready = {"type": "Ready", "status": "False", "reason": reason, "message": "", "lastTransitionTime": ""}
    return {"round": number, "formation": formation, "conditions": [ready], "runID": "run"}


@pytest.fixture
def place() -> Place:
    return Place()


def test_gauges_follow_from_what_is_seen(place: Place) -> None:
    place.show({**running(), "spares": ["c"]})
    place.beat("a")
    place.now += 4
    place.beat("b")
    place.now += 3
    expected = {
        "round": 3,
        "members": 2,
        "spares": 1,
        "waiting": 0,
        "waiting_seconds": 0,
        "suspects": 0,
        "heartbeat_age_seconds": 7,
        "ready": 1,
    }
    assert {name: place.of_train(name) for name in expected} == expected


def test_a_formation_is_timed_on_the_operators_clock(place: Place) -> None:
    place.show({})
    assert (place.of_train("waiting_seconds"), place.of_train("ready")) == (0, 0)
    place.show(forming())
    place.now += 12
    place.show(forming("LastCall", joined=2))
    place.now += 5
    assert (place.of_train("waiting"), place.of_train("waiting_seconds")) == (2, 17)
    place.show(running())
    assert (place.of_train("waiting"), place.of_train("waiting_seconds")) == (0, 0)


def test_nodes_that_are_gathered_while_training_goes_on_do_not_keep_it_waiting(place: Place) -> None:
    place.show({**running(), "formation": forming("Gathering")["formation"]})
    place.now += 5
    assert (place.of_train("waiting"), place.of_train("waiting_seconds"), place.of_train("ready")) == (1, 0, 1)


def test_members_that_have_left_or_were_replaced_are_not_silent(place: Place) -> None:
    place.show(running())
    place.beat("a", state="Left", leaveReason="Succeeded")
    place.beat("b", incarnation="bbbbbbbb")
    place.now += 100
    assert place.of_train("heartbeat_age_seconds") == 0


def test_nobody_is_silent_when_no_round_runs(place: Place) -> None:
    ended = running()
    ended["history"][0] |= {"asked": "2030-01-01T00:01:00.000000Z", "reason": "MemberLost"}
    place.show(ended)
    place.beat("a")
    place.now += 100
    assert (place.of_train("heartbeat_age_seconds"), place.of_train("members"), place.of_train("round")) == (0, 0, 3)


def test_suspects_are_counted_when_the_operator_has_found_them(place: Place) -> None:
    place.show(running())
    place.beat("a")
    place.now += 20
    place.beat("b")
    assert place.of_train("suspects") == 0, "it may have reasons not to believe in silence"
    place.show(running("MemberSuspected"))
    assert place.of_train("suspects") == 1


def test_every_reason_has_its_series_from_the_beginning(place: Place) -> None:
    """Prometheus sees no increase in a series that begins with 1."""
    place.show({})
    for reason in (*RoundEndReason, *ClosedReason):
        for name in ("round_duration_seconds_count", "formation_duration_seconds_count"):
            assert place.value(name, reason=reason.value) == 0
        assert place.of_train("rounds_ended_total", reason=reason.value) == 0
    assert place.value("formation_duration_seconds_count", reason="Start") == 0


@pytest.mark.parametrize("first", ["watch", "answer"])
def test_rounds_are_counted_and_timed(place: Place, first: str) -> None:
    """Whichever shows a round first: a watch, or the answer to the write."""

    def write(before: RendezvousStatus, after: RendezvousStatus, shown: dict[str, Any]) -> None:
        if first == "watch":
            place.show(shown)
        place.metrics.status_written(KEY, before, after)
        if first == "answer":
            place.show(shown)

    place.show({})
    place.show(forming())
    place.now += 30
    write(status(), RUNNING, running(number=1))
    assert place.of_train("rounds_published_total") == 1
    assert place.value("formation_duration_seconds_sum", reason="Start") == 30

    place.now += 600
    write(RUNNING, ENDED, forming("WaitingForMembers", number=1))
    assert place.of_train("rounds_ended_total", reason="MemberLost") == 1
    assert place.value("round_duration_seconds_sum", reason="MemberLost") == 600
    assert place.value("round_duration_seconds_count", reason="MemberLost") == 1

    place.now += 7
    write(ENDED, AGAIN, running(number=2))
    assert place.of_train("rounds_published_total") == 2
    assert place.value("formation_duration_seconds_sum", reason="MemberLost") == 7


def test_a_round_asked_for_and_published_in_one_write_took_no_time(place: Place) -> None:
    place.show(running(number=1))
    place.metrics.status_written(KEY, RUNNING, AGAIN)
    assert place.value("formation_duration_seconds_sum", reason="MemberLost") == 0
    assert place.value("formation_duration_seconds_count", reason="MemberLost") == 1


def test_what_began_before_this_process_looked_is_counted_but_not_timed(place: Place) -> None:
    place.show(running(number=1))
    place.metrics.status_written(KEY, RUNNING, ENDED)
    assert place.of_train("rounds_ended_total", reason="MemberLost") == 1
    assert place.value("round_duration_seconds_count", reason="MemberLost") == 0

    other = Place()
    other.show(forming("WaitingForMembers", number=1))
    other.now += 5
    assert other.of_train("waiting_seconds") == 5
    other.metrics.status_written(KEY, ENDED, AGAIN)
    assert other.value("formation_duration_seconds_count", reason="MemberLost") == 0


def test_a_new_rendezvous_of_the_same_name_has_times_of_its_own(place: Place) -> None:
    place.show({})
    place.show(forming())
    place.now += 50
    place.show(forming(), uid="r-2")
    place.now += 1
    assert place.of_train("waiting_seconds") == 1


def test_what_is_gone_when_its_write_is_answered_is_counted_but_not_timed(place: Place) -> None:
    place.show(forming())
    place.cache.take(Gone(names.RENDEZVOUS_KIND, {"metadata": {"name": "train", "namespace": "ns", "uid": "r-1"}}))
    place.metrics.status_written(KEY, status(), RUNNING)
    assert place.value("formation_duration_seconds_count", reason="Start") == 0


def test_a_lost_member_is_counted_once_in_its_round(place: Place) -> None:
    place.show(running())

    def lost(reason: RoundEndReason = RoundEndReason.MEMBER_LOST) -> float | None:
        return place.of_train("members_lost_total", reason=reason.value)

    place.metrics.members_lost(KEY, RUNNING, {})
    place.metrics.members_lost(KEY, RUNNING, {"a": RoundEndReason.MEMBER_EVICTED})
    place.metrics.members_lost(KEY, ENDED, {"a": RoundEndReason.MEMBER_LOST})
    place.metrics.members_lost(KEY, ENDED, {"a": RoundEndReason.MEMBER_LOST, "b": RoundEndReason.MEMBER_LOST})
    assert (lost(), lost(RoundEndReason.MEMBER_EVICTED), lost(RoundEndReason.MEMBER_FAILED)) == (1, 1, 0)
    place.metrics.members_lost(KEY, AGAIN, {"a": RoundEndReason.MEMBER_LOST})
    assert lost() == 2, "in another round it is another loss"


def test_a_new_leader_does_not_count_what_the_one_before_has_counted(place: Place) -> None:
    place.show(running())
    place.metrics.members_lost(KEY, ENDED, {"a": RoundEndReason.MEMBER_LOST})
    assert place.of_train("members_lost_total", reason="MemberLost") == 0
    place.metrics.members_lost(KEY, ENDED, {"a": RoundEndReason.MEMBER_LOST, "b": RoundEndReason.MEMBER_LOST})
    assert place.of_train("members_lost_total", reason="MemberLost") == 1


def test_only_the_leader_exports_series_of_single_rendezvous(place: Place) -> None:
    place.show(running())
    place.metrics.status_written(KEY, status(), RUNNING)
    assert {"round", "ready", "rounds_published_total"} <= set(names_of(place, only=OF_TRAIN))
    assert place.value("leader") == 1
    place.leads = False
    assert names_of(place, only=OF_TRAIN) == []
    assert place.value("leader") == 0


def test_the_series_of_a_deleted_rendezvous_disappear(place: Place) -> None:
    place.show(running())
    place.metrics.status_written(KEY, status(), RUNNING)
    place.metrics.members_lost(KEY, RUNNING, {"a": RoundEndReason.MEMBER_LOST})
    metadata = {"name": "train", "namespace": "ns", "uid": "r-1"}
    place.cache.take(Gone(names.RENDEZVOUS_KIND, {"metadata": metadata}))
    assert names_of(place, only=OF_TRAIN) == []
    place.metrics.forget(KEY)
    place.show(running(), uid="r-2")
    assert place.of_train("rounds_published_total") == 0


def test_the_queue_is_shown(place: Place) -> None:
    async def scenario() -> None:
        place.queue.add(KEY)
        place.queue.add(Key("ns", "later"), place.now + 60)
        assert place.value("queue_depth") == 1
        assert await place.queue.get() == KEY
        assert place.value("queue_depth") == 0
        place.queue.add_after_failure(KEY)
        assert place.value("queue_retries_total") == 1
        place.queue.clear()
        assert place.queue.depth == 0

    asyncio.run(scenario())


def test_requests_are_counted_and_watches_not_timed(place: Place) -> None:
    place.metrics.request_answered(Request("update", "rendezvous/status"), "409", 0.02)
    place.metrics.request_answered(Request("watch", "pods"), "200", 0.02)
    labels = {"verb": "update", "resource": "rendezvous/status"}
    assert place.value("api_requests_total", **labels, code="409") == 1
    assert place.value("api_request_duration_seconds_sum", **labels) == 0.02
    assert place.value("api_requests_total", verb="watch", resource="pods", code="200") == 1
    assert place.value("api_request_duration_seconds_count", verb="watch", resource="pods") is None


# ---- the documentation


def names_of(place: Place, only: dict[str, str] | None = None) -> list[str]:
    """Names without the prefix of all series that have these labels."""
    return [
        sample.name.removeprefix("kube_rendezvous_")
        for family in place.metrics.registry.collect()
        for sample in family.samples
        if (only or {}).items() <= sample.labels.items()
    ]


def exported(family: Metric) -> tuple[str, str, str]:
    """Name, type and labels as the documentation has them."""
    name = family.name + ("_total" if family.type == "counter" else "")
    labels = {label: None for sample in family.samples for label in sample.labels if label != "le"}
    return f"`{name}`", family.type, ", ".join(f"`{label}`" for label in labels)


def test_every_metric_is_documented_as_it_is(place: Place) -> None:
    place.show(running())
    place.metrics.status_written(KEY, status(), RUNNING)
    place.metrics.status_written(KEY, RUNNING, ENDED)
    place.metrics.members_lost(KEY, RUNNING, {"a": RoundEndReason.MEMBER_LOST})
    place.metrics.request_answered(Request("get", "pods"), "200", 0.1)
    place.metrics.watch_event("Pod")
    place.metrics.decided(0.001)
    found = sorted(exported(family) for family in place.metrics.registry.collect() if family.name[:4] == "kube")
    text = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("| `kube_rendezvous_")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    documented = sorted((row[0], row[1], row[2]) for row in rows)
    assert documented == found
    assert all(row[3] for row in rows)


def test_reasons_are_those_of_the_api(place: Place) -> None:
    place.show(running())
    reasons = {str(reason) for reason in (*RoundEndReason, *ClosedReason)}
    for name, expected in (("rounds_ended", reasons), ("members_lost", {str(reason) for reason in LOSSES})):
        (family,) = [found for found in place.metrics.registry.collect() if found.name == f"kube_rendezvous_{name}"]
        assert {sample.labels["reason"] for sample in family.samples} == expected


def test_no_other_series_are_exported(place: Place) -> None:
    place.metrics.watch_event("Pod")
    text = generate_latest(place.metrics.registry).decode()
    exported_names = {line.split("{")[0].split(" ")[0] for line in text.splitlines() if line[0] != "#"}
    assert not [name for name in exported_names if name.endswith("_created")]
    assert {name.split("_")[0] for name in exported_names} == {"kube", "process"}


def test_the_version_is_shown(place: Place) -> None:
    assert place.value("build_info", version=operator_version()) == 1
