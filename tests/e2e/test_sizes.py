"""Rounds of some sizes only: two nodes or four, never three (rule "size")."""

import time

from tests.e2e.harness import Job, rounds
from tests.support.waiting import wait_until

from rendezvous_api import names
from rendezvous_api.reasons import RoundEndReason


def test_rounds_have_an_allowed_size_and_who_does_not_fill_one_is_a_spare(job: Job) -> None:
    job.create(2, 4, sizes={"step": 2}, lastCallSeconds=1)
    for node in ("n0", "n1", "n2"):
        job.agent(node)
    wait_until(lambda: len(job.status.spares) == 1 and job.status.round, "a round of two and a spare", 120)
    members, spare = {*job.ranks()}, only_spare(job)
    assert members | {spare} == {"n0", "n1", "n2"}
    wait_until(lambda: "this node is a spare" in job.agents[spare].log, "the spare to say that it is one")

    # It waits although there is room for it, and disturbs nobody.
    job.wait_for_training(members, since=time.time() + 1)
    assert (job.status.round, job.status.formation) == (1, None)
    assert len(job.journal.records("start")) == 2

    job.agent("n3")
    everyone = {"n0", "n1", "n2", "n3"}
    job.wait_for_training(everyone)
    assert job.status.spares == ()
    ranks = job.ranks()

    lost = next(node for node, rank in ranks.items() if rank == 1)
    job.agents[lost].kill()
    # As when its pod is deleted. Silence alone would be enough, and take longer.
    job.api.delete(names.PARTICIPANT_KIND, f"{job.name}.{lost}")
    last = next(node for node, rank in ranks.items() if rank == 3)
    status = job.wait_for_round(everyone - {lost, last}, after=2)
    assert only_spare(job) == last
    job.wait_for_training(everyone - {lost, last})
    assert rounds(status) == [(2, RoundEndReason.SCALE_UP), (4, RoundEndReason.MEMBER_LOST), (2, None)]
    assert {record.nodes for record in job.journal.records("start")} == {2, 4}

    job.stop_training()
    assert {node: job.agents[node].wait() for node in everyone - {lost}} == dict.fromkeys(everyone - {lost}, 0)
    job.journal.assert_no_split()


def only_spare(job: Job) -> str:
    (name,) = job.status.spares
    return name.removeprefix(f"{job.name}.")
