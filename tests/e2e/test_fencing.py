"""examples/fencing/train.py: a group that was frozen wakes when another one has its place, and its save is refused."""

import os
import re
import signal
from pathlib import Path

from tests.e2e.harness import Job
from tests.support.processes import Process
from tests.support.waiting import wait_until

from kube_rendezvous.worker import FencingToken

SCRIPT = Path(__file__).parents[2] / "examples" / "fencing" / "train.py"


def start(job: Job, node: str) -> Process:
    script = [str(SCRIPT), f"--checkpoints={job.folder / 'checkpoints'}", "--steps=100000"]
    return job.agent(node, max_restarts=1000, script=script)


def began(agent: Process) -> list[tuple[int, int, FencingToken]]:
    """Of each group of a node: the process, the step after which it began, and its token."""
    found = re.findall(r"^process (\d+) begins after step (\d+) as (\S+)$", agent.log, re.M)
    return [(int(process), int(step), FencingToken.parse(token)) for process, step, token in found]


def saved(agent: Process) -> list[int]:
    return [int(step) for step in re.findall(r"^saved step (\d+)$", agent.log, re.M)]


def test_a_frozen_group_that_wakes_does_not_save_over_its_successor(job: Job) -> None:
    job.create(1, 1, heartbeatIntervalSeconds=1, maxMissed=5, suspectSeconds=6, isolatedRoundSeconds=6)
    old = start(job, "n0")
    wait_until(lambda: len(saved(old)) > 3, "checkpoints of the first group", 300)
    [(process, _, first)] = began(old)
    old.freeze()
    frozen_at = saved(old)[-1]
    new = start(job, "n1")
    wait_until(lambda: len(saved(new)) > 3, "checkpoints of the second group", 300)
    [(_, step, second)] = began(new)
    # It had saved one, perhaps, of which it could not tell any more.
    assert step in (frozen_at, frozen_at + 1)
    assert first < second
    assert (first.created, first.round, second.round) == (second.created, 1, 2)
    assert job.status.round == 2

    # The worker wakes before its agent, which would stop it.
    os.kill(process, signal.SIGCONT)
    refused = f"the group {second} has taken the place of {first}"
    wait_until(lambda: refused in old.log, "the save to be refused")
    written = {path.name for path in (job.folder / "checkpoints").glob("*.step-*")}
    late = [name for name in written if name.startswith(str(first)) and int(name.rpartition("-")[2]) > step + 1]
    assert late == [], "it has written nothing since"
    wait_until(lambda: len(saved(new)) > 10, "the second group to go on")
    assert began(old) == [(process, 0, first)]
