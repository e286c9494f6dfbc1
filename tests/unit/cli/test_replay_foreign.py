"""`kubectl rdzv replay` of files that somebody has changed: each line is read, or named with the reason."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.unit.recording_support import decisions_of, lost_and_replaced, write

from kube_rendezvous_cli.__main__ import main
from rendezvous_operator.core.recorded import Lines, Recorded, header

Json = dict[str, Any]
CHANGED = 2
"""The place of the line that is changed."""


@pytest.fixture(scope="module")
def lines() -> list[str]:
    decisions: list[Recorded] = decisions_of(lost_and_replaced)
    one = Lines()
    return [json.dumps(line) for line in (header("0.1.0"), *(one.line(decision) for decision in decisions))]


def _changed(text: str, change: Callable[[Json], object]) -> str:
    line: Json = json.loads(text)
    change(line)
    return json.dumps(line)


def _facts(*fact: Any) -> Callable[[Json], object]:
    return lambda line: line["seen"].update(memory={"since": [[*fact]]})


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda line: line.pop("rendezvous"), "rendezvous: is required"),
        (lambda line: line.pop("seen"), "seen: 'None' is no object"),
        (
            lambda line: line["now"].update(wall="2030-01-01T00:00:00"),
            "now.wall: '2030-01-01T00:00:00' is no time",
        ),
        (_facts("round", {"set": 1}, 1.0), "seen.memory.since.set: '1' is no list"),
        (_facts("round", {"x": 1}, 1.0), "seen.memory.since.set: 'None' is no list"),
        (
            lambda line: line.update(outcome={"decision": {"status": [1]}}),
            "outcome.decision.status: '[1]' is no object",
        ),
        (lambda line: line.update(outcome={"decision": {"memory": 7}}), "outcome.decision.memory: '7' is no object"),
    ],
)
def test_a_line_with_a_wrong_value_is_named(
    change: Callable[[Json], object], why: str, lines: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = [*lines]
    changed[CHANGED] = _changed(changed[CHANGED], change)
    (tmp_path / "decisions-1.jsonl").write_text("\n".join(changed) + "\n")
    assert main(["replay", str(tmp_path)]) == 1
    err = capsys.readouterr().err
    assert f"decisions-1.jsonl, line {CHANGED + 1}" in err
    assert f"cannot be read: {why}" in err


def test_no_line_builds_on_one_that_does_not_say_what_was_seen(
    lines: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = [*lines]
    changed[CHANGED] = _changed(changed[CHANGED], lambda line: line.update(seen=7))
    (tmp_path / "decisions-1.jsonl").write_text("\n".join(changed) + "\n")
    assert main(["replay", str(tmp_path)]) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert "cannot be read: seen: '7' is no object" in first
    assert "cannot be read: whole: the line of ns/train before this one is missing" in second


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "null"])
def test_a_line_that_is_none_of_a_recording_is_named(
    text: str, lines: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "decisions-1.jsonl").write_text("\n".join([lines[0], text, *lines[1:]]) + "\n")
    assert main(["replay", str(tmp_path)]) == 1
    printed = capsys.readouterr()
    assert "decisions-1.jsonl, line 2, cannot be read: " in printed.err
    assert f"{len(lines) - 1} decisions about 1 Rendezvous" in printed.out or text == "null"


def test_a_moment_that_no_clock_shows_is_explained(
    lines: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    last = _changed(lines[-1], lambda line: line["outcome"]["decision"].update(wakeAt=1e300))
    (tmp_path / "decisions-1.jsonl").write_text("\n".join([*lines[:-1], last]) + "\n")
    assert main(["replay", str(tmp_path), f"--decision={len(lines) - 1}"]) == 3
    assert "decides again at 1e+300 s if nothing changes" in capsys.readouterr().out


def test_what_is_no_file_is_named_and_not_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, *decisions_of(lost_and_replaced))
    os.mkfifo(tmp_path / "decisions-0.jsonl")
    (tmp_path / "decisions-1.jsonl").symlink_to("nowhere")
    assert main(["replay", str(tmp_path)]) == 1
    err = capsys.readouterr().err
    assert "decisions-0.jsonl: it is no file" in err
    assert "decisions-1.jsonl: it is no file" in err
