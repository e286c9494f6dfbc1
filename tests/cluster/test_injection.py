"""With nothing but a label, plain `torchrun train.py` joins: the chart's admission policy gives it the environment."""

import json
from typing import Any

from tests.cluster.harness import Group
from tests.cluster.manifests import DATA, TRAIN, bare_pod, indexed_job, pod_template

PLAIN = ["torchrun", str(TRAIN), DATA]


def environment(pod: dict[str, Any]) -> dict[str, str]:
    """The variables of the first container that torchrun and the handler read."""
    variables = pod["spec"]["containers"][0]["env"]
    return {one["name"]: one["value"] for one in variables if one["name"].startswith(("PET_", "RDZV_"))}


def test_a_label_is_all_that_a_job_needs(group: Group) -> None:
    """Where the namespace's default account may join, by the line that docs/install.md has."""
    role, account = "--clusterrole=kube-rendezvous-agent", f"--serviceaccount={group.namespace}:default"
    group.kubectl("create", "rolebinding", "default-may-join", role, account)
    group.create_rendezvous(2, 3)
    template = pod_template("train", [*PLAIN, "--steps=50"], group.folder, inject=True)
    del template["spec"]["serviceAccountName"]
    group.create(indexed_job("train", 3, template))
    group.wait_for_training(3)
    found = json.loads(group.kubectl("get", "pods", "--output=json"))["items"]
    injected = {
        "PET_RDZV_BACKEND": "kubernetes",
        "PET_RDZV_ENDPOINT": "train",
        "RDZV_RENDEZVOUS": "train",
        "RDZV_CREATE": "false",
        "PET_MAX_RESTARTS": "1000",
        "RDZV_RESTARTS_MAX": "20",
    }
    assert [environment(pod) for pod in found] == [injected] * 3
    # Their image has the handler, too.
    assert all("the handler is" in group.log(pod.name) for pod in group.pods())
    group.wait_for_success()
    assert {record.step for record in group.journal.records("end")} == {50}
    assert {record.world for record in group.journal.records("step")} == {3}


def test_what_a_pod_says_itself_stays(group: Group) -> None:
    group.create_rendezvous(1, 2)

    def created(pod: dict[str, Any]) -> dict[str, str]:
        dry = ("create", "--dry-run=server", "--output=json", "-f", "-")
        return environment(json.loads(group.kubectl(*dry, input=json.dumps(pod))))

    own = {"PET_RDZV_ENDPOINT": "another", "PET_MAX_RESTARTS": "3", "PET_NNODES": "1:2"}
    template = pod_template("train", PLAIN, group.folder, environment=own, inject=True)
    assert created(bare_pod("own", template)) == {
        **own,
        "PET_RDZV_BACKEND": "kubernetes",
        "RDZV_RENDEZVOUS": "train",
        "RDZV_RESTARTS_MAX": "20",
    }
    refused = pod_template("train", PLAIN, group.folder)
    assert created(bare_pod("refused", refused)) == {}
    unlabelled = pod_template("", PLAIN, group.folder)
    assert created(bare_pod("unlabelled", unlabelled)) == {}
