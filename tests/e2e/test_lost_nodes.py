"""A node dies without a word, as when it loses its power; the others go on.

The rules are "replacements", "stable ranks" and "liveness".
"""

import time

import pytest
from tests.e2e.harness import Job, rounds
from tests.support.waiting import wait_until

from rendezvous_api.reasons import RoundEndReason
from rendezvous_controlplane import ControlPlaneError


def has_joined(job: Job, node: str) -> bool:
    try:
        return bool(job.participant(node))
    except ControlPlaneError:
        return False


@pytest.mark.parametrize(
    ("victim", "ranks_without_it"),
    [
        pytest.param("n0", {"n2": 0, "n1": 1}, id="rank 0"),
        pytest.param("n2", {"n0": 0, "n1": 1}, id="the first agent that ever started"),
    ],
)
def test_the_others_go_on_without_a_node_that_was_killed(
    job: Job, victim: str, ranks_without_it: dict[str, int]
) -> None:
    everyone = {"n0", "n1", "n2"}
    job.create(2, 3, lastCallSeconds=600, heartbeatIntervalSeconds=2, maxMissed=5)
    job.agent("n2", together=True)
    wait_until(lambda: has_joined(job, "n2"), "the first agent to join")
    for node in ("n0", "n1"):
        job.agent(node, together=True)
    job.wait_for_training(everyone)
    first = job.wait_for_round(everyone)
    assert job.ranks() == {"n0": 0, "n1": 1, "n2": 2}

    killed_at = time.time()
    job.agents[victim].kill()
    survivors = everyone - {victim}
    job.wait_for_training(survivors, since=killed_at)
    second = job.wait_for_round(survivors, after=first.round)
    assert job.ranks() == ranks_without_it
    # The workers of the survivors fail before anybody can know why: a collective of theirs has lost its peer.
    assert rounds(second) == [(3, RoundEndReason.WORKER_FAILED), (2, None)]
    restarted = job.journal.records("start", since=killed_at)
    assert {record.node: record.group_rank for record in restarted} == ranks_without_it
    assert len(restarted) == 2
    assert first.store is not None
    assert second.store is not None
    assert second.store != first.store
    assert {record.master for record in restarted} == {f"{second.store.host}:{second.store.port}"}
    job.wait_for_training(survivors, since=time.time() + 1)

    # The node comes back: it has its rank again, and so has the one that has stood in for it.
    job.agent(victim, together=True)
    job.wait_for_training(everyone, since=killed_at)
    third = job.wait_for_round(everyone, after=second.round)
    assert third.history[-2].reason == RoundEndReason.SCALE_UP
    assert job.ranks() == {"n0": 0, "n1": 1, "n2": 2}

    job.stop_training()
    assert [job.agents[node].wait() for node in sorted(everyone)] == [0, 0, 0]
    job.journal.assert_no_split()
