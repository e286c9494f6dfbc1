"""The demo's timeline: what the Rendezvous says about its rounds beside what the workers have logged."""

import pytest
from demo.step_log import Step, generations, parse_steps
from demo.timeline import Happening, seconds, table, timeline

from rendezvous_api.rendezvous import RoundRecord

START = seconds("2026-01-01T10:00:00Z")


def steps(begin: float, pids: list[int], first: int, count: int) -> list[Step]:
    """`count` steps, one a second from START + `begin`, by workers that have the ranks in the order of `pids`."""
    return [
        Step(START + begin + index, pid, rank, len(pids), first + index)
        for index in range(count)
        for rank, pid in enumerate(pids)
    ]


def moment(after: float) -> str:
    """START + `after` seconds, as the operator writes it."""
    return f"2026-01-01T10:{int(after) // 60:02d}:{after % 60:09.6f}Z"


def record(number: int, nodes: int, begin: float, end: float | None = None, reason: str | None = None) -> RoundRecord:
    return RoundRecord(number, "run", nodes, moment(begin), ended=None if end is None else moment(end), reason=reason)


def test_a_time_is_read_with_and_without_microseconds() -> None:
    assert seconds("2026-01-01T10:01:05.250001Z") == pytest.approx(START + 65.250001, abs=1e-7)
    assert seconds("2026-01-01T10:01:05Z") == START + 65


def test_the_log_of_steps_is_read_without_what_is_just_being_written() -> None:
    found = parse_steps("12.500 7 1 2 30\n12.250 6 0 2 30\n13.0")
    assert found == [Step(12.25, 6, 0, 2, 30), Step(12.5, 7, 1, 2, 30)]


def test_no_steps_are_no_generations() -> None:
    assert generations([]) == []


def test_workers_that_were_started_anew_are_another_generation() -> None:
    first, second = steps(0, [10, 11], 0, 3), steps(20, [20, 21], 2, 3)
    assert generations([*first, *second]) == [first, second]


def test_a_generation_is_told_from_the_next_even_if_not_all_of_its_workers_did_a_step() -> None:
    first, second = steps(0, [10, 11, 12], 0, 1)[:1], steps(20, [20, 21, 22], 0, 1)
    assert generations([*first, *second]) == [first, second]
    smaller = steps(20, [30, 31], 0, 1)[1:]
    assert generations([*first, *smaller]) == [first, smaller]


def test_after_a_kill_the_group_stood_still_from_the_kill_on() -> None:
    log = [*steps(10, [1, 2, 3], 0, 5), *steps(40, [4, 5], 3, 5)]
    history = [record(1, 3, 5, 20, "MemberLost"), record(2, 2, 30)]
    killed = Happening(START + 14.5, "a node was killed", sudden=True)
    first, second = timeline(history, log, [killed])
    assert first.stood_still == pytest.approx(40 - 14.5)
    assert (first.what, first.first_step, first.last_step) == ("a node was killed", 0, 4)
    assert (second.what, second.first_step, second.last_step, second.stood_still) == ("", 3, 7, None)


def test_when_a_node_is_added_training_goes_on_until_the_last_step_of_the_old_round() -> None:
    log = [*steps(10, [1, 2], 0, 10), *steps(30, [3, 4, 5], 8, 2)]
    history = [record(1, 2, 5, 19, "ScaleUp"), record(2, 3, 20)]
    came = Happening(START + 12, "a node came", sudden=False)
    assert timeline(history, log, [came])[0].stood_still == pytest.approx(30 - 19)


def test_a_step_just_before_a_round_was_formed_belongs_to_the_one_before() -> None:
    log = [*steps(30.25, [1, 2], 0, 1), *steps(31, [3, 4], 1, 1)]
    first, second = timeline([record(1, 2, 5, 30.5, "WorkerFailed"), record(2, 2, 30.75)], log, [])
    assert (first.last_step, second.first_step) == (0, 1)
    first, second = timeline([record(1, 2, 5, 30.125, "WorkerFailed"), record(2, 2, 30.25)], log, [])
    assert (first.last_step, second.first_step) == (None, 0)


def test_a_round_that_never_trained_has_no_steps_and_the_next_one_counts() -> None:
    log = [*steps(10, [1, 2], 0, 5), *steps(60, [3, 4], 3, 5)]
    history = [record(1, 2, 5, 20, "WorkerFailed"), record(2, 2, 25, 40, "CheckInFailed"), record(3, 2, 45)]
    first, second, third = timeline(history, log, [])
    assert first.stood_still == pytest.approx(60 - 14)
    assert (second.first_step, second.last_step, second.stood_still) == (None, None, None)
    assert third.first_step == 3


def test_the_table_has_a_line_for_each_round() -> None:
    log = [*steps(10, [1, 2], 0, 5), *steps(40, [3, 4], 3, 5)]
    history = [record(1, 2, 5, 20, "WorkerFailed"), record(2, 2, 65)]
    head, first, second = table(timeline(history, log, []))
    assert head.split()[:2] == ["round", "nodes"]
    assert first.split() == ["1", "2", "10:00:05", "10:00:20", "0-7", "WorkerFailed"]
    assert second.split() == ["2", "2", "10:01:05", "none"]
