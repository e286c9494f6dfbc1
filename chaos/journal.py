"""What happened, as JSON lines: faults, processes, versions of the objects, and each all-reduce of each worker.

All times are of the one monotonic clock of this machine, ``time.monotonic()``.
"""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from tests.support.json_lines import JsonLines

EVENTS = "events.jsonl"
STEPS = "steps-*.jsonl"


class Why(str, Enum):
    """What has ended a process on purpose; ``why`` of the events "exit"."""

    NOTHING = ""
    KILLED = "killed"
    TERMINATED = "terminated"
    SUCCEEDED = "the run has succeeded"
    ASKED = "an operator was asked to end"


@dataclass(frozen=True)
class Event:
    """One line of the journal, but for those of workers."""

    at: float
    what: str
    fields: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        return self.fields[name]


@dataclass(frozen=True)
class Step:
    """One all-reduce that a worker has made; number 0 is its start, before any."""

    node: str
    round: int
    master: str
    """Where the round's store is: two rounds of one number, as after a restore, differ in it."""
    rank: int
    nodes: int
    step: int
    entered: float
    at: float
    """When it had ended."""

    @property
    def group(self) -> tuple[int, str]:
        """Which round of which store it belongs to."""
        return self.round, self.master


@dataclass(frozen=True)
class Journal:
    """All of a schedule."""

    events: tuple[Event, ...]
    steps: tuple[Step, ...]

    def all(self, what: str) -> Iterator[Event]:
        """The events of that kind, in the order of time."""
        return (event for event in self.events if event.what == what)


class Writer:
    """Appends events to the journal of a folder. May be used by several threads."""

    def __init__(self, folder: Path) -> None:
        self._file = open(folder / EVENTS, "a", encoding="utf-8", buffering=1)  # noqa: SIM115 - see `close`
        self._lock = threading.Lock()

    def write(self, what: str, **fields: Any) -> float:
        """Write an event of now; returns its time."""
        at = time.monotonic()
        with self._lock:
            self._file.write(json.dumps({"at": at, "what": what, **fields}) + "\n")
        return at

    def close(self) -> None:
        """No event comes any more."""
        self._file.close()


class StepReader:
    """The steps of all workers of a folder."""

    def __init__(self, folder: Path) -> None:
        self.steps: list[Step] = []
        self._lines = JsonLines(folder, STEPS)

    def read_on(self) -> list[Step]:
        """Read what is new; returns all steps so far, in no order."""
        self.steps.extend(Step(**fields) for fields in self._lines.new())
        return self.steps


def read(folder: Path) -> Journal:
    """The journal that is in a folder."""
    events = []
    for line in (folder / EVENTS).read_text(encoding="utf-8").splitlines():
        fields = json.loads(line)
        events.append(Event(fields.pop("at"), fields.pop("what"), fields))
    steps = sorted(StepReader(folder).read_on(), key=lambda step: step.at)
    return Journal(tuple(sorted(events, key=lambda event: event.at)), tuple(steps))
