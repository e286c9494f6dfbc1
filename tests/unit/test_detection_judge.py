"""What the journals of the detection benchmark say: who was asked when, and whether two rounds trained at once."""

from benchmarks.detection.judge import next_round, split, stepped_on, told
from tests.support.journal import Record


def record(event: str, time: float, node: str, number: int = 1, nodes: int = 3) -> Record:
    return Record(event, time, node, 1, {"round": number, "nodes": nodes, "rank": 0})


def test_all_others_are_told_when_the_last_of_them_is() -> None:
    records = [record("told", 12.0, "a"), record("told", 13.0, "a"), record("told", 12.5, "b")]
    assert told(records, {"a", "b"}, 1, 10.0) == 12.5


def test_nobody_is_told_by_another_round_or_before_the_fault() -> None:
    records = [record("told", 9.0, "a"), record("told", 12.0, "a", 2), record("told", 12.0, "b")]
    assert told(records, {"a", "b"}, 1, 10.0) is None


def test_the_next_round_has_exactly_these_nodes() -> None:
    records = [
        record("start", 1.0, "a", 1, 2),
        record("start", 1.0, "b", 1, 2),
        record("start", 20.0, "a", 2, 3),
        record("start", 20.0, "b", 2, 3),
        record("start", 30.0, "a", 3, 2),
    ]
    assert next_round(records, {"a", "b"}, 1) is None
    records.append(record("start", 31.0, "b", 3, 2))
    assert next_round(records, {"a", "b"}, 1) == (3, 31.0)


def test_a_step_in_an_older_round_is_a_split() -> None:
    records = [record("step", 1.0, "a"), record("step", 2.0, "b", 2), record("step", 3.0, "a")]
    assert split(records) == ["a stepped in round 1 after round 2 had begun to step"]
    assert split(records, {"a"}) == [], "it was stopped"
    assert split(records[:2]) == []


def test_what_a_node_that_woke_still_does_is_told_in_seconds() -> None:
    records = [record("step", 1.0, "a"), record("step", 60.2, "a"), record("step", 61.0, "a", 3)]
    assert stepped_on(records, {"a"}, 1, 60.0) == 60.2 - 60.0
    assert stepped_on(records, {"a"}, 1, 60.5) == 0.0
