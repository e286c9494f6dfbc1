"""A node dies after it was admitted to a round and before the others have started in it (rule "check-in").

Without a check-in of all members, each of the others would wait for the dead one's keys at start-up, and end with it.
"""

import os
import signal
import socket
import time

import pytest
from tests.e2e.harness import Job, rounds
from tests.support import objects
from tests.support.waiting import wait_until

from rendezvous_api import names
from rendezvous_api.reasons import RoundEndReason

SHORT_KEEP_ALIVE = {"heartbeatIntervalSeconds": 2, "maxMissed": 5}


def assert_only_these_trained(job: Job, nodes: set[str]) -> None:
    """They trained in one group without anybody else, from the beginning, and none of them ended before."""
    started = job.journal.records("start")
    assert {record.node for record in started} == nodes
    assert {record.nodes for record in started} == {len(nodes)}
    assert len({record.master for record in started}) == 1
    assert [job.agents[node].running for node in sorted(nodes)] == [True] * len(nodes)
    status = job.status
    assert status.store is not None
    assert started[0].master == f"{status.store.host}:{status.store.port}"
    job.stop_training()
    assert [job.agents[node].wait() for node in sorted(nodes)] == [0] * len(nodes)


def admit_and_freeze(job: Job, everyone: set[str], victim: str) -> None:
    """Start these nodes; the victim gets its place in round 1 and does not come to the store of that round."""
    job.create(3, 4, lastCallSeconds=3600, **SHORT_KEEP_ALIVE)
    for node in sorted(everyone):
        job.agent(node, conf="read_timeout=6", max_restarts=0)
    wait_until(lambda: (formation := job.status.formation) and formation.joined == 3, "all to join")
    os.kill(job.agents[victim].popen.pid, signal.SIGSTOP)
    job.patch({"spec": {"minNodes": 2, "maxNodes": 3}})  # by this the group is complete
    job.wait_for_round(everyone)
    assert job.ranks() == {node: rank for rank, node in enumerate(sorted(everyone))}


@pytest.mark.parametrize("victim", [pytest.param("n0", id="rank 0"), pytest.param("n2", id="the last rank")])
def test_an_agent_is_killed_at_the_moment_of_its_admission(job: Job, victim: str) -> None:
    """Nothing tells of its death; the others miss it at the store of the round, and then its heartbeats are missed."""
    everyone = {"n0", "n1", "n2"}
    survivors = everyone - {victim}
    admit_and_freeze(job, everyone, victim)
    job.agents[victim].kill()

    second = job.wait_for_round(survivors, after=1)
    assert rounds(second)[0][1] in (RoundEndReason.CHECK_IN_FAILED, RoundEndReason.MEMBER_LOST)
    wait_until(lambda: len(job.journal.records("start")) == 2, "the survivors to start their workers")
    assert_only_these_trained(job, survivors)


def test_an_agent_that_was_frozen_at_its_admission_takes_part_in_the_next_round_when_it_wakes(job: Job) -> None:
    """When it wakes, the first thing that it sees is its place as rank 0 of a round that is over."""
    everyone = {"n0", "n1", "n2"}
    admit_and_freeze(job, everyone, "n0")
    job.wait_for_round({"n1", "n2"}, after=1)
    wait_until(lambda: len(job.journal.records("start")) == 2, "the others to start their workers")
    os.kill(job.agents["n0"].popen.pid, signal.SIGCONT)
    third = job.wait_for_round(everyone, after=2)
    assert third.round == 3
    wait_until(lambda: len(job.journal.records("start")) == 5, "all to start their workers")
    assert job.ranks() == {"n0": 0, "n1": 1, "n2": 2}
    job.stop_training()
    assert [job.agents[node].wait() for node in sorted(everyone)] == [0, 0, 0]
    started = job.journal.records("start")
    assert [record.nodes for record in started] == [2, 2, 3, 3, 3]
    assert [len({record.master for record in group}) for group in (started[:2], started[2:])] == [1, 1]


@pytest.mark.parametrize("ghost", [pytest.param("a", id="rank 0"), pytest.param("z", id="the last rank")])
def test_a_node_vanishes_before_it_checks_in(job: Job, ghost: str) -> None:
    """Its object goes with it, as with its pod, so that the others are told at once and no timeout is waited for."""
    job.create(2, 3, lastCallSeconds=3600)
    with socket.socket() as unserved:
        unserved.bind(("127.0.0.1", 0))  # and not listening, like the port of every member before its round
        ghost_object = objects.participant(
            ghost,
            rendezvousUID=job.rendezvous.metadata.uid,
            runID="run-1",
            address="127.0.0.1",
            storePort=unserved.getsockname()[1],
        )
        name = f"{job.name}.{ghost}"
        survivors = {"n0", "n1"}
        for node in sorted(survivors):
            job.agent(node, max_restarts=0)
        wait_until(lambda: (formation := job.status.formation) and formation.joined == 2, "two to join")
        job.api.create(ghost_object)
        job.wait_for_round({ghost, *survivors})
        time.sleep(2)
        assert job.journal.records("start") == [], "workers were started before all members had checked in"
        job.api.delete(names.PARTICIPANT_KIND, name)
        deleted_at = time.monotonic()
        second = job.wait_for_round(survivors, after=1)

    # The replacement timeout is 3 s; that of the check-in, read_timeout, would be 60 s.
    assert time.monotonic() - deleted_at < 40
    assert rounds(second)[0] == (3, RoundEndReason.MEMBER_LOST)
    assert job.ranks() == ({"n0": 0, "n1": 1} if ghost == "z" else {"n1": 0, "n0": 1})
    wait_until(lambda: len(job.journal.records("start")) == 2, "the survivors to start their workers")
    assert_only_these_trained(job, survivors)
