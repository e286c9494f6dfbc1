"""Racks of two nodes, by a label of their pods: they train together, or not at all (rule "replacement groups")."""

import time
import uuid

import pytest
from tests.e2e.harness import Job, rounds
from tests.e2e.pods import Pods
from tests.support.waiting import wait_until

from rendezvous_api import names
from rendezvous_api.reasons import FormationReason, RoundEndReason

RACK = "example.com/rack"
IN_RACKS = {"groupKey": RACK, "groupSize": 2}


@pytest.fixture
def pods(job: Job) -> Pods:
    return Pods(job)


class Racks:
    """Pods of one workload, each in the rack of its first letter."""

    def __init__(self, job: Job, pods: Pods) -> None:
        self._job, self._pods, self._workload = job, pods, str(uuid.uuid4())

    def start(self, *nodes: str) -> None:
        """Pods and their agents."""
        for node in nodes:
            uid = self._pods.create(node, owner_uid=self._workload, labels={RACK: node[0]})
            self._pods.agent(node, uid)

    def lose(self, node: str) -> None:
        """Its process ends, and its pod is gone."""
        self._job.agents[node].kill()
        self._pods.delete(node, grace_seconds=0)


def words_of(job: Job) -> str:
    running = job.status.condition(names.CONDITION_RUNNING)
    return f"{running.reason}: {running.message}" if running is not None else ""


def spares_of(job: Job) -> set[str]:
    return {name.removeprefix(f"{job.name}.") for name in job.status.spares}


def test_a_lost_member_takes_its_rack_out_at_once_and_a_whole_one_takes_the_ranks(job: Job, pods: Pods) -> None:
    # No node is waited for: each of these times would be too long for the test.
    job.create(2, 4, nodes=IN_RACKS, lastCallSeconds=1, replacementSeconds=600, replacementPodSeconds=600)
    racks = Racks(job, pods)
    racks.start("a-0", "a-1", "b-0", "b-1")
    job.wait_for_training({"a-0", "a-1", "b-0", "b-1"})
    before = job.status.round
    racks.start("c-0", "c-1")
    wait_until(lambda: spares_of(job) == {"c-0", "c-1"}, "the spares")
    ranks = job.ranks()

    lost_at = time.time()
    racks.lose("a-0")
    job.wait_for_round({"b-0", "b-1", "c-0", "c-1"}, after=before)
    print(f"{time.time() - lost_at:.1f} s from the loss to the next round")
    job.wait_for_training({"b-0", "b-1", "c-0", "c-1"}, since=lost_at)
    assert {node: job.ranks()[node] for node in ("b-0", "b-1")} == {node: ranks[node] for node in ("b-0", "b-1")}
    assert spares_of(job) == {"a-1"}
    assert f"{job.name}.a-1 waits for its replacement group 'a' (1 of 2 nodes)" in words_of(job)
    spare = "this node is a spare: the round is full, or its replacement group is not whole"
    wait_until(lambda: spare in job.agents["a-1"].log, "the spare to say so")

    job.stop_training()
    assert {node: agent.wait() for node, agent in job.agents.items() if node != "a-0"} == dict.fromkeys(
        ("a-1", "b-0", "b-1", "c-0", "c-1"), 0
    )
    job.journal.assert_no_split()


def test_one_node_may_replace_the_lost_one_before_its_rack_is_left_out(job: Job, pods: Pods) -> None:
    nodes = {**IN_RACKS, "mode": "Escalate", "escalationSeconds": 300}
    job.create(2, 4, nodes=nodes, lastCallSeconds=60, replacementSeconds=0, replacementPodSeconds=0)
    racks, everyone = Racks(job, pods), {"a-0", "a-1", "b-0", "b-1"}
    job.agent("alone")
    why = f"{job.name}.alone has no replacement group: it is in no labelled pod, and the label {RACK} of a pod says it"
    wait_until(lambda: why in words_of(job), "the reason why a node outside of pods waits")
    racks.start("a-0", "a-1", "b-0")
    wait_until(lambda: f"{FormationReason.LAST_CALL}: 2 of at most 4 nodes" in words_of(job), "a whole rack")
    racks.start("b-1")
    job.wait_for_training(everyone)
    ranks = job.ranks()

    lost_at = time.time()
    racks.lose("a-0")
    waits = f"{FormationReason.WAITING_FOR_REPLACEMENTS}: replacement group 'a' waits for another node until"
    wait_until(lambda: words_of(job).startswith(waits), waits)
    racks.start("a-0")
    job.wait_for_training(everyone, since=lost_at)
    assert job.ranks() == ranks

    job.patch({"spec": {"nodes": {"escalationSeconds": 3}}})
    racks.lose("a-0")
    status = job.wait_for_round({"b-0", "b-1"}, after=2)
    job.wait_for_training({"b-0", "b-1"}, since=time.time())
    lost = RoundEndReason.MEMBER_LOST
    assert [(count, reason in (lost, RoundEndReason.MEMBER_EVICTED)) for count, reason in rounds(status)] == [
        (4, True),
        (4, True),
        (2, False),
    ]
    assert spares_of(job) == {"a-1", "alone"}

    job.stop_training()
    assert [job.agents[node].wait() for node in ("a-1", "alone", "b-0", "b-1")] == [0, 0, 0, 0]
    job.journal.assert_no_split()
