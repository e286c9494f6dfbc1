"""Keeps what each decision was based on, and what it was, in files (``--record``): for `kubectl rdzv replay`.

A thread writes them, so that no disk delays a decision. A decision that cannot be written is left out, and the next
one that is written says how many were.
"""

import contextlib
import errno
import json
import logging
import os
import queue
import stat
import threading
import time
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Final

from rendezvous_api.backoff import Backoff, Failures
from rendezvous_operator.core.recorded import FILES, Lines, Recorded, header

logger = logging.getLogger(__name__)

_TIME: Final = "%Y%m%dT%H%M%S.%fZ"
"""In the name of a file: when it was begun.

If the clock goes back, a name is later than its time: the newest decisions are not to be the first that are deleted.
"""
PARTS: Final = 8
"""In about that many files lies what is kept: so much of it is deleted at once."""
BACKOFF: Final = Backoff(first=5.0, longest=300.0)
MOST_QUEUED: Final = 200
"""Decisions that wait for the disk. More are left out: each holds the world that it was based on."""


class Recording:
    """Writes decisions, one after the other, until `stop`."""

    def __init__(self, folder: Path, megabytes: int, release: str) -> None:
        """A recording that is not started yet.

        Args:
            folder: for the files; it is made if it is not there.
            megabytes: all files together are never larger.
            release: of this program.
        """
        self._files = Files(folder, megabytes * 1024 * 1024, release)
        self._folder = folder
        self._queue: queue.Queue[Recorded | None] = queue.Queue(MOST_QUEUED)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="recording", daemon=True)
        self._not_queued = 0
        """How many decisions the queue had no room for, since the start."""

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def note(self, decision: Recorded) -> None:
        """Have a decision written. Never waits, and never raises."""
        try:
            self._queue.put_nowait(decision)
        except queue.Full:
            self._not_queued += 1

    def stop(self, timeout: float) -> None:
        """Write what is queued, for at most ``timeout`` seconds."""
        self._stopping.set()
        with contextlib.suppress(queue.Full):
            self._queue.put_nowait(None)
        self._thread.join(timeout)

    def _decisions(self) -> Iterator[Recorded]:
        while not (self._stopping.is_set() and self._queue.empty()):
            decision = self._queue.get()
            if decision is not None:
                yield decision

    def _work(self) -> None:
        failures = Failures(BACKOFF)
        left_out = counted = 0
        resumes_at = float("-inf")
        for decision in self._decisions():
            if self._not_queued and not counted:
                logger.warning("decisions are made faster than %s takes them; some are left out", self._folder)
            left_out, counted = left_out + self._not_queued - counted, self._not_queued
            if time.monotonic() < resumes_at:
                left_out += 1
            elif self._is_written(decision, left_out, failures):
                if failures.count:
                    logger.warning("decisions are recorded again; %d were left out", left_out)
                failures.reset()
                left_out = 0
            else:
                left_out += 1
                resumes_at = time.monotonic() + failures.pause()
        self._files.close()

    def _is_written(self, decision: Recorded, left_out: int, failures: Failures) -> bool:
        try:
            self._files.write(decision, left_out)
            return True
        except OSError as error:
            if not failures.count:
                logger.warning("decisions are not recorded in %s: %s; it is tried again", self._folder, error)
        except Exception:
            # A defect here must not stop the others, nor any decision.
            if not failures.count:
                logger.exception("%s: a decision was not recorded", decision.rendezvous)
        self._files.close()
        return False


class Files:
    """The files of a recording; when they would become too large, the oldest ones are deleted."""

    def __init__(self, folder: Path, most_bytes: int, release: str) -> None:
        self._folder = folder
        self._most = most_bytes
        self._header = _line(header(release))
        self._file: int | None = None
        self._size = 0
        self._lines = Lines()

    def write(self, decision: Recorded, left_out: int) -> None:
        """Write one decision, so that it can be read even if this process is killed right after that.

        Raises:
            OSError: it was not written, or a part of it was: call `close`, and the next one begins another file.
        """
        if self._file is not None:
            line = _line(self._lines.line(decision, left_out))
            if self._size + len(line) <= self._most // PARTS:
                return self._append(line)
        self._lines = Lines()  # each file can be read by itself
        line = self._header + _line(self._lines.line(decision, left_out))
        self._begin(max(self._most // PARTS, len(line)))
        return self._append(line)

    def close(self) -> None:
        """Write no more to this file."""
        if self._file is not None:
            file, self._file = self._file, None
            with contextlib.suppress(OSError):
                os.close(file)

    def _append(self, text: bytes) -> None:
        assert self._file is not None
        while text:
            written = os.write(self._file, text)
            self._size += written
            text = text[written:]

    def _begin(self, size: int) -> None:
        """Begin a file for so many bytes."""
        self.close()
        if size > self._most:
            raise OSError(errno.EFBIG, f"a decision of {size} bytes is larger than --record-megabytes allows")
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        sizes = self._sizes()
        kept = sorted(sizes)
        while kept and sum(sizes[path] for path in kept) + size > self._most:
            kept.pop(0).unlink(missing_ok=True)
        name = FILES.replace("*", f"{_time_after(sizes):{_TIME}}")
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._file, self._size = os.open(self._folder / name, flags, 0o600), 0

    def _sizes(self) -> dict[Path, int]:
        """The files that are there. What is no file is somebody's else, and another operator may delete, too."""
        found = {}
        for path in self._folder.glob(FILES):
            with contextlib.suppress(FileNotFoundError):
                status = path.lstat()
                if stat.S_ISREG(status.st_mode):
                    found[path] = status.st_size
        return found


def _time_after(paths: Iterable[Path]) -> datetime:
    """Now, or right after the newest of these files."""
    latest = datetime.now(timezone.utc)
    for path in paths:
        with contextlib.suppress(ValueError, OverflowError):  # a file of another name
            begun = datetime.strptime(path.name, FILES.replace("*", _TIME)).replace(tzinfo=timezone.utc)
            latest = max(latest, begun + timedelta(microseconds=1))
    return latest


def _line(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode() + b"\n"
