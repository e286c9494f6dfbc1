"""A label and an annotation on the Job of a user whose image has torch and nothing of this project.

The handler comes by the init container. Every service account of the namespace may join (`workers.bindTo: namespace`),
so the pods keep the one that they have, which is `default`.
"""

import json
import secrets
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from testcluster import Cluster
from tests.cluster.harness import Group
from tests.cluster.manifests import bare_pod, indexed_job
from tests.cluster.order import TEMPORARY, make_whole, remove_namespace, show
from tests.cluster.release import TEAM, Release
from tests.cluster.stock import make_environment, stock_template
from tests.cluster.timings import Timings

PODS = 4
FIND = "import importlib.metadata as m, torch; print([d.name for d in m.distributions()])"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with torch alone."""
    return make_environment(tmp_path_factory.mktemp("stock") / "environment")


@pytest.fixture(scope="module")
def every_account(cluster: Cluster, release: Release) -> Iterator[str]:
    """A namespace in which every account may join, and nothing else was made."""
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
    """The group of this namespace, without any object yet."""
    group = Group(cluster, every_account, tmp_path)
    yield group
    report = getattr(request.node, "report", None)
    try:
        if report is not None and report.failed:
            show(cluster, release, every_account)
    finally:
        group.kubectl("delete", "jobs,pods,rdzv", "--all", "--wait", "--timeout=120s")
        make_whole(cluster)


def job_is_complete(group: Group) -> bool:
    conditions = json.loads(group.kubectl("get", "job", "train", "-o", "json"))["status"].get("conditions", [])
    return any(item["type"] == "Complete" and item["status"] == "True" for item in conditions)


def test_a_stock_image_has_nothing_of_this_project(stock: Group, environment: Path) -> None:
    pod = bare_pod("look", stock_template(environment, stock.folder, ["python", "-c", FIND]))
    pod["metadata"]["labels"] = {}
    stock.create(pod)
    stock.wait(lambda: stock.pod("look").phase == "Succeeded", "the pod to end")
    found = stock.log("look")
    assert "'torch'" in found
    assert "rendezvous" not in found
    assert "kubernetes" not in found


def test_a_job_trains_survives_the_loss_of_rank_0_and_completes(
    stock: Group, environment: Path, timings: Timings
) -> None:
    created = time.time()
    stock.create(indexed_job("train", PODS, stock_template(environment, stock.folder)))
    stock.wait_for_training(PODS, timeout=300)
    print(f"from the Job to the first step of {PODS} pods: {time.time() - created:.1f} s")
    rendezvous = stock.rendezvous
    assert (rendezvous.spec.min_nodes, rendezvous.spec.max_nodes, rendezvous.spec.restarts.max) == (2, PODS, 20)
    assert rendezvous.made_by_agent
    pods = json.loads(stock.kubectl("get", "pods", "--output=json"))["items"]
    assert {pod["spec"]["serviceAccountName"] for pod in pods} == {"default"}
    said = {pod["metadata"]["annotations"]["rdzv.dev/injected"].partition(": ")[2] for pod in pods}
    assert said == {"environment, handler, shutdown-timeout, restart-in-place, toleration-seconds"}, "it has a token"
    with stock.recorder() as recorder:
        deleted = stock.delete_pod(stock.pod_of_rank(0))
        timings.add(
            stock.measure(recorder, f"Job of {PODS} stock pods", "rank 0 deleted", deleted, nodes=PODS, timeout=300)
        )
    stock.stop_training()
    stock.wait_for_success()
    stock.wait(lambda: job_is_complete(stock), "the Job to be complete")


def test_a_pod_without_a_mounted_token_gets_one(stock: Group, environment: Path) -> None:
    template = stock_template(environment, stock.folder, automountServiceAccountToken=False)
    stock.create(indexed_job("train", 2, template))
    stock.wait_for_training(2, timeout=300)
    pods = json.loads(stock.kubectl("get", "pods", "--output=json"))["items"]
    assert all("token" in pod["metadata"]["annotations"]["rdzv.dev/injected"] for pod in pods)
    stock.stop_training()
    stock.wait(lambda: job_is_complete(stock), "the Job to be complete")


@pytest.mark.parametrize("in_place", [True, False])
def test_a_killed_agent_is_restarted_in_place(
    stock: Group, environment: Path, timings: Timings, in_place: bool
) -> None:
    """Beside the same without the rules, where the Job makes another pod."""
    declined = {} if in_place else {"rdzv.dev/inject-restart-in-place": "false"}
    stock.create(indexed_job("train", 3, stock_template(environment, stock.folder, annotations=declined)))
    before = set(stock.wait_for_training(3, timeout=300))
    killed = stock.pod_of_rank(1)
    with stock.recorder() as recorder:
        at = stock.kill_container(killed)
        how = "agent killed, restarted in place" if in_place else "agent killed, another pod"
        timings.add(stock.measure(recorder, "Job of 3 stock pods", how, at, nodes=3, timeout=300))
    assert (set(stock.ranks()) == before) is in_place
    assert stock.status.restarts == 1 or not in_place
    stock.stop_training()
    stock.wait(lambda: job_is_complete(stock), "the Job to be complete")


@pytest.mark.parametrize("code", [1, 93, 94])
def test_other_codes_end_the_pod(stock: Group, environment: Path, code: int) -> None:
    stock.create(bare_pod("ends", stock_template(environment, stock.folder, ["sh", "-c", f"exit {code}"])))
    stock.wait(lambda: stock.pod("ends").phase == "Failed", "the pod to fail")
    (status,) = json.loads(stock.kubectl("get", "pod", "ends", "-o", "json"))["status"]["containerStatuses"]
    assert (status["restartCount"], status["state"]["terminated"]["exitCode"]) == (0, code)


def test_a_label_without_effect_is_said_where_kubectl_shows_it(stock: Group, environment: Path) -> None:
    command = ["torchrun", "--rdzv-backend=c10d", "train.py"]
    job = indexed_job("train", 2, stock_template(environment, stock.folder, command))
    create = ["kubectl", f"--kubeconfig={stock.cluster.kubeconfig}", "-n", stock.namespace, "create", "-f", "-"]
    done = subprocess.run(
        [*create, "--dry-run=server"], input=json.dumps(job), capture_output=True, text=True, check=True
    )
    print(done.stderr)
    assert "Warning: " in done.stderr
    assert "the container uses the rendezvous backend c10d" in done.stderr
