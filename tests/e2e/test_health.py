"""A node whose health check fails stays out, and the others train without it (rule "health")."""

import time

import pytest
from tests.e2e.harness import Job, rounds
from tests.support import health_checks as checks
from tests.support.processes import Process
from tests.support.waiting import wait_until

from rendezvous_api import names
from rendezvous_api.reasons import ConditionReason, RoundEndReason
from rendezvous_api.rendezvous import Unhealthy

BROKEN = "7 of 8 GPUs are there"
FOUND = f"{checks.NAME}: {BROKEN}"


def agent(job: Job, node: str, conf: str = "") -> Process:
    """An agent with the check; its name may also be in the environment."""
    by_key = f"health_check={checks.NAME}" if node == "n0" else ""
    environment = {checks.FOLDER: str(job.folder), **({} if by_key else {"RDZV_HEALTH_CHECK": checks.NAME})}
    return job.agent(node, conf=",".join(filter(None, [by_key, conf])), environment=environment)


def breaks(job: Job, node: str) -> None:
    """From now on its check fails."""
    checks.sick(job.folder, node).write_text(BROKEN, encoding="utf-8")


def is_repaired(job: Job, node: str) -> None:
    """From now on it succeeds, and a person does not want to wait until it runs again."""
    checks.sick(job.folder, node).unlink()
    job.patch({"metadata": {"annotations": {names.ANNOTATION_RETRY_AT: str(time.time())}}})


@pytest.mark.main_job
def test_the_others_train_without_it_until_its_checks_succeed(job: Job) -> None:
    # Whoever waited for replacements would be two minutes late.
    job.create(2, 3, replacementSeconds=120, lastCallSeconds=2, max_restarts=0)
    breaks(job, "n2")
    for node in ("n0", "n1", "n2"):
        agent(job, node)
    job.wait_for_training({"n0", "n1"}, timeout=120)
    status = wait_until(lambda: job.status if job.status.unhealthy else None, "n2 to be unhealthy", 60)
    assert status.unhealthy == (Unhealthy(f"{job.name}.n2", FOUND),)
    degraded = wait_until(lambda: job.status.condition("Degraded"), "Degraded")
    assert (degraded.status, degraded.reason) == ("True", ConditionReason.NODE_UNHEALTHY)
    assert FOUND in degraded.message
    assert job.participant("n2")["spec"]["unhealthy"] == FOUND
    assert f"this node is unhealthy, and stays out of {job.namespace}/{job.name}: {FOUND}" in job.agents["n2"].log
    assert job.agents["n2"].running

    is_repaired(job, "n2")
    job.wait_for_training({"n0", "n1", "n2"})
    status = wait_until(lambda: job.status if not job.status.unhealthy else None, "n2 to be healthy", 60)
    assert rounds(status)[-1] == (3, None)

    # Its device breaks while it trains, so its worker fails.
    breaks(job, "n2")
    broke_at, number = time.time(), status.round
    job.crash("n2")
    job.wait_for_training({"n0", "n1"}, since=broke_at, timeout=100)
    status = job.status
    assert rounds(status)[-2][1] == RoundEndReason.MEMBER_UNHEALTHY
    assert (status.round, status.restarts) == (number + 1, 0)
    job.stop_training()
    assert [job.agents[node].wait() for node in ("n0", "n1")] == [0, 0]
    assert job.agents["n2"].wait() == 1, "the run has ended well, but not its workers"
    job.journal.assert_no_split()


def test_a_spare_that_is_found_broken_takes_no_place(job: Job) -> None:
    job.create(2, 2, replacementSeconds=2)
    for node in ("n0", "n1"):
        agent(job, node)
    job.wait_for_training({"n0", "n1"}, timeout=120)
    spares = [agent(job, node, "health_retry_timeout=0" if node == "n2" else "") for node in ("n2", "n3")]
    wait_until(lambda: len(job.status.spares) == 2, "two spares", 120)
    breaks(job, job.status.spares[0].removeprefix(f"{job.name}."))
    first = job.status.spares[0].removeprefix(f"{job.name}.")
    killed_at = time.time()
    job.agents["n1"].kill()
    other = "n3" if first == "n2" else "n2"
    job.wait_for_training({"n0", other}, since=killed_at)
    assert [entry.name for entry in job.status.unhealthy] == [f"{job.name}.{first}"]
    assert any(spare.running for spare in spares)


def test_who_may_not_try_again_ends_with_an_exit_code_of_its_own(job: Job) -> None:
    job.create(1, 2)
    breaks(job, "n0")
    only = agent(job, "n0", "health_retry_timeout=0")
    assert only.wait() == 95
    assert f"this node is unhealthy: {FOUND}." in only.log
    assert job.participant("n0")["spec"]["unhealthy"] == FOUND
    running = wait_until(lambda: job.status.condition("Running"), "a status")
    assert f"{job.name}.n0 is unhealthy: {FOUND}" in running.message
