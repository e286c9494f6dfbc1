"""Health checks that end in every way in which a check can end; `MODULE` has their place."""

import io
import os
import signal
import subprocess
import sys
import time

MODULE = __name__


def is_well() -> None:
    """Nothing is wrong."""
    print("this check has looked")


class _Slow(io.StringIO):
    """Standard output that takes its time."""

    def flush(self) -> None:
        time.sleep(0.3)
        os.write(1, self.getvalue().encode())


def is_well_and_slow() -> None:
    """Nothing is wrong, and what it prints is written late."""
    sys.stdout = _Slow()
    print("this check has looked slowly")


def finds() -> str:
    """Something is wrong."""
    return "the disk\nis \x00 broken"


def finds_much() -> str:
    """A text that is too long."""
    return "x" * 5000


def finds_nothing_to_say() -> str:
    """An empty text is no None."""
    return ""


def answers_true() -> bool:
    """A wrong answer."""
    return True


def raises() -> None:
    """An error of its own."""
    raise OSError("no such device")


def exits() -> None:
    """As programs do."""
    sys.exit("not today")


def ends_its_process() -> None:
    """As a library does that cannot go on."""
    os._exit(7)


def is_killed() -> None:
    """As by the kernel, for its memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def hangs() -> None:
    """It never ends, whatever signals it gets but one, nor does what it has started."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    with open(os.environ["PIDS_OF_CHECK"], "w", encoding="utf-8") as file:
        other = subprocess.Popen(["sleep", "3600"])
        file.write(f"{os.getpid()} {other.pid}")
    time.sleep(3600)


def leaves_a_process_behind() -> None:
    """What it has started goes on, with all that it was given."""
    other = subprocess.Popen(["sleep", "3600"], close_fds=False)
    with open(os.environ["PIDS_OF_CHECK"], "w", encoding="utf-8") as file:
        file.write(f"{other.pid}")


class Scratch:
    """A check may be a method."""

    @staticmethod
    def is_full() -> str:
        """Something is wrong."""
        return "it is full"
