"""The examples for other launchers run to their end by the lines of docs/launchers.md: `make test-launchers`."""

import os
from pathlib import Path

import pytest
from tests.e2e.harness import Job
from tests.e2e.pods import Pods
from tests.support.pages import ROOT, fences, read

pytestmark = pytest.mark.launchers

PROGRAMS = ROOT / ".venv-launchers" / "bin"
PODS = ("w-0", "w-1")
LINES = {
    Path(word).stem.removeprefix("train_"): line
    for fence in fences(read("docs/launchers.md"), "sh")
    for line in fence.splitlines()
    for word in line.split()
    if word.startswith("train_")
}
HERE = {
    "--nproc-per-node=8": "--nproc-per-node=1",
    "--num_processes 16": "--num_processes 2",
    "--devices=8": "--devices=1",
    "-j 2x8": "-j 2x1",
    "--scheduler kubernetes": "--scheduler local_cwd",
}
"""Each pod has one worker, and no cluster is here in which torchx could start pods."""


@pytest.mark.timeout(900)  # on a busy machine the imports of the launchers alone take minutes
@pytest.mark.parametrize("example", LINES)
def test_an_example_trains_to_its_end(job: Job, example: str) -> None:
    job.create(2, 2)
    pods = Pods(job)
    line = LINES[example].replace("/shared/output", str(job.folder / "output"))
    for there, here in HERE.items():
        line = line.replace(there, here)
    processes = []
    for pod in PODS if example != "torchx" else PODS[:1]:  # torchx starts both nodes
        environment = {
            **pods.environment(pod, pods.create(pod, restart_policy="Never")),
            "PATH": f"{PROGRAMS}:{os.environ['PATH']}",
            "PET_LOCAL_ADDR": "127.0.0.1",
            "CUDA_VISIBLE_DEVICES": "",
            "TORCH_EXTENSIONS_DIR": str(job.folder / "extensions"),
        }
        command = ["sh", "-c", f"cd {ROOT / 'examples' / 'launchers'} && {line}"]
        processes.append(job.program(pod, command, environment))
    assert [process.wait(800) for process in processes] == [0] * len(processes)
    said = "\n".join(process.log for process in processes)
    assert "round 1: rank 0 of 2, " in said
    assert "round 1: rank 1 of 2, " in said
    assert [(record.nodes, record.reason) for record in job.status.history] == [(2, "RunSucceeded")]
    assert not (job.folder / "extensions").exists(), "an extension was compiled, which takes minutes"
