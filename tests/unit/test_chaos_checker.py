"""The checker of the chaos runs: it accepts a good story, and finds each violation that is planted into it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from chaos import journal as journals
from chaos.checker import BOUND_SECONDS, RULES, Violation, check, recoveries, round_ends
from chaos.journal import Event, Journal, Step, Writer
from chaos.summary import summarize

MEMBERS = ("n0", "n1", "n2")


def at_store(number: int) -> str:
    return f"127.0.0.1:{29500 + number}"


def steps_of(
    number: int, nodes: Sequence[str], begins: float, count: int, *, master: str | None = None
) -> Iterator[Step]:
    """The start of the workers of a round, and an all-reduce each second."""
    for rank, node in enumerate(nodes):
        for step in range(count + 1):
            at = begins + step
            yield Step(node, number, master or at_store(number), rank, len(nodes), step, at, at + 0.1)


def record(number: int, formed: float, reason: str | None = None, message: str = "") -> dict[str, Any]:
    """An entry of history[]; the time is the round's, in a form that is never read."""
    ended = {"reason": reason, "message": message} if reason else {}
    return {"round": number, "runID": "run-1", "nodes": 3, "formed": f"moment {formed}", **ended}


def version(
    at: float,
    number: int,
    nodes: Sequence[str],
    history: Sequence[Mapping[str, Any]],
    *,
    attempt: int | None = None,
    restarts: int = 1,
    held_out: Sequence[str] = (),
) -> Event:
    """A version of the Rendezvous."""
    members = [
        {"name": f"train.{node}", "incarnation": node, "attempt": attempt or number, "rank": rank}
        for rank, node in enumerate(nodes)
    ]
    host, _, port = at_store(number).rpartition(":")
    status = {
        "round": number,
        "nodes": len(nodes),
        "participants": members,
        "store": {"host": host, "port": int(port)},
        "run": {"id": "run-1"},
        "restarts": restarts if number > 1 else 0,
        "waitingNodes": 1 if history[-1].get("reason") else 0,
        "history": list(history),
        "heldOut": [
            {"name": f"train.{node}", "reason": "CrashLoop", "message": "", "until": "2030-01-01T00:00:00Z", "times": 1}
            for node in held_out
        ],
    }
    item = {
        "metadata": {"name": "train", "namespace": "default", "uid": "u", "resourceVersion": "1"},
        "spec": {"minNodes": 2, "maxNodes": 3},
        "status": status,
    }
    return Event(at, "object", {"object": item})


def fault(at: float, number: int, kind: str, target: str = "", lasts: float = 0.0) -> Event:
    return Event(at, "fault", {"number": number, "kind": kind, "target": target, "lasts": lasts})


def exited(at: float, name: str, code: int, why: str) -> Event:
    return Event(at, "exit", {"name": name, "code": code, "why": why})


LOST = record(1, 1, "MemberLost", "train.n2: its agent restarted")
SCALED = record(2, 20, "ScaleUp", "1 more node joined")
STORY = Journal(
    events=(
        Event(0, "setting", {"seed": 7, "nodes": 3, "max_nodes": 3, "operators": 1, "leader_elect": False}),
        Event(0.5, "calm", {"nodes": list(MEMBERS), "size": 3}),
        version(1, 1, MEMBERS, [record(1, 1)]),
        Event(3, "recovered"),
        fault(10, 1, "KILL_NODE", "n2", 20.0),
        exited(10.1, "n2", -9, "killed"),
        version(15, 1, MEMBERS, [LOST]),
        version(20, 2, MEMBERS[:2], [LOST, record(2, 20)]),
        Event(30, "healed", {"number": 1}),
        Event(30, "calm", {"nodes": list(MEMBERS), "size": 3}),
        version(35, 2, MEMBERS[:2], [LOST, SCALED]),
        version(36, 3, MEMBERS, [LOST, SCALED, record(3, 36)]),
        Event(40, "recovered"),
        Event(60, "stopping"),
        version(61, 3, MEMBERS, [LOST, SCALED, record(3, 36, "RunSucceeded")]),
        *(exited(62, node, 0, "the run has succeeded") for node in MEMBERS),
    ),
    steps=(*steps_of(1, MEMBERS, 2, 8), *steps_of(2, MEMBERS[:2], 21, 12), *steps_of(3, MEMBERS, 37, 20)),
)


def with_events(*more: Event) -> Journal:
    return replace(STORY, events=tuple(sorted((*STORY.events, *more), key=lambda event: event.at)))


def without(what: str, **fields: Any) -> Journal:
    def is_meant(event: Event) -> bool:
        return event.what == what and all(event.fields.get(name) == value for name, value in fields.items())

    return replace(STORY, events=tuple(event for event in STORY.events if not is_meant(event)))


def with_steps(*more: Step) -> Journal:
    return replace(STORY, steps=(*STORY.steps, *more))


def rules_of(found: Sequence[Violation]) -> set[str]:
    return {violation.rule for violation in found}


def test_a_good_story_has_no_violation() -> None:
    assert check(STORY) == []
    assert [(end.round, end.reason) for end in round_ends(STORY)] == [
        (1, "MemberLost"),
        (2, "ScaleUp"),
        (3, "RunSucceeded"),
    ]
    assert [seconds for _, seconds in recoveries(STORY)] == [pytest.approx(2.6), pytest.approx(8.1)]


def test_the_numbers_of_a_story() -> None:
    planted = Violation("exit codes", 1.0, "n1 ended")
    numbers = summarize(STORY, [planted])
    assert (numbers["seed"], numbers["seconds"], numbers["steps"]) == (7, 37.0, 40)
    assert numbers["faults"] == {"KILL_NODE": 1}
    assert numbers["rounds"] == {"MemberLost": 1, "ScaleUp": 1, "RunSucceeded": 1}
    assert numbers["recoveries"] == [{"kinds": ["KILL_NODE"], "seconds": 8.1, "rounds": 2}]
    assert numbers["violations"] == [{"rule": "exit codes", "message": "n1 ended"}]


def test_two_groups_that_step_at_the_same_time_are_found() -> None:
    still = (step for step in steps_of(1, MEMBERS, 12, 12) if step.step > 8)
    found = next(iter(check(with_steps(*still))))
    assert found.rule == "no split group"
    assert "round 1" in found.message
    assert "round 2" in found.message


def test_one_worker_alone_is_no_group() -> None:
    """A worker that was stopped in a collective may still end it, with what the others had sent before."""
    late = Step("n0", 1, at_store(1), 0, 3, 9, 30.0, 30.1)
    assert check(with_steps(late)) == []


def test_a_step_that_was_begun_before_the_newer_group_is_no_split() -> None:
    late = [Step(node, 1, at_store(1), rank, 3, 9, 12.0, 30.1) for rank, node in enumerate(MEMBERS)]
    assert check(with_steps(*late)) == []


PLANTED = [
    pytest.param(with_steps(Step("n0", 3, at_store(3), 1, 3, 0, 38.0, 38.0)), "ranks as published", id="another rank"),
    pytest.param(with_steps(Step("n0", 3, at_store(3), 0, 2, 0, 38.0, 38.0)), "ranks as published", id="another size"),
    pytest.param(with_steps(Step("n9", 3, at_store(3), 0, 3, 0, 38.0, 38.0)), "ranks as published", id="not a member"),
    pytest.param(with_steps(Step("n0", 3, at_store(9), 0, 3, 0, 38.0, 38.0)), "ranks as published", id="another store"),
    pytest.param(
        with_events(version(50, 2, MEMBERS[:2], [LOST, record(2, 20)])), "rounds as promised", id="a round again"
    ),
    pytest.param(
        with_events(version(50, 3, MEMBERS[::-1], [LOST, SCALED, record(3, 36)])),
        "rounds as promised",
        id="members that change",
    ),
    pytest.param(
        with_events(version(37, 3, MEMBERS, [LOST, SCALED, record(3, 36)], attempt=4)),
        "rounds as promised",
        id="a member with another attempt",
    ),
    pytest.param(
        with_events(version(35.5, 3, MEMBERS, [LOST, SCALED, record(3, 36)], restarts=2)),
        "rounds as promised",
        id="a new node counts as a failure",
    ),
    pytest.param(without("fault"), "rounds end for a true reason", id="a loss without a fault"),
    pytest.param(
        replace(
            STORY,
            events=tuple(
                replace(e, fields={**e.fields, "target": "n1"}) if e.what == "fault" else e for e in STORY.events
            ),
        ),
        "rounds end for a true reason",
        id="another node is lost",
    ),
    pytest.param(
        replace(
            STORY,
            events=tuple(
                replace(e, fields={**e.fields, "kind": "KILL_OPERATOR"}) if e.what == "fault" else e
                for e in STORY.events
            ),
        ),
        "rounds end for a true reason",
        id="a loss, and an operator was killed",
    ),
    pytest.param(
        with_events(
            version(50, 3, MEMBERS, [LOST, SCALED, record(3, 36, "WorkerFailed", "train.n0 asks to join again")])
        ),
        "rounds end for a true reason",
        id="a restart when all was calm",
    ),
    pytest.param(
        with_events(version(50, 3, MEMBERS, [LOST, SCALED, record(3, 36, "RunSucceeded")])),
        "rounds end for a true reason",
        id="success that nobody had",
    ),
    pytest.param(
        with_events(
            *(
                version(36.1 + n / 10, 3 + n, MEMBERS, [record(3 + n, 36.5 + n, "CheckInFailed", "train.n2")])
                for n in range(4)
            )
        ),
        "no needless restart",
        id="more rounds than a fault may cost",
    ),
    pytest.param(
        replace(STORY, steps=tuple(step for step in STORY.steps if step.round != 3)), "trains again", id="never again"
    ),
    pytest.param(
        replace(
            STORY,
            steps=(
                *(step for step in STORY.steps if step.round != 3),
                *steps_of(3, MEMBERS, 31 + BOUND_SECONDS, 5),
            ),
        ),
        "trains again",
        id="too late",
    ),
    pytest.param(
        with_events(Event(45, "calm", {"nodes": [*MEMBERS, "n3"], "size": 4})), "trains again", id="a node is left out"
    ),
    pytest.param(with_events(exited(50, "n1", 1, "")), "exit codes", id="an agent that ends by itself"),
    pytest.param(with_events(exited(50, "n1", 0, "")), "exit codes", id="and says that all is well"),
    pytest.param(with_events(exited(50, "n1", 0, "terminated")), "exit codes", id="a signal is no success"),
    pytest.param(with_events(exited(63, "n1", 93, "the run has succeeded")), "exit codes", id="success is 0"),
    pytest.param(with_events(exited(50, "operator-0", 1, "")), "exit codes", id="an operator that ends by itself"),
    pytest.param(with_events(Event(99, "not ended", {"name": "n1", "seconds": 60.0})), "exit codes", id="no end"),
    pytest.param(
        with_events(Event(99, "traceback", {"name": "operator-0", "text": "KeyError"})), "no traceback", id="traceback"
    ),
]


@pytest.mark.parametrize(("planted", "rule"), PLANTED)
def test_a_planted_violation_is_found(planted: Journal, rule: str) -> None:
    assert rule in rules_of(check(planted))


def test_every_rule_is_known_to_find_something() -> None:
    found = {rule for param in PLANTED for rule in [param.values[1]]} | {"no split group"}
    assert len(found) == len(RULES)


@pytest.mark.parametrize("held_out", [["n2"], []])
def test_a_failure_counts_unless_its_node_is_held_out(held_out: list[str]) -> None:
    later = (
        version(20, 2, MEMBERS[:2], [LOST, record(2, 20)], restarts=0, held_out=held_out),
        version(36, 3, MEMBERS, [LOST, SCALED, record(3, 36)], restarts=0, held_out=held_out),
        version(61, 3, MEMBERS, [LOST, SCALED, record(3, 36, "RunSucceeded")], restarts=0, held_out=held_out),
    )
    first = [event for event in STORY.events if event.what != "object" or event.at < 20]
    story = replace(STORY, events=tuple(sorted((*first, *later), key=lambda event: event.at)))
    assert {violation.rule for violation in check(story)} == (set() if held_out else {"rounds as promised"})


def test_after_a_restore_a_round_may_come_again() -> None:
    again = version(50, 2, MEMBERS[:2], [LOST, record(2, 20)])
    assert rules_of(check(with_events(again))) == {"rounds as promised"}
    assert check(with_events(again, Event(49, "restored"))) == []


def test_a_round_that_nobody_could_see_is_no_violation() -> None:
    unseen = Step("n0", 3, at_store(9), 0, 3, 0, 38.0, 38.0)
    assert check(replace(with_events(Event(36, "gap")), steps=(*STORY.steps, unseen))) == []


def test_a_slow_machine_has_a_longer_bound() -> None:
    late = replace(
        STORY,
        steps=(*(step for step in STORY.steps if step.round != 3), *steps_of(3, MEMBERS, 31 + BOUND_SECONDS, 5)),
    )
    slow = [Event(31 + second, "slowness", {"factor": 2.0}) for second in range(100)]
    events = tuple(sorted((*late.events, *slow), key=lambda event: event.at))
    assert rules_of(check(late)) == {"trains again"}
    assert check(replace(late, events=events)) == []


def test_a_machine_that_stood_still_explains_a_loss() -> None:
    starved = Event(14, "starved", {"seconds": 20.0})
    events = tuple(event for event in with_events(starved).events if event.what != "fault")
    assert "rounds end for a true reason" not in rules_of(check(replace(STORY, events=events)))


@pytest.mark.parametrize(
    ("other", "lasts", "explained"),
    [(None, 0.0, False), ("CUT_NODE", 3.0, True), ("NODE_ERRORS", 3.0, True), ("SLOW_ETCD", 3.0, False)],
)
def test_connections_that_break_cost_nothing_unless_requests_fail_too(
    other: str | None, lasts: float, explained: bool
) -> None:
    story = without("fault")
    events = [*story.events, fault(10, 1, "CUT_PEERS", "n1", 20.0)]
    if other is not None:
        events += [fault(11, 2, other, "n2", lasts), Event(11 + lasts, "healed", {"number": 2})]
    found = check(replace(story, events=tuple(sorted(events, key=lambda event: event.at))))
    assert ("rounds end for a true reason" in rules_of(found)) != explained


def test_a_journal_is_read_as_it_was_written(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    writer.write("fault", number=1, kind="KILL_NODE")
    writer.close()
    line = '{"node": "n0", "round": 1, "master": "h:1", "rank": 0, "nodes": 2, "step": 1, "entered": 1.0, "at": 2.0}\n'
    (tmp_path / "steps-n0-1.jsonl").write_text(line + line[:20])
    read = journals.read(tmp_path)
    assert [(event.what, event["number"]) for event in read.events] == [("fault", 1)]
    assert read.steps == (Step("n0", 1, "h:1", 0, 2, 1, 1.0, 2.0),)
