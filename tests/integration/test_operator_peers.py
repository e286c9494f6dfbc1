"""What members say of each other, and what a real operator makes of it. The tests write heartbeats, as agents would."""

import time
from itertools import count

import pytest
from tests.integration.operator_support import Group, Operators
from tests.support.api import Json
from tests.support.waiting import wait_until

from rendezvous_api import names

CONFIRM_SECONDS = 3
_NUMBERS = count()


def beat(group: Group, node: str, rank: int, peers: Json) -> None:
    """One heartbeat of a member of the current round."""
    written = f"2030-01-01T00:00:00.{next(_NUMBERS):06}Z"
    status = {"incarnation": "aaaaaaaa", "attempt": 1, "round": 1, "rank": rank, "heartbeatTime": written}
    group.api.patch(names.PARTICIPANT_KIND, f"train.{node}", {"status": {**status, "peers": peers}}, "status")


@pytest.fixture
def trains(operators: Operators, group: Group) -> Group:
    """A round of a, b and c, which beat to a."""
    operators.start("--namespace", group.namespace)
    group.create(maxNodes=3, lastCallSeconds=30, confirmSeconds=CONFIRM_SECONDS)
    for node in ("a", "b", "c"):
        group.join(node)
    group.wait_for_round(1)
    beat(group, "a", 0, {"report": {"number": 1}})
    for rank, node in ((1, "b"), (2, "c")):
        beat(group, node, rank, {"host": "Answers"})
    wait_until(lambda: group.status.history[-1].checked_in, "the check-in")
    return group


def degraded(group: Group) -> str:
    condition = group.status.condition(names.CONDITION_DEGRADED)
    return f"{condition.reason}: {condition.message}" if condition is not None else ""


def test_a_closed_connection_ends_the_round_within_seconds(trains: Group) -> None:
    began = time.monotonic()
    beat(trains, "a", 0, {"report": {"number": 2, "closed": "2"}})
    wait_until(lambda: trains.status.waiting_nodes, "the end of the round")
    assert 0.9 < time.monotonic() - began < CONFIRM_SECONDS
    record = trains.status.history[-1]
    assert record.reason == "MemberLost"
    assert (record.message or "").startswith(
        "train.c: its connection to train.a (rank 0) was closed, and no heartbeat for"
    )

    def reported() -> bool:
        notes = {event["reason"]: event["note"] for event in trains.events()}
        return "RoundEnded" in notes and "train.c has no connection to train.a (rank 0)" in notes.get(
            "MemberSuspected", ""
        )

    wait_until(reported, "the Events")


def test_who_contradicts_is_not_lost_until_its_heartbeats_end(trains: Group) -> None:
    report = {"report": {"number": 2, "missed": "2"}}
    beat(trains, "a", 0, report)
    for _ in range(2 * CONFIRM_SECONDS):
        time.sleep(1)
        beat(trains, "c", 2, {"host": "Missed"})
        beat(trains, "a", 0, report)
    contradicted_at = time.monotonic()
    assert trains.status.waiting_nodes == 0
    assert degraded(trains) == "PathBroken: train.a (rank 0) gets no beats of train.c, whose heartbeats arrive"

    def ended() -> bool:
        beat(trains, "a", 0, report)
        return trains.status.waiting_nodes > 0

    wait_until(ended, "the end of the round")
    assert CONFIRM_SECONDS - 0.5 < time.monotonic() - contradicted_at < 2 * CONFIRM_SECONDS
    assert "train.c: no beats at train.a (rank 0) for" in str(trains.status.history[-1].message)


def test_a_member_for_which_its_peers_vouch_is_not_silent(operators: Operators, group: Group) -> None:
    operators.start("--namespace", group.namespace)
    group.create(heartbeatIntervalSeconds=1, suspectSeconds=4)
    group.join("a")
    group.join("b")
    group.wait_for_round(1)
    beat(group, "b", 1, {"host": "Answers"})
    for _ in range(12):
        beat(group, "a", 0, {"report": {"number": 1}})
        time.sleep(0.5)
    assert degraded(group).startswith("PathBroken: train.b sends no heartbeats since")
    assert group.status.waiting_nodes == 0
    beat(group, "a", 0, {"report": {"number": 2, "notConnected": "1"}})

    def ended() -> bool:
        beat(group, "a", 0, {"report": {"number": 2, "notConnected": "1"}})
        return group.status.waiting_nodes > 0

    wait_until(ended, "the end of the round")
    assert group.status.history[-1].message == "train.b: no heartbeat for more than 4 s"
