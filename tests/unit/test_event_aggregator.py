"""What is said becomes Events, what is said again becomes a series, and there are never too many."""

from dataclasses import replace

import pytest

from rendezvous_operator.kube.event_recorder import (
    BURST,
    REFILL_SECONDS,
    SERIES_SECONDS,
    Aggregator,
    EventKey,
    EventTarget,
    Step,
    cut,
)

TARGET = EventTarget("ns", "train", "uid-1")
KEY = EventKey(TARGET, "ParticipantRefused", "train.b: run 'r' is closed", True)


def test_the_same_thing_said_again_is_counted_in_the_first_event() -> None:
    aggregator = Aggregator()
    assert aggregator.record(KEY, "first", 0) == Step("first", 1)
    assert aggregator.record(KEY, "second", 10) == Step("first", 2)
    assert aggregator.record(KEY, "third", 20) == Step("first", 3)
    assert Step("first", 1).new
    assert not Step("first", 2).new


@pytest.mark.parametrize("letter", ["x", "ü", "語"])
def test_a_text_is_cut_to_as_many_bytes_as_the_api_server_takes(letter: str) -> None:
    short = cut(letter * 2000, 1024)
    assert 1021 < len(short.encode()) <= 1024
    assert set(short) == {letter}


def test_other_things_are_events_of_their_own() -> None:
    aggregator = Aggregator()
    aggregator.record(KEY, "first", 0)
    others = [
        replace(KEY, note="train.c: run 'r' is closed"),
        replace(KEY, reason="RunClosed"),
        replace(KEY, warning=False),
        replace(KEY, target=replace(TARGET, uid="uid-2")),
    ]
    assert [aggregator.record(other, f"{n}", 1) for n, other in enumerate(others)] == [
        Step(f"{n}", 1) for n in range(4)
    ]


def test_a_series_ends_when_nothing_was_said_for_a_while() -> None:
    aggregator = Aggregator()
    aggregator.record(KEY, "first", 0)
    assert aggregator.record(KEY, "second", SERIES_SECONDS) == Step("first", 2)
    assert aggregator.record(KEY, "third", 2 * SERIES_SECONDS) == Step("first", 3)
    assert aggregator.record(KEY, "fourth", 3 * SERIES_SECONDS + 1) == Step("fourth", 1)


def test_an_event_that_is_gone_is_created_again() -> None:
    aggregator = Aggregator()
    aggregator.record(KEY, "first", 0)
    aggregator.record(KEY, "second", 1)
    aggregator.lost(KEY)
    assert aggregator.record(KEY, "third", 2) == Step("third", 1)


def test_the_number_of_requests_about_one_object_is_bounded() -> None:
    aggregator = Aggregator()

    def sent(number: int, now: float, target: EventTarget = TARGET) -> bool:
        return aggregator.record(replace(KEY, note=f"round {number}", target=target), f"{number}", now) is not None

    assert [sent(number, 0) for number in range(BURST + 2)] == [True] * BURST + [False] * 2
    assert sent(0, 0, replace(TARGET, uid="uid-2")), "other objects have a bound of their own"
    assert not sent(100, REFILL_SECONDS * 0.9)
    assert sent(101, REFILL_SECONDS)
    assert not sent(102, REFILL_SECONDS)
    hour = 3600.0
    assert sum(sent(1000 + number, REFILL_SECONDS + number) for number in range(int(hour))) <= hour / REFILL_SECONDS


def test_what_was_not_sent_is_counted_with_the_next() -> None:
    aggregator = Aggregator()
    for number in range(BURST + 5):
        aggregator.record(KEY, "first", number / 100)
    step = aggregator.record(KEY, "late", REFILL_SECONDS + 1)
    assert step == Step("first", BURST + 6)


def test_what_is_over_is_forgotten() -> None:
    aggregator = Aggregator()
    for number in range(1000):
        aggregator.record(replace(KEY, target=replace(TARGET, uid=f"{number}")), "name", number)
    aggregator.record(KEY, "name", 10_000)
    assert len(aggregator._series) == len(aggregator._spent) == 1
