"""`kubectl rdzv inject` makes of a manifest what the injection policy makes of its pods."""

import copy
import json
from typing import Any

import pytest
import yaml
from tests.chart.injection import TOKEN_FOLDER, container
from tests.chart.support import CHART, Json, mutates
from tests.support.api import Api, create_namespace

from kube_rendezvous_cli import arguments
from kube_rendezvous_cli.injection import PARTS, Settings, inject, with_injection
from kube_rendezvous_cli.version import VERSION
from rendezvous_api import names
from rendezvous_controlplane import LocalControlPlane

SETTINGS = Settings(f"localhost/kube-rendezvous-operator:{VERSION}")
TRAIN = {names.LABEL_RENDEZVOUS: "train"}
JOB = {"restartPolicy": "Never"}
# The API server of these tests mounts no token, and fills in no account.
NO_TOKEN = {"automountServiceAccountToken": False, "serviceAccountName": "default"}
NOT_READY = {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}
FIELD = {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}

# Each is a spec, and what differs from the labels and annotations of a plain pod.
CASES: dict[str, tuple[Json, Json]] = {
    "plain": ({"containers": [container(command=["torchrun", "train.py"])]}, {}),
    "of a job": ({"containers": [container()], **JOB}, {"annotations": {"rdzv.dev/nnodes": "2:4"}}),
    "nodes by an option": (
        {"containers": [container(args=["--nnodes=2:4"])]},
        {"annotations": {"rdzv.dev/nnodes": "1", "rdzv.dev/health-check": "gpus+disk"}},
    ),
    "nodes by a script": ({"containers": [container(command=["sh", "-c", "torchrun --nnodes 2:4 a.py"])]}, {}),
    "nodes by a variable": ({"containers": [container(env=[{"name": "PET_NNODES", "value": "2"}])]}, {}),
    "several containers": (
        {
            "initContainers": [container("fetch"), container("proxy", restartPolicy="Always")],
            "containers": [container(env=[{"name": "A", "value": "1"}]), container("second")],
        },
        {},
    ),
    "the second trains": (
        {"containers": [container(), container("second")], **JOB},
        {"annotations": {"rdzv.dev/container": "second", "kubectl.kubernetes.io/default-container": "train"}},
    ),
    "the default trains": (
        {"containers": [container(), container("second")]},
        {"annotations": {"rdzv.dev/container": "none", "kubectl.kubernetes.io/default-container": "second"}},
    ),
    "own values": (
        {
            "containers": [
                container(
                    env=[
                        {"name": "PET_RDZV_BACKEND", "value": "c10d"},
                        {"name": "PET_MAX_RESTARTS"},
                        {"name": "RDZV_RENDEZVOUS", "valueFrom": FIELD},
                        {"name": "TORCH_ELASTIC_SHUTDOWN_TIMEOUT", "value": "7"},
                    ]
                )
            ]
        },
        {},
    ),
    "python path": ({"containers": [container(env=[{"name": "PYTHONPATH", "value": "/app"}])]}, {}),
    "empty python path": ({"containers": [container(env=[{"name": "PYTHONPATH"}])]}, {}),
    "python path by reference": ({"containers": [container(env=[{"name": "PYTHONPATH", "valueFrom": FIELD}])]}, {}),
    "own volumes": (
        {
            "volumes": [{"name": "data", "emptyDir": {}}],
            "containers": [container(volumeMounts=[{"name": "data", "mountPath": "/data"}])],
        },
        {},
    ),
    "own folder": (
        {
            "volumes": [{"name": "mine", "emptyDir": {}}],
            "containers": [container(volumeMounts=[{"name": "mine", "mountPath": "/opt/rdzv"}])],
        },
        {},
    ),
    "own volume of that name": (
        {"volumes": [{"name": "rdzv-handler", "emptyDir": {}}], "containers": [container()]},
        {},
    ),
    "no token": ({**NO_TOKEN, "containers": [container()]}, {}),
    "account without a token": ({"serviceAccountName": "quiet", "containers": [container()]}, {}),
    "own token": (
        {
            **NO_TOKEN,
            "volumes": [{"name": "mine", "emptyDir": {}}],
            "containers": [container(volumeMounts=[{"name": "mine", "mountPath": TOKEN_FOLDER}])],
        },
        {},
    ),
    "long grace": ({"terminationGracePeriodSeconds": 600, "containers": [container()]}, {}),
    "short grace": ({"terminationGracePeriodSeconds": 3, "containers": [container()]}, {}),
    "no grace": ({"terminationGracePeriodSeconds": 0, "containers": [container()]}, {}),
    "own restarts": ({**JOB, "containers": [container(restartPolicy="Never")]}, {}),
    "root": ({"securityContext": {"runAsUser": 0}, "containers": [container()]}, {}),
    "a user": ({"securityContext": {"runAsUser": 1000}, "containers": [container()]}, {}),
    "own tolerations": (
        {
            "tolerations": [
                {"key": "gpu", "operator": "Exists"},
                {**NOT_READY, "tolerationSeconds": 5},
            ],
            "containers": [container()],
        },
        {},
    ),
    "the default toleration by hand": (
        {
            "tolerations": [
                {"key": each, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
                for each in ("node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready")
            ],
            "containers": [container()],
        },
        {},
    ),
    "tolerates all": ({"tolerations": [{"operator": "Exists"}], "containers": [container()]}, {}),
    "another label": ({"containers": [container()]}, {"labels": {"app": "train"}}),
    "declines": ({"containers": [container()]}, {"labels": {**TRAIN, "rdzv.dev/inject": "false"}}),
    "accepts": ({"containers": [container()]}, {"labels": {**TRAIN, "rdzv.dev/inject": "true"}}),
    "nothing to do": (
        {"containers": [container()]},
        {"annotations": {f"rdzv.dev/inject-{part}": "false" for part in PARTS}},
    ),
    **{
        f"without {part}": (
            {**NO_TOKEN, "containers": [container()], **JOB},
            {"annotations": {f"rdzv.dev/inject-{part}": "false"}},
        )
        for part in PARTS
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def api(control_plane: LocalControlPlane) -> tuple[Api, Api]:
    """A namespace with the policy, and one without it; both have the account `quiet`."""
    if not mutates(control_plane):
        pytest.skip("the API server has no MutatingAdmissionPolicy v1")
    made = (Api(control_plane, create_namespace(control_plane, "by-policy")), Api(control_plane, "by-cli"))
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "by-cli", "labels": {"injected-by": "cli"}}}
    made[1].create(body)
    for each in made:
        for name, more in (("default", {}), ("quiet", {"automountServiceAccountToken": False})):
            account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}, **more}
            if each.find("ServiceAccount", name) is None:
                each.create(account)
    return made


def pod_of(case: str) -> Json:
    spec, metadata = CASES[case]
    labels = {"generateName": "train-", "labels": TRAIN, **metadata}
    return copy.deepcopy({"apiVersion": "v1", "kind": "Pod", "metadata": labels, "spec": spec})


def settled(pod: Json) -> tuple[Any, Any]:
    """What counts of a pod: the order of its volumes means nothing."""
    found = copy.deepcopy(pod)
    spec = found["spec"]
    spec["volumes"] = sorted(spec.get("volumes", ()), key=lambda volume: str(volume["name"]))
    for each in (*spec["containers"], *spec.get("initContainers", ())):
        each["volumeMounts"] = sorted(each.get("volumeMounts", ()), key=lambda mount: str(mount["name"]))
    return found["metadata"].get("annotations"), spec


@pytest.mark.parametrize("case", CASES)
def test_both_make_the_same_pod(api: tuple[Api, Api], case: str) -> None:
    with_policy, without_policy = api
    pod = pod_of(case)
    by_policy = with_policy.create(pod, dry_run=True)
    changed = inject(pod, SETTINGS, lambda account: account != "quiet")
    assert pod == pod_of(case), "the manifest stays as it is"
    by_cli = without_policy.create(changed or pod, dry_run=True)
    assert settled(by_cli) == settled(by_policy)
    unchanged = case in ("another label", "declines", "nothing to do")
    assert (settled(by_policy)[0] or {}).get("rdzv.dev/injected") is None if unchanged else changed is not None


@pytest.mark.parametrize("case", CASES)
def test_the_policy_leaves_what_was_injected_before(api: tuple[Api, Api], case: str) -> None:
    """As where a manifest that was made for an older cluster is applied to a newer one."""
    with_policy, without_policy = api
    changed = inject(pod_of(case), SETTINGS, lambda account: account != "quiet") or pod_of(case)
    assert settled(with_policy.create(changed, dry_run=True)) == settled(without_policy.create(changed, dry_run=True))
    assert inject(changed, SETTINGS, lambda account: account != "quiet") in (changed, None)


def test_a_token_that_the_pod_or_its_account_mounts_is_not_mounted_twice() -> None:
    spec: Json = {"serviceAccountName": "quiet", "containers": [container()]}
    for own, of_account, added in ((None, True, False), (None, False, True), (True, False, False), (False, True, True)):
        more = {} if own is None else {"automountServiceAccountToken": own}
        pod = {"metadata": {"labels": TRAIN}, "spec": {**spec, **more}}
        changed = inject(pod, SETTINGS, {"quiet": of_account}.__getitem__)
        assert changed is not None
        assert ("rdzv-token" in json.dumps(changed)) is added


def test_the_image_is_mounted_where_that_is_asked_for() -> None:
    """The policy with that method is tested in tests/cluster; here that its template has the same fields."""
    changed = inject(pod_of("plain"), Settings("handler:1", method="imageVolume", pull_policy="Always"))
    assert changed is not None
    assert changed["spec"]["volumes"][0] == {
        "name": "rdzv-handler",
        "image": {"reference": "handler:1", "pullPolicy": "Always"},
    }
    assert "initContainers" not in changed["spec"]
    none = inject(pod_of("plain"), Settings("", method="none"))
    assert none is not None
    assert "volumes" not in none["spec"]


def test_the_defaults_are_those_of_the_chart() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    options = arguments.parsed(["inject", "-f", "-"])
    injection = values["injection"]
    assert options.handler == injection["handler"]["method"]
    assert options.max_restarts == injection["maxRestarts"]
    assert options.restarts_max == injection["restartsMax"]
    assert options.toleration_seconds == injection["tolerationSeconds"]
    assert options.default_toleration_seconds == injection["defaultTolerationSeconds"]
    assert options.pull_policy == values["image"]["pullPolicy"]
    assert all(injection["parts"].values())
    made = Settings("image")
    assert (made.method, made.max_restarts, made.restarts_max) == (
        options.handler,
        options.max_restarts,
        options.restarts_max,
    )
    assert (made.toleration_seconds, made.default_toleration_seconds) == (
        options.toleration_seconds,
        options.default_toleration_seconds,
    )


def test_each_kind_of_workload_is_changed() -> None:
    template = {"metadata": {"labels": TRAIN}, "spec": {"containers": [container()]}}
    workloads: list[Json] = [
        {"kind": "Job", "spec": {"template": template}},
        {"kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": template}}}},
        {"kind": "JobSet", "spec": {"replicatedJobs": [{"template": {"spec": {"template": template}}}] * 2}},
        {"kind": "Pod", "apiVersion": "v1", **template},
        {"kind": "ConfigMap", "data": {"template": "x"}},
        {"kind": "Custom", "spec": {"template": "x", "replicatedJobs": None}},
    ]
    before = copy.deepcopy(workloads)

    def change(pod: Json) -> Json | None:
        return inject(pod, SETTINGS)

    changed, count = with_injection({"kind": "List", "items": workloads}, change)
    assert count == 5
    assert workloads == before
    assert json.dumps(changed).count('"PET_RDZV_BACKEND"') == 5
    assert changed["items"][4:] == before[4:]
