"""What is read from a pod's JSON."""

from typing import Any

import pytest

from rendezvous_api import names
from rendezvous_api.rendezvous import Owner
from rendezvous_operator.core.world import ContainerEnd
from rendezvous_operator.watch.pods import pod_from_object, with_moments


def pod(labels: dict[str, str] | None = None, **status: Any) -> dict[str, Any]:
    metadata = {"name": "a", "uid": "u", "labels": labels or {}}
    return {"metadata": metadata, "status": {"phase": "Running", **status}}


def test_the_run_is_that_of_the_label_else_of_the_jobset_else_of_the_controller() -> None:
    item = pod()
    assert pod_from_object(item).workload is None
    item["metadata"]["ownerReferences"] = [
        {"uid": "some-owner", "kind": "ConfigMap", "name": "settings"},
        {"uid": "job-uid", "kind": "Job", "name": "digits", "controller": True},
    ]
    seen = pod_from_object(item)
    assert (seen.workload, seen.owner_uid, seen.owner) == ("job-uid", "job-uid", Owner("Job", "digits"))
    item["metadata"]["labels"][names.LABEL_JOBSET_UID] = "jobset-uid"
    seen = pod_from_object(item)
    assert (seen.workload, seen.owner) == ("jobset-uid", None)
    item["metadata"]["labels"][names.LABEL_JOBSET_NAME] = "train"
    assert pod_from_object(item).owner == Owner("JobSet", "train")
    item["metadata"]["labels"][names.LABEL_RUN_ID] = "mine"
    seen = pod_from_object(item)
    assert (seen.workload, seen.owner_uid) == ("mine", "jobset-uid")


def test_its_labels_are_kept_since_the_spec_says_which_one_counts() -> None:
    item = pod()
    item["metadata"]["labels"] = {"example.com/rack": "r1", names.LABEL_RENDEZVOUS: "train"}
    assert pod_from_object(item).labels == item["metadata"]["labels"]
    del item["metadata"]["labels"]
    assert pod_from_object(item).labels == {}


def test_what_others_have_written_about_a_pod_is_one_line() -> None:
    forged = "no GPU\n[2030-01-01] rendezvous_operator [INFO] run 'run-1' is closed"
    scheduled = {"type": "PodScheduled", "status": "False", "message": forged}
    evicted = {"type": "DisruptionTarget", "status": "True", "reason": forged}
    seen = pod_from_object(pod(phase="Pending", conditions=[scheduled, evicted]))
    for message in (seen.problem, seen.leaving):
        assert message is not None
        assert message.isprintable()
        assert "no GPU\\n" in message


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        ({}, None),
        ({"phase": "Pending"}, "Pending"),
        (
            {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "message": "0/3"}]},
            "Pending (0/3)",
        ),
        (
            {"phase": "Pending", "containerStatuses": [{"state": {"waiting": {"reason": "ImagePullBackOff"}}}]},
            "Pending (ImagePullBackOff)",
        ),
        (
            {"phase": "Running", "containerStatuses": [{"state": {"waiting": {"reason": "CrashLoopBackOff"}}}]},
            "Running (CrashLoopBackOff)",
        ),
    ],
)
def test_why_a_pod_does_not_run_is_told(status: dict[str, Any], problem: str | None) -> None:
    assert pod_from_object(pod(**status)).problem == problem


def test_a_pod_leaves_when_it_is_deleted_or_evicted() -> None:
    assert pod_from_object(pod()).leaving is None
    deleted = pod()
    deleted["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert pod_from_object(deleted).leaving == "its pod is being deleted"
    condition = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}
    evicted = pod_from_object(pod(conditions=[condition]))
    assert evicted.leaving == "its pod is being evicted (EvictionByEvictionAPI)"
    assert not evicted.live
    kept = pod(conditions=[{**condition, "status": "False"}])
    assert pod_from_object(kept).leaving is None


@pytest.mark.parametrize(
    ("phase", "live"), [("Running", True), ("Pending", True), ("Failed", False), ("Succeeded", False)]
)
def test_an_ended_pod_is_not_live(phase: str, live: bool) -> None:
    assert pod_from_object(pod(phase=phase)).live is live


@pytest.mark.parametrize(
    ("spec", "annotations", "known"),
    [
        ({}, {}, True),
        ({"hostNetwork": True}, {}, False),
        ({"resourceClaims": [{"name": "nic"}]}, {}, False),
        ({}, {names.ANNOTATION_NETWORKS: "rdma"}, False),
    ],
)
def test_the_addresses_of_a_pod_are_known_if_all_are_in_its_status(
    spec: dict[str, Any], annotations: dict[str, str], known: bool
) -> None:
    item = pod(podIPs=[{"ip": "10.1.0.5"}, {"ip": "fd00::5"}], hostIPs=[{"ip": "192.168.0.7"}])
    item["spec"] = spec
    item["metadata"]["annotations"] = annotations
    found = pod_from_object(item).addresses
    assert found == (frozenset({"10.1.0.5", "fd00::5", "192.168.0.7"}) if known else frozenset())
    del item["status"]["podIPs"]
    assert pod_from_object(item).addresses == frozenset()


def with_container(
    restart_policy: str = "Never", container: dict[str, Any] | None = None, **state: Any
) -> dict[str, Any]:
    item = pod(containerStatuses=[{"name": "train", **state}, {"name": "proxy", "state": {"running": {}}}])
    item["spec"] = {
        "restartPolicy": restart_policy,
        "containers": [{"name": "train", **(container or {})}, {"name": "proxy"}],
    }
    return item


def terminated(exit_code: int, **more: Any) -> dict[str, Any]:
    return {"terminated": {"exitCode": exit_code, "finishedAt": "2026-01-01T00:00:00Z", **more}}


def test_a_container_that_has_ended_is_told_although_the_pod_goes_on() -> None:
    (end,) = pod_from_object(with_container(state=terminated(137, reason="OOMKilled"))).ended
    assert end == ContainerEnd("train", 137, "OOMKilled, exit code 137", "2026-01-01T00:00:00Z", over=True)
    assert pod_from_object(with_container(state={"running": {}})).ended == ()
    states: tuple[dict[str, Any], ...] = (
        {"waiting": {"reason": "CrashLoopBackOff"}},
        {"running": {"startedAt": "2026-01-01T00:00:09Z"}},
    )
    for state in states:
        (end,) = pod_from_object(with_container(state=state, lastState=terminated(1))).ended
        assert (end.why, end.over) == ("exit code 1", False)
    assert end.runs_since == "2026-01-01T00:00:09Z"


def test_an_end_has_the_moment_at_which_it_was_first_seen() -> None:
    item = with_container(state=terminated(1))
    first = with_moments(pod_from_object(item), None, 10.0)
    assert [end.seen_at for end in first.ended] == [None]
    assert with_moments(pod_from_object(item), first, 20.0) == first
    runs = with_moments(pod_from_object(with_container(state={"running": {}})), None, 10.0)
    then = with_moments(pod_from_object(item), runs, 20.0)
    assert [end.seen_at for end in then.ended] == [20.0]
    assert with_moments(pod_from_object(item), then, 30.0) == then


def deleted(grace: int | None) -> dict[str, Any]:
    """A pod that is being deleted; its deletionTimestamp is of a clock that is far behind."""
    item = pod()
    item["metadata"] |= {"deletionTimestamp": "2000-01-01T00:00:00Z"}
    item["metadata"] |= {} if grace is None else {"deletionGracePeriodSeconds": grace}
    return item


def test_the_grace_period_begins_when_the_deletion_is_first_seen() -> None:
    runs = with_moments(pod_from_object(pod()), None, 10.0)
    assert (runs.grace_seconds, runs.ends_by) == (None, None)
    seen = with_moments(pod_from_object(deleted(30)), runs, 20.0)
    assert (seen.leaving, seen.ends_by) == ("its pod is being deleted", 50.0)
    assert with_moments(pod_from_object(deleted(30)), seen, 40.0) == seen
    # A new leader sees it for the first time.
    assert with_moments(pod_from_object(deleted(30)), None, 100.0).ends_by == 130.0


@pytest.mark.parametrize(("grace", "ends_by"), [(5, 45.0), (10, 50.0), (300, 50.0)])
def test_a_later_deletion_can_only_make_it_shorter(grace: int, ends_by: float) -> None:
    seen = with_moments(pod_from_object(deleted(30)), None, 20.0)
    assert with_moments(pod_from_object(deleted(grace)), seen, 40.0).ends_by == ends_by


def test_without_a_grace_period_nobody_knows_when_it_ends() -> None:
    seen = with_moments(pod_from_object(deleted(None)), None, 20.0)
    assert (seen.leaving, seen.ends_by) == ("its pod is being deleted", None)


ALL = {"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [42]}}
RULE = {"action": "Restart", "exitCodes": {"operator": "In", "values": [137, 139]}}


@pytest.mark.parametrize(
    ("restart_policy", "container", "exit_code", "over"),
    [
        ("Never", {}, 1, True),
        ("OnFailure", {}, 0, True),
        ("OnFailure", {}, 1, False),
        ("Always", {}, 0, False),
        ("Always", {"restartPolicy": "Never"}, 1, True),
        ("Never", {"restartPolicy": "Never", "restartPolicyRules": [RULE]}, 137, False),
        ("Never", {"restartPolicy": "Never", "restartPolicyRules": [RULE]}, 1, True),
    ],
)
def test_whether_a_container_is_started_again(
    restart_policy: str, container: dict[str, Any], exit_code: int, over: bool
) -> None:
    item = with_container(restart_policy, container, state=terminated(exit_code))
    assert pod_from_object(item).ended[0].over is over


@pytest.mark.parametrize("kind", ["initContainers", "containers"])
def test_a_container_may_be_started_again_because_of_another_one(kind: str) -> None:
    item = with_container("Never", state=terminated(0))
    item["spec"].setdefault(kind, []).append({"name": "watcher", "restartPolicyRules": [ALL]})
    assert not pod_from_object(item).ended[0].over


def test_the_name_of_the_only_container() -> None:
    item = with_container()
    assert pod_from_object(item).only_container is None
    del item["spec"]["containers"][1]
    assert pod_from_object(item).only_container == "train"


@pytest.mark.parametrize(
    ("scheduled", "nominated", "expected"),
    [
        ({"status": "True"}, None, False),
        ({"status": "False", "reason": "SchedulingGated"}, None, False),
        ({"status": "False", "reason": "Unschedulable"}, None, True),
        ({"status": "False", "reason": "Unschedulable"}, "node-1", False),
    ],
)
def test_a_pod_is_unschedulable_if_the_scheduler_says_so_and_makes_no_room(
    scheduled: dict[str, str], nominated: str | None, expected: bool
) -> None:
    status: dict[str, Any] = {"phase": "Pending", "conditions": [{"type": "PodScheduled", **scheduled}]}
    if nominated:
        status["nominatedNodeName"] = nominated
    assert pod_from_object(pod(**status)).unschedulable is expected
    assert not pod_from_object(pod(phase="Pending")).unschedulable


def devices(*health: str) -> dict[str, Any]:
    """The status of a container, as a kubelet of 1.36 writes it."""
    resources = [{"resourceID": f"GPU-{number}", "health": each} for number, each in enumerate(health)]
    return {"name": "train", "allocatedResourcesStatus": [{"name": "nvidia.com/gpu", "resources": resources}]}


@pytest.mark.parametrize(
    ("containers", "device"),
    [
        ([], None),
        ([{"name": "train"}], None),
        ([{"name": "train", "allocatedResourcesStatus": None}], None),
        ([{"name": "train", "allocatedResourcesStatus": [{"name": "claim:gpu"}]}], None),
        ([devices("Healthy", "Unknown")], None),
        ([devices("Healthy", "Unhealthy", "Unhealthy")], "nvidia.com/gpu GPU-1"),
        ([devices("Healthy"), devices("Unhealthy")], "nvidia.com/gpu GPU-0"),
    ],
)
def test_the_kubelet_says_which_devices_are_unhealthy(containers: list[Any], device: str | None) -> None:
    assert pod_from_object(pod(containerStatuses=containers)).unhealthy_device == device
