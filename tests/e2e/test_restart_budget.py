"""The limits of ``spec.restarts`` end a run with exit code 94, and the end of the window gives new restarts."""

import time
from datetime import datetime, timedelta, timezone

from tests.e2e.harness import Job
from tests.support.waiting import wait_until

from rendezvous_api.reasons import ClosedReason
from rendezvous_api.restart_budget import until_when

NODES = ("n0", "n1")
WINDOW_SECONDS = 5


def crash(job: Job, node: str, *, after: int) -> None:
    """A worker crashes, and all train in the next round."""
    job.crash(node)
    job.wait_for_round(set(NODES), after=after)
    job.wait_for_training(set(NODES), since=time.time())


def test_the_end_of_the_window_gives_new_restarts_and_then_the_budget_ends(job: Job) -> None:
    job.create(2, 2, maxRestarts=1, restartsWindowSeconds=WINDOW_SECONDS)
    agents = [job.agent(node) for node in NODES]
    job.wait_for_training(set(NODES), timeout=120)
    crash(job, "n0", after=1)
    (first,) = job.status.failures
    until = until_when(job.rendezvous.spec.restarts, first)
    assert until is not None
    wait_until(lambda: datetime.now(timezone.utc) > until, "the end of the window", WINDOW_SECONDS + 5)
    crash(job, "n0", after=2)
    status = job.status
    assert (status.restarts, status.closed_runs) == (2, ()), "the first failure counts no more"

    # However slow this machine is, the next failure is in this window.
    job.patch({"spec": {"restarts": {"windowSeconds": 3600}}})
    job.crash("n1")
    assert [agent.wait() for agent in agents] == [94, 94]
    status = job.status
    assert status.closed_reason("run-1") is ClosedReason.RESTART_BUDGET_EXHAUSTED
    times = [datetime.fromisoformat(failure.time) for failure in status.failures]
    assert len(times) == 3
    assert times[1] - times[0] >= timedelta(seconds=WINDOW_SECONDS)
    for agent in agents:
        assert "3 rounds ended with a failure within 3600 s, and spec.restarts.max allows no more" in agent.log
    job.journal.assert_no_split()


def test_all_end_when_one_node_has_failed_too_often(job: Job) -> None:
    job.create(2, 2, maxRestarts=9, restartsPerNode=1)
    agents = [job.agent(node) for node in NODES]
    job.wait_for_training(set(NODES), timeout=120)
    crash(job, "n0", after=1)
    crash(job, "n1", after=2)
    assert job.status.closed_runs == ()
    job.crash("n1")
    assert [agent.wait() for agent in agents] == [94, 94]
    for agent in agents:
        assert f"2 rounds ended with a failure of {job.name}.n1, and spec.restarts.perNode allows" in agent.log
    assert [failure.node for failure in job.status.failures] == [f"{job.name}.{node}" for node in ("n0", "n1", "n1")]
