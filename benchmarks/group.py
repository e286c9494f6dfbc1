"""A group of members over some processes (`benchmarks.members`), and what they have said."""

import json
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.cluster import ROOT

PROCESSES = 4
"""Of the members that nothing happens to. One more process is for the one that is killed, or comes alone."""

_LEAD_SECONDS = 0.3
_READY_SECONDS = 120.0


class NotFinishedError(Exception):
    """A scenario did not come to its end within its time limit, or a member failed."""


@dataclass(frozen=True)
class Seen:
    """What one member has said."""

    member: int
    event: str
    at: float
    fields: Mapping[str, Any]


class _Process:
    def __init__(self, starter: Sequence[str] = ()) -> None:
        self._errors = tempfile.TemporaryFile(mode="w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        self._popen = subprocess.Popen(
            [*starter, sys.executable, "-m", "benchmarks.members"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            cwd=ROOT,
        )

    def send(self, command: Mapping[str, Any]) -> None:
        assert self._popen.stdin is not None
        self._popen.stdin.write(json.dumps(command) + "\n")
        self._popen.stdin.flush()

    def lines(self) -> Iterable[str]:
        assert self._popen.stdout is not None
        return self._popen.stdout

    def last_words(self) -> str:
        self._errors.seek(0)
        return self._errors.read()[-2000:]

    def signal(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)

    def kill(self) -> None:
        self._popen.kill()
        self._popen.wait()


class Group:
    """Members by number. Those in ``alone`` are in the process of their own, all others are spread evenly.

    Args:
        starter: a program and its arguments that becomes that process of their own, such as nsenter.
    """

    def __init__(self, starter: Sequence[str] = ()) -> None:
        self._starter = starter
        self._events: queue.SimpleQueue[tuple[_Process, dict[str, Any]]] = queue.SimpleQueue()
        self._processes: list[_Process] = []
        self._seen: list[Seen] = []
        self._homes: dict[int, _Process] = {}
        self.start()

    def start(self) -> None:
        """Start the processes that are missing; takes as long as the import of torch."""
        numbers = range(len(self._processes), PROCESSES + 1)
        new = [self._start_one(self._starter if number == PROCESSES else ()) for number in numbers]
        try:
            self._await_all(new, "ready", _READY_SECONDS)
        except NotFinishedError:
            self.close()
            raise

    def close(self) -> None:
        """Kill all processes."""
        for process in self._processes:
            process.kill()
        self._processes.clear()
        self._homes.clear()

    def create(self, ids: Sequence[int], alone: Iterable[int], command: Mapping[str, Any]) -> None:
        """Create members; returns when all are there.

        Args:
            ids: their numbers.
            alone: which of them go into the process of their own.
            command: as `benchmarks.members` describes it, without the ids.
        """
        lonely = set(alone)
        self._seen.clear()
        for i in ids:
            self._homes[i] = self._processes[-1] if i in lonely else self._processes[i % PROCESSES]
        self._send_all(ids, command)
        self._await_all(self._of(ids), "created", _READY_SECONDS)

    def join(self, ids: Sequence[int]) -> float:
        """Let members join, all at the moment that is returned."""
        at = time.monotonic() + _LEAD_SECONDS
        self._send_all(ids, {"do": "join", "at": at})
        return at

    def run(self, ids: Sequence[int], *, rejoin: bool) -> None:
        """Let the workers of members run until they are told to join again."""
        self._send_all(ids, {"do": "run", "rejoin": rejoin})

    def await_all(self, event: str, ids: Sequence[int], since: float, limit: float) -> dict[int, Seen]:
        """What each of them has said of this kind since a moment.

        Raises:
            NotFinishedError: not all within ``limit`` seconds after it, or one of them has failed.
        """
        while True:
            found = {seen.member: seen for seen in self._seen if seen.event == event and seen.at >= since}
            if found.keys() >= set(ids):
                return {i: found[i] for i in ids}
            failed = [seen for seen in self._seen if seen.event == "failed" and seen.at >= since]
            if failed:
                raise NotFinishedError(f"{len(failed)} of {len(ids)} failed: {str(failed[0].fields['error'])[:200]}")
            try:
                self._take(max(0.0, since + limit - time.monotonic()))
            except queue.Empty:
                raise NotFinishedError(f"{len(found)} of {len(ids)} {event} after {limit:.0f} s") from None

    def kill_the_lonely(self) -> float:
        """SIGKILL to the process of those that are alone. Returns when."""
        process = self._processes.pop()
        at = time.monotonic()
        process.kill()
        self._homes = {i: home for i, home in self._homes.items() if home is not process}
        return at

    def signal_the_lonely(self, number: signal.Signals) -> float:
        """Send a signal to the process of those that are alone. Returns when."""
        at = time.monotonic()
        self._processes[-1].signal(number)
        return at

    def shut_down(self, limit: float) -> None:
        """Let all members leave in an orderly way; kills the processes of those that do not within the limit."""
        ids = list(self._homes)
        processes = self._of(ids)
        self._send_all(ids, {"do": "close"})
        try:
            self._await_all(processes, "closed", limit)
        except NotFinishedError:
            self.close()
        self._homes.clear()
        self.start()

    def _start_one(self, starter: Sequence[str]) -> _Process:
        process = _Process(starter)
        self._processes.append(process)

        def read() -> None:
            for line in process.lines():
                self._events.put((process, json.loads(line)))
            self._events.put((process, {"event": "ended"}))

        threading.Thread(target=read, daemon=True).start()
        return process

    def _of(self, ids: Iterable[int]) -> list[_Process]:
        return list(dict.fromkeys(self._homes[i] for i in ids))

    def _send_all(self, ids: Sequence[int], command: Mapping[str, Any]) -> None:
        for process in self._of(ids):
            process.send({**command, "ids": [i for i in ids if self._homes[i] is process]})

    def _await_all(self, processes: Sequence[_Process], event: str, limit: float) -> None:
        deadline = time.monotonic() + limit
        missing = list(processes)
        while missing:
            try:
                process, line = self._take(max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise NotFinishedError(f"a process of members was not {event} after {limit:.0f} s") from None
            if line["event"] == event and process in missing:
                missing.remove(process)

    def _take(self, timeout: float) -> tuple[_Process, dict[str, Any]]:
        process, line = self._events.get(timeout=timeout)
        if line["event"] == "ended" and process in self._processes:
            raise NotFinishedError(f"a process of members has ended: {process.last_words()}")
        if "id" in line:
            fields = {key: value for key, value in line.items() if key not in ("id", "event", "at")}
            self._seen.append(Seen(line["id"], line["event"], line["at"], fields))
        return process, line
