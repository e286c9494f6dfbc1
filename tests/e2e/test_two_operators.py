"""Two operators serve one cluster by mistake, and one of them may act on what was true before (rule "only forward")."""

import time
from pathlib import Path

from tests.e2e.harness import Job
from tests.support.processes import Process, start_operator
from tests.support.waiting import wait_until

from rendezvous_api.reasons import RoundEndReason

NODES = {"n0", "n1", "n2"}


def decisions(operator: Process, job: Job) -> list[str]:
    """Rounds of the job that this operator has published or ended."""
    marks = (f"{job.namespace}/{job.name}: RoundPublished", f"{job.namespace}/{job.name}: RoundEnded")
    return [line for line in operator.log.splitlines() if any(mark in line for mark in marks)]


def test_two_operators_make_no_wrong_round(job: Job, operator: Process, tmp_path: Path) -> None:
    job.create(2, 3, heartbeatIntervalSeconds=2, maxMissed=10, suspectSeconds=20)
    other = start_operator(job.control_plane.kubeconfig, tmp_path / "other-operator.log")
    try:
        wait_until(lambda: "decisions begin" in other.log, "the second operator")
        with job.recorder() as recorder:
            disturb(job, operator, other)
    finally:
        other.thaw()
        other.kill()
        operator.thaw()
    assert "Traceback" not in other.log
    # Each has written what the other then had to accept; each line stands for a write that the API server took.
    told = [decisions(operator, job), decisions(other, job)]
    assert all(told), told
    published = [line for lines in told for line in lines if "RoundPublished" in line]
    assert len(published) == job.status.round == len({line.partition("RoundPublished")[2] for line in published})
    recorder.assert_rules(2, 3)
    job.journal.assert_no_split()


def disturb(job: Job, first: Process, second: Process) -> None:
    """Take the group through joins, crashes, re-entries, a loss and a return, with both operators or a stale one."""
    agents = [job.agent(node) for node in sorted(NODES)]
    job.wait_for_training(NODES, timeout=120)
    status = job.wait_for_round(NODES)

    # All re-enter at once: one of them crashes, then a user asks for it.
    job.crash("n1")
    status = job.wait_for_round(NODES, after=status.round)
    job.wait_for_training(NODES, since=time.time())
    job.request_restart()
    status = job.wait_for_round(NODES, after=status.round)
    job.wait_for_training(NODES, since=time.time())

    # One operator sleeps while the other goes on; then it wakes, with the world of before and a crash to decide on.
    for sleeper, crashing in ((first, "n0"), (second, "n2")):
        sleeper.freeze()
        job.crash(crashing)
        status = job.wait_for_round(NODES, after=status.round)
        job.wait_for_training(NODES, since=time.time())
        job.crash(crashing)
        sleeper.thaw()
        status = job.wait_for_round(NODES, after=status.round)
        job.wait_for_training(NODES, since=time.time())

    # A node is lost and comes back.
    killed_at = time.time()
    job.agents["n0"].kill()
    status = job.wait_for_round(NODES - {"n0"}, after=status.round)
    assert status.history[-2].reason == RoundEndReason.MEMBER_LOST
    job.wait_for_training(NODES - {"n0"}, since=killed_at)
    agents[0] = job.agent("n0")
    job.wait_for_training(NODES, since=killed_at, timeout=120)
    job.wait_for_round(NODES, after=status.round)

    job.stop_training()
    assert [agent.wait() for agent in agents] == [0, 0, 0]
