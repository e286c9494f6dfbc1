"""A release meets the next one: the handler of the first one with today's operator, and the other way round.

Handlers are part of training images, so they live longer than the operator of a cluster (docs/versions.md).
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.e2e.harness import Job
from tests.support import baseline, health_checks
from tests.support.fork_server import ForkServer
from tests.support.groups import OWN_CONTROL_PLANE
from tests.support.processes import Process
from tests.support.waiting import wait_until

from rendezvous_api import names
from rendezvous_api.reasons import RoundEndReason
from rendezvous_controlplane import LocalControlPlane

NODES = {"n0", "n1"}


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages and CRDs of that commit."""
    folder = tmp_path_factory.mktemp("earlier")
    baseline.extract(folder, "api", "handler", "operator", "crds")
    return folder


def path(earlier: Path, *parts: str) -> dict[str, str]:
    """The environment in which Python finds these packages of the earlier commit, not today's."""
    return {"PYTHONPATH": ":".join(str(earlier / part) for part in ("api", *parts))}


def found(package: str, environment: dict[str, str]) -> Path:
    """Where Python finds a package in that environment."""
    code = f"import {package}; print({package}.__file__)"
    return Path(subprocess.check_output([sys.executable, "-c", code], env={**os.environ, **environment}, text=True))


def train(job: Job, environment: dict[str, str] | None, earlier: frozenset[str] = frozenset(NODES)) -> None:
    """A worker crashes, all start again, and the run ends well; these nodes have the environment."""
    job.create(2, 2)
    agents = [
        job.agent(node, together=True, environment=environment if node in earlier else None) for node in sorted(NODES)
    ]
    job.wait_for_training(NODES)
    job.crash("n1")
    second = job.wait_for_round(NODES, after=1)
    assert second.history[-2].reason == RoundEndReason.WORKER_FAILED
    job.wait_for_training(NODES)
    job.stop_training()
    assert [agent.wait() for agent in agents] == [0, 0]
    wait_until(lambda: job.status.holds(names.CONDITION_COMPLETE), "the run to be complete")
    job.journal.assert_no_split()


def test_the_handler_of_the_first_release_with_this_operator(job: Job, earlier: Path) -> None:
    environment = path(earlier, "handler")
    assert found("rendezvous_handler", environment).is_relative_to(earlier)
    train(job, environment)


@pytest.mark.parametrize(
    "node", [pytest.param("n0", id="rank 0"), pytest.param("n1", id="rank 1", marks=pytest.mark.slow)]
)
def test_a_handler_of_the_first_release_meets_one_of_this(job: Job, earlier: Path, node: str) -> None:
    """They check in at one store, and torch's agents exchange their keys there."""
    train(job, path(earlier, "handler"), frozenset({node}))


@pytest.fixture
def earlier_cluster(earlier: Path) -> Iterator[LocalControlPlane]:
    """With the CRDs of that commit, as before an upgrade of the chart."""
    with LocalControlPlane() as plane:
        plane.apply(earlier / "crds")
        yield plane


@OWN_CONTROL_PLANE
def test_this_handler_with_the_operator_of_the_first_release(
    earlier_cluster: LocalControlPlane, earlier: Path, torchrun_server: ForkServer, tmp_path: Path
) -> None:
    with operated_by(earlier, earlier_cluster, tmp_path, torchrun_server) as job:
        train(job, None)


@OWN_CONTROL_PLANE
def test_an_unhealthy_node_of_this_release_stays_out_under_the_operator_of_the_first(
    earlier_cluster: LocalControlPlane, earlier: Path, torchrun_server: ForkServer, tmp_path: Path
) -> None:
    """Its CRDs remove the field that says why, and its operator takes the node for one that a signal has ended."""
    with operated_by(earlier, earlier_cluster, tmp_path, torchrun_server) as job:
        job.create(2, 3)
        sick = health_checks.sick(tmp_path, "n2")
        sick.write_text("no GPU", encoding="utf-8")
        for node in ("n0", "n1", "n2"):
            environment = {health_checks.FOLDER: str(tmp_path)}
            job.agent(node, conf=f"health_check={health_checks.NAME}", environment=environment)
        job.wait_for_training(NODES)
        spec = job.participant("n2")["spec"]
        assert (spec["state"], spec["leaveReason"], "unhealthy" in spec) == ("Left", "Terminated", False)
        sick.unlink()
        job.wait_for_training({*NODES, "n2"})
        job.stop_training()
        assert [agent.wait() for agent in job.agents.values()] == [0, 0, 0]


@contextmanager
def operated_by(earlier: Path, cluster: LocalControlPlane, folder: Path, torchruns: ForkServer) -> Iterator[Job]:
    """A group with the operator of the earlier commit."""
    environment = path(earlier, "operator")
    assert found("rendezvous_operator", environment).is_relative_to(earlier)
    job = Job(cluster, "default", folder, torchruns=torchruns)
    job.processes.append(
        Process(
            [sys.executable, "-m", "rendezvous_operator.app"],
            folder / "operator.log",
            {**os.environ, "KUBECONFIG": str(cluster.kubeconfig), **environment},
        )
    )
    try:
        yield job
    finally:
        job.end()
