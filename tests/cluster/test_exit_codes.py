"""What a Job makes of the exit codes of its agents, with the podFailurePolicy of the example, as it is."""

import json
import time
from typing import Any

from tests.cluster.examples import EXAMPLES, adapt, documents, only
from tests.cluster.harness import Group
from tests.cluster.manifests import DATA, TRAIN

from rendezvous_api.reasons import ClosedReason

PODS = 2


def start_example(group: Group, **spec: Any) -> None:
    """Train in the Job of the example, in two pods."""
    group.create_rendezvous(2, 4, **spec)
    job = only(documents(EXAMPLES / "job.yaml"), "Job")
    job["spec"] |= {"completions": PODS, "parallelism": PODS}
    group.create(adapt(job, group.folder, script=[str(TRAIN), DATA]))
    group.wait_for_training(PODS)


def failure(group: Group) -> str:
    """Wait until the Job has failed; why, as it says."""
    found = group.wait(
        lambda: [condition for condition in _conditions(group) if condition["type"] == "Failed"], "the Job to fail"
    )
    assert found[0]["reason"] == "PodFailurePolicy", found
    return str(found[0]["message"])


def _conditions(group: Group) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads(group.kubectl("get", "job", "train", "--output=json"))["status"].get(
        "conditions", []
    )
    return listed


def test_a_killed_container_is_replaced_and_a_spent_budget_fails_the_job(group: Group) -> None:
    """137 is no code of the policy: the pod is made anew. 94 is one: the Job fails at once."""
    start_example(group, maxRestarts=1)
    group.kill_container(group.pod_of_rank(1))
    group.wait_for_training(PODS, after=1)
    assert not [condition for condition in _conditions(group) if condition["type"] == "Failed"]
    group.crash(group.pod_of_rank(0))
    message = failure(group)
    assert "exit code 94" in message, message
    assert [run.reason for run in group.status.closed_runs] == [ClosedReason.RESTART_BUDGET_EXHAUSTED]


def test_what_a_person_has_closed_fails_the_job_at_the_next_start(group: Group) -> None:
    """The members train on. A pod that is replaced finds the Rendezvous closed, and nobody starts it again in vain."""
    start_example(group)
    group.kubectl("patch", "rdzv", "train", "--type=merge", '--patch={"spec":{"closed":true}}')
    group.wait_for_steps(since=time.time())
    group.kill_container(group.pod_of_rank(1))
    message = failure(group)
    assert "exit code 93" in message, message
