"""Pods without a kubelet: objects on the API server whose status the test writes, and the tokens of their agents."""

from collections.abc import Mapping
from typing import Any

from tests.e2e.harness import Job
from tests.support import objects
from tests.support.objects import AGENT_RULES
from tests.support.processes import Process

from rendezvous_api import names

_ACCOUNT = "agent"


class Pods:
    """The pods of one job, known to the operator by their label."""

    def __init__(self, job: Job) -> None:
        """Create the service account of the agents, and what it may do."""
        self._job = job
        job.api.grant(_ACCOUNT, AGENT_RULES, job.api.create_account(_ACCOUNT))

    def create(
        self,
        name: str,
        *,
        owner_uid: str | None = None,
        owner_kind: str = "Job",
        labels: Mapping[str, str] | None = None,
        restart_policy: str = "Always",
    ) -> str:
        """Create a pod, Pending as every new one; ``owner_uid``: of its controller. Returns the pod's UID."""
        metadata: dict[str, Any] = {"labels": {names.LABEL_RENDEZVOUS: self._job.name, **(labels or {})}}
        if owner_uid is not None:
            group = "batch/v1" if owner_kind == "Job" else "apps/v1"
            controller = {"apiVersion": group, "kind": owner_kind, "name": "work", "uid": owner_uid, "controller": True}
            metadata["ownerReferences"] = [controller]
        # With a node name a deletion waits for the kubelet of that node, as with real pods.
        spec = {"serviceAccountName": _ACCOUNT, "nodeName": f"node-of-{name}", "restartPolicy": restart_policy}
        body = objects.pod(name, metadata=metadata, **spec)
        return str(self._job.api.create(body)["metadata"]["uid"])

    def write_status(self, name: str, **status: Any) -> None:
        """Write fields of a pod's status, as its kubelet, the scheduler or an eviction does."""
        self._job.api.patch("Pod", name, {"status": status}, "status")

    def delete(self, name: str, *, grace_seconds: int) -> None:
        """Delete a pod. With a grace period it stays, terminating; without one it is gone at once."""
        self._job.api.delete("Pod", name, grace_seconds=grace_seconds)

    def restart_container(self, name: str) -> None:
        """The next agent starts in another life of the container: so what it finds was written in an earlier one."""
        self._job.api.patch(names.PARTICIPANT_KIND, f"{self._job.name}.{name}", {"spec": {"life": "an earlier one"}})

    def agent(self, name: str, uid: str, **options: Any) -> Process:
        """Start the agent of a pod: who it is, it learns from its token alone, which is bound to the pod."""
        return self._job.agent(name, environment=self.environment(name, uid), **options)

    def environment(self, name: str, uid: str) -> dict[str, str]:
        """What makes a process that of the pod, which runs from now on."""
        self.write_status(name, phase="Running")
        api = self._job.api
        kubeconfig = api.kubeconfig(api.token(_ACCOUNT, (name, uid)), self._job.folder / f"{name}.kubeconfig")
        return {"KUBECONFIG": str(kubeconfig)}
