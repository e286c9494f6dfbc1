"""A run that is over takes no one any more, and says so; the Rendezvous then serves the next run (rule "runs")."""

import time
import uuid

from tests.e2e.harness import ANOTHER_LAUNCHER, Job
from tests.e2e.pods import Pods
from tests.support.ports import free_port
from tests.support.waiting import wait_until

from rendezvous_api import names
from rendezvous_api.reasons import ClosedReason, LeaveReason, RoundEndReason
from rendezvous_api.rendezvous import ClosedRun


def test_a_member_that_re_enters_when_the_run_has_succeeded_ends_well_and_a_fresh_start_does_not(job: Job) -> None:
    job.create(1, 2, lastCallSeconds=120)
    # n0 has but one port for its store, so that it gives up the old store as soon as it re-enters.
    first = job.agent("n0", conf=f"store_port={free_port()}")
    second = job.agent("n1")
    job.wait_for_training({"n0", "n1"}, timeout=120)
    assert job.ranks() == {"n0": 0, "n1": 1}

    # n1 is done and waits for n0 at torch's exit barrier when n0 is called to a new round. The barrier breaks, n1
    # leaves, and with that the run has succeeded without n0.
    (job.folder / "stop-n1").touch()
    # An agent that has not noticed the end of its worker obeys the call instead.
    wait_until(lambda: len(second.family()) == 1, "the worker of n1 to be done")
    time.sleep(1)  # torch looks at its workers every 0.1 s
    job.request_restart()
    # torch imports much of itself only to log that the barrier has broken.
    assert [second.wait(150), first.wait()] == [0, 0]
    assert "attempt 2, MembershipChange" in first.log
    assert "this node ends without having trained" in first.log
    status = job.status
    assert status.closed_runs == (ClosedRun("run-1", ClosedReason.RUN_SUCCEEDED),)
    assert status.history[-1].reason == RoundEndReason.RESTART_REQUESTED

    late = job.agent("n0", launcher=ANOTHER_LAUNCHER)
    assert late.wait() == 93
    assert "RendezvousClosedError" in late.log
    assert "run 'run-1' is closed (RunSucceeded); start with another --rdzv-id" in late.log
    assert len(job.journal.records("start")) == 2


def test_workers_that_fail_when_the_run_has_succeeded_are_no_success(job: Job) -> None:
    """Also without a run id, where a late start of the same Job ends with 0."""
    job.create(2, 2)
    pods, workload = Pods(job), str(uuid.uuid4())
    # w-0 has but one port for its store, so that it gives up the old store as soon as it re-enters.
    conf = {"w-0": f"store_port={free_port()}", "w-1": ""}
    uids = {name: pods.create(name, owner_uid=workload) for name in conf}
    failing, done = (pods.agent(name, uids[name], run_id=None, conf=conf[name]) for name in conf)
    job.wait_for_training(set(conf))
    assert job.ranks() == {"w-0": 0, "w-1": 1}

    # w-1 waits at torch's exit barrier, which breaks with the store when w-0 fails.
    (job.folder / "stop-w-1").touch()
    wait_until(lambda: len(done.family()) == 1, "the worker of w-1 to be done")
    job.crash("w-0")
    assert [done.wait(), failing.wait()] == [0, 1]
    assert "has ended with success on another node, so the failed workers of this one end, too" in failing.log
    assert job.status.closed_reason(workload) is ClosedReason.RUN_SUCCEEDED


def test_the_next_run_uses_the_same_rendezvous_and_others_are_refused_meanwhile(job: Job) -> None:
    job.create(1, 2, lastCallSeconds=0)
    began = 0.0
    for number in (1, 2):
        agent = job.agent("n0", run_id=f"run-{number}")
        job.wait_for_training({"n0"}, since=began, timeout=120)
        status = job.wait_for_round({"n0"}, after=number - 1)
        assert (status.run_id, status.round, status.history[-1].run_id) == (f"run-{number}", number, f"run-{number}")
        if number == 1:
            (job.folder / "stop-n0").touch()
            assert agent.wait() == 0
            (job.folder / "stop-n0").unlink()
            began = time.time()
    assert {record.run_id for record in job.journal.records("start", since=began)} == {"run-2"}

    stranger = job.agent("n2", run_id="run-3")
    assert stranger.wait() == 1
    assert "RendezvousStateError" in stranger.log
    assert (
        f"run 'run-2' claimed Rendezvous '{job.name}', so run 'run-3' may not join; wait until it has ended or use "
        "another --rdzv-endpoint"
    ) in stranger.log
    status = job.status
    assert (status.run_id, status.round, status.spares, status.formation) == ("run-2", 2, (), None)
    assert len(job.journal.records("start", since=began)) == 1

    job.stop_training()
    assert agent.wait() == 0
    expected = tuple(ClosedRun(f"run-{number}", ClosedReason.RUN_SUCCEEDED) for number in (1, 2))
    wait_until(lambda: job.status.closed_runs == expected, f"{expected}")


def test_what_a_person_has_closed_is_not_started_again(job: Job) -> None:
    job.create(1, 2, lastCallSeconds=0)
    member = job.agent("n0")
    job.wait_for_training({"n0"})
    job.patch({"spec": {"closed": True}})
    late = job.agent("n1")
    assert late.wait() == 93
    assert "exit code 93: RendezvousClosedError" in late.log
    job.crash("n0")
    assert member.wait() == 93
    assert job.participant("n0")["spec"]["leaveReason"] == LeaveReason.FAILED


def test_all_end_with_the_reason_when_max_restarts_is_reached(job: Job) -> None:
    job.create(2, 2, maxRestarts=1)
    nodes = ("n0", "n1")
    agents = [job.agent(node) for node in nodes]
    job.wait_for_training(set(nodes), timeout=120)
    agents.append(job.agent("n2"))
    wait_until(lambda: job.status.spares == (f"{job.name}.n2",), "a spare", 120)

    # Each of the two nodes fails once: the budget is that of the group.
    job.crash("n0")
    status = job.wait_for_round(set(nodes), after=1)
    assert (status.restarts, status.history[0].reason) == (1, RoundEndReason.WORKER_FAILED)
    job.wait_for_training(set(nodes), since=time.time())
    job.crash("n1")
    codes = [agent.wait() for agent in agents]
    assert codes == [94, 94, 94]
    for agent in agents:
        assert "RendezvousClosedError" in agent.log
        assert "RestartBudgetExhausted: 2 rounds ended with a failure, and spec.restarts.max allows" in agent.log
    status = job.status
    assert status.closed_reason("run-1") is ClosedReason.RESTART_BUDGET_EXHAUSTED
    assert (status.round, status.history[-1].reason) == (2, ClosedReason.RESTART_BUDGET_EXHAUSTED)
    assert status.waiting_nodes == 0
    failed = status.condition(names.CONDITION_FAILED)
    assert failed is not None
    assert (failed.status, failed.reason) == ("True", ClosedReason.RESTART_BUDGET_EXHAUSTED)
    assert [(failure.round, failure.node, failure.reason) for failure in status.failures] == [
        (1, f"{job.name}.n0", RoundEndReason.WORKER_FAILED),
        (2, f"{job.name}.n1", RoundEndReason.WORKER_FAILED),
    ]
    job.journal.assert_no_split()
