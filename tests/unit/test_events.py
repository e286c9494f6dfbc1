"""What is said becomes Events, what is said again becomes a series, and there are never too many."""

from dataclasses import replace

import pytest

from rendezvous_operator.events import BURST, REFILL_SECONDS, SERIES_SECONDS, Aggregator, EventTarget, Saying, Step, cut

TARGET = EventTarget("ns", "train", "uid-1")
SAYING = Saying(TARGET, "ParticipantRefused", "train.b: run 'r' is closed", True)


def test_the_same_thing_said_again_is_counted_in_the_first_event() -> None:
    aggregator = Aggregator()
    assert aggregator.say(SAYING, "first", 0) == Step("first", 1)
    assert aggregator.say(SAYING, "second", 10) == Step("first", 2)
    assert aggregator.say(SAYING, "third", 20) == Step("first", 3)
    assert Step("first", 1).new
    assert not Step("first", 2).new


@pytest.mark.parametrize("letter", ["x", "ü", "語"])
def test_a_text_is_cut_to_as_many_bytes_as_the_api_server_takes(letter: str) -> None:
    short = cut(letter * 2000, 1024)
    assert 1021 < len(short.encode()) <= 1024
    assert set(short) == {letter}


def test_other_things_are_events_of_their_own() -> None:
    aggregator = Aggregator()
    aggregator.say(SAYING, "first", 0)
    others = [
        replace(SAYING, note="train.c: run 'r' is closed"),
        replace(SAYING, reason="RunClosed"),
        replace(SAYING, warning=False),
        replace(SAYING, target=replace(TARGET, uid="uid-2")),
    ]
    assert [aggregator.say(other, f"{n}", 1) for n, other in enumerate(others)] == [Step(f"{n}", 1) for n in range(4)]


def test_a_series_ends_when_nothing_was_said_for_a_while() -> None:
    aggregator = Aggregator()
    aggregator.say(SAYING, "first", 0)
    assert aggregator.say(SAYING, "second", SERIES_SECONDS) == Step("first", 2)
    assert aggregator.say(SAYING, "third", 2 * SERIES_SECONDS) == Step("first", 3)
    assert aggregator.say(SAYING, "fourth", 3 * SERIES_SECONDS + 1) == Step("fourth", 1)


def test_an_event_that_is_gone_is_created_anew() -> None:
    aggregator = Aggregator()
    aggregator.say(SAYING, "first", 0)
    aggregator.say(SAYING, "second", 1)
    aggregator.lost(SAYING)
    assert aggregator.say(SAYING, "third", 2) == Step("third", 1)


def test_the_number_of_requests_about_one_object_is_bounded() -> None:
    aggregator = Aggregator()

    def sent(number: int, now: float, target: EventTarget = TARGET) -> bool:
        return aggregator.say(replace(SAYING, note=f"round {number}", target=target), f"{number}", now) is not None

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
        aggregator.say(SAYING, "first", number / 100)
    step = aggregator.say(SAYING, "late", REFILL_SECONDS + 1)
    assert step == Step("first", BURST + 6)


def test_what_is_over_is_forgotten() -> None:
    aggregator = Aggregator()
    for number in range(1000):
        aggregator.say(replace(SAYING, target=replace(TARGET, uid=f"{number}")), "name", number)
    aggregator.say(SAYING, "name", 10_000)
    assert len(aggregator._series) == len(aggregator._spent) == 1
