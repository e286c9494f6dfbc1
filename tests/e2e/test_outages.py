"""Training outlives the control plane (rule "outages"). A control plane, and operators, of their own to stop."""

import time
from pathlib import Path

import pytest
from tests.e2e.harness import Job
from tests.e2e.lengths import seconds, soak
from tests.support.groups import OWN_CONTROL_PLANE
from tests.support.processes import Process, start_operator
from tests.support.waiting import wait_until

from rendezvous_api.reasons import RoundEndReason
from rendezvous_api.rendezvous import RendezvousStatus
from rendezvous_controlplane import LocalControlPlane

pytestmark = OWN_CONTROL_PLANE

KEEP_ALIVE = {"heartbeatIntervalSeconds": 1, "maxMissed": 5}
OUTAGE_SECONDS = 3 * 5
"""Three times that keep-alive time."""
MEMBERS = {"n0", "n1"}


@pytest.fixture(scope="module")
def control_plane(own_control_plane: LocalControlPlane) -> LocalControlPlane:
    """One whose API server may be stopped."""
    return own_control_plane


def start(job: Job) -> Process:
    operator = start_operator(job.kubeconfig, job.folder / "operator.log")
    job.processes.append(operator)
    return operator


def start_training(job: Job, max_nodes: int) -> tuple[Process, RendezvousStatus]:
    """Start an operator and a group of two nodes; returns it, and the status once they train."""
    operator = start(job)
    job.create(2, max_nodes, **KEEP_ALIVE)
    assert 3 * job.rendezvous.spec.silent_seconds == OUTAGE_SECONDS
    for node in sorted(MEMBERS):
        job.agent(node, together=True)
    first = job.wait_for_round(MEMBERS)
    job.wait_for_training(MEMBERS)
    return operator, first


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
def test_the_api_server_is_away_while_a_group_trains_and_a_node_joins(quiet_job: Job) -> None:
    job = quiet_job
    operator, first = start_training(job, max_nodes=2)
    began = time.time()
    job.control_plane.stop_apiserver()
    spare = job.agent("n2", together=True)
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
    time.sleep(job.rendezvous.spec.silent_seconds)
    status = job.wait_for_round(MEMBERS)
    assert (status.round, status.participants, status.restarts) == (1, first.participants, 0)
    assert_steps_without_a_break(job, began, time.time() - 1)
    assert operator.running
    assert "Traceback" not in operator.log

    job.stop_training()
    assert [job.agents[node].wait() for node in ("n0", "n1", "n2")] == [0, 0, 0]


def test_the_operator_is_away_while_a_group_trains_and_a_node_joins(quiet_job: Job) -> None:
    job = quiet_job
    operator, first = start_training(job, max_nodes=3)
    began = time.time()
    operator.kill()
    newcomer = job.agent("n2", together=True)
    time.sleep(OUTAGE_SECONDS)
    word = "The operator has not reacted to this node"
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


@soak
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_training_goes_on_after_etcd_was_restored_and_a_crash_is_handled(quiet_job: Job, tmp_path: Path) -> None:
    """First nothing but heartbeats is lost, then also a round that was published since."""
    job, snapshot = quiet_job, tmp_path / "snapshot"
    start_training(job, max_nodes=2)
    job.control_plane.snapshot(snapshot)
    time.sleep(seconds(3, 300))
    began = time.time()
    job.control_plane.restore(snapshot)
    assert_everyone_is_heard(job)
    time.sleep(seconds(3, 60))
    assert_steps_without_a_break(job, began, time.time() - 1)
    status = job.wait_for_round(MEMBERS)
    assert (status.round, status.restarts) == (1, 0)
    crash_and_go_on(job)

    assert job.status.round == 2
    restored = time.time()
    job.control_plane.restore(snapshot)
    status = job.wait_for_round(MEMBERS, after=1)
    assert status.restarts == 0
    assert next(record.reason for record in status.history if record.round == 1) == RoundEndReason.MEMBER_REENTERED
    job.wait_for_training(MEMBERS, since=restored, timeout=60)
    crash_and_go_on(job)
    job.stop_training()
    assert [job.agents[node].wait() for node in sorted(MEMBERS)] == [0, 0]


def crash_and_go_on(job: Job) -> None:
    """A worker crashes, and within a minute all train again."""
    earlier = len(job.journal.records("crash"))
    job.crash("n0")
    wait_until(lambda: len(job.journal.records("crash")) > earlier, "the crash")
    crashed = job.journal.records("crash")[-1].time
    job.wait_for_training(MEMBERS, since=crashed, timeout=60)
