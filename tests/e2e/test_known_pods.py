"""Pods that carry the label are known: the operator sees in them who will come, and who is lost.

The rules are "last call", "the end of a round" and "liveness". Their agents learn from their tokens who they are,
and have no other right than the Role of an agent.
"""

import time
import uuid
from collections.abc import Callable

import pytest
from tests.e2e.harness import Job
from tests.e2e.pods import Pods
from tests.support.recorder import Sight
from tests.support.waiting import wait_until

from rendezvous_api import names
from rendezvous_api.reasons import ClosedReason, FormationReason, RoundEndReason

WAITS_NO_LONGER = "no pod is on its way that could replace a lost one, so waiting only until"
UNSCHEDULABLE = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."


@pytest.fixture
def pods(job: Job) -> Pods:
    return Pods(job)


def words_of(job: Job) -> str:
    running = job.status.condition(names.CONDITION_RUNNING)
    return f"{running.reason}: {running.message}" if running is not None else ""


def test_a_pending_pod_is_waited_for_and_all_known_pods_need_no_last_call(job: Job, pods: Pods) -> None:
    """Their run is that of their controller, and a pod that is started again when all is done ends well."""
    job.create(1, 4, lastCallSeconds=600)
    workload = str(uuid.uuid4())
    uids = {name: pods.create(name, owner_uid=workload) for name in ("train-0", "train-1")}
    pods.write_status(
        "train-1",
        conditions=[
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": UNSCHEDULABLE},
        ],
    )
    expected = f"train-1 is Pending ({UNSCHEDULABLE})"
    wait_until(lambda: expected in words_of(job), "the reason why train-1 is not there")
    agents = [pods.agent("train-0", uids["train-0"], run_id=None)]
    last_call = f"{FormationReason.LAST_CALL}: 1 of at most 4 nodes; more nodes may join until "
    message = wait_until(lambda: found if (found := words_of(job)).startswith(last_call) else "", last_call)
    assert message.endswith(f"; {expected}")
    wait_until(lambda: message in agents[0].log, "the same in the log of the agent that waits")
    assert job.status.round == 0

    pods.write_status("train-1", conditions=[{"type": "PodScheduled", "status": "True"}])
    agents.append(pods.agent("train-1", uids["train-1"], run_id=None))
    job.wait_for_training(set(uids), timeout=90)
    status = job.wait_for_round(set(uids))
    assert (status.round, status.run_id) == (1, workload)
    assert [(member.name, member.rank, member.pod_index) for member in status.participants] == [
        ("train.train-0", 0, 0),
        ("train.train-1", 1, 1),
    ]
    found = job.participant("train-1")
    spec = found["spec"]
    assert (spec["podName"], spec["podUID"], spec["nodeName"]) == ("train-1", uids["train-1"], "node-of-train-1")
    assert "runID" not in spec
    assert [owner["uid"] for owner in found["metadata"]["ownerReferences"]] == [uids["train-1"]]

    job.stop_training()
    assert [agent.wait() for agent in agents] == [0, 0]
    wait_until(lambda: job.status.closed_reason(workload) is ClosedReason.RUN_SUCCEEDED, "the run to be closed")
    pods.restart_container("train-1")
    again = pods.agent("train-1", uids["train-1"], run_id=None)
    assert again.wait() == 0
    assert "this node ends without having trained" in again.log


def test_what_a_pod_says_counts_at_once_although_its_agent_still_beats(job: Job, pods: Pods) -> None:
    job.create(1, 4, lastCallSeconds=600, replacementSeconds=1)
    # Heartbeats have the default times: nobody would be missed within 15 s, or called lost within two minutes.
    run = {names.LABEL_RUN_ID: "nightly"}
    uids = {name: pods.create(name, labels=run) for name in ("p-0", "p-1", "p-2", "p-3")}
    for name, uid in uids.items():
        pods.agent(name, uid, run_id=None)
    left = set(uids)
    job.wait_for_training(left, timeout=150)
    assert job.status.run_id == "nightly"

    seconds = []
    with job.recorder() as recorder:

        def disturb(victim: str, act: Callable[[], None]) -> Sight:
            assert job.agents[victim].running
            began = time.time()
            act()
            asked = recorder.first(lambda status: status.waiting_nodes > 0, f"{victim} to be missed", since=began)
            assert job.agents[victim].running
            seconds.append(asked.at - began)
            return asked

        def evict() -> None:
            condition = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}
            pods.write_status("p-3", conditions=[condition])

        evicted = disturb("p-3", evict)
        assert evicted.status.history[-1].reason == RoundEndReason.MEMBER_EVICTED
        left -= {"p-3"}
        job.wait_for_training(left, since=evicted.at)
        # It was asked like the others, and may not join while its pod is about to go.
        assert job.agents["p-3"].running
        job.agents["p-3"].kill()

        failed = disturb("p-2", lambda: pods.write_status("p-2", phase="Failed"))
        assert failed.status.history[-1].reason == RoundEndReason.MEMBER_LOST
        left -= {"p-2"}
        job.wait_for_training(left, since=failed.at)
        job.agents["p-2"].kill()

        gone = disturb("p-1", lambda: pods.delete("p-1", grace_seconds=0))
        # The API server lets a watch see a pod that is deleted by force as terminating first, for some milliseconds.
        assert gone.status.history[-1].reason in (RoundEndReason.MEMBER_EVICTED, RoundEndReason.MEMBER_LOST)
        left -= {"p-1"}
        job.wait_for_training(left, since=gone.at)
        job.agents["p-1"].kill()
    recorder.assert_rules(1, 4)
    # Also on a machine that is busy this is far below the keep-alive time.
    assert max(seconds) < 10, seconds
    status = job.status
    # An eviction is no failure.
    assert status.restarts == [record.reason for record in status.history].count(RoundEndReason.MEMBER_LOST)
    assert job.ranks() == {"p-0": 0}

    job.stop_training()
    assert job.agents["p-0"].wait() == 0
    job.journal.assert_no_split()


def test_a_replacement_that_cannot_come_is_not_waited_for(job: Job, pods: Pods) -> None:
    """Nobody makes another pod; later one is made for which there is no machine, and then there is one."""
    job.create(2, 3, lastCallSeconds=60, replacementSeconds=600)
    workload = str(uuid.uuid4())

    def create(name: str) -> str:
        return pods.create(name, owner_uid=workload, owner_kind="StatefulSet")

    uids = {name: create(name) for name in ("train-0", "train-1", "train-2")}
    for name, uid in uids.items():
        pods.agent(name, uid, run_id=None)
    job.wait_for_training(set(uids), timeout=90)
    left = {"train-0", "train-1"}
    for makes_another in (False, True):
        before = job.status.round
        lost_at = time.time()
        job.agents["train-2"].kill()
        pods.delete("train-2", grace_seconds=0)
        if makes_another:
            uid = create("train-2")
            waits = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": UNSCHEDULABLE}
            pods.write_status("train-2", conditions=[waits])
            wait_until(lambda: f"train-2 is Pending ({UNSCHEDULABLE})" in words_of(job), "the reason why none comes")
        wait_until(lambda: WAITS_NO_LONGER in words_of(job), WAITS_NO_LONGER)
        # Whoever waited for a replacement would wait for ten minutes.
        job.wait_for_round(left, after=before)
        print(f"{time.time() - lost_at:.1f} s from the loss to the next round")
        if not makes_another:
            pods.agent("train-2", create("train-2"), run_id=None)
            job.wait_for_training(set(uids), since=lost_at, timeout=90)
    pods.write_status("train-2", conditions=[{"type": "PodScheduled", "status": "True"}])
    pods.agent("train-2", uid, run_id=None)
    job.wait_for_training(set(uids), since=time.time(), timeout=90)
    job.stop_training()
    assert {agent.wait() for agent in job.agents.values()} <= {0, -9}
    job.journal.assert_no_split()


def test_a_container_that_is_killed_beside_a_sidecar_is_noticed_at_once(job: Job, pods: Pods) -> None:
    job.create(1, 2)
    workload = str(uuid.uuid4())
    uids = {name: pods.create(name, owner_uid=workload, restart_policy="Never") for name in ("train-0", "train-1")}
    agents = {name: pods.agent(name, uid, run_id=None) for name, uid in uids.items()}
    job.wait_for_training(set(uids))
    before = job.status.round
    agents["train-1"].kill()
    finished = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    state = {"terminated": {"exitCode": 137, "reason": "OOMKilled", "finishedAt": finished}}
    container = {"name": "torchrun", "image": "none", "imageID": "", "ready": False, "restartCount": 0}
    pods.write_status("train-1", phase="Running", containerStatuses=[{**container, "state": state}])
    # Silence alone would take 120 s, since the other node goes on without it.
    status = job.wait_for_round({"train-0"}, after=before, timeout=60)
    ended = status.history[-2]
    assert (ended.reason, ended.message) == (
        RoundEndReason.MEMBER_LOST.value,
        "train.train-1: container torchrun of its pod train-1 has ended (OOMKilled, exit code 137)",
    )
