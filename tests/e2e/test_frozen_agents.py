"""Agents that are stopped by SIGSTOP, or that the API server cannot hear, while training goes on (rule "liveness")."""

import os
import signal
import time
from itertools import pairwise

import pytest
from tests.e2e.harness import Job, rounds
from tests.support.proxy import Proxy
from tests.support.waiting import wait_until

from rendezvous_api import names
from rendezvous_api.meta import Condition
from rendezvous_api.reasons import ConditionReason, EventReason, RoundEndReason

KEEP_ALIVE = {"heartbeatIntervalSeconds": 1, "maxMissed": 5}
CUT_OFF_SECONDS = 3 * 5
"""Three times that keep-alive time."""
SUSPECT_SECONDS = 12


def degraded(job: Job) -> Condition:
    condition = job.status.condition(names.CONDITION_DEGRADED)
    assert condition is not None
    return condition


def wait_until_logged(job: Job, node: str, text: str) -> None:
    wait_until(lambda: text in job.agents[node].log, f"{text} in the log of {node}")


def told(job: Job, reason: EventReason) -> list[str]:
    """The notes of the Events with that reason."""
    return [event["note"] for event in job.api.list("Event") if event["reason"] == reason]


def wait_until_degraded(job: Job, reason: ConditionReason, what: str) -> None:
    def found() -> bool:
        condition = degraded(job)
        return condition.reason == reason and what in condition.message

    wait_until(found, f"{reason}: {what}")
    assert job.status.holds(names.CONDITION_RUNNING), "that ends no round"


def wait_until_suspected(job: Job, node: str) -> None:
    wait_until_degraded(job, ConditionReason.MEMBER_SUSPECTED, f"{job.name}.{node} is silent")


def test_a_frozen_agent_is_a_suspect_and_lost_after_the_suspect_timeout(job: Job) -> None:
    """The agent alone is frozen, that of rank 0: its workers, and those of the others, go on until it is lost."""
    job.create(1, 2, lastCallSeconds=600, suspectSeconds=SUSPECT_SECONDS, **KEEP_ALIVE)
    both = {"n0", "n1"}
    for node in sorted(both):
        job.agent(node, together=True)
    job.wait_for_training(both)
    frozen = job.agents["n0"].popen.pid
    frozen_at = time.time()
    os.kill(frozen, signal.SIGSTOP)
    wait_until_suspected(job, "n0")
    said = f"round 1 goes on, but {job.name}.n0 "
    wait_until(lambda: any(note.startswith(said) for note in told(job, EventReason.MEMBER_SUSPECTED)), "the Event")
    job.wait_for_training(both, since=time.time())

    second = job.wait_for_round({"n1"}, after=1)
    assert time.time() - frozen_at > SUSPECT_SECONDS - 1  # its last heartbeat may have been that old
    assert rounds(second) == [(2, RoundEndReason.MEMBER_LOST), (1, None)]
    job.wait_for_training({"n1"}, since=frozen_at)
    # Both trained until it was lost, not only until it was silent.
    assert max(record.time for record in job.journal.records("step") if record.nodes == 2) - frozen_at > 8
    assert job.ranks() == {"n1": 0}

    woken_at = time.time()
    os.kill(frozen, signal.SIGCONT)
    job.wait_for_training(both, since=woken_at)
    third = job.wait_for_round(both, after=2)
    assert rounds(third)[1:] == [(1, RoundEndReason.SCALE_UP), (2, None)]
    assert job.ranks() == {"n0": 0, "n1": 1}

    job.stop_training()
    assert [job.agents[node].wait() for node in sorted(both)] == [0, 0]
    job.journal.assert_no_split()


def test_a_frozen_node_is_lost_at_once_when_another_one_re_enters(job: Job) -> None:
    """The whole node is frozen, and so the group hangs; the suspect timeout is the default, 120 s."""
    job.create(2, 3, lastCallSeconds=600, **KEEP_ALIVE)
    everyone = {"n0", "n1", "n2"}
    for node in sorted(everyone):
        job.agent(node, together=True)
    job.wait_for_training(everyone)
    job.wait_for_round(everyone)
    frozen_at = time.monotonic()
    job.agents["n2"].freeze()
    wait_until_suspected(job, "n2")
    assert job.rendezvous.spec.timeouts.suspect_seconds == 120

    worker = next(record.pid for record in job.journal.records("start") if record.node == "n0")
    killed_at = time.time()
    os.kill(worker, signal.SIGKILL)
    second = job.wait_for_round({"n0", "n1"}, after=1)
    assert time.monotonic() - frozen_at < 100
    assert rounds(second) == [(3, RoundEndReason.MEMBER_LOST), (2, None)]
    job.wait_for_training({"n0", "n1"}, since=killed_at)

    woken_at = time.time()
    job.agents["n2"].thaw()
    job.wait_for_training(everyone, since=woken_at)
    third = job.wait_for_round(everyone, after=2)
    assert rounds(third)[1:] == [(2, RoundEndReason.SCALE_UP), (3, None)]
    assert job.ranks() == {"n0": 0, "n1": 1, "n2": 2}

    job.stop_training()
    assert [job.agents[node].wait() for node in sorted(everyone)] == [0, 0, 0]
    job.journal.assert_no_split()


@pytest.mark.parametrize(
    "silently",
    [
        pytest.param(True, id="nothing gets through"),
        pytest.param(False, id="connections are refused", marks=pytest.mark.slow),
    ],
)
def test_nobody_restarts_when_a_third_of_the_members_is_cut_off_from_the_api_server(job: Job, silently: bool) -> None:
    """For three times the keep-alive time. It is the host, so another member passes on that the beats of all arrive."""
    job.create(2, 3, lastCallSeconds=600, **KEEP_ALIVE)
    everyone = {"n0", "n1", "n2"}
    with Proxy(job.control_plane.port) as proxy:
        around = str(job.control_plane.kubeconfig_via(proxy.port))
        for node in sorted(everyone):
            job.agent(node, together=True, environment={"KUBECONFIG": around} if node == "n0" else None)
        job.wait_for_training(everyone)
        first = job.wait_for_round(everyone)
        assert 3 * job.rendezvous.spec.silent_seconds == CUT_OFF_SECONDS

        cut_at = time.time()
        if silently:
            proxy.swallow()
        else:
            proxy.refuse()
        cut_off = f"{job.name}.n0 sends no heartbeats since "
        wait_until_degraded(job, ConditionReason.PATH_BROKEN, cut_off)
        for node in ("n1", "n2"):
            wait_until_logged(job, node, f"round 1 goes on, but: {cut_off}")
        time.sleep(max(0.0, cut_at + CUT_OFF_SECONDS - time.time()))
        last_heartbeat = job.participant("n0")["status"]["heartbeatTime"]
        proxy.mend()
        mended_at = time.time()
        wait_until(lambda: degraded(job).status == "False", "heartbeats of all again")
        assert job.participant("n0")["status"]["heartbeatTime"] > last_heartbeat
        job.wait_for_training(everyone, since=time.time())

        assert job.status.round == first.round == 1
        assert len(job.journal.records("start")) == 3
        for node in sorted(everyone):
            steps = [record.time for record in job.journal.records("step", since=cut_at) if record.node == node]
            assert max(later - step for step, later in pairwise(steps)) < 10, f"{node} stood still"
        assert time.time() - mended_at < 40
        for node in ("n1", "n2"):
            wait_until_logged(job, node, "round 1: what was wrong has passed")
        assert told(job, EventReason.MEMBER_SUSPECTED) == [], "the beats of all arrive"

        # It is told of the next round as before.
        job.request_restart()
        job.wait_for_training(everyone, since=time.time() + 1)
        second = job.wait_for_round(everyone, after=1)
        assert rounds(second) == [(3, RoundEndReason.RESTART_REQUESTED), (3, None)]
        job.stop_training()
        assert [job.agents[node].wait() for node in sorted(everyone)] == [0, 0, 0]
    job.journal.assert_no_split()
