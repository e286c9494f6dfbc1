"""Pauses after failures."""

import pytest

from rendezvous_api.backoff import Backoff, Failures


def test_pauses_grow_with_each_failure_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rendezvous_api.backoff.random.uniform", lambda low, high: high)
    failures = Failures(Backoff(0.05, 1.0))
    assert [failures.pause() for _ in range(7)] == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    assert failures.count == 7
    failures.reset()
    assert failures.pause() == 0.05


@pytest.mark.parametrize("least", [0.0, 0.5])
def test_pauses_are_random_between_a_share_of_the_longest_and_all_of_it(least: float) -> None:
    backoff = Backoff(1.0, 1.0, least)
    pauses = [backoff.seconds(1) for _ in range(200)]
    assert least <= min(pauses) < least + 0.2
    assert 0.8 < max(pauses) <= 1.0


def test_a_long_outage_is_no_arithmetic_error() -> None:
    failures = Failures(Backoff(0.2, 15.0))
    assert max(failures.pause() for _ in range(5000)) <= 15.0
