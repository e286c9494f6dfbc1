"""What the workers of a case have written, and what follows from it: how long each part of a recovery took.

All times are of CLOCK_MONOTONIC, which all processes of a machine share.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

FILES = "steps-*.jsonl"


@dataclass(frozen=True)
class Line:
    """One line of a worker."""

    event: str
    """``start``: the process runs, and has not imported torch yet. ``step``: an all_reduce has ended."""
    node: str
    pid: int
    at: float
    group: str = ""
    """Of a step: all workers that have the same here step together."""
    nodes: int = 0
    """Of a step: how many workers the group has."""
    rank: int | None = None


class Reader:
    """Reads the lines of all workers of a folder."""

    def __init__(self, folder: Path) -> None:
        self.lines: list[Line] = []
        self._folder = folder
        self._offsets: dict[Path, int] = {}

    def read_on(self) -> list[Line]:
        """Read what is new; returns it."""
        new = []
        for path in self._folder.glob(FILES):
            with path.open("rb") as file:
                file.seek(self._offsets.get(path, 0))
                # A line that is just being written is read the next time.
                whole = file.read().rpartition(b"\n")[0]
            if whole:
                self._offsets[path] = self._offsets.get(path, 0) + len(whole) + 1
                new += [Line(**json.loads(line)) for line in whole.splitlines()]
        self.lines += new
        return new


@dataclass(frozen=True)
class Formed:
    """A group of which all workers have made a step."""

    group: str
    nodes: Mapping[str, int]
    """Their pids, by node."""
    stepped: float
    """When the last of them had made its first step."""


def groups(lines: Sequence[Line]) -> Iterator[Formed]:
    """All groups that have stepped together, in the order in which they did."""
    first: dict[str, dict[str, Line]] = {}
    for line in sorted(lines, key=lambda line: line.at):
        if line.event != "step":
            continue
        members = first.setdefault(line.group, {})
        if line.node not in members:
            members[line.node] = line
            if len(members) == line.nodes:
                pids = {node: member.pid for node, member in members.items()}
                yield Formed(line.group, pids, line.at)


class Ending(str, Enum):
    """How a case has ended."""

    RECOVERED = "recovered"
    """Another group has made a step."""
    UNNOTICED = "unnoticed"
    """The same group steps on with the node that was stopped, after that has woken."""
    AGENTS_ENDED = "agents ended"
    """No group has stepped, and no agent runs any more."""
    NEVER = "never"
    """None of these has happened in the time limit."""
    DID_NOT_BEGIN = "did not begin"
    """The group has not trained, so that no fault was done to it."""


@dataclass(frozen=True)
class Fault:
    """What was done, to whom and when."""

    at: float
    lost: frozenset[str] = frozenset()
    """The nodes whose workers it ended or stopped."""
    joins: str | None = None
    """The node that has been launched."""
    wakes_at: float | None = None
    """When the stopped node goes on."""


@dataclass(frozen=True)
class Recovery:
    """What followed; seconds from the fault, None where it did not happen."""

    ending: Ending
    ended: float | None
    """The workers of the survivors, or of the running members where a node joins, had ended: all of them."""
    started: float | None
    """The last of the new workers of the new group had started."""
    stepped: float | None
    """All members of the new group had made a step."""
    pause: float | None
    """From the last step of the group before to that: a duration, not from the fault."""
    nodes: int
    """How many nodes the new group has."""
    goes_on: bool
    """The group of before still stepped in the last 10 s of the case, which has no new group."""


_GOES_ON_SECONDS = 10.0


def judge(
    lines: Sequence[Line], before: Formed, fault: Fault, exits: Mapping[int, float], until: float, agents_ended: bool
) -> Recovery:
    """What followed a fault. The ending NEVER may still become another one, while there is time.

    Args:
        lines: of all workers so far.
        before: the group that stepped until then.
        fault: what was done.
        exits: when processes have ended, by pid.
        until: up to which moment the lines and exits are known.
        agents_ended: no agent runs any more.
    """
    new = next((one for one in groups(lines) if _is_new(one, before, fault)), None)
    old = [line.at for line in lines if line.event == "step" and line.group == before.group]
    woken = [at for at in old if fault.wakes_at is not None and at > fault.wakes_at]
    survivors = [pid for node, pid in before.nodes.items() if node not in fault.lost]
    seconds = [exits[pid] - fault.at for pid in survivors if pid in exits]
    ended = max(seconds) if len(seconds) == len(survivors) else None
    started = stepped = pause = None
    if new is not None:
        ending, until = Ending.RECOVERED, new.stepped
        pids = set(new.nodes.values())
        starts = [line.at for line in lines if line.event == "start" and line.pid in pids and line.at > fault.at]
        started = max(starts) - fault.at if starts else None
        stepped = new.stepped - fault.at
        pause = new.stepped - max(at for at in old if at < new.stepped)
    elif woken:
        ending, stepped = Ending.UNNOTICED, min(woken) - fault.at
        pause = min(woken) - max(at for at in old if at < min(woken))
    elif agents_ended:
        ending = Ending.AGENTS_ENDED
    else:
        ending = Ending.NEVER
    goes_on = new is None and max(old) > until - _GOES_ON_SECONDS
    return Recovery(ending, ended, started, stepped, pause, len(new.nodes) if new is not None else 0, goes_on)


def _is_new(one: Formed, before: Formed, fault: Fault) -> bool:
    """Whether a group is what the fault led to."""
    later = one.stepped > fault.at and one.group != before.group
    return later and (fault.joins is None or fault.joins in one.nodes)
