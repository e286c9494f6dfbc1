"""From a pod's JSON to what decisions depend on."""

from rendezvous_api import names
from rendezvous_api.rendezvous import Owner
from rendezvous_api.text import one_line
from rendezvous_operator.core.words import cut
from rendezvous_operator.core.world import Pod
from rendezvous_operator.kube.client import Json


def pod_from_object(item: Json) -> Pod:
    """Reduce a pod, as the API server returns it, to what decisions depend on."""
    metadata, status = item["metadata"], item.get("status", {})
    labels = metadata.get("labels", {})
    phase = status.get("phase", "Pending")
    workload, owner = _workload(metadata)
    return Pod(
        uid=metadata["uid"],
        name=metadata["name"],
        known=names.LABEL_RENDEZVOUS in labels,
        phase=phase,
        leaving=_leaving(metadata, status),
        run_id=labels.get(names.LABEL_RUN_ID) or workload,
        workload=workload,
        owner=owner,
        addresses=_addresses(item),
        problem=_problem(phase, status),
    )


def _workload(metadata: Json) -> tuple[str | None, Owner | None]:
    """UID of the workload, and its kind and name: of the JobSet, else of the controller."""
    labels = metadata.get("labels", {})
    if uid := labels.get(names.LABEL_JOBSET_UID):
        name = labels.get(names.LABEL_JOBSET_NAME)
        return uid, Owner("JobSet", name) if name else None
    for reference in metadata.get("ownerReferences", []):
        if reference.get("controller"):
            return reference["uid"], Owner(reference["kind"], reference["name"])
    return None, None


def _addresses(item: Json) -> frozenset[str]:
    """None if it has interfaces that are not in its status: those of its machine, of Multus, or of claimed devices."""
    spec, annotations = item.get("spec", {}), item["metadata"].get("annotations", {})
    if spec.get("hostNetwork") or spec.get("resourceClaims") or names.ANNOTATION_NETWORKS in annotations:
        return frozenset()
    status = item.get("status", {})
    if not status.get("podIPs"):
        return frozenset()
    return frozenset(found["ip"] for field in ("podIPs", "hostIPs") for found in status.get(field, []))


def _leaving(metadata: Json, status: Json) -> str | None:
    for condition in status.get("conditions", []):
        if condition["type"] == "DisruptionTarget" and condition["status"] == "True":
            return f"its pod is being evicted ({_short(condition.get('reason', 'DisruptionTarget'))})"
    return "its pod is being deleted" if metadata.get("deletionTimestamp") else None


def _problem(phase: str, status: Json) -> str | None:
    """Why a pod does not run its agent yet: the message of the scheduler, or the reason of a waiting container."""
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False" and condition.get("message"):
            return f"{phase} ({_short(condition['message'])})"
    for container in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
        waiting = container.get("state", {}).get("waiting") or {}
        if waiting.get("reason"):
            return f"{phase} ({_short(waiting['reason'])})"
    return None if phase == "Running" else phase


def _short(text: str) -> str:
    """What a scheduler, a kubelet or another program has written about a pod, as a part of a message."""
    return cut(one_line(text))
