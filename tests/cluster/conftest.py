"""Real pods on a real cluster: the fixtures.

`make cluster`, then `.venv/bin/python -m pytest tests/cluster -m cluster`, in one process: the cluster has
two nodes and this machine few cores, so one test has it for itself. The operator is the chart's, with the image that
this checkout builds.
"""

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from testcluster import Cluster, ClusterError
from tests.cluster.harness import Group
from tests.cluster.release import ROOT, TEAM, Release, build_image
from tests.cluster.timings import Timings

TEMPORARY = "test-"
"""How the names of namespaces begin that are there for one test."""
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
"""The taint that says that a node is off for sure."""

_TEST_SECONDS = 900
_TIMINGS = pytest.StashKey[Timings]()
_LOG_LINES = "60"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests of this folder, and give them the time that pods take; what fixtures do has limits of its own."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.cluster)
            item.add_marker(pytest.mark.timeout(_TEST_SECONDS, func_only=True))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Let fixtures see whether their test failed."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.when == "call":
        item.report = report  # type: ignore[attr-defined]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what the tests have measured."""
    timings = config.stash.get(_TIMINGS, None)
    if timings is not None and timings.rows:
        terminalreporter.section("times")
        terminalreporter.write_line(timings.table())


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """The test cluster, which must be up. What tests have left there or disturbed, as by a kill, is put right."""
    try:
        cluster = Cluster.attach()
    except ClusterError as error:
        pytest.fail(f"these tests need the test cluster, run `make cluster` first: {error}", pytrace=False)
    make_whole(cluster)
    for namespace in cluster.kubectl("get", "namespaces", "--output=jsonpath={.items[*].metadata.name}").split():
        if namespace.startswith(TEMPORARY):
            remove_namespace(cluster, namespace)
    return cluster


@pytest.fixture(scope="session")
def timings(request: pytest.FixtureRequest) -> Timings:
    """Where tests put what they have measured: build/cluster-timings.json, and a table at the end."""
    timings = Timings(ROOT / "build" / "cluster-timings.json")
    request.config.stash[_TIMINGS] = timings
    return timings


@pytest.fixture(scope="session")
def operator_image(cluster: Cluster) -> str:
    """The operator's image, built from this checkout and loaded into both nodes; its name."""
    archive, name = build_image()
    cluster.load_image(archive)
    return name


@pytest.fixture(scope="session")
def release(cluster: Cluster, operator_image: str) -> Iterator[Release]:
    """The chart, installed with two replicas; in namespace `team` agents may join. CLUSTER_KEEP=1 leaves it there."""
    release = Release(cluster, operator_image)
    release.install()
    yield release
    if "CLUSTER_KEEP" not in os.environ:
        release.uninstall()


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace for one test, in which pods may use the service account `rendezvous-agent`."""
    name = f"{TEMPORARY}{secrets.token_hex(3)}"
    cluster.kubectl("create", "namespace", name)
    cluster.kubectl("--namespace", name, "apply", "-f", str(ROOT / "examples" / "agent-rbac.yaml"))
    yield name
    remove_namespace(cluster, name)


@pytest.fixture
def team(cluster: Cluster, release: Release) -> Iterator[str]:
    """The namespace in which the chart has made the account and the role of agents; nothing else is in it."""
    clear_team(cluster)  # a session that was killed has not
    yield TEAM
    clear_team(cluster)


@pytest.fixture
def group(
    cluster: Cluster, release: Release, namespace: str, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Group]:
    """A group without any object yet. A failing test shows all that is known of it; the cluster is made whole again."""
    yield Group(cluster, namespace, tmp_path)
    report = getattr(request.node, "report", None)
    try:
        if report is not None and report.failed:
            show(cluster, release, namespace)
    finally:
        make_whole(cluster)


@pytest.fixture
def output() -> Path:
    """A folder for what commands print, which the documentation shows."""
    folder = ROOT / "build" / "cluster-output"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def make_whole(cluster: Cluster) -> None:
    """Bring back what a test has disturbed: nodes, the API server, the network."""
    cluster.reconnect_all()
    Cluster.up()  # starts what does not run
    for node in cluster.nodes:
        cluster.kubectl("uncordon", node)
        taints = cluster.kubectl("get", "node", node, "--output=jsonpath={.spec.taints[*].key}")
        if OUT_OF_SERVICE in taints.split():
            cluster.kubectl("taint", "node", node, f"{OUT_OF_SERVICE}-")


def remove_namespace(cluster: Cluster, namespace: str) -> None:
    """Delete a namespace and all that is in it, and wait until it is gone."""
    remove_pods(cluster, namespace)
    cluster.kubectl("delete", "namespace", namespace, "--timeout=120s", timeout=150)


def clear_team(cluster: Cluster) -> None:
    """Remove what tests have made in that namespace."""
    remove_pods(cluster, TEAM)
    cluster.kubectl("--namespace", TEAM, "delete", "rendezvous,pvc,events", "--all", "--timeout=60s")


def remove_pods(cluster: Cluster, namespace: str) -> None:
    """Delete all workloads and pods of a namespace, and wait until nothing of them runs."""
    for kinds, options in (("jobs,statefulsets,deployments", ["--cascade=background"]), ("pods", ["--grace-period=1"])):
        options = ["--all", "--timeout=120s", *options]
        cluster.kubectl("--namespace", namespace, "delete", kinds, *options, timeout=150)


def show(cluster: Cluster, release: Release, namespace: str) -> None:
    """Print all that is known of a namespace, and the operator's log."""
    _try("operator", release.logs)
    for what in ("rdzv -o yaml", "rdzvp -o wide", "pods -o wide", "events --sort-by=.lastTimestamp"):
        _try(f"kubectl get {what}", cluster.kubectl, "--namespace", namespace, "get", *what.split())
    _try("operator pods", release.kubectl, "get", "pods", "-o", "wide")
    with contextlib.suppress(ClusterError):
        for pod in cluster.kubectl("--namespace", namespace, "get", "pods", "--output=name").split():
            _try(pod, cluster.kubectl, "--namespace", namespace, "logs", pod, f"--tail={_LOG_LINES}")


def _try(title: str, ask: Callable[..., str], *arguments: str) -> None:
    try:
        _print(title, ask(*arguments))
    except ClusterError as error:
        _print(title, str(error))


def _print(title: str, text: str) -> None:
    print(f"---- {title} ".ljust(100, "-"), text, sep="\n")
