"""Nodes over maxNodes wait as spares for as long as it takes, and take over at once (rule "spares")."""

import time

import pytest
from tests.e2e.harness import ANOTHER_LAUNCHER, Job
from tests.support.waiting import wait_until

from rendezvous_api.reasons import RoundEndReason

JOIN_TIMEOUT_SECONDS = 4


@pytest.mark.main_job
def test_a_spare_waits_beyond_the_join_timeout_takes_over_at_once_and_ends_well(job: Job) -> None:
    # Whoever waited for replacements would be two minutes late.
    job.create(
        2,
        2,
        replacementSeconds=120,
        heartbeatIntervalSeconds=2,
        maxMissed=10,
        suspectSeconds=20,
    )
    for node in ("n0", "n1"):
        job.agent(node)
    job.wait_for_training({"n0", "n1"}, timeout=120)

    spare = job.agent("n2")
    wait_until(lambda: job.status.spares == (f"{job.name}.n2",), "n2 to be a spare", 120)
    # Only now: the others needed longer than that to start.
    job.patch({"spec": {"timeouts": {"joinSeconds": JOIN_TIMEOUT_SECONDS}}})
    time.sleep(2.5 * JOIN_TIMEOUT_SECONDS)
    assert spare.running
    assert "the round is full; this node is a spare" in spare.log
    status = job.wait_for_round({"n0", "n1"})
    assert (status.round, status.spares) == (1, (f"{job.name}.n2",))
    job.patch({"spec": {"timeouts": {"joinSeconds": 600}}})

    with job.recorder() as recorder:
        killed_at = time.time()
        job.agents["n0"].kill()
        lost = recorder.first(lambda status: status.waiting_nodes > 0, "n0 to be lost", since=killed_at)
        assert lost.status.history[-1].reason == RoundEndReason.MEMBER_LOST
        second = recorder.first(lambda status: status.round == 2, "a round with the spare")
        # n1 has to stop its worker and to come back first; 15 s is nothing that anybody waits for here.
        assert second.at - lost.at < 15
        job.wait_for_training({"n1", "n2"}, since=killed_at)
    assert job.ranks() == {"n2": 0, "n1": 1}
    assert second.status.spares == ()
    recorder.assert_rules(2, 2)

    # Who was replaced is the spare now, and has nothing to do when the others are done, whatever has started it.
    late = job.agent("n0", launcher=ANOTHER_LAUNCHER)
    wait_until(lambda: job.status.spares == (f"{job.name}.n0",), "n0 to be a spare", 120)
    job.stop_training()
    assert [job.agents[node].wait() for node in ("n1", "n2")] == [0, 0]
    assert late.wait() == 0
    assert "this node ends without having trained" in late.log
    assert "run 'run-1' has succeeded" in late.log
    assert [record.pid for record in job.journal.records("start", since=second.at) if record.node == "n0"] == []
    job.journal.assert_no_split()
