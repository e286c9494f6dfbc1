"""The injection policy: the environment that a labelled pod gets, and what stays as it is."""

import json

import pytest
from tests.chart.injection import TRAINER_ONLY, container, created, environment
from tests.chart.support import Json, mutates

from rendezvous_controlplane import LocalControlPlane

ALWAYS = {
    "PET_RDZV_BACKEND": "kubernetes",
    "PET_RDZV_ENDPOINT": "train",
    "RDZV_RENDEZVOUS": "train",
    "PET_MAX_RESTARTS": "1000",
    "RDZV_RESTARTS_MAX": "20",
}
INJECTED = {**ALWAYS, "RDZV_CREATE": "false"}


@pytest.fixture(autouse=True)
def policy(control_plane: LocalControlPlane) -> None:
    if not mutates(control_plane):
        pytest.skip("the API server has no MutatingAdmissionPolicy v1")


def test_a_label_is_enough(control_plane: LocalControlPlane, namespace: str) -> None:
    pod = created(control_plane, namespace, {"containers": [container(command=["torchrun", "train.py"])]})
    assert environment(pod) == INJECTED


def test_every_container_gets_it_and_no_init_container(control_plane: LocalControlPlane, namespace: str) -> None:
    spec = {
        "initContainers": [container("fetch"), container("proxy", restartPolicy="Always")],
        "containers": [container(env=[{"name": "A", "value": "1"}]), container("second")],
    }
    pod = created(control_plane, namespace, spec)
    assert environment(pod, 0) == {"A": "1", **INJECTED}
    assert environment(pod, 1) == INJECTED
    assert not [item for item in pod["spec"]["initContainers"] if "env" in item]


@pytest.mark.parametrize("nodes", ["4", "2:4"])
def test_an_annotation_says_the_number_of_nodes(control_plane: LocalControlPlane, namespace: str, nodes: str) -> None:
    """Then the agents create the Rendezvous."""
    annotations = {"rdzv.dev/nnodes": nodes}
    spec = {"containers": [container(), container("own", env=[{"name": "PET_NNODES", "value": "3"}])]}
    pod = created(control_plane, namespace, spec, annotations=annotations)
    assert environment(pod) == {**ALWAYS, "PET_NNODES": nodes}
    assert environment(pod, 1) == {**ALWAYS, "PET_NNODES": "3"}
    by_flag = {"containers": [container(command=["torchrun", "--nnodes=1:8", "train.py"])]}
    assert environment(created(control_plane, namespace, by_flag, annotations=annotations)) == ALWAYS
    waits = {"containers": [container(env=[{"name": "RDZV_CREATE", "value": "false"}])]}
    assert environment(created(control_plane, namespace, waits, annotations=annotations)) == INJECTED


def test_an_annotation_names_health_checks(control_plane: LocalControlPlane, namespace: str) -> None:
    own = [{"name": "RDZV_HEALTH_CHECK", "value": "none"}]
    spec = {"containers": [container(), container("own", env=own)]}
    pod = created(control_plane, namespace, spec, annotations={"rdzv.dev/health-check": "gpus+checks:links"})
    assert environment(pod) == {**INJECTED, "RDZV_HEALTH_CHECK": "gpus+checks:links"}
    assert environment(pod, 1) == {**INJECTED, "RDZV_HEALTH_CHECK": "none"}


@pytest.mark.parametrize("name", sorted(INJECTED))
def test_what_the_user_sets_stays(control_plane: LocalControlPlane, namespace: str, name: str) -> None:
    for own in ({"name": name, "value": "mine"}, {"name": name}):
        pod = created(control_plane, namespace, {"containers": [container(env=[own])]})
        assert environment(pod) == {**INJECTED, name: own.get("value", "")}
    field = {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}}
    pod = created(control_plane, namespace, {"containers": [container(env=[field])]})
    assert pod["spec"]["containers"][0]["env"][0] == field
    assert set(environment(pod)) == set(INJECTED)


@pytest.mark.parametrize(
    "more",
    [
        {"args": ["--nnodes=2:4", "train.py"]},
        {"command": ["torchrun", "--nnodes", "2:4", "train.py"]},
        {"command": ["sh", "-c", "exec torchrun --nnodes=2:4 train.py"]},
        {"env": [{"name": "PET_NNODES", "value": "2:4"}]},
    ],
)
def test_an_agent_that_knows_its_nodes_may_create_the_rendezvous(
    control_plane: LocalControlPlane, namespace: str, more: Json
) -> None:
    pod = created(control_plane, namespace, {"containers": [container(**more)]})
    assert "RDZV_CREATE" not in environment(pod)
    assert environment(pod)["PET_RDZV_BACKEND"] == "kubernetes"


def test_variables_that_the_user_has_twice_are_no_problem(control_plane: LocalControlPlane, namespace: str) -> None:
    twice = [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]
    pod = created(control_plane, namespace, {"containers": [container(env=twice)]})
    assert pod["spec"]["containers"][0]["env"][:2] == twice
    assert {item["name"] for item in pod["spec"]["containers"][0]["env"]} == {"A", *INJECTED, *TRAINER_ONLY}


@pytest.mark.parametrize(
    "labels",
    [{}, {"app": "train"}, {"rdzv.dev/rendezvous": "train", "rdzv.dev/inject": "false"}],
)
def test_other_pods_stay_as_they_are(control_plane: LocalControlPlane, namespace: str, labels: dict[str, str]) -> None:
    pod = created(control_plane, namespace, {"containers": [container()]}, labels)
    assert "env" not in pod["spec"]["containers"][0]


def test_a_pod_that_is_there_is_not_touched(control_plane: LocalControlPlane, namespace: str) -> None:
    pod = created(control_plane, namespace, {"containers": [container()]}, {})
    name = pod["metadata"]["name"]
    labelled = control_plane.kubectl("label", "pod", name, "-n", namespace, "rdzv.dev/rendezvous=train", "-o", "json")
    assert "env" not in json.loads(labelled)["spec"]["containers"][0]
