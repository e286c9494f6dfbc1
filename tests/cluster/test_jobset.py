"""Examples of kinds that are not Kubernetes' own: accepted by their real CRDs, and by the real JobSet controller.

They need no pods, so they run on the local control plane. Pods of a JobSet need a cluster and its Job controller.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cluster.controllers import JobSetController, TrainerController
from tests.cluster.go_modules import module_files
from tests.cluster.release import ROOT
from tests.support.waiting import wait_until

from rendezvous_api import names
from rendezvous_controlplane import ControlPlaneError, LocalControlPlane

EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="module")
def plane() -> Iterator[LocalControlPlane]:
    """A control plane of its own: others need not know these kinds."""
    with LocalControlPlane() as plane:
        plane.apply([ROOT / "crds"])
        yield plane


@pytest.fixture(scope="module")
def controller(plane: LocalControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobSetController]:
    with JobSetController(plane.kubectl, plane.kubeconfig, tmp_path_factory.mktemp("jobset")) as controller:
        yield controller


def get(plane: LocalControlPlane, *what: str) -> Any:
    return json.loads(plane.kubectl("get", *what, "--output=json"))


def test_the_controller_makes_pods_of_one_run(plane: LocalControlPlane, controller: JobSetController) -> None:
    plane.kubectl("apply", "--validate=strict", "-f", str(EXAMPLES / "jobset.yaml"))
    jobs = wait_until(lambda: len(found := get(plane, "jobs")["items"]) == 2 and found, "both Jobs", 30)
    made = get(plane, "jobset", "train")
    assert made["spec"]["successPolicy"]["operator"] == "All", "the webhook has set its defaults"
    for job in jobs:
        pod = job["spec"]["template"]
        labels = pod["metadata"]["labels"]
        assert labels[names.LABEL_RENDEZVOUS] == "train"
        # What makes all Jobs of a JobSet one run, and names the Rendezvous in examples/trainjob.yaml.
        assert labels[names.LABEL_JOBSET_UID] == made["metadata"]["uid"]
        assert labels["jobset.sigs.k8s.io/jobset-name"] == "train"
        assert (job["spec"]["completionMode"], job["spec"]["parallelism"]) == ("Indexed", 2)
    plane.kubectl("delete", "jobset", "train")


def test_the_controller_is_asked_about_each_jobset(plane: LocalControlPlane, controller: JobSetController) -> None:
    objects = yaml.safe_load_all((EXAMPLES / "jobset.yaml").read_text())
    (jobset,) = (item for item in objects if item["kind"] == "JobSet")
    jobset["metadata"]["name"] = "x" * 70
    with pytest.raises(ControlPlaneError, match=r"denied the request|too long"):
        plane.kubectl("create", "-f", "-", input=json.dumps(jobset))


def test_the_train_job_is_one(plane: LocalControlPlane, tmp_path: Path) -> None:
    trainer = TrainerController
    plane.apply(module_files(trainer.NAME, trainer.MODULE, trainer.VERSION, *trainer.CRDS))
    plane.kubectl("apply", "--validate=strict", "-f", str(EXAMPLES / "trainjob.yaml"))
    assert get(plane, "trainjob", "train")["spec"]["runtimeRef"]["kind"] == "TrainingRuntime"
    container = get(plane, "trainingruntime", "torch-kube-rendezvous")["spec"]["template"]["spec"]["replicatedJobs"][0]
    (node,) = container["template"]["spec"]["template"]["spec"]["containers"]
    assert {item["name"] for item in node["env"]} >= {"PET_RDZV_BACKEND", "PET_RDZV_ENDPOINT", "PET_RDZV_ID"}
