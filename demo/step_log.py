"""The log of optimizer steps that examples/digits/train.py writes with --log-steps, and what it shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Step:
    """One optimizer step of one worker process."""

    time: float
    """When it was done, in seconds since 1970."""
    pid: int
    rank: int
    workers: int
    """How many workers there were (torch's WORLD_SIZE)."""
    number: int
    """Which step of the whole training it was; after a restart some are done again."""


def read_steps(file: Path) -> list[Step]:
    """All steps so far, in the order of time; none if the file is not there yet."""
    if not file.exists():
        return []
    return parse_steps(file.read_text(encoding="ascii"))


def parse_steps(text: str) -> list[Step]:
    """Parse the log; what follows its last line end is left out, since it is just being written."""
    steps = []
    for line in text.split("\n")[:-1]:
        time, pid, rank, workers, number = line.split()
        steps.append(Step(float(time), int(pid), int(rank), int(workers), int(number)))
    return sorted(steps, key=lambda step: step.time)


def generations(steps: Sequence[Step]) -> list[list[Step]]:
    """The steps of each group of workers, in the order of time: torchrun starts all workers anew for each round."""
    found: list[list[Step]] = []
    pids: dict[int, int] = {}  # of the last group, by rank
    for step in steps:
        of_last_group = found and found[-1][0].workers == step.workers and pids.get(step.rank, step.pid) == step.pid
        if not of_last_group:
            found.append([])
            pids = {}
        pids[step.rank] = step.pid
        found[-1].append(step)
    return found
