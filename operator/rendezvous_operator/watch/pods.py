"""From a pod's JSON to what decisions depend on. `kubectl rdzv` reads pods by it, too, so it needs only the core."""

from dataclasses import replace
from typing import Any

from rendezvous_api import names
from rendezvous_api.rendezvous import Owner
from rendezvous_api.text import one_line
from rendezvous_operator.core.words import cut
from rendezvous_operator.core.world import ContainerEnd, Pod

Json = dict[str, Any]


def pod_from_object(item: Json) -> Pod:
    """Reduce a pod, as the API server returns it, to what decisions depend on."""
    metadata, status = item["metadata"], item.get("status", {})
    labels = metadata.get("labels", {})
    phase = status.get("phase", "Pending")
    containers = item.get("spec", {}).get("containers", [])
    owner_uid, owner = _owner(metadata)
    return Pod(
        uid=metadata["uid"],
        name=metadata["name"],
        known=names.LABEL_RENDEZVOUS in labels,
        phase=phase,
        leaving=_leaving(metadata, status),
        grace_seconds=metadata.get("deletionGracePeriodSeconds"),
        workload=labels.get(names.LABEL_RUN_ID) or owner_uid,
        owner_uid=owner_uid,
        owner=owner,
        addresses=_addresses(item),
        ended=_ended(item),
        only_container=containers[0]["name"] if len(containers) == 1 else None,
        problem=_problem(phase, status),
        unschedulable=_is_unschedulable(status),
        labels=labels,
        unhealthy_device=_unhealthy_device(status),
    )


def with_moments(pod: Pod, before: Pod | None, now: float) -> Pod:
    """The same pod; each end of a container has the moment at which it was first seen.

    Of a pod that is being deleted, the grace period begins when that was first seen: the deletionTimestamp is its end
    by the clock of the API server. A later deletion may make it shorter, and none makes it longer.

    Args:
        pod: as it is now.
        before: as it was last seen; None: never.
        now: monotonic seconds.
    """
    if pod.grace_seconds is not None:
        ends_by = now + pod.grace_seconds
        known_by = before.ends_by if before is not None else None
        pod = replace(pod, ends_by=ends_by if known_by is None else min(known_by, ends_by))
    if before is None:
        return pod
    known = {end._replace(seen_at=None): end for end in before.ended}
    return replace(pod, ended=tuple(known.get(end, end._replace(seen_at=now)) for end in pod.ended))


def _owner(metadata: Json) -> tuple[str | None, Owner | None]:
    """Its UID, and its kind and name: of the JobSet, else of the controller."""
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


def _ended(item: Json) -> tuple[ContainerEnd, ...]:
    """The pod's phase tells the end of a container only when all have ended, also those beside it.

    A container that runs again keeps its ``lastState``, and a kubelet may show one of which it does not know the time
    (reasons ``ContainerStatusUnknown`` and ``RestartingAllContainers``).
    """
    specs = {container["name"]: container for container in item.get("spec", {}).get("containers", [])}
    ends = []
    for container in item.get("status", {}).get("containerStatuses", []):
        state = container.get("state", {})
        ended = state.get("terminated") or container.get("lastState", {}).get("terminated")
        runs_since = state["running"].get("startedAt") if "running" in state else None
        if ended and ("running" not in state or runs_since):
            name, code, reason = container["name"], ended["exitCode"], ended.get("reason")
            why = f"{_short(reason)}, exit code {code}" if reason else f"exit code {code}"
            over = "terminated" in state and not _is_started_again(item.get("spec", {}), specs.get(name, {}), code)
            ends.append(ContainerEnd(name, code, why, ended.get("finishedAt"), runs_since, over))
    return tuple(ends)


def _is_started_again(pod: Json, container: Json, exit_code: int) -> bool:
    every = [*pod.get("initContainers", []), *pod.get("containers", [])]
    rules = [rule for each in every for rule in each.get("restartPolicyRules", [])]
    if any(rule.get("action") == "RestartAllContainers" for rule in rules):
        return True  # perhaps, when another container ends
    for rule in container.get("restartPolicyRules", []):
        codes = rule.get("exitCodes", {})
        if (exit_code in codes.get("values", [])) == (codes.get("operator") == "In"):
            return True
    policy = container.get("restartPolicy") or pod.get("restartPolicy", "Always")
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


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


def _is_unschedulable(status: Json) -> bool:
    """A gated pod has the reason SchedulingGated. One for which others are preempted has a machine already."""
    scheduled: Json = next((found for found in status.get("conditions", []) if found["type"] == "PodScheduled"), {})
    is_refused = scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable"
    return is_refused and not status.get("nominatedNodeName")


def _unhealthy_device(status: Json) -> str | None:
    """A kubelet shows which devices a container has, and how they are: by default from 1.36 on (KEP-4680)."""
    for container in status.get("containerStatuses", []):
        for kind in container.get("allocatedResourcesStatus") or []:
            for device in kind.get("resources") or []:
                if device.get("health") == "Unhealthy":
                    return _short(f"{kind.get('name', '')} {device.get('resourceID', '')}".strip())
    return None


def _short(text: str) -> str:
    """What a scheduler, a kubelet or another program has written about a pod, as a part of a message."""
    return cut(one_line(text))
