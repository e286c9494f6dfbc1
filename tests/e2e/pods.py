"""Pods without a kubelet: objects on the API server whose status the test writes, and the tokens of their agents."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.e2e.harness import Job, Process

from rendezvous_api import names

_ROLE = [
    {"apiGroups": [names.GROUP], "resources": [names.RENDEZVOUS_PLURAL], "verbs": ["get", "list", "watch", "create"]},
    {
        "apiGroups": [names.GROUP],
        "resources": [names.PARTICIPANT_PLURAL],
        "verbs": ["get", "create", "update", "patch", "delete"],
    },
    {"apiGroups": [names.GROUP], "resources": [f"{names.PARTICIPANT_PLURAL}/status"], "verbs": ["update", "patch"]},
]
"""All that an agent may do; see the Role of an agent in the documentation."""

_ACCOUNT = "agent"
_RBAC = "rbac.authorization.k8s.io"


class Pods:
    """The pods of one job, known to the operator by their label."""

    def __init__(self, job: Job) -> None:
        """Create the service account of the agents, and what it may do."""
        self._job = job
        metadata = {"name": _ACCOUNT, "namespace": job.namespace}
        role_ref = {"apiGroup": _RBAC, "kind": "Role", "name": _ACCOUNT}
        subjects = [{"kind": "ServiceAccount", **metadata}]
        self._apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
        self._apply({"apiVersion": f"{_RBAC}/v1", "kind": "Role", "metadata": metadata, "rules": _ROLE})
        binding = {"metadata": metadata, "roleRef": role_ref, "subjects": subjects}
        self._apply({"apiVersion": f"{_RBAC}/v1", "kind": "RoleBinding", **binding})

    def create(self, name: str, *, owner_uid: str | None = None, labels: Mapping[str, str] | None = None) -> str:
        """Create a pod, Pending as every new one; ``owner_uid``: of its controller. Returns the pod's UID."""
        metadata: dict[str, Any] = {
            "name": name,
            "namespace": self._job.namespace,
            "labels": {names.LABEL_RENDEZVOUS: self._job.name, **(labels or {})},
        }
        if owner_uid is not None:
            controller = {"apiVersion": "batch/v1", "kind": "Job", "name": "work", "uid": owner_uid, "controller": True}
            metadata["ownerReferences"] = [controller]
        containers = [{"name": "torchrun", "image": "none"}]
        # With a node name a deletion waits for the kubelet of that node, as with real pods.
        spec = {"serviceAccountName": _ACCOUNT, "nodeName": f"node-of-{name}", "containers": containers}
        made = self._apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
        return str(made["metadata"]["uid"])

    def write_status(self, name: str, **status: Any) -> None:
        """Write fields of a pod's status, as its kubelet, the scheduler or an eviction does."""
        patch = json.dumps({"status": status})
        self._job.kubectl("patch", "pod", name, "--subresource=status", "--type=merge", "-p", patch)

    def delete(self, name: str, *, grace_seconds: int) -> None:
        """Delete a pod. With a grace period it stays, terminating; without one it is gone at once."""
        forced = ["--force"] if grace_seconds == 0 else []
        self._job.kubectl("delete", "pod", name, "--wait=false", f"--grace-period={grace_seconds}", *forced)

    def kubeconfig(self, name: str, uid: str) -> Path:
        """What the agent in that pod would find: a token bound to the pod, and the pod's namespace."""
        bound = ("--bound-object-kind=Pod", f"--bound-object-name={name}", f"--bound-object-uid={uid}")
        token = self._job.kubectl("create", "token", _ACCOUNT, *bound).strip()
        original = json.loads(self._job.control_plane.kubeconfig_with_token(token).read_text())
        original["contexts"][0]["context"]["namespace"] = self._job.namespace
        path = self._job.folder / f"{name}.kubeconfig"
        path.write_text(json.dumps(original))
        return path

    def agent(self, name: str, uid: str, **options: Any) -> Process:
        """Start the agent of a pod: who it is, it learns from its token alone."""
        self.write_status(name, phase="Running")
        return self._job.agent(name, environment={"KUBECONFIG": str(self.kubeconfig(name, uid))}, **options)

    def _apply(self, item: Mapping[str, Any]) -> dict[str, Any]:
        control_plane = self._job.control_plane
        made: dict[str, Any] = json.loads(
            control_plane.kubectl("create", "-f", "-", "-o", "json", input=json.dumps(item))
        )
        return made
