"""Rules "bad machines" and "failing nodes", with real agents. Their machines are Nodes on a real API server."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.harness import Job
from tests.e2e.pods import Pods
from tests.support.objects import Json
from tests.support.processes import Process, start_operator
from tests.support.waiting import wait_until

from rendezvous_api import names
from rendezvous_api.reasons import PassedOverReason
from rendezvous_controlplane import LocalControlPlane


class Machine:
    """The machine of a pod of `Pods`: a Node without a kubelet."""

    def __init__(self, job: Job, pod: str) -> None:
        self._job = job
        self.name = f"node-of-{pod}"
        self._kubectl("create", "-f", "-", body={"apiVersion": "v1", "kind": "Node", "metadata": {"name": self.name}})

    def cordon(self) -> None:
        self._kubectl("cordon", self.name)

    def uncordon(self) -> None:
        self._kubectl("uncordon", self.name)

    def delete(self) -> None:
        self._kubectl("delete", "node", self.name)

    def _kubectl(self, *arguments: str, body: Json | None = None) -> None:
        self._job.control_plane.kubectl(*arguments, input=None if body is None else json.dumps(body))


@pytest.fixture(scope="module")
def control_plane(own_control_plane: LocalControlPlane) -> LocalControlPlane:
    """One without the operator of the other tests, which may not read machines, and would decide otherwise."""
    return own_control_plane


@pytest.fixture
def reader(quiet_job: Job, tmp_path: Path) -> Iterator[Process]:
    """An operator that may read machines."""
    job = quiet_job
    operator = start_operator(
        job.control_plane.kubeconfig, tmp_path / "operator.log", "--namespace", job.namespace, "--machines"
    )
    yield operator
    operator.kill()


@pytest.fixture
def cordoned(quiet_job: Job) -> Iterator[Machine]:
    """The machine of train-2, which is cordoned."""
    machine = Machine(quiet_job, "train-2")
    machine.cordon()
    yield machine
    machine.delete()


def words_of(job: Job) -> str:
    running = job.status.condition(names.CONDITION_RUNNING)
    return running.message if running is not None else ""


def test_a_cordoned_machine_takes_the_place_of_no_member_until_it_is_uncordoned(
    quiet_job: Job, reader: Process, cordoned: Machine
) -> None:
    job, pods = quiet_job, Pods(quiet_job)
    job.create(2, 2, replacementSeconds=0)
    uids = {name: pods.create(name) for name in ("train-0", "train-1", "train-2")}
    spare = pods.agent("train-2", uids["train-2"])
    why = f"its machine {cordoned.name} is cordoned"
    wait_until(lambda: f"0 of at least 2 nodes; train.train-2 is kept out: {why}" in words_of(job), "the cordon")
    wait_until(lambda: f"this node is passed over: {why}" in spare.log, "the same in the log of the agent")
    agents = {name: pods.agent(name, uids[name]) for name in ("train-0", "train-1")}
    job.wait_for_training({"train-0", "train-1"})

    agents["train-1"].kill()
    pods.write_status("train-1", phase="Failed")
    wait_until(lambda: "1 of at least 2 nodes" in words_of(job), "the group waits")
    assert f"train.train-2 is kept out: {why}" in words_of(job)
    assert job.status.closed_runs == ()
    (entry,) = job.status.passed_over
    assert (entry.name, entry.reason, entry.machine) == (
        "train.train-2", PassedOverReason.CORDONED, cordoned.name,
    )  # fmt: skip

    cordoned.uncordon()
    job.wait_for_training({"train-0", "train-2"}, since=time.time())
    assert job.status.passed_over == ()
    reasons = [event["reason"] for event in job.api.list("Event") if event["regarding"]["name"] == job.name]
    assert "NodePassedOver" in reasons
    job.journal.assert_no_split()


def test_a_node_that_has_failed_too_often_gives_way_to_a_spare(quiet_job: Job, reader: Process) -> None:
    job = quiet_job
    job.create(2, 2, maxFailuresPerNode=1)
    for node in ("n0", "n1"):
        job.agent(node)
    job.wait_for_training({"n0", "n1"})
    job.agent("n2")
    wait_until(lambda: job.status.spares == ("train.n2",), "the spare")
    job.crash("n1")
    job.wait_for_round({"n0", "n1"}, after=1)
    job.wait_for_training({"n0", "n1"}, since=time.time())
    job.crash("n1")
    job.wait_for_round({"n0", "n2"}, after=2)
    job.wait_for_training({"n0", "n2"}, since=time.time())
    status = job.status
    assert status.spares == ("train.n1",)
    (entry,) = status.passed_over
    assert entry.reason is PassedOverReason.FAILED_TOO_OFTEN
    assert entry.message.startswith("it has ended 2 rounds with a failure; others go before it until ")
    job.journal.assert_no_split()
