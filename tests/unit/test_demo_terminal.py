"""What the terminal of `make recording` keeps is what a real shell has printed."""

import os
import time
from pathlib import Path

import pytest
from demo.console import DemoError
from demo.terminal import Terminal


def shown(terminal: Terminal) -> str:
    return "".join(text for _, text in terminal.events).replace("\r\n", "\n")


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody reads along."""
    monkeypatch.setattr("demo.terminal._KEY_SECONDS", 0.001)
    monkeypatch.setattr("demo.terminal._READING_SECONDS", 0.1)


def wait_until_it_shows(terminal: Terminal, text: str) -> None:
    deadline = time.monotonic() + 30
    while text not in shown(terminal):
        assert time.monotonic() < deadline, shown(terminal)
        time.sleep(0.02)


def test_keys_and_what_the_shell_prints_are_kept_in_their_order(tmp_path: Path) -> None:
    with Terminal(os.environ, tmp_path, 60, 10) as terminal:
        terminal.run("stty size; pwd; echo é")
        # What has printed is in the foreground, so the interrupt reaches it. The shell may be between two programs.
        terminal.type("sh -c 'echo waits; exec sleep 100'")
        wait_until_it_shows(terminal, "\nwaits\n")
        terminal.interrupt()
        terminal.run("echo $?")
    moments = [moment for moment, _ in terminal.events]
    assert moments == sorted(moments)
    lines = shown(terminal).splitlines()
    assert lines[:4] == ["$ stty size; pwd; echo é", "10 60", str(tmp_path), "é"]
    assert lines[4:] == ["$ sh -c 'echo waits; exec sleep 100'", "waits", "^C", "$ echo $?", "130", "$ "]


def test_a_shell_that_does_not_answer_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Terminal(os.environ, tmp_path, 60, 10) as terminal:
        monkeypatch.setattr("demo.terminal._ANSWER_SECONDS", 0.5)
        with pytest.raises(DemoError, match="the shell does not answer; it has printed"):
            terminal.run("sleep 100")
