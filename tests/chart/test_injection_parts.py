"""The injection policy, part by part: handler, token, shutdown timeout, restart in place, tolerations.

What a user has set stays, whichever part it belongs to, and each part can be declined.
"""

import copy
import json
import secrets
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from tests.chart.injection import TOKEN_FOLDER, container, created, mounts, parts, variables
from tests.chart.support import CHART, Json, install, mutates, render
from tests.support.api import Api, create_namespace
from tests.support.waiting import wait_until

from rendezvous_controlplane import ControlPlaneError, LocalControlPlane

FOLDER = "/opt/rdzv"
PARTS = ["environment", "handler", "token", "shutdown-timeout", "restart-in-place", "toleration-seconds"]
VERSION = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
KEYS = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]
RULES = [{"action": "Restart", "exitCodes": {"operator": "In", "values": [134, 135, 136, 137, 139]}}]


@pytest.fixture(autouse=True)
def policy(control_plane: LocalControlPlane) -> None:
    if not mutates(control_plane):
        pytest.skip("the API server has no MutatingAdmissionPolicy v1")


def pod_spec(*containers: Json, **more: object) -> Json:
    """A pod that has an account, which the plug-in for service accounts sets elsewhere."""
    spec: Json = {"serviceAccountName": "default", "restartPolicy": "Never"}
    return {**spec, "containers": list(containers) or [container()], **more}


@pytest.fixture
def make(control_plane: LocalControlPlane, namespace: str) -> Callable[..., Json]:
    def make(spec: Json | None = None, **annotations: str) -> Json:
        notes = {f"rdzv.dev/{name.replace('_', '-')}": value for name, value in annotations.items()}
        return created(control_plane, namespace, spec or pod_spec(), annotations=notes or None)

    return make


def tolerations(pod: Json) -> dict[str, int | None]:
    return {item["key"]: item.get("tolerationSeconds") for item in pod["spec"]["tolerations"]}


def test_a_stock_pod_gets_all_parts_and_says_so(make: Callable[..., Json]) -> None:
    pod = make()
    assert pod["metadata"]["annotations"] == {"rdzv.dev/injected": f"{VERSION}: {', '.join(PARTS)}"}
    assert variables(pod)["PYTHONPATH"] == FOLDER
    assert mounts(pod) == {FOLDER: "rdzv-handler", TOKEN_FOLDER: "rdzv-token"}
    assert variables(pod)["TORCH_ELASTIC_SHUTDOWN_TIMEOUT"] == "25"
    (train,) = pod["spec"]["containers"]
    assert (train["restartPolicy"], train["restartPolicyRules"]) == ("Never", RULES)
    assert tolerations(pod) == dict.fromkeys(KEYS, 30)
    (copies,) = pod["spec"]["initContainers"]
    assert copies["command"][1:] == ["-m", "rendezvous_handler.folder", FOLDER]
    assert copies["resources"]["requests"] == copies["resources"]["limits"] == {"cpu": "100m", "memory": "64Mi"}
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    assert volumes["rdzv-handler"]["emptyDir"] == {"sizeLimit": "8Mi"}
    sources = [name for source in volumes["rdzv-token"]["projected"]["sources"] for name in source]
    assert sources == ["serviceAccountToken", "configMap", "downwardAPI"]


def test_applied_twice_it_changes_nothing_more(
    control_plane: LocalControlPlane, namespace: str, make: Callable[..., Json]
) -> None:
    """As after a webhook, and when somebody creates a pod from one that there is."""
    once = make(pod_spec(container(env=[{"name": "PYTHONPATH", "value": "/app"}])), nnodes="2:4")
    again = created(control_plane, namespace, once["spec"], annotations=once["metadata"]["annotations"])
    assert again["spec"] == once["spec"]
    assert again["metadata"]["annotations"] == once["metadata"]["annotations"]


@pytest.mark.parametrize("part", PARTS)
def test_a_pod_may_decline_each_part(make: Callable[..., Json], part: str) -> None:
    pod = make(**{f"inject-{part}": "false"})
    assert parts(pod) == [name for name in PARTS if name != part]
    changed = {
        "environment": any(name.startswith(("PET_", "RDZV_")) for name in variables(pod)),
        "handler": FOLDER in mounts(pod) or "PYTHONPATH" in variables(pod) or "initContainers" in pod["spec"],
        "token": TOKEN_FOLDER in mounts(pod),
        "shutdown-timeout": "TORCH_ELASTIC_SHUTDOWN_TIMEOUT" in variables(pod),
        "restart-in-place": "restartPolicy" in pod["spec"]["containers"][0],
        "toleration-seconds": 30 in tolerations(pod).values(),
    }
    assert changed == {name: name != part for name in PARTS}


def test_a_pod_that_declines_all_parts_is_left_alone(make: Callable[..., Json]) -> None:
    pod = make(**{f"inject-{part}": "false" for part in PARTS})
    assert parts(pod) == []
    assert pod["spec"]["containers"][0].keys() & {"env", "volumeMounts", "restartPolicy"} == set()


@pytest.mark.parametrize(
    ("annotations", "chosen"),
    [
        ({}, 0),
        ({"kubectl.kubernetes.io/default-container": "b"}, 1),
        ({"rdzv.dev/container": "c", "kubectl.kubernetes.io/default-container": "b"}, 2),
        ({"rdzv.dev/container": "other", "kubectl.kubernetes.io/default-container": "b"}, 1),
        ({"rdzv.dev/container": "other"}, 0),
    ],
)
def test_one_container_trains(
    control_plane: LocalControlPlane, namespace: str, annotations: dict[str, str], chosen: int
) -> None:
    spec = pod_spec(container("a"), container("b"), container("c"))
    pod = created(control_plane, namespace, spec, annotations=annotations)
    for index in range(3):
        trains = index == chosen
        assert (FOLDER in mounts(pod, index)) is (TOKEN_FOLDER in mounts(pod, index)) is trains
        assert ("PYTHONPATH" in variables(pod, index)) is trains
        assert ("TORCH_ELASTIC_SHUTDOWN_TIMEOUT" in variables(pod, index)) is trains
        assert ("restartPolicyRules" in pod["spec"]["containers"][index]) is trains
        assert variables(pod, index)["PET_RDZV_BACKEND"] == "kubernetes"


def test_sidecars_and_the_users_init_containers_are_left_alone(make: Callable[..., Json]) -> None:
    own = [container("fetch"), container("proxy", restartPolicy="Always")]
    pod = make(pod_spec(initContainers=own))
    first, *others = pod["spec"]["initContainers"]
    assert first["name"] == "rdzv-handler"
    plain = make(pod_spec(initContainers=own), **{f"inject-{part}": "false" for part in PARTS})
    assert others == plain["spec"]["initContainers"]


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ([{"name": "PYTHONPATH", "value": "/app"}], ["/app:/opt/rdzv"]),
        ([{"name": "PYTHONPATH", "value": "/app:$(EXTRA)"}], ["/app:$(EXTRA):/opt/rdzv"]),
        ([{"name": "PYTHONPATH", "value": ""}], ["/opt/rdzv"]),
        ([{"name": "PYTHONPATH"}], ["/opt/rdzv"]),
        (
            [{"name": "PYTHONPATH", "value": "/a"}, {"name": "B", "value": "c"}, {"name": "PYTHONPATH", "value": "/b"}],
            ["/a", "/b:/opt/rdzv"],
        ),
    ],
)
def test_a_python_path_is_extended(make: Callable[..., Json], own: list[Json], expected: list[str]) -> None:
    pod = make(pod_spec(container(env=own)))
    listed = pod["spec"]["containers"][0]["env"]
    assert [item["value"] for item in listed if item["name"] == "PYTHONPATH"] == expected


def test_a_python_path_by_reference_stays(make: Callable[..., Json]) -> None:
    own = {"name": "PYTHONPATH", "valueFrom": {"configMapKeyRef": {"name": "paths", "key": "python"}}}
    pod = make(pod_spec(container(env=[own])))
    assert [item for item in pod["spec"]["containers"][0]["env"] if item["name"] == "PYTHONPATH"] == [own]
    assert FOLDER in mounts(pod), "so that the reference may name it"


def test_what_is_mounted_already_stays(make: Callable[..., Json]) -> None:
    volumes = [{"name": "mine", "emptyDir": {}}]
    taken = [{"name": "mine", "mountPath": FOLDER}, {"name": "mine", "mountPath": TOKEN_FOLDER}]
    pod = make(pod_spec(container(volumeMounts=taken), volumes=volumes))
    assert mounts(pod) == {FOLDER: "mine", TOKEN_FOLDER: "mine"}
    assert pod["spec"]["volumes"] == volumes
    assert "initContainers" not in pod["spec"]
    assert set(PARTS) - set(parts(pod)) == {"handler", "token"}


@pytest.mark.parametrize(("seconds", "timeout"), [(600, "595"), (30, "25"), (7, "2"), (6, "1"), (1, "1"), (0, "1")])
def test_workers_have_the_grace_period(make: Callable[..., Json], seconds: int, timeout: str) -> None:
    pod = make(pod_spec(terminationGracePeriodSeconds=seconds))
    assert variables(pod)["TORCH_ELASTIC_SHUTDOWN_TIMEOUT"] == timeout


def test_a_shutdown_timeout_of_the_users_stays(make: Callable[..., Json]) -> None:
    own = [{"name": "TORCH_ELASTIC_SHUTDOWN_TIMEOUT", "value": "7"}]
    pod = make(pod_spec(container(env=own), terminationGracePeriodSeconds=600))
    assert variables(pod)["TORCH_ELASTIC_SHUTDOWN_TIMEOUT"] == "7"


@pytest.mark.parametrize("policy", ["Always", "OnFailure"])
def test_kubelet_restarts_all_in_other_pods(make: Callable[..., Json], policy: str) -> None:
    pod = make(pod_spec(restartPolicy=policy))
    assert pod["spec"]["containers"][0].keys() & {"restartPolicy", "restartPolicyRules"} == set()
    assert "restart-in-place" not in parts(pod)


def test_restart_rules_of_the_users_stay(make: Callable[..., Json]) -> None:
    rules = [{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]
    for own in ({"restartPolicy": "OnFailure"}, {"restartPolicy": "Never", "restartPolicyRules": rules}):
        (train,) = make(pod_spec(container(**own)))["spec"]["containers"]
        assert {key: value for key, value in train.items() if key.startswith("restartPolicy")} == own


def test_tolerations_of_the_users_stay(make: Callable[..., Json]) -> None:
    not_ready, unreachable = KEYS
    exists = {"operator": "Exists", "effect": "NoExecute"}
    own = [{"key": not_ready, **exists, "tolerationSeconds": 60}, {"key": "gpu", "operator": "Exists"}]
    pod = make(pod_spec(tolerations=own))
    assert pod["spec"]["tolerations"][:2] == own
    assert tolerations(pod) == {not_ready: 60, "gpu": None, unreachable: 30}
    always = {"key": unreachable, **exists}
    assert tolerations(make(pod_spec(tolerations=[always]))) == {not_ready: 30, unreachable: None}


def test_a_lifecycle_of_the_users_stays(make: Callable[..., Json]) -> None:
    lifecycle = {"preStop": {"exec": {"command": ["true"]}}}
    (train,) = make(pod_spec(container(lifecycle=lifecycle)))["spec"]["containers"]
    assert train["lifecycle"] == lifecycle


@pytest.mark.parametrize(
    ("context", "expected"), [(None, True), ({"runAsUser": 1000}, True), ({"runAsUser": 0}, False)]
)
def test_the_copy_runs_as_root_only_where_the_pod_does(
    make: Callable[..., Json], context: Json | None, expected: bool
) -> None:
    pod = make(pod_spec(**({"securityContext": context} if context else {})))
    assert pod["spec"]["initContainers"][0]["securityContext"]["runAsNonRoot"] is expected


def test_a_pod_without_an_account_gets_no_token(make: Callable[..., Json]) -> None:
    """The API server would refuse it. In a cluster a plug-in sets an account before the policy is asked."""
    assert "token" not in parts(make({"containers": [container()]}))


def test_the_largest_pods_are_no_problem(make: Callable[..., Json]) -> None:
    """CEL has a budget: a pod with many containers, variables and long commands is within it."""
    env = [{"name": f"V{index}", "value": "x" * 100} for index in range(100)]
    many = [container(f"c{index}", env=env, command=["torchrun", "a" * 10_000]) for index in range(10)]
    pod = make(pod_spec(*many))
    assert parts(pod) == PARTS


# ---- other values


@pytest.fixture
def with_values(control_plane: LocalControlPlane, tmp_path: Path) -> Callable[[Json], str]:
    """A namespace in which a release with these values injects, and not that of the other tests."""

    def make(values: Json) -> str:
        name = f"other-{secrets.token_hex(3)}"
        api = Api(control_plane, create_namespace(control_plane, name))
        control_plane.kubectl("label", "namespace", name, f"injected-by={name}")
        selector = {"injection.enabled": True, "injection.namespaceSelector": {"matchLabels": {"injected-by": name}}}
        documents = render({**values, **selector}, release=name)
        install(control_plane, tmp_path, [item for item in documents if "-injection" in item["metadata"]["name"]])
        probe = {"metadata": {"name": "probe", "labels": {"rdzv.dev/rendezvous": "train"}}, "spec": pod_spec()}
        body = {"apiVersion": "v1", "kind": "Pod", **probe}
        wait_until(lambda: parts(api.create(copy.deepcopy(body), dry_run=True)), "the policy holds")
        return name

    return make


def test_an_image_volume_needs_no_init_container(
    control_plane: LocalControlPlane, with_values: Callable[[Json], str]
) -> None:
    image = {"registry": "registry.example.com", "digest": f"sha256:{'a' * 64}", "pullPolicy": "Always"}
    values = {f"injection.handler.image.{key}": value for key, value in image.items()}
    name = with_values({"injection.handler.method": "imageVolume", **values})
    pod = created(control_plane, name, pod_spec())
    assert "initContainers" not in pod["spec"]
    assert pod["spec"]["volumes"][0] == {
        "name": "rdzv-handler",
        "image": {
            "reference": f"registry.example.com/localhost/kube-rendezvous-handler@sha256:{'a' * 64}",
            "pullPolicy": "Always",
        },
    }
    assert mounts(pod)[FOLDER] == "rdzv-handler"
    assert variables(pod)["PYTHONPATH"] == FOLDER
    assert parts(pod) == PARTS


def test_each_part_can_be_switched_off(control_plane: LocalControlPlane, with_values: Callable[[Json], str]) -> None:
    off = ["environment", "token", "shutdownTimeout", "tolerationSeconds"]
    name = with_values({"injection.handler.method": "none", **{f"injection.parts.{part}": False for part in off}})
    pod = created(control_plane, name, pod_spec())
    assert parts(pod) == ["restart-in-place"]
    assert pod["spec"]["containers"][0].keys() & {"env", "volumeMounts"} == set()
    assert tolerations(pod) == dict.fromkeys(KEYS, 300)


def test_the_numbers_are_those_of_the_values(
    control_plane: LocalControlPlane, with_values: Callable[[Json], str]
) -> None:
    name = with_values(
        {
            "injection.maxRestarts": 7,
            "injection.restartsMax": 3,
            "injection.tolerationSeconds": 5,
            "injection.defaultTolerationSeconds": 60,
            "injection.handler.resources.requests": {"cpu": "1"},
            "injection.handler.resources.limits": {"cpu": "1"},
            "injection.parts.restartInPlace": False,
        }
    )
    own = [{"key": KEYS[0], "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60}]
    pod = created(control_plane, name, pod_spec(tolerations=own))
    assert tolerations(pod) == {KEYS[0]: 5, KEYS[1]: 300}
    assert variables(pod)["PET_MAX_RESTARTS"] == "7"
    assert variables(pod)["RDZV_RESTARTS_MAX"] == "3"
    assert pod["spec"]["initContainers"][0]["resources"]["requests"]["cpu"] == "1"
    assert "restart-in-place" not in parts(pod)


def test_a_pod_security_level_of_restricted_is_kept(control_plane: LocalControlPlane, namespace: str) -> None:
    label = "pod-security.kubernetes.io/enforce=restricted"
    control_plane.kubectl("label", "namespace", namespace, label)
    context = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    pod = created(control_plane, namespace, pod_spec(container(securityContext=context)))
    assert parts(pod) == PARTS
    with pytest.raises(ControlPlaneError, match="violates PodSecurity"):
        created(control_plane, namespace, pod_spec())


def test_a_quota_and_a_limit_range_are_kept(control_plane: LocalControlPlane, namespace: str) -> None:
    """The init container has requests and limits of its own: a quota for them refuses pods without."""
    api = Api(control_plane, namespace)
    hard = {"requests.cpu": "2", "limits.cpu": "2", "requests.memory": "1Gi", "limits.memory": "1Gi"}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": hard}}
    api.create(quota)
    limits = {"limits": [{"type": "Container", "max": {"cpu": "1"}, "default": {"cpu": "1", "memory": "512Mi"}}]}
    range_ = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "l"}, "spec": limits}
    control_plane.kubectl("create", "-n", namespace, "-f", "-", input=json.dumps(range_))
    resources = {"cpu": "1", "memory": "512Mi"}

    def pod() -> Json | None:
        try:
            return created(control_plane, namespace, pod_spec(container(resources={"limits": resources})))
        except ControlPlaneError as error:
            if "status unknown for quota" in str(error):  # no controller counts here, so somebody must
                return None
            raise

    used = {"status": {"hard": hard, "used": dict.fromkeys(hard, "0")}}
    patch = ("patch", "resourcequota", "q", "-n", namespace, "--subresource=status", "--type=merge", "-p")
    control_plane.kubectl(*patch, json.dumps(used))
    made: Json = wait_until(pod, "the quota is counted")
    assert parts(made) == PARTS
    assert made["status"]["qosClass"] == "Guaranteed"
