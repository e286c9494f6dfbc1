"""The user suspends a Rendezvous: the workers stop, the agents wait, and the same run goes on later."""

import time

from tests.e2e.harness import Job
from tests.support.waiting import wait_until

from rendezvous_api import names
from rendezvous_api.reasons import RoundEndReason

JOIN_SECONDS = 5


def test_a_suspended_group_stops_waits_and_goes_on(job: Job) -> None:
    nodes = {"n0", "n1"}
    job.create(2, 2, maxRestarts=0, joinSeconds=JOIN_SECONDS)
    agents = [job.agent(node) for node in sorted(nodes)]
    job.wait_for_training(nodes)
    ranks, run = job.ranks(), job.status.run

    job.patch({"spec": {"suspend": True}})
    wait_until(lambda: job.status.holds(names.CONDITION_SUSPENDED), "the suspension")
    stopped = time.time()
    # Longer than the join timeout: it does not count.
    time.sleep(JOIN_SECONDS + 3)
    assert job.journal.records("step", since=stopped) == []
    assert all(agent.running for agent in agents)
    assert "waiting for" in agents[0].log
    assert "Suspended: spec.suspend is true" in agents[0].log

    job.patch({"spec": {"suspend": False}})
    status = job.wait_for_round(nodes, after=1)
    job.wait_for_training(nodes, since=stopped)
    assert (job.ranks(), status.run) == (ranks, run)
    assert (status.restarts, status.history[0].reason) == (0, RoundEndReason.SUSPENDED)
    job.stop_training()
    assert [agent.wait() for agent in agents] == [0, 0]
