"""Runs of a TrainJob on a real API server, whose JobSets have metadata only. The tests are their controllers."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.operator_support import Group, Operators
from tests.support import objects
from tests.support.api import Api, Json
from tests.support.jobsets import CRD, known
from tests.support.waiting import wait_until

from rendezvous_api import names
from rendezvous_api.rendezvous import Owner, RunReference
from rendezvous_controlplane import LocalControlPlane

TRAIN_JOB = "0c5c8d5e-64ab-4c47-8b4f-5c6d2f9e9b1a"
OWNER = {"apiVersion": "trainer.kubeflow.org/v1alpha1", "kind": "TrainJob", "name": "digits", "uid": TRAIN_JOB}
OPERATOR_RULES: list[Json] = [
    {"apiGroups": [names.GROUP], "resources": ["*"], "verbs": ["*"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]},
]
GIVEN_UP = "runs of JobSet digits are named by its UID, since what owns it is not known"


@pytest.fixture
def jobsets(control_plane: LocalControlPlane) -> Iterator[None]:
    with known(control_plane):
        yield


@pytest.fixture
def unreadable_jobsets(control_plane: LocalControlPlane) -> Iterator[None]:
    """The API server cannot convert JobSets into the version that the operator reads: it answers with HTTP 500."""
    webhook = {"clientConfig": {"url": "https://127.0.0.1:1/convert"}, "conversionReviewVersions": ["v1"]}
    (served,) = CRD["spec"]["versions"]
    versions = [{**served, "storage": False}, {**served, "name": "v1alpha1"}]
    spec = {**CRD["spec"], "versions": versions, "conversion": {"strategy": "Webhook", "webhook": webhook}}
    with known(control_plane, {**CRD, "spec": spec}):
        yield


def make_jobset(group: Group) -> str:
    """As the Trainer's controller; returns its UID."""
    metadata = {"name": "digits", "ownerReferences": [{**OWNER, "controller": True}]}
    body = {"apiVersion": "jobset.x-k8s.io/v1alpha2", "kind": "JobSet", "metadata": metadata}
    uid: str = group.api.create(body)["metadata"]["uid"]
    return uid


def start(group: Group, jobset: str, *nodes: str) -> None:
    """Pods of a JobSet start, and their agents join without an id."""
    labels = {
        names.LABEL_RENDEZVOUS: group.name,
        names.LABEL_JOBSET_UID: jobset,
        names.LABEL_JOBSET_NAME: "digits",
    }
    for node in nodes:
        pod = objects.pod(node, metadata={"labels": labels}, automountServiceAccountToken=False)
        uid = group.api.create(pod)["metadata"]["uid"]
        group.join(node, podName=node, podUID=uid)


def suspend(group: Group, *nodes: str) -> None:
    """The JobSet is deleted with all that belongs to it."""
    group.api.delete("JobSet", "digits")
    for node in nodes:
        group.api.delete("Pod", node, grace_seconds=0)
        group.api.delete(names.PARTICIPANT_KIND, f"{group.name}.{node}")


@pytest.mark.usefixtures("jobsets")
def test_a_trainjob_that_is_resumed_is_the_same_run(operators: Operators, group: Group) -> None:
    operator = operators.serve("--namespace", group.namespace, "--train-jobs")
    group.create()
    start(group, make_jobset(group), "a", "b")
    run = RunReference(TRAIN_JOB, Owner("TrainJob", "digits"))
    assert group.wait_for_round(1).run == run
    suspend(group, "a", "b")
    start(group, make_jobset(group), "c", "d")
    again = group.wait_for_round(2)
    assert (again.run, again.closed_runs) == (run, ())
    assert [member.name for member in again.participants] == ["train.c", "train.d"]
    reads = [value for name, value in operator.metrics().items() if '"jobsets"' in name and '"200"' in name]
    assert max(reads) == 2, "one for each JobSet"


@pytest.mark.usefixtures("jobsets")
def test_it_is_off_unless_asked_for(operators: Operators, group: Group) -> None:
    operators.start("--namespace", group.namespace)
    group.create()
    jobset = make_jobset(group)
    start(group, jobset, "a", "b")
    assert group.wait_for_round(1).run == RunReference(jobset, Owner("JobSet", "digits"))


@pytest.mark.usefixtures("jobsets")
def test_without_the_right_the_jobset_counts(operators: Operators, group: Group, tmp_path: Path) -> None:
    group.api.grant("operator", OPERATOR_RULES, group.api.create_account("operator"))
    kubeconfig = group.api.kubeconfig(group.api.token("operator"), tmp_path / "operator")
    rights = Api(group.control_plane, group.namespace, kubeconfig)
    wait_until(lambda: rights.list("Pod") == [], "the rights of the operator")
    operator = operators.start("--namespace", group.namespace, "--train-jobs", kubeconfig=kubeconfig)
    group.create()
    jobset = make_jobset(group)
    start(group, jobset, "a", "b")
    assert group.wait_for_round(1).run == RunReference(jobset, Owner("JobSet", "digits"))
    assert operator.log.count(GIVEN_UP) == 1
    assert "forbidden" in operator.log


def test_without_the_kind_the_jobset_counts(operators: Operators, group: Group) -> None:
    operator = operators.start("--namespace", group.namespace, "--train-jobs")
    group.create()
    jobset = "0b5c8d5e-64ab-4c47-8b4f-5c6d2f9e9b1a"
    start(group, jobset, "a", "b")
    assert group.wait_for_round(1).run == RunReference(jobset, Owner("JobSet", "digits"))
    assert operator.log.count(GIVEN_UP) == 1


@pytest.mark.usefixtures("unreadable_jobsets")
def test_an_api_that_does_not_answer_delays_a_round_and_prevents_none(operators: Operators, group: Group) -> None:
    operator = operators.start("--namespace", group.namespace, "--train-jobs")
    group.create()
    body = {"apiVersion": "jobset.x-k8s.io/v1alpha1", "kind": "JobSet", "metadata": {"name": "digits"}}
    created = group.control_plane.kubectl(
        *("create", "-n", group.namespace, "-f", "-", "-o", "jsonpath={.metadata.uid}"), input=json.dumps(body)
    )
    start(group, created, "a", "b")
    assert group.wait_for_round(1).run == RunReference(created, Owner("JobSet", "digits"))
    assert "no answer from the API server, next try in" in operator.log
    assert operator.log.count(GIVEN_UP) == 1
