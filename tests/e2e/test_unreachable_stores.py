"""Nodes reach the API server and not each other (rules "check-in", "hold-outs" and "store host")."""

import pytest
from tests.e2e.harness import Job
from tests.e2e.lengths import seconds, soak
from tests.support.processes import CUT_TORCHRUN, Process
from tests.support.waiting import wait_until

from rendezvous_api import names
from rendezvous_api.reasons import ConditionReason, HeldOutReason, RoundEndReason

READ_TIMEOUT = seconds(4, 60)


def start(job: Job, number: int, cut: list[str] | None = None) -> Process:
    """A node with an address of its own. ``cut``: the addresses that it does not reach."""
    file = job.folder / f"cut-n{number}"
    if cut is not None:
        file.write_text("\n".join(cut))
    return job.agent(
        f"n{number}",
        conf=f"read_timeout={READ_TIMEOUT}",
        max_restarts=0,
        environment={"CUT_STORES": str(file)},
        arguments=[f"--local-addr={address(number)}"],
        launcher=[CUT_TORCHRUN],
    )


def address(number: int) -> str:
    return f"127.0.7.{1 + number}"


@soak
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_node_that_does_not_reach_the_store_is_held_out_and_the_others_train(job: Job) -> None:
    """With three nodes the host would be tried first: one half of the others reaches it."""
    healthy, everyone = {"n0", "n1", "n2"}, {"n0", "n1", "n2", "n3"}
    job.create(2, 4, lastCallSeconds=600, maxRestarts=0)
    for number in range(3):
        start(job, number)
    lonely = start(job, 3, cut=[address(number) for number in range(3)])
    job.wait_for_training(healthy, timeout=60 + 3 * READ_TIMEOUT)
    status = job.status
    (held,) = status.held_out
    assert (held.name, held.reason, held.times) == (f"{job.name}.n3", HeldOutReason.STORE_NOT_REACHED, 1)
    assert "did not reach the store of round 1" in held.message
    assert held.message.endswith("which 2 of 3 others reached")
    degraded = status.condition(names.CONDITION_DEGRADED)
    assert degraded is not None
    assert (degraded.status, degraded.reason) == ("True", ConditionReason.NODE_HELD_OUT)
    assert f"{job.name}.n3 is held out until" in degraded.message
    wait_until(lambda: "this node is held out until" in lonely.log, "the same in the log of the node")
    # It has cost no restart, of which there are none, and nobody was stopped.
    assert (status.restarts, status.round) == (0, 2)
    assert status.history[0].reason == RoundEndReason.CHECK_IN_FAILED

    (job.folder / "cut-n3").unlink()
    job.patch({"metadata": {"annotations": {names.ANNOTATION_RETRY_AT: "now"}}})
    job.wait_for_training(everyone, timeout=90)
    status = job.wait_for_round(everyone, after=2)
    assert (status.held_out, status.restarts) == ((), 0)
    job.stop_training()
    assert [job.agents[node].wait() for node in sorted(everyone)] == [0, 0, 0, 0]


@soak
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_each_rank_is_tried_as_the_host_until_one_can_be_reached(job: Job) -> None:
    """The first two are behind firewalls of their own: they reach the others, and nobody reaches them."""
    job.create(3, 3)
    unreachable = [address(number) for number in range(2)]
    with job.recorder() as recorder:
        for number in range(3):
            start(job, number, cut=[other for other in unreachable if other != address(number)])
        job.wait_for_training({"n0", "n1", "n2"}, timeout=60 + 6 * (READ_TIMEOUT + 30))
    hosts = {}
    for sight in recorder.sights:
        if sight.status.store is not None:
            hosts[sight.status.round] = sight.status.participants[0].name
    assert list(hosts.values()) == [f"{job.name}.n{number}" for number in range(3)]
    status = job.status
    assert [record.reason for record in status.history] == [*[RoundEndReason.CHECK_IN_FAILED] * 2, None]
    assert status.held_out == ()
    job.stop_training()
    assert [job.agents[f"n{number}"].wait() for number in range(3)] == [0, 0, 0]
