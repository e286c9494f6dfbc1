"""Each way in which the label has no effect, as kubectl shows it to who creates a Job. Nothing is refused."""

import json
import subprocess
from pathlib import Path

import pytest
from tests.cluster.harness import Group
from tests.cluster.manifests import Manifest, indexed_job
from tests.cluster.stock import stock_template

TORCHRUN = ["torchrun", "train.py"]
NOT_ON_THE_TEMPLATE = (
    "the label rdzv.dev/rendezvous is on the Job and not on its pod template: its pods do not get it, and will not "
    "join. Put it into the labels of the pod template"
)
NO_EFFECT = "the label rdzv.dev/rendezvous has no effect: "
OTHER_BACKEND = (
    f"{NO_EFFECT}the container uses the rendezvous backend {{}}. "
    "Remove --rdzv-backend and --rdzv-endpoint, or the label"
)
IN_VAIN = {
    "another backend": (
        {"command": ["torchrun", "--rdzv-backend=c10d", "train.py"]},
        {},
        OTHER_BACKEND.format("c10d"),
    ),
    "another backend by a variable": (
        {"command": TORCHRUN, "env": [{"name": "PET_RDZV_BACKEND", "value": "static"}]},
        {},
        OTHER_BACKEND.format("static"),
    ),
    "standalone": (
        {"command": ["torchrun", "--standalone", "train.py"]},
        {},
        f"{NO_EFFECT}with --standalone torchrun trains on one node. Remove that option",
    ),
    "accelerate": (
        {"command": ["accelerate", "launch", "train.py"]},
        {},
        f"{NO_EFFECT}`accelerate launch` uses the backend static, whatever the environment says. "
        "Add --rdzv_backend kubernetes",
    ),
    "no name of a Rendezvous": (
        {"command": TORCHRUN},
        {"labels": {"app": "train", "rdzv.dev/rendezvous": "My_train"}},
        "the label rdzv.dev/rendezvous is no name of a Rendezvous: at most 63 characters of a-z, 0-9 and -, with a "
        "letter or digit at both ends",
    ),
    "no number of nodes": (
        {"command": TORCHRUN},
        {"annotations": {"rdzv.dev/nnodes": "2-4"}},
        "the annotation rdzv.dev/nnodes must be N or MIN:MAX, as torchrun's --nnodes, and MIN not above MAX",
    ),
    "no container": (
        {"command": TORCHRUN},
        {"annotations": {"rdzv.dev/container": "other"}},
        "the annotation rdzv.dev/container names no container of the pod, so another one gets the handler",
    ),
    "PYTHONPATH by reference": (
        {
            "command": TORCHRUN,
            "env": [{"name": "PYTHONPATH", "valueFrom": {"configMapKeyRef": {"name": "paths", "key": "python"}}}],
        },
        {},
        "PYTHONPATH comes by reference (valueFrom), so it is left as it is: torchrun finds the handler only if the "
        "image has it, or if you add /opt/rdzv to that value",
    ),
}


def warnings(group: Group, job: Manifest) -> list[str]:
    """What kubectl says of a Job that it creates, which is not refused."""
    create = ["kubectl", f"--kubeconfig={group.cluster.kubeconfig}", "-n", group.namespace, "create", "-f", "-"]
    done = subprocess.run(
        [*create, "--dry-run=server"], input=json.dumps(job), capture_output=True, text=True, check=True
    )
    print(done.stderr)
    return [line.partition(": ")[2] for line in done.stderr.splitlines() if line.startswith("Warning: ")]


@pytest.mark.parametrize("why", IN_VAIN)
def test_a_label_in_vain_is_said_where_kubectl_shows_it(stock: Group, stock_environment: Path, why: str) -> None:
    container, metadata, expected = IN_VAIN[why]
    template = stock_template(stock_environment, stock.folder)
    template["metadata"] |= metadata
    template["spec"]["containers"][0] |= container
    (said,) = warnings(stock, indexed_job("train", 2, template))
    policy = "kube-rendezvous-injection-warnings.kube-rendezvous"
    assert said == f"Validation failed for ValidatingAdmissionPolicy '{policy}' with binding '{policy}': {expected}"


def test_a_label_that_is_not_on_the_template_is_said(stock: Group, stock_environment: Path) -> None:
    job = indexed_job("train", 2, stock_template(stock_environment, stock.folder))
    job["metadata"] |= {"labels": job["spec"]["template"]["metadata"].pop("labels"), "annotations": {}}
    job["metadata"]["annotations"] = job["spec"]["template"]["metadata"].pop("annotations")
    label, nodes = warnings(stock, job)
    assert label.endswith(NOT_ON_THE_TEMPLATE)
    assert nodes.endswith("the annotation rdzv.dev/nnodes is on the Job and not on its pod template, where it is read")
