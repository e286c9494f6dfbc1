"""How the seconds of a recovery follow from what the workers have written."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from benchmarks.recovery.journal import Ending, Fault, Formed, Line, Reader, Recovery, groups, judge

NODES = ("a", "b", "c")
OLD = {"a": 1, "b": 2, "c": 3}
FAULT = Fault(100.0, frozenset({"c"}))


def group(name: str, pids: Mapping[str, int], *times: float) -> list[Line]:
    """All of these workers step at each of these times."""
    return [Line("step", node, pid, at, name, len(pids), 0) for at in times for node, pid in pids.items()]


def starts(pids: Mapping[str, int], at: float) -> list[Line]:
    """They start one after the other, each a tenth of a second after the last."""
    return [Line("start", node, pid, at + 0.1 * number) for number, (node, pid) in enumerate(pids.items())]


BEFORE = [*starts(OLD, 90.0), *group("old", OLD, 99.0, 99.9)]


def follow(
    lines: Sequence[Line],
    fault: Fault = FAULT,
    exits: Mapping[int, float] | None = None,
    until: float = 220.0,
    agents_ended: bool = False,
) -> Recovery:
    return judge([*BEFORE, *lines], Formed("old", OLD, 99.0), fault, exits or {}, until, agents_ended)


def test_a_group_is_formed_when_all_of_it_have_stepped() -> None:
    lines = group("old", OLD, 10.0)
    assert list(groups(lines[:2])) == []
    assert list(groups([*reversed(lines), *group("new", OLD, 9.0)])) == [
        Formed("new", OLD, 9.0),
        Formed("old", OLD, 10.0),
    ]


def test_a_new_group_counts_from_the_last_of_its_members() -> None:
    new = {"a": 4, "b": 5}
    late = [Line("step", "a", 4, 108.0, "new", 2, 0), Line("step", "b", 5, 108.5, "new", 2, 1)]
    found = follow([*starts(new, 102.0), *late], exits={1: 101.0, 2: 101.5})
    assert found.ending is Ending.RECOVERED
    assert (found.ended, found.stepped) == (1.5, 8.5)
    assert found.started == pytest.approx(2.1)
    assert found.pause == pytest.approx(8.6)
    assert found.nodes == 2


def test_workers_have_ended_only_when_those_of_all_survivors_have() -> None:
    assert follow([], exits={1: 101.0, 3: 100.0}).ended is None
    assert follow([], exits={1: 101.0, 2: 103.0}).ended == 3.0


def test_a_group_that_has_started_and_not_stepped_is_none() -> None:
    new = {"a": 4, "b": 5}
    found = follow([*starts(new, 102.0), Line("step", "a", 4, 108.0, "new", 2, 0)])
    assert found.ending is Ending.NEVER
    assert (found.started, found.stepped, found.pause, found.goes_on) == (None, None, None, False)


def test_the_step_that_was_under_way_is_no_recovery() -> None:
    assert follow(group("old", OLD, 100.01)).ending is Ending.NEVER


def test_where_a_node_joins_a_group_without_it_does_not_count() -> None:
    joins = Fault(100.0, joins="d")
    others = group("others", {"a": 4, "b": 5}, 110.0)
    assert follow(others, joins).ending is Ending.NEVER
    found = follow([*others, *group("all", {"a": 6, "d": 7}, 120.0)], joins)
    assert (found.ending, found.stepped) == (Ending.RECOVERED, 20.0)


def test_a_group_that_trains_on_while_a_node_waits_is_said_to() -> None:
    joins = Fault(100.0, joins="d")
    assert follow(group("old", OLD, 150.0, 219.0), joins).goes_on
    assert not follow(group("old", OLD, 150.0), joins).goes_on


def test_workers_that_were_not_ended_are_not_new() -> None:
    found = follow(group("quorum 2", {"a": 1, "b": 2}, 105.0))
    assert (found.ending, found.ended, found.started, found.stepped) == (Ending.RECOVERED, None, None, 5.0)


def test_a_stopped_node_that_wakes_in_the_same_group_was_not_noticed() -> None:
    stopped = Fault(100.0, frozenset({"c"}), wakes_at=160.0)
    assert follow([], stopped, until=159.0).ending is Ending.NEVER
    found = follow(group("old", OLD, 160.5), stopped)
    assert (found.ending, found.stepped, found.nodes) == (Ending.UNNOTICED, 60.5, 0)
    assert found.pause == pytest.approx(60.6)
    earlier = follow([*group("new", {"a": 4, "b": 5}, 130.0), *group("old", OLD, 160.5)], stopped)
    assert (earlier.ending, earlier.stepped) == (Ending.RECOVERED, 30.0)


def test_agents_that_have_ended_end_the_case_unless_a_group_has_stepped() -> None:
    assert follow([], agents_ended=True).ending is Ending.AGENTS_ENDED
    new = group("new", {"a": 4, "b": 5}, 130.0)
    assert follow(new, agents_ended=True).ending is Ending.RECOVERED


def test_a_line_that_is_being_written_is_read_later(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    line = json.dumps({"event": "start", "node": "a", "pid": 1, "at": 1.5})
    file = tmp_path / "steps-a-1.jsonl"
    file.write_text(f"{line}\n{line[:9]}")
    assert reader.read_on() == [Line("start", "a", 1, 1.5)]
    assert reader.read_on() == []
    file.write_text(f"{line}\n{line}\n")
    assert len(reader.read_on()) == 1
    assert len(reader.lines) == 2
