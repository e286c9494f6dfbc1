"""A label and an annotation on the Job of a user whose image has torch and nothing of this project.

The handler comes by the init container. Every service account of the namespace may join (`workers.bindTo: namespace`),
so the pods keep the one that they have, which is `default`.
"""

import json
import time
from pathlib import Path

import pytest
from testcluster.layout import NODE_GRACE_SECONDS
from tests.cluster.harness import Group
from tests.cluster.manifests import DATA, TRAIN, bare_pod, indexed_job, pod_template
from tests.cluster.stock import stock_template
from tests.cluster.timings import Timings
from tests.support import baseline

from rendezvous_api.reasons import RoundEndReason

PODS = 4
FIND = "import importlib.metadata as m, torch; print([d.name for d in m.distributions()])"


def job_is_complete(group: Group) -> bool:
    conditions = json.loads(group.kubectl("get", "job", "train", "-o", "json"))["status"].get("conditions", [])
    return any(item["type"] == "Complete" and item["status"] == "True" for item in conditions)


def test_a_stock_image_has_nothing_of_this_project(stock: Group, stock_environment: Path) -> None:
    pod = bare_pod("look", stock_template(stock_environment, stock.folder, ["python", "-c", FIND]))
    pod["metadata"]["labels"] = {}
    stock.create(pod)
    stock.wait(lambda: stock.pod("look").phase == "Succeeded", "the pod to end")
    found = stock.log("look")
    assert "'torch'" in found
    assert "rendezvous" not in found
    assert "kubernetes" not in found


def test_a_job_trains_survives_the_loss_of_rank_0_and_completes(
    stock: Group, stock_environment: Path, timings: Timings
) -> None:
    created = time.time()
    stock.create(indexed_job("train", PODS, stock_template(stock_environment, stock.folder)))
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


def test_a_pod_without_a_mounted_token_gets_one(stock: Group, stock_environment: Path) -> None:
    template = stock_template(stock_environment, stock.folder, automountServiceAccountToken=False)
    stock.create(indexed_job("train", 2, template))
    stock.wait_for_training(2, timeout=300)
    pods = json.loads(stock.kubectl("get", "pods", "--output=json"))["items"]
    assert all("token" in pod["metadata"]["annotations"]["rdzv.dev/injected"] for pod in pods)
    stock.stop_training()
    stock.wait(lambda: job_is_complete(stock), "the Job to be complete")


@pytest.mark.parametrize("in_place", [True, False])
def test_a_killed_agent_is_restarted_in_place(
    stock: Group, stock_environment: Path, timings: Timings, in_place: bool
) -> None:
    """Beside the same without the rules, where the Job makes another pod."""
    declined = {} if in_place else {"rdzv.dev/inject-restart-in-place": "false"}
    stock.create(indexed_job("train", 3, stock_template(stock_environment, stock.folder, annotations=declined)))
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
def test_other_codes_end_the_pod(stock: Group, stock_environment: Path, code: int) -> None:
    stock.create(bare_pod("ends", stock_template(stock_environment, stock.folder, ["sh", "-c", f"exit {code}"])))
    stock.wait(lambda: stock.pod("ends").phase == "Failed", "the pod to fail")
    (status,) = json.loads(stock.kubectl("get", "pod", "ends", "-o", "json"))["status"]["containerStatuses"]
    assert (status["restartCount"], status["state"]["terminated"]["exitCode"]) == (0, code)


@pytest.fixture
def earlier_handler(stock: Group) -> dict[str, str]:
    """The variables with which Python finds the handler of the first release, in the folder that the pods share."""
    folder = stock.folder / "earlier"
    folder.mkdir()
    baseline.extract(folder, "api", "handler")
    return {"PYTHONPATH": f"{DATA}/earlier/api:{DATA}/earlier/handler"}


@pytest.mark.parametrize("ours", [True, False], ids=["with our tolerations", "with Kubernetes' own"])
def test_a_machine_is_lost(stock: Group, stock_environment: Path, timings: Timings, ours: bool) -> None:
    """The others miss its beats before it is known to be lost. With ours its pods are evicted 30 s later, not 300 s.

    So the Job makes other ones, while the group may train on with fewer.
    """
    spread = {
        "topologyKey": "kubernetes.io/hostname",
        "maxSkew": 1,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": {"app": "train"}},
    }
    declined = {} if ours else {"rdzv.dev/inject-toleration-seconds": "false"}
    annotations = {"rdzv.dev/nnodes": "1:3", **declined}
    template = stock_template(
        stock_environment, stock.folder, annotations=annotations, topologySpreadConstraints=[spread]
    )
    stock.create(indexed_job("train", 3, template))
    stock.wait_for_training(3, timeout=300)
    node = stock.pod_of_rank(0).node
    staying = [pod for pod in stock.pods() if pod.node != node]
    assert staying
    with stock.recorder() as recorder:
        at = stock.lose_node(node)
        how = f"machine lost, {'our' if ours else 'default'} tolerations"
        row = stock.measure(recorder, "Job of 3 stock pods", how, at, nodes=3 if ours else len(staying), timeout=300)
        timings.add(row)
    assert stock.status.history[0].reason == RoundEndReason.MEMBER_LOST
    assert row.told is not None
    assert row.told < NODE_GRACE_SECONDS
    stock.cluster.node(node).start()
    stock.stop_training()
    stock.kubectl("wait", "--for=condition=Complete", "rdzv/train", "--timeout=110s")


def test_a_pod_whose_image_has_an_earlier_handler_meets_one_with_ours(
    stock: Group, stock_environment: Path, earlier_handler: dict[str, str]
) -> None:
    """A mixed group: one pod keeps the handler of its image, which is that of the first release."""
    run = {"PET_RDZV_ID": "mixed"}
    stock.create_rendezvous(2, 2)
    injected = stock_template(stock_environment, stock.folder)
    injected["spec"]["containers"][0]["env"].append({"name": "PET_RDZV_ID", "value": "mixed"})
    own = pod_template(
        "train", ["torchrun", str(TRAIN), DATA], stock.folder, environment={**run, **earlier_handler}, inject=True
    )
    own["metadata"]["annotations"] = {"rdzv.dev/inject-handler": "false"}
    del own["spec"]["serviceAccountName"]
    for name, template in (("injected", injected), ("own", own)):
        stock.create(bare_pod(name, template))
    stock.wait_for_training(2, timeout=300)
    assert found_handler(stock, "injected").startswith("/opt/rdzv/")
    assert found_handler(stock, "own").startswith(f"{DATA}/earlier/")
    stock.crash(stock.pod("own"))
    stock.wait_for_training(2, after=1)
    stock.stop_training()
    stock.wait_for_success()


def found_handler(group: Group, pod: str) -> str:
    """The file that is the handler there."""
    code = "import rendezvous_handler; print(rendezvous_handler.__file__)"
    return group.kubectl("exec", pod, "--container=train", "--", "python", "-c", code)
