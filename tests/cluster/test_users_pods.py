"""Pods as users have them already: with settings, containers and owners of their own, in namespaces with rules.

The image is stock. The label and the annotation are all that they have for this project. The chart's tests have each
setting by itself, with every value. Here they run.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from testcluster import HOST_IMAGE, Cluster, host_volume_mounts
from testcluster.layout import HOST_ADDRESS
from tests.cluster.controllers import JobSetController, TrainerController
from tests.cluster.examples import host_volume
from tests.cluster.harness import Group
from tests.cluster.manifests import DATA, TRAIN, Manifest, bare_pod, deployment, indexed_job, job_set, stateful_set
from tests.cluster.stock import stock_template

NODES = 2
FIXED = {"rdzv.dev/nnodes": f"{NODES}"}
UNREACHABLE = "node.kubernetes.io/unreachable"
# The worker can import what is in the user's own folder, and goes on with the script of the other tests.
OWN_SCRIPT = """\
import runpy, sys
import mine
assert mine.VALUE == 7
sys.argv.pop(0)
runpy.run_path(sys.argv[0], run_name="__main__")
"""
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "runAsUser": 1000,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def pods_of(group: Group) -> list[dict[str, Any]]:
    """All pods, as JSON."""
    found: list[dict[str, Any]] = json.loads(group.kubectl("get", "pods", "--output=json"))["items"]
    return found


def finish(group: Group) -> None:
    group.stop_training()
    group.kubectl("wait", "--for=condition=Complete", "job/train", "--timeout=110s")


def beside(name: str, command: str, **more: Any) -> Manifest:
    """Another container of the pod, which runs this in a shell."""
    mounts = [*host_volume_mounts(), {"name": "data", "mountPath": DATA}, {"name": "app", "mountPath": "/app"}]
    container = {"name": name, "image": HOST_IMAGE, "imagePullPolicy": "Never", "volumeMounts": mounts}
    return {**container, "command": ["sh", "-c", command], **more}


def test_what_the_user_has_set_stays_and_holds(stock: Group, stock_environment: Path) -> None:
    """PYTHONPATH, a variable, tolerations, restart rules, a lifecycle, two containers, an init container."""
    (stock.folder / "own.py").write_text(OWN_SCRIPT)
    command = ["torchrun", f"{DATA}/own.py", str(TRAIN), DATA]
    template = stock_template(stock_environment, stock.folder, command, {**FIXED, "rdzv.dev/container": "train"})
    spec = template["spec"]
    (train,) = spec["containers"]
    own = {
        "restartPolicy": "Never",
        "restartPolicyRules": [{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}],
        "lifecycle": {"preStop": {"exec": {"command": ["sh", "-c", f"touch {DATA}/stopped-$POD_NAME"]}}},
    }
    train |= own
    train["env"] += [{"name": "PYTHONPATH", "value": "/app"}, {"name": "PET_MAX_RESTARTS", "value": "7"}]
    train["volumeMounts"].append({"name": "app", "mountPath": "/app"})
    looks_on = beside("looks-on", f"trap 'exit 0' TERM; until [ -e {DATA}/stop ]; do sleep 1; done")
    fetch = beside("fetch", "echo VALUE = 7 > /app/mine.py")
    spec |= {"containers": [looks_on, train], "initContainers": [fetch]}
    spec["volumes"].append({"name": "app", "emptyDir": {}})
    tolerated = {"key": UNREACHABLE, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60}
    spec["tolerations"] = [tolerated]

    stock.create(indexed_job("train", NODES, template))
    stock.wait_for_training(NODES, timeout=300)
    for pod in pods_of(stock):
        other, trains = pod["spec"]["containers"]
        assert {key: trains[key] for key in own} == own
        values = {entry["name"]: entry.get("value") for entry in trains["env"]}
        assert (values["PYTHONPATH"], values["PET_MAX_RESTARTS"]) == ("/app:/opt/rdzv", "7")
        assert "restartPolicyRules" not in other
        first, second = pod["spec"]["initContainers"]
        assert (first["name"], second["name"], second["command"]) == ("rdzv-handler", "fetch", fetch["command"])
        seconds = {item["key"]: item.get("tolerationSeconds") for item in pod["spec"]["tolerations"]}
        assert seconds == {UNREACHABLE: 60, "node.kubernetes.io/not-ready": 30}
        assert "restart-in-place" not in pod["metadata"]["annotations"]["rdzv.dev/injected"]

    gone = stock.pod_of_rank(0)
    before = stock.status.round
    stock.delete_pod(gone)
    stock.wait_for_training(NODES, after=before, timeout=300)
    assert (stock.folder / f"stopped-{gone.name}").exists(), "its lifecycle"
    finish(stock)


def test_restart_rules_of_the_user_are_those_that_hold(stock: Group, stock_environment: Path) -> None:
    """The first time it ends with 42, which they name, then with 137, which ours would name."""
    command = ["sh", "-c", f"[ -e {DATA}/again ] && exit 137; touch {DATA}/again; exit 42"]
    template = stock_template(stock_environment, stock.folder, command)
    rules = [{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]
    template["spec"]["containers"][0] |= {"restartPolicy": "Never", "restartPolicyRules": rules}
    stock.create(bare_pod("ends", template))
    stock.wait(lambda: stock.pod("ends").phase == "Failed", "the pod to fail")
    (pod,) = pods_of(stock)
    (status,) = pod["status"]["containerStatuses"]
    assert (status["restartCount"], status["state"]["terminated"]["exitCode"]) == (1, 137)


@pytest.fixture
def jobsets(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory, stock: Group) -> Iterator[None]:
    """The real controller of JobSets."""
    with JobSetController(cluster.kubectl, cluster.kubeconfig, tmp_path_factory.mktemp("jobset"), address=HOST_ADDRESS):
        yield
        stock.kubectl("delete", "jobsets", "--all", "--timeout=60s")


def train_and_lose_rank_0(group: Group, workload: Manifest) -> None:
    """All pods train; the workload makes the pod of rank 0 again, and all continue."""
    group.create(workload)
    group.wait_for_training(NODES, timeout=300)
    group.wait((group.folder / "checkpoint.pt").exists, "a checkpoint")
    before = group.status.round
    deleted = group.delete_pod(group.pod_of_rank(0))
    group.wait_for_training(NODES, after=before, timeout=300)
    resumed = [record.step for record in group.journal.records("group", since=deleted)]
    assert min(resumed) > 0, "from the checkpoint"


@pytest.mark.parametrize("workload", [deployment, stateful_set], ids=["Deployment", "StatefulSet"])
def test_pods_of_a_workload_without_an_end(
    stock: Group, stock_environment: Path, workload: Callable[..., Manifest]
) -> None:
    train_and_lose_rank_0(
        stock, workload("train", NODES, stock_template(stock_environment, stock.folder, annotations=FIXED))
    )


@pytest.mark.usefixtures("jobsets")
def test_pods_of_a_job_set(stock: Group, stock_environment: Path) -> None:
    """Its two Jobs are one run."""
    template = stock_template(stock_environment, stock.folder, annotations=FIXED)
    train_and_lose_rank_0(stock, job_set("train", [1] * NODES, template))
    stock.stop_training()
    stock.kubectl("wait", "--for=condition=Completed", "jobset/train", "--timeout=110s")


@pytest.fixture
def train_jobs(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory, stock: Group, jobsets: None
) -> Iterator[None]:
    """And the real controller of TrainJobs, which makes JobSets."""
    folder = tmp_path_factory.mktemp("trainer")
    with TrainerController(cluster.kubectl, cluster.kubeconfig, folder, address=HOST_ADDRESS):
        yield
        stock.kubectl("delete", "trainjobs,trainingruntimes", "--all", "--timeout=60s")


@pytest.mark.usefixtures("train_jobs")
def test_pods_of_a_train_job(stock: Group, stock_environment: Path) -> None:
    """The label is in the runtime, and the Trainer itself gives torchrun the number of nodes (PET_NNODES)."""
    template = stock_template(stock_environment, stock.folder)
    del template["metadata"]["annotations"]
    (train,) = template["spec"]["containers"]
    train["name"] = "node"  # which the Trainer looks for
    jobs = job_set("", [NODES], template)["spec"]["replicatedJobs"]
    jobs[0]["name"] = "node"
    jobs[0]["template"]["metadata"] = {"labels": {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}}
    api, policy = "trainer.kubeflow.org/v1alpha1", {"numNodes": NODES, "torch": {}}
    runtime: Manifest = {
        "apiVersion": api,
        "kind": "TrainingRuntime",
        "metadata": {"name": "torch", "labels": {"trainer.kubeflow.org/framework": "torch"}},
        "spec": {"mlPolicy": policy, "template": {"spec": {"replicatedJobs": jobs}}},
    }
    stock.create(runtime)
    reference = {"apiGroup": "trainer.kubeflow.org", "kind": "TrainingRuntime", "name": "torch"}
    train_job: Manifest = {
        "apiVersion": api,
        "kind": "TrainJob",
        "metadata": {"name": "train"},
        "spec": {"runtimeRef": reference, "trainer": {"numNodes": NODES}},
    }
    train_and_lose_rank_0(stock, train_job)
    stock.stop_training()
    stock.kubectl("wait", "--for=condition=Complete", "trainjob/train", "--timeout=110s")


@pytest.fixture
def restricted(cluster: Cluster, every_account: str) -> Iterator[str]:
    """The namespace enforces Pod Security `restricted`."""
    level = "pod-security.kubernetes.io/enforce"
    cluster.kubectl("label", "namespace", every_account, f"{level}=restricted")
    yield every_account
    cluster.kubectl("label", "namespace", every_account, f"{level}-")


@pytest.fixture
def claimed(cluster: Cluster, restricted: str) -> Iterator[Callable[[Manifest], Manifest]]:
    """What gives a pod the same folders by claims: at this level a pod may not name folders of its machine."""
    made: list[str] = []

    def change(template: Manifest) -> Manifest:
        volumes = []
        for volume in template["spec"]["volumes"]:
            name = volume["name"]
            claim: Manifest = {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {"name": name},
                "spec": {
                    "accessModes": ["ReadWriteMany"],
                    "storageClassName": "",
                    "resources": {"requests": {"storage": "1Gi"}},
                },
            }
            made.append(f"{restricted}-{name}")
            held = host_volume(made[-1], claim, restricted, Path(volume["hostPath"]["path"]))
            cluster.kubectl("create", "-f", "-", input=json.dumps(held))
            cluster.kubectl("--namespace", restricted, "create", "-f", "-", input=json.dumps(claim))
            volumes.append({"name": name, "persistentVolumeClaim": {"claimName": name}})
        return {**template, "spec": {**template["spec"], "volumes": volumes}}

    yield change
    cluster.kubectl("--namespace", restricted, "delete", "jobs,pods,pvc", "--all", "--timeout=120s", timeout=150)
    cluster.kubectl("delete", "pv", *made, "--timeout=60s")


def test_pod_security_restricted(
    stock: Group, stock_environment: Path, claimed: Callable[[Manifest], Manifest]
) -> None:
    """As user 1000, who owns nothing here."""
    stock.folder.chmod(0o777)
    stock_environment.chmod(0o755)
    template = claimed(stock_template(stock_environment, stock.folder, annotations=FIXED))
    template["spec"]["containers"][0]["securityContext"] = RESTRICTED
    stock.create(indexed_job("train", NODES, template))
    stock.wait_for_training(NODES, timeout=300)
    assert {path.stat().st_uid for path in stock.folder.glob("journal-*")} == {1000}
    finish(stock)


def test_a_quota_and_a_limit_range(stock: Group, stock_environment: Path) -> None:
    """Which count and bound the init container, too: the pods fit as they would fit without it."""
    hard = {"requests.cpu": "1", "limits.cpu": "1", "requests.memory": "4Gi", "limits.memory": "4Gi", "pods": "2"}
    own = {"cpu": "500m", "memory": "2Gi"}
    bounds = {"type": "Container", "min": {"cpu": "100m", "memory": "64Mi"}, "max": own, "default": own}
    stock.create({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": hard}})
    stock.create(
        {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "bounds"}, "spec": {"limits": [bounds]}}
    )
    try:
        template = stock_template(stock_environment, stock.folder, annotations=FIXED)
        stock.create(indexed_job("train", NODES, template))
        stock.wait_for_training(NODES, timeout=300)
        assert {pod["status"]["qosClass"] for pod in pods_of(stock)} == {"Guaranteed"}
        used = json.loads(stock.kubectl("get", "resourcequota", "q", "--output=json"))["status"]["used"]
        assert used == hard
        finish(stock)
    finally:
        stock.kubectl("delete", "resourcequota/q", "limitrange/bounds")
