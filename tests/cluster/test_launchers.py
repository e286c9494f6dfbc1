"""Launchers beside torchrun in pods with the label; docs/launchers.md says what each needs beside it."""

import pytest
from tests.cluster.harness import Group
from tests.cluster.manifests import indexed_job, pod_template
from tests.cluster.release import ROOT

from rendezvous_api import names

PROGRAMS = ROOT / ".venv-launchers" / "bin"
EXAMPLES = ROOT / "examples" / "launchers"

pytestmark = pytest.mark.skipif(not PROGRAMS.exists(), reason="they are missing: `make .venv-launchers/.environment`")

ACCELERATE = f"{PROGRAMS}/accelerate launch --multi_gpu --num_machines 2 --num_processes 2 --machine_rank 0"
SCRIPT = f"{EXAMPLES}/train_accelerate.py"
JOIN = {
    "accelerate": f"{ACCELERATE} --rdzv_backend kubernetes --main_process_ip any --main_process_port 29500 {SCRIPT}",
    "fabric run": f"{PROGRAMS}/fabric run --num-nodes=2 --devices=1 {EXAMPLES}/train_fabric.py",
}
ALONE = f"{PROGRAMS}/accelerate launch {SCRIPT}"


def run(group: Group, command: str) -> dict[str, str]:
    """Run it in the two pods of a Job, to the end; returns what each has printed."""
    group.create_rendezvous(2, 2)
    environment = {"CUDA_VISIBLE_DEVICES": ""}
    template = pod_template("train", ["sh", "-c", command], group.folder, environment=environment, inject=True)
    group.create(indexed_job("train", 2, template, backoffLimit=0))
    group.wait(lambda: {pod.phase for pod in group.pods()} in ({"Succeeded"}, {"Failed"}), "both pods to end", 600)
    return {pod.name: group.log(pod.name) for pod in group.pods()}


@pytest.mark.parametrize("launcher", JOIN)
def test_pods_with_the_label_meet(group: Group, launcher: str) -> None:
    said = run(group, JOIN[launcher])
    for name, rank in group.ranks().items():
        assert f"round 1: rank {rank} of 2, " in said[name]
    assert [(record.nodes, record.reason) for record in group.status.history] == [(2, "RunSucceeded")]


def test_accelerate_takes_no_backend_from_the_label(group: Group) -> None:
    """Each pod trains alone, and no agent is there that could say so; the Rendezvous waits for both."""
    said = run(group, ALONE)
    assert all("round None: rank 0 of 1, " in text for text in said.values())
    assert group.status.round == 0
    running = group.status.condition(names.CONDITION_RUNNING)
    assert running is not None
    assert running.message == "0 of at least 2 nodes"
