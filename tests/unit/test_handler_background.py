"""Look-ups of names and credential plug-ins in threads of their own, also where no thread can be had."""

import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable

import pytest

from rendezvous_handler.kube.background import Background


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """None can be started; the function that is returned ends this."""
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    return lambda: monkeypatch.setattr(threading.Thread, "start", start)


def test_without_a_thread_it_is_called_by_who_asks(no_threads: Callable[[], None]) -> None:
    asked: list[str] = []

    def ask() -> str:
        asked.append(threading.current_thread().name)
        return "answer"

    background = Background(ask, "look-up")
    assert background.within(0.0) == "answer"
    no_threads()
    assert background.within(5.0) == "answer"
    assert asked == [threading.current_thread().name, "look-up"]


def test_its_error_reaches_who_asks_with_and_without_a_thread(no_threads: Callable[[], None]) -> None:
    def ask() -> str:
        raise OSError("no such host")

    background = Background(ask, "look-up")
    for _ in range(2):
        with pytest.raises(OSError, match="no such host"):
            background.within(5.0)
        no_threads()


def test_each_question_gets_a_new_answer() -> None:
    answers = iter("ab")
    background = Background(lambda: next(answers), "look-up")
    assert [background.within(5.0), background.within(5.0)] == ["a", "b"]


def test_it_is_called_while_the_interpreter_ends() -> None:
    """An agent says its last word then. Python 3.12 starts no thread any more."""
    program = """
        import atexit
        from rendezvous_handler.kube.background import Background
        atexit.register(lambda: print(Background(lambda: "answer", "look-up").within(5.0)))
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.stdout, ended.stderr) == ("answer\n", "")
