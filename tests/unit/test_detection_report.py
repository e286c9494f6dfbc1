"""The page of the detection benchmark says what the results say."""

from typing import Any

import pytest
from benchmarks.detection.report import NOT_MEASURED, healthy_rows, lost_rows, machine_rows, missed, page
from benchmarks.detection.rows import Outcome
from benchmarks.detection.table import ROWS, judged
from hack.generated import table_of
from tests.support.pages import rows


def result(**fields: Any) -> dict[str, Any]:
    return {
        "row": "power",
        "run": 1,
        "date": "2026-01-01 00:00 UTC",
        "commit": "abc",
        "cores": 2,
        "at_once": 2,
        "loop": {"median_ms": 10.0, "most_ms": 40.0},
        "load": 1.5,
        "load_after": 2.5,
        "told": 12.0,
        "new_round": 27.0,
        "missed": [],
        **fields,
    }


LATE = result(run=2, told=16.04, missed=["asked: 16.0 s, and 15 s wanted"])


def test_times_are_medians_with_least_and_most() -> None:
    words = {"message": "power-3.node-1: no beats at power-3.node-0 (rank 0) for 13 s"}
    [found] = rows(table_of(lost_rows([result(), LATE, result(run=3, told=13.0, **words)], ["power"])))
    evidence = "node-1: no beats at node-0 (rank 0) for 13 s"
    assert found[2:] == ["**2 of 3**", "13.0 (12.0 to 16.0)", "27.0 (27.0 to 27.0)", "-", evidence]


def test_each_run_that_is_not_as_wanted_is_named_with_its_load() -> None:
    busy = "a load of 1.5 to 2.5 and a loop of 10 ms, at most 40 ms"
    assert [*missed([LATE, result()])] == [f"- `power`, run 2, with {busy}: asked: 16.0 s, and 15 s wanted"]


def test_what_else_was_seen_is_there() -> None:
    runs = [result(row="loss", run=run, told=None, new_round=None, **{"packets dropped": 50 * run}) for run in (1, 2)]
    [found] = rows(table_of(healthy_rows(runs, ["loss"])))
    assert found[2:] == ["2 of 2", "-", "-", "packets dropped: 50 to 100"]


def test_a_run_that_did_not_begin_has_no_load_before() -> None:
    broken = {key: value for key, value in result(told=None, new_round=None).items() if key != "load"}
    [found] = rows(table_of(machine_rows([broken])))
    assert found[5:] == ["-", "2.5", "10.0", "40.0"]
    assert "with a load of - to 2.5 and a loop of 10 ms" in next(
        missed([{**broken, "missed": ["the first round: not in 240 s"]}])
    )


def test_a_page_without_results_says_so_for_each_row() -> None:
    assert page([], "").count(NOT_MEASURED) == len(ROWS)


@pytest.mark.parametrize(
    ("seconds", "wanted"),
    [(14.9, []), (15.1, ["asked: 15.1 s, and 15 s wanted"]), (None, ["asked: never, and 15 s wanted"])],
)
def test_a_limit_that_is_passed_is_missed(seconds: float | None, wanted: list[str]) -> None:
    assert judged(ROWS["power"], Outcome(told=seconds)) == wanted


def test_a_round_that_comes_late_is_missed() -> None:
    assert judged(ROWS["pod-lost"], Outcome(told=0.1, new_round=8.2)) == ["new round: 8.2 s, and 8 s wanted"]


@pytest.mark.parametrize("name", ROWS)
def test_each_row_is_done_in_one_way(name: str) -> None:
    row = ROWS[name]
    assert sum(way is not None for way in (row.small, row.large, row.outage)) == 1
    assert bool(row.lonely) == (row.large is not None)
