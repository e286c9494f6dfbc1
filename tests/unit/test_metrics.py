"""What Prometheus gets, and that it is documented."""

import asyncio
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from prometheus_client.core import Metric
from tests.unit.metrics_support import (
    ENDED,
    KEY,
    OF_TRAIN,
    RUNNING,
    Place,
    forming,
    names_of,
    running,
    status,
)

from rendezvous_api import names
from rendezvous_api.reasons import ClosedReason, HeldOutReason, RoundEndReason
from rendezvous_operator.kube.request_trace import Request
from rendezvous_operator.serve.series import LOSSES
from rendezvous_operator.version import operator_version
from rendezvous_operator.watch.seen import Gone, Key

ROOT = Path(__file__).parents[2]


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
        "running": 1,
    }
    assert {name: place.of_train(name) for name in expected} == expected


def test_a_formation_is_timed_on_the_operators_clock(place: Place) -> None:
    place.show({})
    assert (place.of_train("waiting_seconds"), place.of_train("running")) == (0, 0)
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
    assert (place.of_train("waiting"), place.of_train("waiting_seconds"), place.of_train("running")) == (1, 0, 1)


def test_members_that_have_left_or_were_replaced_are_not_silent(place: Place) -> None:
    place.show(running())
    place.beat("a", state="Left", leaveReason="Succeeded")
    place.beat("b", incarnation="bbbbbbbb")
    place.now += 100
    assert place.of_train("heartbeat_age_seconds") == 0


def test_no_member_is_silent_when_no_round_runs(place: Place) -> None:
    ended = running()
    ended["history"][0] |= {"asked": "2030-01-01T00:01:00.000000Z", "reason": "MemberLost"}
    place.show(ended)
    place.beat("a")
    place.now += 100
    assert (place.of_train("heartbeat_age_seconds"), place.of_train("members"), place.of_train("round")) == (0, 0, 3)


def test_hold_outs_are_counted_by_reason_until_their_time_is_over(place: Place) -> None:
    entries = [
        {"name": name, "reason": reason, "message": "m", "until": f"2030-01-01T00:00:{second}Z", "times": 1}
        for name, reason, second in (("c", "CrashLoop", 10), ("d", "StoreNotReached", 20), ("e", "CrashLoop", 30))
    ]
    place.show({**running(), "heldOut": entries})

    def counts() -> tuple[float | None, ...]:
        return tuple(place.of_train("held_out", reason=reason.value) for reason in HeldOutReason)

    seen = []
    for _ in range(4):
        seen.append(dict(zip([reason.value for reason in HeldOutReason], counts(), strict=True)))
        place.now += 10
    assert seen == [
        {"StoreNotReached": 1, "CrashLoop": 2},
        {"StoreNotReached": 1, "CrashLoop": 1},
        {"StoreNotReached": 0, "CrashLoop": 1},
        {"StoreNotReached": 0, "CrashLoop": 0},
    ]


def test_every_reason_has_its_series_from_the_beginning(place: Place) -> None:
    """Prometheus sees no increase in a series that begins with 1."""
    place.show({})
    for held_out in HeldOutReason:
        assert place.of_train("held_out", reason=held_out.value) == 0
    for reason in (*RoundEndReason, *ClosedReason):
        for name in ("round_duration_seconds_count", "formation_duration_seconds_count"):
            assert place.value(name, reason=reason.value) == 0
        assert place.of_train("rounds_ended_total", reason=reason.value) == 0
    assert place.value("formation_duration_seconds_count", reason="Start") == 0


def test_only_the_leader_exports_series_of_single_rendezvous(place: Place) -> None:
    place.show(running())
    place.metrics.status_written(KEY, status(), RUNNING)
    assert {"round", "running", "rounds_published_total"} <= set(names_of(place, only=OF_TRAIN))
    assert place.value("leader") == 1
    place.leads = False
    assert names_of(place, only=OF_TRAIN) == []
    assert place.value("leader") == 0


def test_the_series_of_a_deleted_rendezvous_disappear(place: Place) -> None:
    place.show(running())
    place.metrics.status_written(KEY, status(), RUNNING)
    place.metrics.members_lost(KEY, RUNNING, {"a": RoundEndReason.MEMBER_LOST}, {})
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


def exported(family: Metric) -> tuple[str, str, str]:
    """Name, type and labels as the documentation has them."""
    name = family.name + ("_total" if family.type == "counter" else "")
    labels = {label: None for sample in family.samples for label in sample.labels if label != "le"}
    return f"`{name}`", family.type, ", ".join(f"`{label}`" for label in labels)


def test_every_metric_is_documented_as_it_is(place: Place) -> None:
    place.show(running())
    place.metrics.status_written(KEY, status(), RUNNING)
    place.metrics.status_written(KEY, RUNNING, ENDED)
    place.metrics.members_lost(KEY, RUNNING, {"a": RoundEndReason.MEMBER_LOST}, {})
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
