"""What the chart's injection policy does to a pod, for the pod templates of manifests.

Kubernetes before 1.36 has no MutatingAdmissionPolicy. Each step here stands for one mutation of the chart's
templates/injection.yaml, in the same order, and a test compares both. What the API server's own plug-ins do before the
policy is done here, too: the default tolerations, and whether the token of the account is mounted.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from kube_rendezvous_cli.version import VERSION
from rendezvous_api import names

Json = dict[str, Any]

FOLDER = "/opt/rdzv"
TOKEN_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"
PARTS = ("environment", "token", "shutdown-timeout", "restart-in-place", "toleration-seconds", "handler")
INJECTED = f"{names.GROUP}/injected"
NOT_READY = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_DEFAULT_GRACE_SECONDS = 30  # of the API server
_FOR_THE_AGENT_SECONDS = 5
_KILLED = [134, 135, 136, 137, 139]


@dataclass(frozen=True)
class Settings:
    """The values of the chart that count. Those that are not given are the chart's own."""

    image: str
    """Of the operator, or with the method ``imageVolume`` of the handler."""
    method: str = "initContainer"
    pull_policy: str = "IfNotPresent"
    parts: Sequence[str] = PARTS
    max_restarts: int = 1000
    restarts_max: int = 20
    toleration_seconds: int = 30
    default_toleration_seconds: int = 300


def inject(pod: Json, settings: Settings, mounts_token: Callable[[str], bool] = lambda account: True) -> Json | None:
    """A pod, or a pod template, with all that its label asks for.

    Args:
        pod: with ``metadata`` and ``spec``; it stays as it is.
        settings: those of the policy that this stands for.
        mounts_token: whether the pods of an account get its token if they do not say so themselves.

    Returns:
        The other pod; None: it has no such label, or declines.
    """
    labels = (pod.get("metadata") or {}).get("labels") or {}
    if names.LABEL_RENDEZVOUS not in labels or labels.get(f"{names.GROUP}/inject") == "false":
        return None
    changed = copy.deepcopy(pod)
    _Injection(changed, settings, mounts_token).carry_out()
    return changed


class _Injection:
    """Changes one pod in place."""

    def __init__(self, pod: Json, settings: Settings, mounts_token: Callable[[str], bool]) -> None:
        self.settings = settings
        self.metadata, self.spec = pod["metadata"], pod["spec"]
        self.annotations: dict[str, str] = self.metadata.get("annotations") or {}
        self.parts = [
            part
            for part in settings.parts
            if self.annotations.get(f"{names.GROUP}/inject-{part}") != "false"
            and not (part == "handler" and settings.method == "none")
        ]
        self.containers: list[Json] = self.spec["containers"]
        self.trainer = self.containers[self._index()]
        self._mounts_token = mounts_token

    def _index(self) -> int:
        for annotation in (f"{names.GROUP}/container", "kubectl.kubernetes.io/default-container"):
            for number, container in enumerate(self.containers):
                if container.get("name") == self.annotations.get(annotation, ""):
                    return number
        return 0

    def carry_out(self) -> None:
        """Every step. What is to be done is found before anything is changed."""
        missing = [self._missing(container) for container in self.containers] if "environment" in self.parts else []
        steps = {
            "environment": any(missing),
            "handler": self._adds_handler(),
            "token": self._adds_token(),
            "shutdown-timeout": "shutdown-timeout" in self.parts and not self._has("TORCH_ELASTIC_SHUTDOWN_TIMEOUT"),
            "restart-in-place": self._adds_restart(),
            "toleration-seconds": self._changes_tolerations(),
        }
        before = self.annotations.get(INJECTED, "")
        done = [part for part, needed in steps.items() if needed or part in before]
        if done:
            self.metadata["annotations"] = {**self.annotations, INJECTED: f"{VERSION}: {', '.join(done)}"}
        for container, variables in zip(self.containers, missing, strict=False):
            if "env" not in container or variables:
                container["env"] = [*(container.get("env") or ()), *({"name": n, "value": v} for n, v in variables)]
        if steps["handler"]:
            self._add_handler()
        if steps["token"]:
            self._add_token()
        if steps["shutdown-timeout"]:
            seconds = self.spec.get("terminationGracePeriodSeconds")
            grace = _DEFAULT_GRACE_SECONDS if seconds is None else seconds
            value = str(max(1, grace - _FOR_THE_AGENT_SECONDS))
            _append(self.trainer, "env", {"name": "TORCH_ELASTIC_SHUTDOWN_TIMEOUT", "value": value})
        if steps["restart-in-place"]:
            self.trainer["restartPolicy"] = "Never"
            rule = {"action": "Restart", "exitCodes": {"operator": "In", "values": _KILLED}}
            self.trainer["restartPolicyRules"] = [rule]
        if steps["toleration-seconds"]:
            self._change_tolerations()

    def _missing(self, container: Json) -> list[tuple[str, str]]:
        rendezvous = str(self.metadata["labels"][names.LABEL_RENDEZVOUS])
        wanted = [
            ("PET_RDZV_BACKEND", "kubernetes"),
            ("PET_RDZV_ENDPOINT", rendezvous),
            ("RDZV_RENDEZVOUS", rendezvous),
            ("PET_MAX_RESTARTS", str(self.settings.max_restarts)),
            ("RDZV_RESTARTS_MAX", str(self.settings.restarts_max)),
        ]
        checks = self.annotations.get(f"{names.GROUP}/health-check")
        if checks is not None:
            wanted.append(("RDZV_HEALTH_CHECK", str(checks)))
        there = {variable["name"] for variable in container.get("env") or ()}
        words = [*(container.get("command") or ()), *(container.get("args") or ())]
        if not there & {"RDZV_CREATE", "PET_NNODES"} and not any("--nnodes" in word for word in words):
            nodes = self.annotations.get(f"{names.GROUP}/nnodes")
            wanted.append(("RDZV_CREATE", "false") if nodes is None else ("PET_NNODES", str(nodes)))
        return [(name, value) for name, value in wanted if name not in there]

    def _has(self, variable: str) -> bool:
        return any(each["name"] == variable for each in self.trainer.get("env") or ())

    def _has_volume(self, name: str) -> bool:
        return any(volume["name"] == name for volume in self.spec.get("volumes") or ())

    def _mounted(self, path: str) -> bool:
        return any(mount.get("mountPath") == path for mount in self.trainer.get("volumeMounts") or ())

    def _adds_handler(self) -> bool:
        containers = [*self.containers, *(self.spec.get("initContainers") or ())]
        taken = any(container.get("name") == "rdzv-handler" for container in containers)
        return (
            "handler" in self.parts and not self._has_volume("rdzv-handler") and not self._mounted(FOLDER) and not taken
        )

    def _add_handler(self) -> None:
        image, policy = self.settings.image, self.settings.pull_policy
        if self.settings.method == "imageVolume":
            volume: Json = {"name": "rdzv-handler", "image": {"reference": image, "pullPolicy": policy}}
        else:
            volume = {"name": "rdzv-handler", "emptyDir": {"sizeLimit": "8Mi"}}
            user = (self.spec.get("securityContext") or {}).get("runAsUser")
            self.spec["initContainers"] = [
                _init_container(image, policy, is_root=user == 0),
                *(self.spec.get("initContainers") or ()),
            ]
        _append(self.spec, "volumes", volume)
        _append(self.trainer, "volumeMounts", {"name": "rdzv-handler", "mountPath": FOLDER, "readOnly": True})
        paths = [each for each in self.trainer.get("env") or () if each["name"] == "PYTHONPATH"]
        if not paths:
            _append(self.trainer, "env", {"name": "PYTHONPATH", "value": FOLDER})
        elif "valueFrom" not in paths[-1]:
            # Of a name that is there twice, the last entry counts.
            paths[-1]["value"] = ":".join(filter(None, (paths[-1].get("value"), FOLDER)))

    def _adds_token(self) -> bool:
        if "token" not in self.parts or self._has_volume("rdzv-token") or self._mounted(TOKEN_FOLDER):
            return False
        mounts = self.spec.get("automountServiceAccountToken")
        if mounts is None:
            mounts = self._mounts_token(self.spec.get("serviceAccountName") or "default")
        return not mounts

    def _add_token(self) -> None:
        field = {"apiVersion": "v1", "fieldPath": "metadata.namespace"}
        sources = [
            {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": field}]}},
        ]
        _append(self.spec, "volumes", {"name": "rdzv-token", "projected": {"sources": sources}})
        _append(self.trainer, "volumeMounts", {"name": "rdzv-token", "mountPath": TOKEN_FOLDER, "readOnly": True})

    def _adds_restart(self) -> bool:
        return (
            "restart-in-place" in self.parts
            and self.spec.get("restartPolicy") == "Never"
            and "restartPolicy" not in self.trainer
            and "restartPolicyRules" not in self.trainer
        )

    def _replaced(self) -> list[Json]:
        """The tolerations that the policy would replace, where they are in the manifest already."""
        return [
            each
            for each in self.spec.get("tolerations") or ()
            if each.get("key") in NOT_READY
            and each.get("operator", "Equal") == "Exists"
            and each.get("effect") == "NoExecute"
            and each.get("tolerationSeconds") == self.settings.default_toleration_seconds
        ]

    def _defaults(self) -> list[str]:
        """The taints for which the API server would add a toleration."""
        tolerations = self.spec.get("tolerations") or ()
        return [
            taint
            for taint in NOT_READY
            if not any(
                each.get("key", "") in (taint, "") and each.get("effect", "") in ("NoExecute", "")
                for each in tolerations
            )
        ]

    def _changes_tolerations(self) -> bool:
        return "toleration-seconds" in self.parts and bool(self._replaced() or self._defaults())

    def _change_tolerations(self) -> None:
        seconds = self.settings.toleration_seconds
        defaults = self._defaults()
        for toleration in self._replaced():
            toleration["tolerationSeconds"] = seconds
        for taint in defaults:
            toleration = {"key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}
            _append(self.spec, "tolerations", toleration)


def _init_container(image: str, pull_policy: str, *, is_root: bool) -> Json:
    resources = {"cpu": "100m", "memory": "64Mi"}
    return {
        "name": "rdzv-handler",
        "image": image,
        "imagePullPolicy": pull_policy,
        "command": ["/opt/kube-rendezvous/.venv/bin/python", "-m", "rendezvous_handler.folder", FOLDER],
        "resources": {"limits": resources, "requests": dict(resources)},
        "volumeMounts": [{"name": "rdzv-handler", "mountPath": FOLDER}],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": not is_root,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }


def _append(owner: Json, field: str, item: Json) -> None:
    owner[field] = [*(owner.get(field) or ()), item]


# ---- manifests


def with_injection(item: Json, change: Callable[[Json], Json | None]) -> tuple[Json, int]:
    """An object of a manifest with each pod template in it changed, and how many were."""
    if item.get("kind") == "List" or isinstance(item.get("items"), list):
        items = [with_injection(each, change) for each in item["items"]]
        return {**item, "items": [each for each, _ in items]}, sum(count for _, count in items)
    result, count = copy.deepcopy(item), 0
    for owner, field in _templates(result):
        pod = result if field is None else owner[field]
        changed = change(pod)
        if changed is not None:
            pod.update(changed)
            count += 1
    return result, count


def _templates(item: Json) -> Iterator[tuple[Json, str | None]]:
    """Where the pod templates of a workload are; the pod itself is at None."""
    spec = item.get("spec")
    if not isinstance(spec, dict):
        return
    if item.get("kind") == "Pod" and item.get("apiVersion") == "v1":
        yield item, None
    yield from _below(spec)


def _below(spec: Json) -> Iterator[tuple[Json, str | None]]:
    if _is_template(spec.get("template")):
        yield spec, "template"
    for job in (spec.get("jobTemplate"), *(each.get("template") for each in spec.get("replicatedJobs") or ())):
        if isinstance(job, dict) and isinstance(job.get("spec"), dict):
            yield from _below(job["spec"])


def _is_template(value: Any) -> bool:
    return isinstance(value, dict) and isinstance((value.get("spec") or {}).get("containers"), list)


def warnings(item: Json) -> list[str]:
    """What the label on this object does not do, as the chart's policy of warnings says it of the commonest mistake."""
    labels = (item.get("metadata") or {}).get("labels") or {}
    if names.LABEL_RENDEZVOUS not in labels or item.get("kind") == "Pod":
        return []
    pods = [owner[field] for owner, field in _templates(item) if field is not None]
    if any(names.LABEL_RENDEZVOUS in ((pod.get("metadata") or {}).get("labels") or {}) for pod in pods):
        return []
    return [
        f"the label {names.LABEL_RENDEZVOUS} is on the {item.get('kind')} and not on its pod template: its pods "
        f"do not get it, and "
        "will not join. Put it into the labels of the pod template"
    ]
