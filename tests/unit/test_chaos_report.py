"""The page of the chaos runs says what the results say."""

from typing import Any

from chaos.report import fault_rows, page, recovery_rows
from chaos.schedule import Kind
from hack.generated import table_of
from tests.support.pages import rows

RECOVERIES = [
    {"kinds": ["KILL_NODE"], "seconds": 4.0, "rounds": 2},
    {"kinds": ["KILL_NODE", "SLOW_ETCD"], "seconds": 8.0, "rounds": 1},
    {"kinds": ["SLOW_ETCD"], "seconds": 0.2, "rounds": 0},
    {"kinds": ["SLOW_ETCD"], "seconds": None, "rounds": 0},
]


def schedule(seed: int, **more: Any) -> dict[str, Any]:
    return {
        "seed": seed,
        "nodes": 3,
        "operators": 2,
        "leader_elect": seed == 1,
        "seconds": 1800.0,
        "steps": 500,
        "faults": {"KILL_NODE": 2, "SLOW_ETCD": 3},
        "rounds": {"MemberLost": 2, "ScaleUp": 1},
        "recoveries": RECOVERIES,
        "requests": 1000,
        "failed_requests": 10,
        "starved": 0.5,
        "slowness": [1.2, 3.0],
        "violations": [],
        **more,
    }


def test_a_kind_has_its_own_recoveries() -> None:
    found = {row[0]: row[1:] for row in rows(table_of(fault_rows([schedule(1)])))}
    assert found[Kind.KILL_NODE.value] == ["2", "1", "0", "8.0 s", "8.0 s", "8.0 s"]
    assert found[Kind.SLOW_ETCD.value] == ["3", "2", "2", "8.0 s", "8.0 s", "8.0 s"]
    assert Kind.RESTORE.value not in found
    assert found["**all**"][:3] == ["5", "3", "2"]


def test_recoveries_are_told_apart_by_what_they_cost() -> None:
    found = {row[0]: row[1] for row in rows(table_of(recovery_rows([schedule(1)])))}
    assert list(found.values()) == ["2", "1", "1", "4"]


def test_the_page_says_on_how_little_it_rests_and_what_was_broken() -> None:
    machine = {"date": "2026-01-01 00:00 UTC", "commit": "abc", "cores": 2, "load": 1.5}
    broken = {"rule": "exit codes", "message": "n0 ended | with 1"}
    runs = [{"machine": machine, "seconds": 120, "schedules": [schedule(1), schedule(2, violations=[broken])]}]
    text = page(runs, "It was the machine.")
    assert "**2 schedules**, 60 minutes of faults:" in text
    assert "- 1,000 all-reduces" in text
    assert "- 2,000 requests, 20 of which" in text
    assert "- 2 with 3 nodes" in text
    assert "1 with two operators that both decide, 1 with two operators that elect a leader" in text
    assert "A promise was broken in 1 of 2 schedules." in text
    assert r"| 2 | exit codes | n0 ended \| with 1 |" in text
    assert "It was the machine." in text
    assert "| 2026-01-01 00:00 UTC | `abc` | 1 to 2 | 120 | 2 | 1.2 | 3.0 |" in text
