"""Nodes join a job that trains already (rule "scale-up")."""

import time
from functools import partial

from tests.e2e.harness import Job, rounds
from tests.support.waiting import wait_until

from rendezvous_api import names
from rendezvous_api.reasons import ConditionReason, FormationReason, RoundEndReason
from rendezvous_api.rendezvous import RendezvousStatus


def test_a_second_node_joins_a_running_job_of_one_to_two_nodes_with_default_settings(job: Job) -> None:
    """The default rendezvous backend of torch loses both nodes here. Two of the default times are cut short."""
    agents = [job.agent("n0", nnodes="1:2", together=True)]
    status = wait_until(partial(gathered, job, 1), "n0 to wait for others")
    assert status.formation is not None
    assert status.formation.reason is FormationReason.LAST_CALL
    rendezvous = job.rendezvous
    assert rendezvous.metadata.labels[names.LABEL_CREATED_BY] == names.CREATED_BY_AGENT
    assert (rendezvous.spec.min_nodes, rendezvous.spec.max_nodes) == (1, 2)
    assert (rendezvous.spec.timeouts.last_call_seconds, rendezvous.spec.scale_up.interval_seconds) == (30, 60)

    job.patch({"spec": {"timeouts": {"lastCallSeconds": 1}}})  # it ends without a second node
    job.wait_for_training({"n0"})

    agents.append(job.agent("n1", nnodes="1:2", together=True))
    wait_until(partial(gathered, job, 1), "n1 to join")
    job.patch({"spec": {"scaleUp": {"intervalSeconds": 1}}})
    job.wait_for_training({"n0", "n1"})
    status = job.wait_for_round({"n0", "n1"})
    assert rounds(status) == [(1, RoundEndReason.SCALE_UP), (2, None)]
    assert job.ranks() == {"n0": 0, "n1": 1}
    # The job goes on with two; nobody has failed on the way.
    job.wait_for_training({"n0", "n1"}, since=time.time() + 2)
    started = job.journal.records("start")
    assert sorted((record.node, record.nodes) for record in started) == [("n0", 1), ("n0", 2), ("n1", 2)]
    assert {record.restarts for record in started} == {0}
    assert status.store is not None
    assert {record.master for record in started if record.nodes == 2} == {f"{status.store.host}:{status.store.port}"}

    job.stop_training()
    assert [agent.wait() for agent in agents] == [0, 0]
    job.journal.assert_no_split()


def test_nodes_that_trickle_in_are_gathered_while_training_goes_on_and_cost_one_restart(job: Job) -> None:
    job.create(1, 4, lastCallSeconds=0, scaleUpIntervalSeconds=3600)
    # To be asked to join again does not count against --max-restarts.
    agents = [job.agent("n0", together=True, max_restarts=0)]
    job.wait_for_training({"n0"})

    for number, node in enumerate(("n1", "n2"), 1):
        agents.append(job.agent(node, together=True))
        status = wait_until(partial(gathered, job, number), f"{number} newcomers to be gathered")
        assert status.waiting_nodes == 0
        assert status.formation is not None
        assert status.formation.reason is FormationReason.GATHERING
        running = status.condition(names.CONDITION_RUNNING)
        assert running is not None
        assert (running.status, running.reason) == ("True", ConditionReason.RUNNING)
        assert status.formation.message in running.message
        job.wait_for_training({"n0"}, since=time.time() + 1)
    assert len(job.journal.records("start")) == 1

    # The round has run for longer than that by now.
    job.patch({"spec": {"scaleUp": {"intervalSeconds": 1}}})
    everyone = {"n0", "n1", "n2"}
    job.wait_for_training(everyone)
    status = job.wait_for_round(everyone)
    assert rounds(status) == [(1, RoundEndReason.SCALE_UP), (3, None)]
    assert len(job.journal.records("start")) == 4

    job.stop_training()
    assert [agent.wait() for agent in agents] == [0, 0, 0]
    job.journal.assert_no_split()


def gathered(job: Job, newcomers: int) -> RendezvousStatus | None:
    if job.api.find(names.RENDEZVOUS_KIND, job.name) is None:
        return None  # the first agent has not created it yet
    status = job.status
    return status if status.formation is not None and status.formation.joined == newcomers else None
