"""An operator for each worker of pytest, on the control plane that the worker has, and a job for each test."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.harness import Job
from tests.support.fork_server import ForkServer
from tests.support.processes import Process, start_operator
from tests.support.waiting import wait_until

from rendezvous_controlplane import LocalControlPlane


@pytest.fixture(scope="session")
def operator(control_plane: LocalControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """The operator that serves all tests which do not disturb it."""
    process = start_operator(control_plane.kubeconfig, tmp_path_factory.mktemp("operator") / "operator.log")
    wait_until(lambda: "decisions begin" in process.log or not process.running, "the operator")
    assert process.running, process.log
    yield process
    running = process.running
    process.kill()
    assert running, f"the operator ended by itself:\n{process.log[-6000:]}"


@pytest.fixture
def quiet_job(
    control_plane: LocalControlPlane, torchrun_server: ForkServer, namespace: str, tmp_path: Path
) -> Iterator[Job]:
    """A job without an operator; the test starts one if it wants one."""
    job = Job(control_plane, namespace, tmp_path, torchruns=torchrun_server)
    yield job
    job.end()


@pytest.fixture
def job(operator: Process, quiet_job: Job, request: pytest.FixtureRequest) -> Iterator[Job]:
    """A job that the shared operator serves. A failing test shows what the Rendezvous and the agents said."""
    yield quiet_job
    report = getattr(request.node, "report", None)
    if report is not None and report.failed:
        for process in quiet_job.processes:
            sys.stdout.write(f"---- {process.log_path.name}\n{process.log[-3000:]}\n")
        sys.stdout.write(f"---- operator\n{operator.log[-3000:]}\n")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Let fixtures see whether their test failed."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.when == "call":
        item.report = report  # type: ignore[attr-defined]
