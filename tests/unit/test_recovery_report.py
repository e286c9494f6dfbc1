"""The page of the recoveries says what the results say."""

from typing import Any

import pytest
from benchmarks.recovery import launchers
from benchmarks.recovery.launcher import FAULTS
from benchmarks.recovery.launchers import ALL
from benchmarks.recovery.report import (
    BRIEF,
    BRIEF_FAULT,
    LAUNCHERS,
    NOTHING_MEASURED,
    TITLES,
    busy,
    fault_rows,
    machine_rows,
    overview,
    page,
)
from hack.generated import table_of
from tests.support.pages import rows


def result(**fields: Any) -> dict[str, Any]:
    return {
        "launcher": "c10d",
        "fault": "F2",
        "run": 1,
        "ending": "recovered",
        "ended": 1.0,
        "started": 3.0,
        "stepped": 8.0,
        "pause": 8.1,
        "nodes": 2,
        "goes_on": False,
        "limit_seconds": 120.0,
        "agents": {},
        "did_not_begin": [],
        "date": "2026-01-01 00:00 UTC",
        "commit": "abc",
        "cores": 2,
        "load": 1.5,
        "noise": {"median_ms": 10.0},
        "versions": {"torch": "2.15.0"},
        "name_lookups": "answered",
        **fields,
    }


NOTHING = {"ended": None, "started": None, "stepped": None, "pause": None, "nodes": 0}
NEVER = result(ending="never", **{**NOTHING, "ended": 2.0})
ENDED = {"a": {"code": 1, "seconds": 1.6}, "b": {"code": 1, "seconds": 2.0}}


def cells(*results: dict[str, Any]) -> list[str]:
    """The only row of F2."""
    [found] = rows(table_of(fault_rows(results, "F2")))
    return found


def test_times_are_medians_with_least_and_most() -> None:
    found = cells(result(), result(stepped=10.0), result(stepped=30.04, started=None))
    assert found == [
        "c10d",
        "3",
        "1.0 (1.0 to 1.0)",
        "3.0 (3.0 to 3.0)",
        "10.0 (8.0 to 30.0)",
        "8.1 (8.1 to 8.1)",
        "a group of 2: 3 of 3",
    ]
    assert cells(result())[4] == "8.0"


def test_runs_that_never_recovered_are_counted_and_are_in_no_time() -> None:
    found = cells(result(), NEVER, NEVER)
    assert found[1:6] == ["3", "1.0", "3.0", "8.0", "8.1"]
    assert found[6] == "never in 120 s: 2 of 3; a group of 2: 1 of 3"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"ending": "agents ended", "agents": ENDED}, "all other agents ended, with exit code 1: 1 of 1"),
        ({"ending": "never", "goes_on": True}, "never in 120 s; the group of before trained on: 1 of 1"),
        ({"ending": "unnoticed"}, "not acted on: all went on when it woke: 1 of 1"),
        ({"ending": "did not begin"}, "the group did not begin to train: 1 of 1"),
    ],
)
def test_each_other_ending_has_its_words(fields: dict[str, Any], words: str) -> None:
    assert (
        cells(result(**{**NOTHING, "stepped": 60.0 if fields["ending"] == "unnoticed" else None, **fields}))[6] == words
    )


def test_the_short_table_does_not_hide_the_runs_that_failed() -> None:
    def short(*results: dict[str, Any]) -> str:
        [found] = rows(table_of(overview(results)))
        return found[2]

    assert short(result(), result(stepped=9.0)) == "8.5 (8.0 to 9.0), 2 nodes"
    assert short(result(), NEVER) == "8.0, 2 nodes; **1 of 2 did not**"
    assert short(result(), result(nodes=3)) == "8.0 (8.0 to 8.0), 2 or 3 nodes"
    assert short(NEVER) == "**never in 120 s: 1 of 1**"
    assert short(result(fault="F1")) == "-"


def test_the_load_of_the_runs_is_on_the_page() -> None:
    [found] = rows(
        table_of(machine_rows([result(load=1.0), result(load=4.0, commit="def", date="2026-01-02 00:00 UTC")]))
    )
    assert found[1:] == [
        "2", "2026-01-01 00:00 UTC", "2026-01-02 00:00 UTC", "`abc`, `def`", "2",
        "2.5 (1.0 to 4.0)", "10.0 (10.0 to 10.0)", "answered",
    ]  # fmt: skip


def test_runs_on_a_busy_machine_are_named_at_the_beginning() -> None:
    assert busy([result(load=8.0)]) == ""
    assert busy([result(load=8.1), result()]).startswith("**1 of 2 runs were made while the machine was busy**")


def test_all_that_can_be_measured_is_on_the_page() -> None:
    assert [*LAUNCHERS, *BRIEF] == [launcher.name for launcher in ALL]
    assert list(BRIEF) == [launcher.name for launcher in launchers.BRIEF]
    assert {launcher.faults for launcher in launchers.BRIEF} == {(BRIEF_FAULT,)}
    assert tuple(TITLES) == FAULTS
    results = [result(launcher=launcher.name, fault=fault) for launcher in ALL for fault in launcher.faults]
    text = page(results, "## What was found\n\nNothing.")
    assert all(f"| {title} |" in text for title in (*LAUNCHERS.values(), *BRIEF.values()))
    assert all(f"## {title}" in text for title in TITLES.values())
    assert "torch 2.15.0" in text


def test_a_page_without_results_says_that_nothing_has_been_measured() -> None:
    text = page([], "## What was found\n\nNothing.")
    assert NOTHING_MEASURED in text
    assert text.count("Not measured yet.") == len(TITLES)
    assert not rows(text)
    assert NOTHING_MEASURED not in page([result()], "")
