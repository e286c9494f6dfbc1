"""Signals that end the program end it in order, by an exception; while it cleans up they are ignored."""

import signal
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A signal asks the program to end. No Exception, so that nothing takes it for an error and goes on."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.name = signal.Signals(number).name
        #: The exit code by which a shell tells of it.
        self.exit_code = 128 + number


def listen() -> None:
    """From now on such a signal raises Interrupted."""
    for number in _SIGNALS:
        signal.signal(number, _interrupt)


def ignore() -> None:
    """From now on such a signal has no effect."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _interrupt(number: int, _frame: FrameType | None) -> None:
    raise Interrupted(number)
