"""Real pods on a real cluster: the fixtures.

`make cluster`, then `.venv/bin/python -m pytest tests/cluster -m cluster`, in one process: the cluster has
two nodes and this machine few cores, so one test has it for itself. The operator is the chart's, with the image that
this checkout builds.
"""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from testcluster import Cluster, ClusterError
from tests.cluster.harness import Group
from tests.cluster.order import TEMPORARY, clear_team, make_whole, remove_namespace, remove_pods, show
from tests.cluster.release import ROOT, TEAM, Release, build_image
from tests.cluster.stock import make_environment
from tests.cluster.timings import Timings

_TEST_SECONDS = 900
_CLUSTER_ITSELF = Path(__file__).with_name("test_cluster_itself.py")
_TIMINGS = pytest.StashKey[Timings]()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests of this folder, and give them the time that pods take; what fixtures do has limits of its own.

    The tests of the cluster itself come first: they end it, and with it the image and the chart of the whole session.
    """
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.cluster)
            item.add_marker(pytest.mark.timeout(_TEST_SECONDS, func_only=True))
    items.sort(key=lambda item: item.path != _CLUSTER_ITSELF)


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


@pytest.fixture(scope="module")
def stock_environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with torch and nothing of this project, for `stock_template`."""
    return make_environment(tmp_path_factory.mktemp("stock") / "environment")


@pytest.fixture(scope="module")
def every_account(cluster: Cluster, release: Release) -> Iterator[str]:
    """A namespace in which every account may join (`workers.bindTo: namespace`), and nothing else was made."""
    name = f"{TEMPORARY}{secrets.token_hex(3)}"
    cluster.kubectl("create", "namespace", name)
    release.install("--set", f"workers.namespaces={{{TEAM},{name}}}", "--set", "workers.bindTo=namespace")
    yield name
    remove_namespace(cluster, name)
    release.install("--set", "workers.bindTo=serviceAccount")


@pytest.fixture
def stock(
    cluster: Cluster, release: Release, every_account: str, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Group]:
    """The group of that namespace, without any object yet."""
    group = Group(cluster, every_account, tmp_path)
    yield group
    report = getattr(request.node, "report", None)
    try:
        if report is not None and report.failed:
            show(cluster, release, every_account)
    finally:
        make_whole(cluster)
        remove_pods(cluster, every_account)
        group.kubectl("delete", "rdzv", "--all", "--timeout=60s")


@pytest.fixture
def output() -> Path:
    """A folder for what commands print, which the documentation shows."""
    folder = ROOT / "build" / "cluster-output"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
