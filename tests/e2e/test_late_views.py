"""What an operator sees late, or only now and then, is no evidence against a node that trains."""

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.harness import Job
from tests.e2e.lengths import HEARTBEAT, LATE, SILENT, TIMES, seconds, soak
from tests.e2e.pods import Pods
from tests.support.gateway import Gateways, as_admin
from tests.support.processes import start_operator
from tests.support.waiting import wait_until

from rendezvous_api import names
from rendezvous_api.reasons import RoundEndReason

WATCH_LAG = 0.5
NODES = {"n0", "n1", "n2"}


@pytest.fixture
def gateways() -> Iterator[Gateways]:
    made = Gateways()
    yield made
    made.close()


@soak
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_operators_of_which_one_sees_participants_late_make_one_round_of_one_request(
    job: Job, gateways: Gateways, tmp_path: Path
) -> None:
    """The status is seen at once, and attempts that are older than it later."""
    gateway = gateways.open("operator", as_admin(job.control_plane))
    gateway.lags[names.PARTICIPANT_PLURAL] = WATCH_LAG
    kubeconfig = gateway.write_kubeconfig(tmp_path / "late.kubeconfig")
    late = start_operator(kubeconfig, tmp_path / "late-operator.log", f"--namespace={job.namespace}")
    try:
        wait_until(lambda: "decisions begin" in late.log, "the second operator")
        job.create(2, 3, **TIMES)
        for node in sorted(NODES):
            job.agent(node)
        for number in range(1, seconds(3, 20)):
            before = job.wait_for_round(NODES)
            job.wait_for_training(NODES, since=time.time())
            job.request_restart(f"request {number}")
            after = job.wait_for_round(NODES, after=before.round)
            job.wait_for_training(NODES, since=time.time())
            time.sleep(seconds(4, 10))
            assert job.status.round == after.round == before.round + 1
            assert job.status.history[-2].reason == RoundEndReason.RESTART_REQUESTED
        assert job.status.restarts == 0
    finally:
        late.kill()


@soak
@pytest.mark.timeout(600)
def test_a_pod_that_loses_its_label_goes_on(job: Job) -> None:
    """To a watch by label it looks as if it were deleted."""
    job.create(2, 2, replacementSeconds=0, **TIMES)
    pods = Pods(job)
    uids = {name: pods.create(name) for name in ("p-0", "p-1")}
    for name, uid in uids.items():
        pods.agent(name, uid)
    job.wait_for_training(set(uids))
    pods.agent("spare", pods.create("spare"))
    wait_until(lambda: job.status.spares == (f"{job.name}.spare",), "a spare")
    job.api.patch("Pod", "p-1", {"metadata": {"labels": {names.LABEL_RENDEZVOUS: None}}})
    unlabelled = time.time()
    time.sleep(seconds(3, 150))
    status = job.status
    assert (status.round, status.waiting_nodes, status.restarts) == (1, 0, 0)
    assert {record.node for record in job.journal.records("step", since=unlabelled + 2)} == set(uids)
    assert len(job.journal.records("start")) == 2


@soak
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_member_that_is_heard_now_and_then_keeps_nobody_waiting(job: Job, gateways: Gateways, tmp_path: Path) -> None:
    """It reads nothing, so it never joins again, and of its heartbeats one arrives each 25 s."""
    reentry = seconds(20, 330)
    every = SILENT + seconds(2, 10)
    times = {**TIMES, "suspectSeconds": seconds(60, 120), "reentrySeconds": reentry}
    job.create(2, 3, lastCallSeconds=600, **times)
    sick = gateways.open("n2", as_admin(job.control_plane))
    kubeconfig = str(sick.write_kubeconfig(tmp_path / "n2.kubeconfig"))
    for node in ("n0", "n1"):
        job.agent(node)
    job.agent("n2", environment={"KUBECONFIG": kubeconfig})
    job.wait_for_training(NODES)
    over = threading.Event()

    def cut(*paths: str) -> None:
        gateways.fail("n2", paths, "silent", 1.0, random.Random(1))

    def flap() -> None:
        while not over.is_set():
            cut("read", "watch")  # what was silent breaks first
            over.wait(2 * HEARTBEAT)
            cut("read", "watch", "write")
            over.wait(every - 2 * HEARTBEAT)

    flapping = threading.Thread(target=flap, daemon=True)
    flapping.start()
    try:
        time.sleep(every)
        assert job.status.round == 1
        job.crash("n0")
        crashed = wait_until(lambda: job.journal.records("crash"), "the crash")[0].time
        job.wait_for_round({"n0", "n1"}, after=1, timeout=reentry + LATE)
        job.wait_for_training({"n0", "n1"}, since=crashed)
    finally:
        over.set()
        flapping.join()
    # It may be silent at the moment of the crash.
    assert job.status.history[0].reason in (RoundEndReason.WORKER_FAILED, RoundEndReason.MEMBER_LOST)
