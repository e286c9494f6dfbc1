"""Times of the Kubernetes API as text, and back, on each Python from 3.10 on."""

from datetime import datetime, timedelta, timezone

import pytest

from rendezvous_api.meta import micro_time, moment_of, timestamp

MOMENT = datetime(2030, 1, 2, 3, 4, 5, 678900, tzinfo=timezone.utc)


def test_a_moment_is_the_same_after_it_was_written() -> None:
    assert moment_of(micro_time(MOMENT)) == MOMENT
    assert moment_of(timestamp(MOMENT)) == MOMENT.replace(microsecond=0)


@pytest.mark.parametrize(
    ("text", "later"),
    [
        ("2030-01-02T03:04:05.6789Z", 0.0),
        ("2030-01-02T03:04:05.678900123Z", 0.0),
        ("2030-01-02T05:34:05.678900+02:30", 0.0),
        ("2030-01-02T03:04:06.6Z", 0.9211),
    ],
)
def test_parts_of_a_second_and_zones(text: str, later: float) -> None:
    assert moment_of(text) == MOMENT + timedelta(seconds=later)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "2030-01-02",
        "2030-01-02T03:04:05",
        "2030-13-02T03:04:05Z",
        "0001-01-01T00:00:00+10:00",
        "9999-12-31T23:59:59-10:00",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(
        ValueError, match=r"2030-13|month|is no time of the Kubernetes API|is before the year 1 or after"
    ):
        moment_of(text)
