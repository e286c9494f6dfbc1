"""Training outlives the control plane (rule "outages"). Each test has a control plane and an operator to stop."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.conftest import start_operator
from tests.e2e.harness import Job, Process
from tests.waiting import wait_until

from rendezvous_api.reasons import RoundEndReason
from rendezvous_controlplane import LocalControlPlane

CRDS = Path(__file__).parents[2] / "crds"
OUTAGE_SECONDS = 60
"""Four times the default keep-alive time."""
MEMBERS = {"n0", "n1"}


@pytest.fixture
def own_job(tmp_path: Path) -> Iterator[Job]:
    """A job at a control plane of its own. It is the test that starts the operator."""
    with LocalControlPlane() as control_plane:
        control_plane.apply(CRDS)
        job = Job(control_plane, "default", tmp_path, control_plane.kubeconfig)
        yield job
        job.end()


def start(job: Job) -> Process:
    operator = start_operator(job.kubeconfig, job.folder / "operator.log")
    job.processes.append(operator)
    return operator


def assert_steps_without_a_break(job: Job, began: float, ended: float) -> None:
    """No step took long, and no worker was started: they never stopped."""
    assert {record.node for record in job.journal.records("start")} == MEMBERS
    assert len(job.journal.records("start")) == len(MEMBERS)
    times = [record.time for record in job.journal.records("step", since=began) if record.time <= ended]
    longest = max(after - before for before, after in zip([began, *times], [*times, ended], strict=True))
    assert longest < 10, f"no step for {longest:.1f} s"


def heartbeat(job: Job, node: str) -> str:
    return str(job.participant(node)["status"]["heartbeatTime"])


def assert_everyone_is_heard(job: Job) -> None:
    before = {node: heartbeat(job, node) for node in MEMBERS}
    wait_until(lambda: all(heartbeat(job, node) > before[node] for node in MEMBERS), "heartbeats of all members")


@pytest.mark.timeout(600)
def test_the_api_server_is_away_while_a_group_trains_and_a_node_joins(own_job: Job) -> None:
    job = own_job
    operator = start(job)
    job.create(2, 2)
    for node in sorted(MEMBERS):
        job.agent(node)
    first = job.wait_for_round(MEMBERS, timeout=120)
    job.wait_for_training(MEMBERS)

    began = time.time()
    job.control_plane.stop_apiserver()
    spare = job.agent("n2")
    time.sleep(OUTAGE_SECONDS)
    word = f"the API server at {job.control_plane.url} does not answer"
    wait_until(lambda: word in spare.log, "word of the node that wants to join")  # a busy machine starts it late
    ended = time.time()
    job.control_plane.start_apiserver()
    assert_steps_without_a_break(job, began, ended)
    assert spare.running
    for node in MEMBERS:
        assert job.agents[node].log.count("no heartbeat has reached the API server") == 1

    # Everything goes on without a restart of anyone, and who has waited to join is taken notice of.
    wait_until(lambda: job.status.spares == (f"{job.name}.n2",), "n2 to be a spare")
    assert_everyone_is_heard(job)
    word = "heartbeats reach the API server again"
    wait_until(lambda: all(word in job.agents[node].log for node in MEMBERS), f"{word!r} in the logs")
    # Long enough for the operator to miss somebody of whom it has heard nothing since the outage.
    keep_alive_seconds = job.rendezvous.spec.keep_alive_seconds
    assert keep_alive_seconds == 15
    time.sleep(keep_alive_seconds)
    status = job.wait_for_round(MEMBERS)
    assert (status.round, status.participants, status.restarts) == (1, first.participants, 0)
    assert_steps_without_a_break(job, began, time.time() - 1)
    assert operator.running
    assert "Traceback" not in operator.log

    job.stop_training()
    assert [job.agents[node].wait() for node in ("n0", "n1", "n2")] == [0, 0, 0]


def test_the_operator_is_away_while_a_group_trains_and_a_node_joins(own_job: Job) -> None:
    job = own_job
    operator = start(job)
    job.create(2, 3)
    for node in sorted(MEMBERS):
        job.agent(node)
    first = job.wait_for_round(MEMBERS, timeout=120)
    job.wait_for_training(MEMBERS)

    began = time.time()
    operator.kill()
    newcomer = job.agent("n2")
    time.sleep(OUTAGE_SECONDS)
    word = "The operator has taken no notice of this node"
    wait_until(lambda: word in newcomer.log, "word of the node that wants to join")
    ended = time.time()
    assert_steps_without_a_break(job, began, ended)
    status = job.status
    assert (status.round, status.participants) == (1, first.participants)
    assert newcomer.running

    start(job)
    job.wait_for_training(MEMBERS | {"n2"}, since=ended)
    status = job.wait_for_round(MEMBERS | {"n2"}, after=1)
    # The one reason to restart anybody is the node that has joined.
    assert [record.reason for record in status.history] == [RoundEndReason.SCALE_UP, None]
    assert status.restarts == 0
    assert job.ranks() == {"n0": 0, "n1": 1, "n2": 2}
    job.stop_training()
    assert [job.agents[node].wait() for node in ("n0", "n1", "n2")] == [0, 0, 0]
    job.journal.assert_no_split()
