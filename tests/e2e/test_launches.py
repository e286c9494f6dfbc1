"""Agents without ``--rdzv-id``: each torchrun that a user starts trains, and what is done is not done again."""

import uuid

import pytest
from tests.e2e.harness import Job
from tests.e2e.pods import Pods

JOB = str(uuid.UUID(int=7, version=4))


def trained(job: Job) -> int:
    """How many workers have trained to the end."""
    return len(job.journal.records("end"))


@pytest.mark.parametrize("run_id", [None, ""])
def test_the_same_launch_twice_outside_of_pods_trains_twice(job: Job, run_id: str | None) -> None:
    # An empty --rdzv-id, as from a variable that is not set, becomes another random one on each node.
    job.create(2, 2)
    job.stop_training()
    for launch in (1, 2):
        agents = [job.agent(node, run_id=run_id) for node in ("n0", "n1")]
        assert [agent.wait(60) for agent in agents] == [0, 0]
        assert trained(job) == 2 * launch
    assert [record.run_id for record in job.status.history] == ["none", "none/2"]


def test_the_next_launch_may_have_another_number_of_nodes(job: Job) -> None:
    """Its Rendezvous was made by an agent, for the --nnodes of the first launch."""
    job.stop_training()
    for nodes in (2, 3):
        agents = [job.agent(f"n{number}", run_id=None, nnodes=str(nodes)) for number in range(nodes)]
        assert [agent.wait(60) for agent in agents] == [0] * nodes
        assert {record.nodes for record in job.journal.records("end")[-nodes:]} == {nodes}
    assert (job.rendezvous.spec.min_nodes, job.rendezvous.spec.max_nodes) == (3, 3)


def test_one_torchrun_after_the_other_in_the_pods_of_a_job(job: Job) -> None:
    job.create(2, 2)
    pods = Pods(job)
    job.stop_training()
    uids = {name: pods.create(name, owner_uid=JOB) for name in ("w-0", "w-1")}
    for launch in (1, 2):
        agents = [pods.agent(name, uid, run_id=None) for name, uid in uids.items()]
        assert [agent.wait(60) for agent in agents] == [0, 0]
        assert trained(job) == 2 * launch
    assert [record.run_id for record in job.status.history] == [JOB, f"{JOB}/2"]

    pods.restart_container("w-0")  # it goes through both, since both are done
    for launch in (0, 1):
        again = pods.agent("w-0", uids["w-0"], run_id=None)
        assert again.wait(60) == 0
        assert "this node ends without having trained" in again.log
        assert job.participant("w-0")["spec"]["launch"] == launch
    assert trained(job) == 4
