"""The policy that warns: each way in which the label has no effect is said, and nothing is refused."""

import copy
from collections.abc import Callable, Iterator

import pytest
from tests.chart.injection import container
from tests.chart.support import RELEASE, SYSTEM, Json, mutates, render
from tests.support import objects
from tests.support.api import Api
from tests.support.jobsets import known

from rendezvous_controlplane import LocalControlPlane

POLICY = f"{RELEASE}-injection-warnings.{SYSTEM}"
LABEL = {"rdzv.dev/rendezvous": "train"}
TORCHRUN = ["torchrun", "train.py"]
JOBSET = "jobset.x-k8s.io/v1alpha2"
NO_EFFECT = "the label rdzv.dev/rendezvous has no effect"


@pytest.fixture(autouse=True)
def policy(control_plane: LocalControlPlane) -> None:
    if not mutates(control_plane):
        pytest.skip("the chart injects nothing here")


@pytest.fixture
def warnings(control_plane: LocalControlPlane, namespace: str) -> Callable[[Json], list[str]]:
    """What the policy warns of when somebody creates an object, which is not refused."""
    api = Api(control_plane, namespace)

    def warnings(body: Json) -> list[str]:
        api.create(body, dry_run=True)
        said = [text.partition(f"Policy '{POLICY}' with binding '{POLICY}': ") for text in api.warnings]
        return [text for _, found, text in said if found]

    return warnings


def pod(*containers: Json, labels: Json | None = None, annotations: Json | None = None) -> Json:
    metadata: Json = {"name": "train", "labels": LABEL if labels is None else labels}
    if annotations is not None:
        metadata["annotations"] = annotations
    spec = {"restartPolicy": "Never", "containers": list(containers) or [container(command=TORCHRUN)]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def template(of: Json, restart_policy: str = "Never") -> Json:
    made = copy.deepcopy(of)
    made["metadata"].pop("name")
    made["metadata"]["labels"] = {"app": "train", **made["metadata"]["labels"]}
    made["spec"]["restartPolicy"] = restart_policy
    return {"metadata": made["metadata"], "spec": made["spec"]}


def workload(kind: str, of: Json, metadata: Json | None = None) -> Json:
    """A workload with the template of this pod."""
    about = {"name": "train", **(metadata or {})}
    if kind == "Job":
        return {"apiVersion": "batch/v1", "kind": kind, "metadata": about, "spec": {"template": template(of)}}
    if kind == "CronJob":
        spec = {"schedule": "0 0 * * *", "jobTemplate": {"spec": {"template": template(of)}}}
        return {"apiVersion": "batch/v1", "kind": kind, "metadata": about, "spec": spec}
    if kind == "JobSet":
        jobs = [{"name": "nodes", "template": {"spec": {"template": template(of)}}}]
        return {"apiVersion": JOBSET, "kind": kind, "metadata": about, "spec": {"replicatedJobs": jobs}}
    spec = {"selector": {"matchLabels": {"app": "train"}}, "template": template(of, "Always")}
    more = {"serviceName": "train"} if kind == "StatefulSet" else {}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": about, "spec": {**spec, **more}}


WORKLOADS = ["Job", "CronJob", "Deployment", "StatefulSet", "ReplicaSet", "JobSet"]


@pytest.fixture(scope="module")
def jobsets(control_plane: LocalControlPlane) -> Iterator[None]:
    with known(control_plane):
        yield


@pytest.mark.usefixtures("jobsets")
@pytest.mark.parametrize("kind", WORKLOADS)
def test_a_label_that_is_not_on_the_template(warnings: Callable[[Json], list[str]], kind: str) -> None:
    unlabelled, noted = pod(labels={}), {"labels": LABEL, "annotations": {"rdzv.dev/nnodes": "2"}}
    assert warnings(workload(kind, unlabelled, noted)) == [
        f"the label rdzv.dev/rendezvous is on the {kind} and not on its pod template: its pods do not get it, and will "
        "not join. Put it into the labels of the pod template",
        f"the annotation rdzv.dev/nnodes is on the {kind} and not on its pod template, where it is read",
    ]
    assert warnings(workload(kind, pod(annotations={"rdzv.dev/nnodes": "2"}), noted)) == []
    assert warnings(workload(kind, unlabelled)) == []


OTHER_BACKENDS = [
    ({"command": ["torchrun", "--rdzv-backend=c10d", "train.py"]}, "c10d"),
    ({"command": ["torchrun"], "args": ["--rdzv_backend", "static", "train.py"]}, "static"),
    ({"command": ["sh", "-c", 'exec torchrun --rdzv_backend c10d --rdzv_endpoint="localhost:0" train.py']}, "c10d"),
    ({"command": ["sh", "-c", "torchrun --rdzv-backend='etcd-v2' train.py"]}, "etcd-v2"),
    ({"command": TORCHRUN, "env": [{"name": "PET_RDZV_BACKEND", "value": "c10d"}]}, "c10d"),
    ({"command": ["torchrun", "--rdzv-backend=kubernetes-dynamic", "train.py"]}, "kubernetes-dynamic"),
]


@pytest.mark.parametrize(("more", "backend"), OTHER_BACKENDS)
def test_another_backend(warnings: Callable[[Json], list[str]], more: Json, backend: str) -> None:
    expected = [
        f"{NO_EFFECT}: the container uses the rendezvous backend {backend}. Remove --rdzv-backend and --rdzv-endpoint, "
        "or the label"
    ]
    trains = container(**more)
    assert warnings(pod(trains)) == expected
    assert warnings(pod(container("first"), trains)) == expected
    assert warnings(workload("Job", pod(trains))) == expected
    assert warnings(pod(trains, labels={})) == []
    assert warnings(pod(trains, labels={**LABEL, "rdzv.dev/inject": "false"})) == []


def test_other_ways_to_train_alone(warnings: Callable[[Json], list[str]]) -> None:
    standalone = warnings(pod(container(command=["torchrun", "--standalone", "train.py"])))
    assert standalone == [f"{NO_EFFECT}: with --standalone torchrun trains on one node. Remove that option"]
    for command in (["accelerate", "launch", "train.py"], ["sh", "-c", "accelerate-launch train.py"]):
        assert warnings(pod(container(command=command))) == [
            f"{NO_EFFECT}: `accelerate launch` uses the backend static, whatever the environment says. Add "
            "--rdzv_backend kubernetes"
        ]


def test_what_cannot_be_meant(warnings: Callable[[Json], list[str]]) -> None:
    for nodes in ("two", "0", "2-4", "2:4:6", "", "4:2", "1:99999999999999999999"):
        said = warnings(pod(annotations={"rdzv.dev/nnodes": nodes}))
        assert said == [
            "the annotation rdzv.dev/nnodes must be N or MIN:MAX, as torchrun's --nnodes, and MIN not above MAX"
        ], nodes
    for nodes in ("1", "2:4", "4:16", "3:3"):
        assert warnings(pod(annotations={"rdzv.dev/nnodes": nodes})) == [], nodes
    assert warnings(pod(annotations={"rdzv.dev/container": "other"})) == [
        "the annotation rdzv.dev/container names no container of the pod, so another one gets the handler"
    ]
    (illegal,) = warnings(pod(labels={"rdzv.dev/rendezvous": "My_train"}))
    assert illegal.startswith("the label rdzv.dev/rendezvous is no name of a Rendezvous")


def test_a_python_path_by_reference(warnings: Callable[[Json], list[str]]) -> None:
    reference = {"configMapKeyRef": {"name": "paths", "key": "python"}}
    trains = container(command=TORCHRUN, env=[{"name": "PYTHONPATH", "valueFrom": reference}])
    (said,) = warnings(pod(trains))
    assert said.startswith("PYTHONPATH comes by reference (valueFrom), so it is left as it is")
    assert warnings(pod(trains, annotations={"rdzv.dev/inject-handler": "false"})) == []
    beside = container("second", env=trains["env"])
    assert warnings(pod(container(), beside)) == [], "the handler is not for this container"
    assert warnings(pod(container(), beside, annotations={"rdzv.dev/container": "second"})) == [said]


@pytest.mark.parametrize(
    "command",
    [
        TORCHRUN,
        ["torchrun", "--rdzv-backend=kubernetes", "--rdzv-endpoint=train", "train.py"],
        ["torchrun", "--rdzv_backend", "kube-rendezvous", "train.py"],
        ["sh", "-c", "torchrun --rdzv-backend=$BACKEND train.py"],
        ["torchrun", "train.py", "--not-standalone", "--rdzv"],
        ["accelerate", "launch", "--rdzv_backend", "kubernetes", "train.py"],
        ["accelerate", "launch", "--config_file=a.yaml", "train.py"],
        ["python", "accelerate.py", "launch"],
    ],
)
def test_no_warning_without_a_reason(warnings: Callable[[Json], list[str]], command: list[str]) -> None:
    assert warnings(pod(container(command=command), annotations={"rdzv.dev/nnodes": "2:4"})) == []
    assert warnings(workload("Job", pod(container(command=command)))) == []


def test_nobody_reads_what_a_controller_is_told(warnings: Callable[[Json], list[str]]) -> None:
    body = pod(container(command=["torchrun", "--standalone"]))
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "train", "uid": objects.RENDEZVOUS_UID}
    body["metadata"]["ownerReferences"] = [owner]
    assert warnings(body) == []


def test_the_warnings_can_be_switched_off() -> None:
    def policies(values: Json) -> set[str]:
        documents = render({"injection.enabled": True, **values})
        return {item["metadata"]["name"] for item in documents if "-injection-warnings" in item["metadata"]["name"]}

    assert len(policies({})) == 1
    assert policies({"injection.warnings": False}) == set()
