"""A node is told to end, or killed, and a new process of the same node takes over at once.

The rules are "liveness" and "retention". The keep-alive time is four times the default here: whoever waited for it
would be far too late.
"""

import signal
import time
from typing import Any

import pytest
from tests.e2e.harness import Job, rounds
from tests.support.processes import Process
from tests.support.waiting import wait_until

from rendezvous_api.reasons import LeaveReason, RoundEndReason
from rendezvous_api.rendezvous import RendezvousStatus
from rendezvous_controlplane import ControlPlaneError

KEEP_ALIVE = {"heartbeatIntervalSeconds": 20, "maxMissed": 3}
AT_ONCE_SECONDS = 30.0
"""It takes some tenths of a second; a busy machine needs longer, but never the keep-alive time of 60 s."""


def joined(job: Job, node: str, *, other_than: str = "") -> str | None:
    """The incarnation of the node's agent once it has joined, if it is another one than that."""
    try:
        spec: dict[str, Any] = job.participant(node)["spec"]
    except ControlPlaneError:
        return None
    incarnation = str(spec["incarnation"])
    return incarnation if incarnation != other_than else None


def incarnations(status: RendezvousStatus) -> set[str]:
    return {member.incarnation for member in status.participants}


def end_before_the_first_round(job: Job, node: str) -> str:
    """Start a node, end it by SIGTERM while it waits, and return its incarnation."""
    agent = job.agent(node)
    incarnation = wait_until(lambda: joined(job, node), f"{node} to join")
    agent.terminate()
    # torch has installed no signal handler yet, so that nothing of the agent is carried out any more.
    assert agent.wait() == -signal.SIGTERM
    assert job.participant(node)["spec"]["state"] == "Joined"
    return incarnation


def test_sigterm_before_the_first_round_and_the_node_comes_back_first(job: Job) -> None:
    job.create(2, 2, **KEEP_ALIVE)
    old = end_before_the_first_round(job, "n0")
    job.agent("n0")
    new = wait_until(lambda: joined(job, "n0", other_than=old), "the new n0 to join")
    job.agent("n1")
    other = wait_until(lambda: joined(job, "n1"), "n1 to join")
    began = time.monotonic()
    status = job.wait_for_round({"n0", "n1"})
    assert time.monotonic() - began < AT_ONCE_SECONDS
    assert (status.round, incarnations(status)) == (1, {new, other})
    job.wait_for_training({"n0", "n1"})
    job.stop_training()
    assert [job.agents[node].wait() for node in ("n0", "n1")] == [0, 0]
    assert len(job.journal.records("start")) == 2


def test_sigterm_before_the_first_round_and_the_round_begins_with_the_dead_node(job: Job) -> None:
    """The hard case: the operator cannot know yet that n0, which shall serve the store, is gone."""
    job.create(2, 2, **KEEP_ALIVE)
    old = end_before_the_first_round(job, "n0")
    with job.recorder() as recorder:
        job.agent("n1")
        dead_on_arrival = recorder.first(lambda status: status.round == 1, "a round with the dead n0 in it")
        assert old in incarnations(dead_on_arrival.status)
        job.agent("n0")
        new = wait_until(lambda: joined(job, "n0", other_than=old), "the new n0 to join")
        began = time.monotonic()
        second = recorder.first(lambda status: status.round == 2, "a round with the new n0")
        assert time.monotonic() - began < AT_ONCE_SECONDS
        job.wait_for_training({"n0", "n1"})
    assert new in incarnations(second.status)
    assert [record.reason for record in second.status.history] == [RoundEndReason.MEMBER_LOST, None]
    recorder.assert_rules(2, 2)
    # No worker was started for the round that could not begin.
    assert {record.node: record.restarts for record in job.journal.records("start")} == {"n0": 0, "n1": 0}
    assert len(job.journal.records("start")) == 2
    job.stop_training()
    assert [job.agents[node].wait() for node in ("n0", "n1")] == [0, 0]


def test_the_whole_group_is_stopped_and_comes_back(job: Job) -> None:
    job.create(2, 2, maxRestarts=0)
    nodes = {"n0", "n1"}
    for node in sorted(nodes):
        job.agent(node)
    job.wait_for_training(nodes)
    ranks = job.ranks()
    for node in nodes:
        job.agents[node].terminate()
    assert [job.agents[node].wait() for node in nodes] == [1, 1]
    reasons = {job.participant(node)["spec"]["leaveReason"] for node in nodes}
    assert reasons == {LeaveReason.TERMINATED}

    since = time.time()
    for node in sorted(nodes):
        job.agent(node)
    job.wait_for_training(nodes, since=since)
    status = job.status
    assert (status.run_id, status.restarts, job.ranks()) == ("run-1", 0, ranks)
    assert rounds(status) == [(2, RoundEndReason.MEMBER_TERMINATED), (2, None)]
    job.stop_training()
    assert [job.agents[node].wait() for node in nodes] == [0, 0]


def end_by_sigterm(agent: Process) -> None:
    agent.terminate()
    assert agent.wait() != 0


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        pytest.param(end_by_sigterm, RoundEndReason.MEMBER_TERMINATED, id="SIGTERM"),
        pytest.param(Process.kill, RoundEndReason.MEMBER_LOST, id="SIGKILL"),
    ],
)
def test_a_node_ends_in_the_middle_of_a_round_and_comes_back(job: Job, end: Any, reason: RoundEndReason) -> None:
    job.create(2, 2, **KEEP_ALIVE)
    nodes = {"n0", "n1"}
    for node in sorted(nodes):
        job.agent(node)
    job.wait_for_training(nodes, timeout=120)
    ranks = job.ranks()
    old = wait_until(lambda: joined(job, "n0"), "n0")
    with job.recorder() as recorder:
        ended_at = time.time()
        end(job.agents["n0"])
        if reason is RoundEndReason.MEMBER_TERMINATED:
            # An agent that can still say that it leaves, does: the others need not wait for its silence.
            asked = recorder.first(lambda status: status.waiting_nodes > 0, "the others to be asked", since=ended_at)
            assert asked.at - ended_at < AT_ONCE_SECONDS
        job.agent("n0")
        wait_until(lambda: joined(job, "n0", other_than=old), "the new n0 to join")
        began = time.monotonic()
        second = recorder.first(lambda status: status.round == 2, "a round with the new n0")
        assert time.monotonic() - began < AT_ONCE_SECONDS
        job.wait_for_training(nodes, since=ended_at)
    assert second.status.history[0].reason == reason
    assert job.ranks() == ranks
    recorder.assert_rules(2, 2)
    job.stop_training()
    assert [job.agents[node].wait() for node in sorted(nodes)] == [0, 0]
    job.journal.assert_no_split()
