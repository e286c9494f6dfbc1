"""`kubectl rdzv replay`: what it says of a recording, whatever is in the folder."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.pages import blocks, read
from tests.unit.cli.played import has_lost_one
from tests.unit.recording_support import decisions_of, lost_and_replaced, write

from kube_rendezvous_cli.__main__ import main
from kube_rendezvous_cli.version import VERSION
from rendezvous_operator.core.end import member_evicted, rules
from rendezvous_operator.core.recorded import DecisionFailed, Lines, Recorded, header
from rendezvous_operator.core.world import Decision, Evidence, World

Replay = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def decisions() -> list[Recorded]:
    return decisions_of(lost_and_replaced)


@pytest.fixture
def replay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Replay:
    """Exit code, and what was printed."""

    def called(*options: str) -> tuple[int, str, str]:
        code = main(["replay", str(tmp_path), *options])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return called


def place(decisions: list[Recorded], found: Callable[[Decision], object]) -> int:
    """The number of the first decision for which that is so."""
    return next(
        number
        for number, decision in enumerate(decisions, 1)
        if isinstance(decision.outcome, Decision) and found(decision.outcome)
    )


def test_a_recording_by_the_same_rules_is_decided_as_before(
    tmp_path: Path, decisions: list[Recorded], replay: Replay
) -> None:
    write(tmp_path, *decisions)
    assert replay() == (
        0,
        f"{len(decisions)} decisions about 1 Rendezvous, from 2030-01-01T00:16:40.000000Z to "
        f"{decisions[-1].now.micro_time()}, release 0.1.0. With release {VERSION}, all would be the same.\n",
        "",
    )


def test_a_change_of_a_rule_is_shown_where_it_decides_otherwise(
    tmp_path: Path, decisions: list[Recorded], replay: Replay, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, *decisions)
    others = tuple(rule for rule in rules.END_RULES if rule is not member_evicted.causes)
    monkeypatch.setattr(rules, "END_RULES", others)
    code, out, _ = replay()
    assert code == 3
    evicted = place(decisions, lambda decision: decision.events and "MemberEvicted" in decision.events[0].message)
    time = decisions[evicted - 1].now.micro_time()
    heading, *lines = out.splitlines()
    assert heading == f"decision {evicted} about ns/train at {time}, release 0.1.0:"
    assert '  status.summary.state: recorded "WaitingForMembers", now "Running"' in lines
    assert any(line.startswith("  and ") and line.endswith(" more") for line in lines)
    assert lines[-1].endswith("decisions would be another one.") or lines[-1].endswith("decision would be another one.")

    code, out, _ = replay("-o", "json")
    told = json.loads(out)
    assert (code, told["decisions"], told["program"], told["releases"]) == (3, len(decisions), VERSION, ["0.1.0"])
    first = told["different"][0]
    assert (first["decision"], first["time"], first["rendezvous"]) == (evicted, time, "ns/train")
    assert {"path": "status.summary.state", "recorded": "WaitingForMembers", "now": "Running"} in first["fields"]

    code, out, _ = replay(f"--decision={evicted}")
    assert code == 3
    assert "\nthis program decides: Running: round 1 runs with 2 nodes" in out
    assert "\ndecided: WaitingForMembers: " in out


def test_one_decision_is_explained_by_nodes_facts_and_rules(
    tmp_path: Path, decisions: list[Recorded], replay: Replay
) -> None:
    write(tmp_path, *decisions)
    evicted = place(decisions, lambda decision: decision.events and "MemberEvicted" in decision.events[0].message)
    code, out, _ = replay(f"--decision={evicted}")
    assert code == 0
    rows = [" ".join(line.split()) for line in out.splitlines()]
    assert rows[0].endswith("release 0.1.0; before it: Running, round 1")
    assert "b 1 is leaving 0.0s - 1 Running its pod is being deleted" in rows
    assert "round 1 2030-01-01T00:16:40Z 100.0s" in rows
    assert "end member_evicted counts - MemberEvicted: b: its pod is being deleted" in rows
    assert any(row.startswith("end - has no cause - member_lost, ") for row in rows)
    assert any(row.startswith("start exclusivity waits - WaitingForMembers: ") for row in rows)
    assert "event RoundEnded: round 1 ends: MemberEvicted: b: its pod is being deleted" in rows
    assert "lost: b: MemberEvicted" in rows

    _, out, _ = replay(f"--decision={evicted}", "-o", "json")
    told = json.loads(out)
    assert [(node["name"], node["state"]) for node in told["nodes"]] == [("a", "is running"), ("b", "is leaving")]
    assert told["recorded"] == told["now"]
    assert told["differences"] == []


def test_a_clock_that_runs_is_shown_with_its_end(tmp_path: Path, decisions: list[Recorded], replay: Replay) -> None:
    write(tmp_path, *decisions)
    waits = place(decisions, lambda decision: decision.explanation.startswith("WaitingForReplacements"))
    code, out, _ = replay(f"--decision={waits}")
    assert code == 0
    until = [line.split()[3] for line in out.splitlines() if line.startswith("start") and "replacements" in line]
    assert until == ["2030-01-01T00:18:50Z"], "30 s after the round had ended"
    assert "decides again at 2030-01-01T00:18:35Z if nothing changes" in out, "the heartbeat of a may not come"
    assert [line.split()[:2] for line in out.splitlines() if line.startswith("drained")] == [["drained", "1"]]


def test_a_decision_that_must_read_first_says_what(tmp_path: Path, decisions: list[Recorded], replay: Replay) -> None:
    reads = next(number for number, one in enumerate(decisions, 1) if isinstance(one.outcome, Evidence))
    write(tmp_path, *decisions)
    code, out, _ = replay(f"--decision={reads}")
    assert code == 0
    assert "decided: reading RendezvousParticipant c before deciding\n  reads RendezvousParticipant c\n" in out


def test_a_decision_that_has_failed_is_shown(tmp_path: Path, decisions: list[Recorded], replay: Replay) -> None:
    write(tmp_path, decisions[0]._replace(outcome=DecisionFailed("InvariantError: a former round runs")))
    code, out, _ = replay()
    assert code == 3
    now = decisions[0].outcome
    assert isinstance(now, Decision)
    expected = f'  outcome: recorded "the decision fails: InvariantError: a former round runs", now "{now.explanation}"'
    assert expected in out.splitlines()


def test_one_that_fails_now_is_shown_too(
    tmp_path: Path, decisions: list[Recorded], replay: Replay, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> Any:
        raise ZeroDivisionError("a defect")

    write(tmp_path, *decisions)
    monkeypatch.setattr(rules, "END_RULES", (fails,))
    number = place(decisions, lambda decision: decision.status.round == 1 and decision.status.waiting_nodes)
    code, out, _ = replay(f"--decision={number}")
    assert code == 3
    assert "this program decides: the decision fails: ZeroDivisionError: a defect" in out


def test_the_last_decision_up_to_a_time_is_chosen(tmp_path: Path, decisions: list[Recorded], replay: Replay) -> None:
    write(tmp_path, *decisions)
    _, out, _ = replay("--at=2030-01-01T00:17:00Z", "-o", "json")
    early = [number for number, one in enumerate(decisions, 1) if one.now.micro_time() < "2030-01-01T00:17:00Z"]
    assert json.loads(out)["decision"] == early[-1]
    code, _, err = replay("--at=2029-12-31T23:59:59Z")
    assert code == 1
    assert "--at: the first decision was made at 2030-01-01T00:16:40.000000Z, after that time" in err


def test_decisions_of_one_rendezvous_are_chosen_by_its_name(
    tmp_path: Path, decisions: list[Recorded], replay: Replay
) -> None:
    other = [decision._replace(rendezvous="other/train") for decision in decisions]
    write(tmp_path, *(one for pair in zip(decisions, other, strict=True) for one in pair))
    assert f"{len(decisions)} decisions about 1 Rendezvous" in replay("--rendezvous=other/train")[1]
    assert f"{2 * len(decisions)} decisions about 2 Rendezvous" in replay()[1]
    code, _, err = replay("--rendezvous=team/train")
    assert (code, err) == (1, "error: no decision about 'team/train' is recorded; there are: ns/train, other/train\n")
    code, _, err = replay("--rendezvous=ns/train", "--decision=0")
    assert (code, err) == (1, f"error: --decision=0: there are those from 1 to {2 * len(decisions) - 1}\n")


def test_a_folder_without_a_recording_is_named(tmp_path: Path, replay: Replay) -> None:
    assert replay() == (1, "", f"error: {tmp_path} has no recording: no file decisions-*.jsonl\n")
    (tmp_path / "decisions-1.jsonl").write_text("")
    assert replay() == (1, "", f"error: {tmp_path} has no decision that can be read\n")
    assert main(["replay", str(tmp_path / "none")]) == 1


def test_the_examples_of_the_page_are_what_is_printed(tmp_path: Path, replay: Replay) -> None:
    write(tmp_path, *decisions_of(has_lost_one, "team-a/train"))
    examples = blocks(read("docs/kubectl-rdzv.md"), "Replay", "console")
    assert len(examples) == 2
    for example in examples:
        command, _, text = example.partition("\n")
        options = command.removeprefix("$ kubectl rdzv replay decisions ").split()
        _, printed, _ = replay(*options)
        assert [line.rstrip() for line in text.rstrip("\n").split("\n")] == printed.rstrip("\n").split("\n")


def _lines(decisions: list[Recorded], release: str) -> list[Any]:
    lines = Lines()
    return [header(release), *(lines.line(decision) for decision in decisions)]


def _put(folder: Path, lines: list[Any], name: str = "decisions-1.jsonl") -> None:
    (folder / name).write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_a_file_of_another_release_is_read_with_its_unknown_fields(
    tmp_path: Path, decisions: list[Recorded], replay: Replay
) -> None:
    lines = _lines(decisions, "0.9.0")
    for line in lines[1:]:
        line["mood"] = "good"
        line["seen"].setdefault("world", {})["weather"] = {"rain": True}
        line["outcome"].get("decision", {}).setdefault("status", {})["tomorrow"] = 1
    _put(tmp_path, lines)
    code, out, err = replay()
    assert (code, err) == (0, "")
    assert f", release 0.9.0. With release {VERSION}, all would be the same." in out


def test_a_line_that_cannot_be_read_names_file_field_and_release_and_the_others_are_replayed(
    tmp_path: Path, decisions: list[Recorded], replay: Replay
) -> None:
    lines = _lines(decisions, "0.9.0")
    lines[2]["now"]["monotonic"] = {"of": "tomorrow"}
    _put(tmp_path, lines)
    _put(tmp_path, _lines(decisions, "0.1.0"), "decisions-2.jsonl")
    _put(tmp_path, [{**header("7.0.0"), "format": "rdzv.dev/decisions-9"}, {}, {}], "decisions-3.jsonl")
    (tmp_path / "decisions-4.jsonl").write_text("this is\nno JSON\n")
    code, out, err = replay()
    assert code == 1
    notes = err.splitlines()
    assert notes[0] == (
        "note: decisions-1.jsonl, line 3, cannot be read: "
        "now.monotonic: \"{'of': 'tomorrow'}\" is no number, written by release 0.9.0"
    )
    assert (
        "note: decisions-3.jsonl, line 1, cannot be read: format: 'rdzv.dev/decisions-9' of release 7.0.0 is not "
        "'rdzv.dev/decisions-1'"
    ) in notes
    assert "note: decisions-4.jsonl, line 1 and 1 more, cannot be read: it is no JSON" in notes
    assert len(notes) == 3
    assert f"{2 * len(decisions) - 1} decisions about 1 Rendezvous" in out
    assert "release 0.9.0, 0.1.0." in out


def test_no_line_is_read_that_builds_on_one_that_is_damaged(
    tmp_path: Path, decisions: list[Recorded], replay: Replay
) -> None:
    """Such as by a disk that has lost a block: what the next lines say is only what had changed since."""
    _put(tmp_path, _lines(decisions, "0.1.0"))
    path = tmp_path / "decisions-1.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[10] = bytes(len(lines[10]) - 1) + b"\n"
    path.write_bytes(b"".join(lines))
    code, out, err = replay()
    assert code == 1
    assert err.splitlines() == [
        "note: decisions-1.jsonl, line 11, cannot be read: it is no JSON",
        f"note: decisions-1.jsonl, line 12 and {len(lines) - 12} more, cannot be read: whole: the line of ns/train "
        "before this one is missing, written by release 0.1.0",
    ]
    assert out.startswith("9 decisions about 1 Rendezvous")


def test_nothing_that_a_recording_says_reaches_the_terminal_as_a_command(
    tmp_path: Path, decisions: list[Recorded], replay: Replay
) -> None:
    evil = decisions[0]._replace(rendezvous="ns/\x1b[2J")
    write(tmp_path, evil)
    assert "\x1b" not in "".join(map(str, replay("--decision=1")))
    (tmp_path / "decisions-9.jsonl").write_text(json.dumps({"format": "\x1b[2J", "release": "\x1b[2J"}) + "\n")
    assert "\x1b" not in "".join(map(str, replay()))


def test_a_large_group_is_recorded_by_what_is_new(tmp_path: Path, decisions: list[Recorded], replay: Replay) -> None:
    """What a heartbeat of one of a thousand nodes adds."""
    (name, seen), *_ = decisions[-1].world.participants.items()
    many = {f"{name}-{i}": replace(seen, object=replace(seen.object)) for i in range(1000)}
    world: World = replace(decisions[-1].world, participants=many)
    lines = Lines()
    whole = len(json.dumps(lines.line(decisions[-1]._replace(world=world))))
    beat = replace(seen, beat_at=seen.beat_at + 5)
    later = replace(world, participants={**many, f"{name}-7": beat})
    change = len(json.dumps(lines.line(decisions[-1]._replace(world=later))))
    assert whole > 300_000
    assert change < 1_500
