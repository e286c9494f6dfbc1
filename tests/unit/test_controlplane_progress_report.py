"""Progress of what takes long."""

import io
import time

import pytest

from rendezvous_controlplane import Report, progress_report


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.9, "0 s"), (59.9, "59 s"), (60, "1 min 00 s"), (185.5, "3 min 05 s"), (3600, "60 min 00 s")],
)
def test_durations(seconds: float, text: str) -> None:
    assert progress_report.duration(seconds) == text


def test_a_log_gets_a_line_every_ten_seconds(clock: list[float]) -> None:
    stream = io.StringIO()
    written = Report(stream)
    for second in range(21):
        clock[0] = 1000.0 + second
        written.progress(f"at {second}")
    assert stream.getvalue() == "at 0\nat 10\nat 20\n"


def test_a_terminal_gets_one_line_that_is_rewritten(clock: list[float]) -> None:
    stream = Terminal()
    written = Report(stream)
    for step in range(3):
        clock[0] = 1000.0 + step
        written.progress(f"at {step}")
        written.progress("too soon")
    written.say("done")
    assert stream.getvalue() == "\rat 0\x1b[K\rat 1\x1b[K\rat 2\x1b[K\ndone\n"
