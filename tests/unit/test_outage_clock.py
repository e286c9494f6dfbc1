"""Rule "outages": an outage shifts the operator's clock by its length, and single failures shift nothing."""

from random import Random

import pytest

from rendezvous_operator.kube.outage_clock import SHORTEST_SECONDS, OutageClock


class Place:
    """A clock on a real clock of the test's own."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.clock = OutageClock(lambda: self.now)

    def after(self, seconds: float) -> float:
        self.now += seconds
        return self.clock()


def test_it_is_the_real_clock_as_long_as_all_is_answered() -> None:
    place = Place()
    for _ in range(100):
        assert place.after(7.0) == place.now
        place.clock.ended("200", 0.1)


@pytest.mark.parametrize("code", ["<error>", "500", "503", "504"])
def test_an_outage_shifts_the_clock_by_its_length(code: str) -> None:
    place = Place()
    place.clock.answered()
    place.after(10)
    place.clock.ended(code, 0.0)
    assert place.after(300) == 1010
    place.clock.ended(code, 0.0)
    assert place.after(300) == 1010, "it goes on until something is answered"
    place.clock.answered()
    assert place.clock() == 1010
    assert place.after(5) == 1015


def test_one_failure_between_two_answers_changes_nothing() -> None:
    place = Place()
    place.clock.answered()
    place.clock.ended("500", 0.1)
    assert place.after(SHORTEST_SECONDS - 0.1) == 1000.0, "it may become an outage"
    place.clock.answered()
    assert place.clock() == place.now


def test_a_request_that_was_never_answered_begins_the_outage_when_it_was_sent() -> None:
    place = Place()
    place.clock.answered()
    place.after(60)
    place.clock.failed(30.0)
    assert place.clock() == 1030.0
    place.clock.answered()
    assert place.clock() == 1030.0


def test_an_outage_does_not_begin_before_another_answer() -> None:
    place = Place()
    place.after(50)
    place.clock.answered()
    place.after(10)
    place.clock.failed(30.0)
    assert place.clock() == 1050.0


@pytest.mark.parametrize("code", ["401", "403", "404", "409", "410", "422"])
def test_a_refusal_is_an_answer(code: str) -> None:
    place = Place()
    place.clock.failed(0.0)
    place.after(100)
    place.clock.ended(code, 0.0)
    assert place.after(1) == 1001.0


def test_an_api_server_that_asks_to_wait_neither_begins_nor_ends_an_outage() -> None:
    place = Place()
    place.clock.ended("429", 0.0)
    assert place.after(100) == place.now
    place.clock.failed(0.0)
    place.after(100)
    place.clock.ended("429", 0.0)
    assert place.clock() == 1100.0


@pytest.mark.parametrize(("failing", "fastest"), [(0.01, 1.0), (0.05, 0.999), (0.2, 0.99), (0.5, 0.5)])
@pytest.mark.parametrize("seed", range(5))
def test_timers_run_on_while_some_requests_fail(failing: float, fastest: float, seed: int) -> None:
    """One request each second: what waits for a limit waits at most twice as long even if every second one fails."""
    place, chance = Place(), Random(seed)
    for _ in range(3600):
        place.after(1.0)
        place.clock.ended("500" if chance.random() < failing else "200", 0.01)
    place.clock.answered()
    assert (place.clock() - 1000) / 3600 >= fastest


@pytest.mark.parametrize("seed", range(5))
def test_it_never_counts_an_outage_and_never_loses_what_is_none(seed: int) -> None:
    place, chance = Place(), Random(seed)
    lost = 0.0
    for _ in range(200):
        for _ in range(chance.randint(1, 20)):
            place.after(chance.uniform(0, 3))
            place.clock.answered()
        began = place.now
        for _ in range(chance.randint(0, 20)):
            place.clock.failed(0.0)
            place.after(chance.uniform(0, 3))
        place.clock.answered()
        if place.now - began >= SHORTEST_SECONDS:
            lost += place.now - began
        assert place.clock() == pytest.approx(place.now - lost)


def test_an_answer_that_sheds_a_request_neither_begins_nor_ends_an_outage() -> None:
    place = Place()
    place.clock.answered()
    place.clock.ended("429", 0.0)
    assert place.after(10) == 1010.0
    place.clock.ended("500", 0.0)
    place.after(300)
    place.clock.ended("429", 0.0)
    assert place.after(5) == 1010.0
