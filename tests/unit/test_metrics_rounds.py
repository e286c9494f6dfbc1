"""Rounds and losses are counted once and timed on the operator's clock, whatever is seen first."""

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.metrics_support import (
    AGAIN,
    ENDED,
    KEY,
    RUNNING,
    Place,
    forming,
    record,
    running,
    status,
)

from rendezvous_api import names
from rendezvous_api.reasons import RoundEndReason
from rendezvous_api.rendezvous import RendezvousStatus
from rendezvous_operator.serve.metrics import Change, change
from rendezvous_operator.watch.seen import Gone


@pytest.fixture
def place() -> Place:
    return Place()


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


# ---- what is counted and timed


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

    place.metrics.members_lost(KEY, RUNNING, {}, {})
    place.metrics.members_lost(KEY, RUNNING, {"a": RoundEndReason.MEMBER_EVICTED}, {})
    place.metrics.members_lost(KEY, ENDED, {"a": RoundEndReason.MEMBER_LOST}, {})
    place.metrics.members_lost(KEY, ENDED, {"a": RoundEndReason.MEMBER_LOST, "b": RoundEndReason.MEMBER_LOST}, {})
    assert (lost(), lost(RoundEndReason.MEMBER_EVICTED), lost(RoundEndReason.MEMBER_FAILED)) == (1, 1, 0)
    place.metrics.members_lost(KEY, AGAIN, {"a": RoundEndReason.MEMBER_LOST}, {})
    assert lost() == 2, "in another round it is another loss"


def test_a_new_leader_does_not_count_what_the_one_before_has_counted(place: Place) -> None:
    place.show(running())
    place.metrics.members_lost(KEY, ENDED, {"a": RoundEndReason.MEMBER_LOST}, {})
    assert place.of_train("members_lost_total", reason="MemberLost") == 0
    place.metrics.members_lost(KEY, ENDED, {"a": RoundEndReason.MEMBER_LOST, "b": RoundEndReason.MEMBER_LOST}, {})
    assert place.of_train("members_lost_total", reason="MemberLost") == 1
