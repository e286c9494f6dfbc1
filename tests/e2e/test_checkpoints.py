"""examples/checkpoints/train.py, as docs/checkpoints.md shows it: three nodes, one is ended, one is lost.

The workers are those of the example, so each start of one imports torch: 3, then 2, then 1.
"""

import re
from pathlib import Path

import pytest
from tests.e2e.harness import Job, rounds
from tests.support.pages import fences, read
from tests.support.processes import Process
from tests.support.waiting import wait_until

from rendezvous_api.reasons import RoundEndReason

SCRIPT = Path(__file__).parents[2] / "examples" / "checkpoints" / "train.py"
STEPS, SAVE_EVERY = 100, 10
PATIENCE_SECONDS = 600.0
"""Six workers import torch and what FSDP needs: on a busy machine that takes minutes."""


def start(job: Job, node: str) -> Process:
    options = [f"--steps={STEPS}", f"--save-every={SAVE_EVERY}", "--step-seconds=0.1"]
    script = [str(SCRIPT), f"--checkpoints={job.folder / 'checkpoints'}", *options]
    return job.agent(node, nnodes="1:3", max_restarts=1000, script=script)


def said(*agents: Process) -> list[str]:
    """What the workers have printed, without what their agents log."""
    lines = "\n".join(agent.log for agent in agents).splitlines()
    return [line for line in lines if re.match(r"begins |step \d+: |saved step ", line)]


def losses(lines: list[str]) -> dict[int, float]:
    return {int(step): float(loss) for step, loss in re.findall(r"^step (\d+): loss (\S+)$", "\n".join(lines), re.M)}


def number_in(line: str) -> int:
    """The step that a line is about: the last number, before a loss."""
    return int(re.findall(r"step (\d+)", line)[-1])


def shape(line: str) -> str:
    """A line without its numbers."""
    return re.sub(r"[\d.]+", "N", line)


def reaches(agent: Process, step: int) -> None:
    wait_until(lambda: max(losses(said(agent)), default=0) >= step, f"step {step}", timeout=PATIENCE_SECONDS)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_what_a_node_that_is_ended_costs_and_what_one_that_is_lost_costs(job: Job) -> None:
    job.create(1, 3, lastCallSeconds=600, heartbeatIntervalSeconds=2, maxMissed=5)
    agents = {node: start(job, node) for node in ("n0", "n1", "n2")}
    host = wait_until(
        lambda: next((node for node in agents if said(agents[node])), None), "the first round", timeout=PATIENCE_SECONDS
    )
    assert host == "n0"
    reaches(agents["n0"], 5)
    agents["n2"].terminate()

    def resumed() -> list[str]:
        return [line for line in said(agents["n0"]) if line.startswith("begins") and line.endswith(" 2")]

    (second,) = wait_until(resumed, "the second round", timeout=PATIENCE_SECONDS)
    saved = number_in(second)
    reaches(
        agents["n0"], saved - saved % SAVE_EVERY + SAVE_EVERY + 3
    )  # well after a checkpoint, and before the next one
    agents["n0"].kill()
    assert agents["n2"].wait(PATIENCE_SECONDS) == 1
    assert agents["n1"].wait(PATIENCE_SECONDS) == 0

    before, after = said(agents["n0"]), said(agents["n1"])
    print(*before, *after, sep="\n")
    # The node that was ended: its last step was saved by all three.
    asked = before.index(second) - 1
    assert before[asked] == f"saved step {saved}, because torchrun ends the workers"
    assert before[asked + 2].startswith(f"step {saved + 1}: ")
    # The node that was lost: the steps since the last checkpoint are done again, and come out as before.
    assert after[0].startswith("begins after step ")
    last = number_in(after[0])
    assert last == number_in([line for line in before if line.startswith("saved")][-1])
    assert last % SAVE_EVERY == 0
    first_time, second_time = losses(before), losses(after)
    again = first_time.keys() & second_time.keys()
    assert again == set(range(last + 1, max(first_time) + 1))
    assert len(again) >= 1
    assert {step: second_time[step] for step in again} == pytest.approx(
        {step: first_time[step] for step in again}, rel=1e-2
    )
    assert first_time.keys() | second_time.keys() == set(range(1, STEPS + 1))
    assert rounds(job.status)[0] == (3, RoundEndReason.MEMBER_TERMINATED)
    shown = [line for block in fences(read("docs/checkpoints.md"), "text") for line in block.splitlines()]
    assert {shape(line) for line in shown} - {shape("...")} == {shape(line) for line in before + after}
