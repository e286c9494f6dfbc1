"""Some requests of the operator fail, all the time: with an error of the API server, or without an answer."""

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.harness import Job
from tests.e2e.lengths import LATE, SOAK, SUSPECT, TIMES, seconds, soak
from tests.support.fork_server import ForkServer
from tests.support.gateway import PATHS, Gateway, Gateways, as_admin
from tests.support.groups import OWN_CONTROL_PLANE
from tests.support.processes import start_operator
from tests.support.waiting import wait_until

from rendezvous_api.reasons import RoundEndReason
from rendezvous_controlplane import LocalControlPlane

pytestmark = OWN_CONTROL_PLANE
SHARE = 0.05 if SOAK else 0.3
"""In a short time an operator sends few requests."""
LAST_CALL = seconds(6, 30)


@pytest.fixture(scope="module")
def control_plane(own_control_plane: LocalControlPlane) -> LocalControlPlane:
    """One that no other operator serves."""
    return own_control_plane


@pytest.fixture
def gateway(control_plane: LocalControlPlane, tmp_path: Path) -> Iterator[Gateway]:
    """The way of the only operator."""
    gateways = Gateways()
    opened = gateways.open("operator", as_admin(control_plane))
    gateways.fail("operator", PATHS, ("429", "500", "refused"), SHARE, random.Random(7))
    kubeconfig = opened.write_kubeconfig(tmp_path / "operator.kubeconfig")
    operator = start_operator(kubeconfig, tmp_path / "operator.log")
    wait_until(lambda: "decisions begin" in operator.log, "the operator")
    yield opened
    operator.kill()
    gateways.close()


@soak
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_timers_run_although_requests_of_the_operator_fail(
    gateway: Gateway, quiet_job: Job, torchrun_server: ForkServer, tmp_path: Path
) -> None:
    """Each failed request would restart them, if it were taken for an outage, and 5 % are enough for that.

    One that is frozen closes no connection, and what its peers say of it is not confirmed: only the timer of its
    silence finds it.
    """
    job = quiet_job
    job.create(2, 3, lastCallSeconds=600, confirmSeconds=600, **TIMES)
    for node in ("n0", "n1", "n2"):
        job.agent(node)
    first = job.wait_for_round({"n0", "n1", "n2"})
    wait_until(lambda: len(job.journal.records("start")) == 3, "all to train")

    (tmp_path / "other").mkdir()
    other = Job(job.control_plane, job.namespace, tmp_path / "other", torchruns=torchrun_server)
    other.name = "other"
    try:
        other.create(2, 3, lastCallSeconds=LAST_CALL, **TIMES)
        job.agents["n2"].freeze()
        frozen = time.time()
        for node in ("o0", "o1"):
            other.agent(node)
        wait_until(lambda: (formation := other.status.formation) and formation.joined == 2, "two to wait")
        wait_until(lambda: other.status.round == 1, "the waiting group to form", LAST_CALL + LATE)
        wait_until(lambda: job.status.waiting_nodes, "the frozen node to be noticed", SUSPECT + LATE)
        assert time.time() - frozen >= SUSPECT - 1
        second = job.wait_for_round({"n0", "n1"}, after=first.round, timeout=30 + LATE)
        assert second.history[-2].reason == RoundEndReason.MEMBER_LOST
        assert gateway.failed >= 2
    finally:
        other.end()
