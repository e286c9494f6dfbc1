"""A member goes in each of the ways in which pods go, and the group goes on; how long each part takes.

A group of three pods of an Indexed Job. The survivors are told by the rendezvous, or see the connections of their
workers break; nobody waits for the timeout of a collective, which is half an hour for gloo.
"""

import time
from typing import Any

import pytest
from testcluster import HOST_IMAGE, host_volume_mounts
from testcluster.layout import NODE_GRACE_SECONDS
from tests.cluster.harness import Group
from tests.cluster.manifests import bare_pod, indexed_job, stateful_set
from tests.cluster.order import OUT_OF_SERVICE
from tests.cluster.timings import Timing, Timings

from rendezvous_api.reasons import AttemptReason, ClosedReason, RoundEndReason

NODES = 3
# Who comes back is taken in when all are there, so that one round has them all.
ALL_AT_ONCE = 600
# As in examples/job.yaml. With it a Job replaces a pod only when it has ended (podReplacementPolicy: Failed).
IGNORE_DISRUPTIONS = {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]}


def train(group: Group, job: dict[str, Any] | None = None, **pod: Any) -> list[str]:
    """Start a Job of three pods and wait until they have a checkpoint; returns their names by rank."""
    group.create(indexed_job("train", NODES, group.template("1:3", **pod), **(job or {})))
    pods = group.wait_for_training(NODES)
    group.wait((group.folder / "checkpoint.pt").exists, "a checkpoint")
    assert [group.pod(name).index for name in pods] == [0, 1, 2]
    return pods


def assert_goes_on_from_checkpoint(group: Group, event: float) -> None:
    """The new workers have begun with the last checkpoint, and no older group has made a step beside them."""
    resumed = [record.step for record in group.journal.records("group", since=event)]
    assert min(resumed) > 0
    group.journal.assert_no_split()


def finish(group: Group) -> None:
    """Let the training end, with success for all."""
    group.stop_training()
    group.wait_for_success()


@pytest.mark.parametrize(
    "job",
    [
        pytest.param({}, id="replaced while it ends"),
        pytest.param({"podFailurePolicy": IGNORE_DISRUPTIONS}, id="replaced when it has ended"),
    ],
)
def test_rank_0_is_deleted(group: Group, timings: Timings, request: pytest.FixtureRequest, job: dict[str, Any]) -> None:
    group.create_rendezvous(1, NODES, replacementSeconds=60)
    pods = train(group, job)
    with group.recorder() as recorder:
        deleted = group.delete_pod(group.pod(pods[0]))
        row = group.measure(recorder, f"Job, {request.node.callspec.id}", "kubectl delete pod", deleted, nodes=NODES)
        timings.add(row)
    assert group.status.history[-2].reason == RoundEndReason.MEMBER_EVICTED
    assert row.told is not None
    assert row.told < 5
    assert_same_ranks(group, pods)
    assert_goes_on_from_checkpoint(group, deleted)
    finish(group)


@pytest.mark.parametrize(
    ("restart_policy", "what"),
    [
        pytest.param("Never", "the Job makes a new pod", id="a new pod"),
        pytest.param("OnFailure", "the kubelet starts the container again", id="the same pod"),
    ],
)
def test_the_container_of_rank_0_is_killed(group: Group, timings: Timings, restart_policy: str, what: str) -> None:
    group.create_rendezvous(1, NODES, replacementSeconds=60)
    pods = train(group, restart_policy=restart_policy)
    with group.recorder() as recorder:
        killed = group.kill_container(group.pod(pods[0]))
        row = group.measure(recorder, f"Job, {what}", "SIGKILL to the container", killed, nodes=NODES)
        timings.add(row)
    assert row.told is not None
    assert row.told < 10
    assert (group.ranks().get(pods[0]) == 0) == (restart_policy == "OnFailure")
    assert_same_ranks(group, pods)
    assert_goes_on_from_checkpoint(group, killed)
    finish(group)


@pytest.mark.parametrize("restart_policy", ["Never", "Always"])
def test_the_container_of_rank_0_is_killed_beside_another_one(
    group: Group, timings: Timings, restart_policy: str
) -> None:
    """The pod continues with its other container, so only the status of the killed one says what happened.

    Where the kubelet starts it again, the member comes back as a new incarnation. Else the others train without it.
    """
    group.create_rendezvous(1, NODES, replacementSeconds=10)
    template = group.template("1:3", restart_policy=restart_policy)
    # The kubelet lists containers by name.
    sidecar = {"name": "watcher", "command": ["sleep", "3600"], "volumeMounts": host_volume_mounts()}
    template["spec"]["containers"].append({**sidecar, "image": HOST_IMAGE, "imagePullPolicy": "Never"})
    for number in range(NODES):
        group.create(bare_pod(f"train-{number}", template))
    pods = group.wait_for_training(NODES)
    assert {group.participant(name).spec.container for name in pods} == {"train"}
    nodes = NODES if restart_policy == "Always" else NODES - 1
    what = f"pod of two containers, {restart_policy}"
    with group.recorder() as recorder:
        killed = group.kill_container(group.pod(pods[0]))
        row = group.measure(recorder, what, "SIGKILL to the container", killed, nodes=nodes)
        timings.add(row)
    assert row.told is not None
    assert row.told < 10
    # The workers of the others may fail before the kubelet has said it.
    reasons = {record.reason for record in group.status.history}
    assert reasons & {RoundEndReason.MEMBER_LOST, RoundEndReason.WORKER_FAILED}
    assert (pods[0] in group.ranks()) == (restart_policy == "Always")
    group.wait_for_steps(since=time.time())
    group.stop_training()
    group.wait(lambda: [run.reason for run in group.status.closed_runs] == [ClosedReason.RUN_SUCCEEDED], "success")


def test_a_worker_crashes(group: Group, timings: Timings) -> None:
    group.create_rendezvous(1, NODES)
    pods = train(group)
    with group.recorder() as recorder:
        crashed = group.crash(group.pod(pods[0]))
        timings.add(group.measure(recorder, "any", "the worker of rank 0 crashes", crashed, nodes=NODES))
    assert group.status.history[-2].reason == RoundEndReason.WORKER_FAILED
    assert group.wait_for_training(NODES) == pods
    assert_goes_on_from_checkpoint(group, crashed)
    finish(group)


def test_the_node_of_rank_0_is_drained(group: Group, timings: Timings) -> None:
    """Whatever pods of the group are on it, and one of the operator's, go at once."""
    group.create_rendezvous(1, NODES, replacementSeconds=60)
    pods = train(group)
    node = group.pod(pods[0]).node
    gone = [name for name in pods if group.pod(name).node == node]
    with group.recorder() as recorder:
        at = recorder.now()
        options = ("--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=110s")
        group.kubectl("drain", node, *options)
        row = group.measure(recorder, f"Job, {len(gone)} of its pods there", "kubectl drain", at, nodes=NODES)
        timings.add(row)
    assert group.status.history[-2].reason == RoundEndReason.MEMBER_EVICTED
    assert row.told is not None
    assert row.told < 10
    assert {pod.node for pod in group.pods() if pod.running} == {other_node(node)}
    assert_same_ranks(group, pods)
    assert_goes_on_from_checkpoint(group, at)
    finish(group)


def test_a_node_is_lost_and_its_pods_are_evicted_soon(group: Group, timings: Timings) -> None:
    """The survivors get no more beats from it. Their word counts before anybody knows that the node is NotReady.

    With short tolerations in the pod its pods are evicted 5 s after that, and the group waits for what the Job makes
    then. It does so at once, although the old pods stay Terminating until somebody knows that they are gone.
    """
    group.create_rendezvous(1, NODES, replacementSeconds=60)
    pods = train(group, toleration_seconds=5)
    node = group.pod(pods[0]).node
    with group.recorder() as recorder:
        at = group.lose_node(node)
        row = group.measure(recorder, "Job, evicted after 5 s", "node lost", at, nodes=NODES)
        timings.add(row)
    assert_lost_by_missed_beats(group, row)
    assert_survivors_were_told(group, pods, node)
    assert_same_ranks(group, pods)
    left = [pod for pod in group.pods() if pod.node == node]
    assert left
    assert all(pod.terminating for pod in left), "nobody knows yet that they are gone"
    assert_goes_on_from_checkpoint(group, at)

    group.cluster.node(node).start()
    group.wait(lambda: not [pod for pod in group.pods() if pod.node == node and pod.terminating], "them to be gone")
    group.wait_for_steps(since=recorder.now())
    finish(group)


def test_a_node_is_lost_and_comes_back(group: Group, timings: Timings) -> None:
    """With Kubernetes' own tolerations its pods stay for 300 s more: only the beats that are missed tell."""
    group.create_rendezvous(1, NODES, scaleUpIntervalSeconds=ALL_AT_ONCE)
    pods = train(group)
    node = group.pod(pods[0]).node
    survivors = [name for name in pods if group.pod(name).node != node]
    with group.recorder() as recorder:
        at = group.lose_node(node)
        row = group.measure(recorder, "Job, not evicted", "node lost", at, nodes=len(survivors), timeout=240)
        timings.add(row)
    assert_lost_by_missed_beats(group, row)
    assert_survivors_were_told(group, pods, node)
    assert_goes_on_from_checkpoint(group, at)

    with group.recorder() as recorder:
        at = recorder.now()
        group.cluster.node(node).start()
        timings.add(group.measure(recorder, "Job, its pods are replaced", "the node comes back", at, nodes=NODES))
    assert_same_ranks(group, pods)
    finish(group)


@pytest.mark.parametrize("remedy", ["the pod is deleted with --force", "the node is tainted out-of-service"])
def test_pods_of_a_lost_node_are_not_replaced_until_they_are_gone(group: Group, timings: Timings, remedy: str) -> None:
    """A StatefulSet, and a Job with a podFailurePolicy, wait for the end of a pod that nobody can see end.

    A forced deletion is no end for such a Job: its finalizer keeps the pod until its phase says Failed.
    """
    forced = "--force" in remedy
    group.create_rendezvous(1, NODES, scaleUpIntervalSeconds=ALL_AT_ONCE)
    if not forced:
        pods = train(group, {"podFailurePolicy": IGNORE_DISRUPTIONS}, toleration_seconds=5)
    else:
        group.create(stateful_set("train", NODES, group.template("1:3", toleration_seconds=5)))
        pods = group.wait_for_training(NODES)
        assert pods == ["train-0", "train-1", "train-2"]
    kind = "StatefulSet" if forced else "Job with podFailurePolicy"
    node = group.pod(pods[0]).node
    gone = [name for name in pods if group.pod(name).node == node]
    with group.recorder() as recorder:
        at = group.lose_node(node)
        row = group.measure(recorder, f"{kind}, evicted after 5 s", "node lost", at, nodes=NODES - len(gone))
        timings.add(row)
    assert_lost_by_missed_beats(group, row)
    assert_survivors_were_told(group, pods, node)
    group.wait(lambda: all(group.pod(name).terminating for name in gone), "the eviction of its pods", 60)

    with group.recorder() as recorder:
        at = recorder.now()
        if forced:
            group.kubectl("delete", "pod", *gone, "--force", "--grace-period=0")
        else:
            group.kubectl("taint", "node", node, f"{OUT_OF_SERVICE}=nodeshutdown:NoExecute")
        try:
            timings.add(group.measure(recorder, kind, remedy, at, nodes=NODES))
        finally:
            if not forced:
                group.kubectl("taint", "node", node, f"{OUT_OF_SERVICE}-")
    assert_same_ranks(group, pods)
    assert_goes_on_from_checkpoint(group, at)


@pytest.mark.parametrize("first", [True, False], ids=["as process 1", "with shareProcessNamespace"])
def test_a_pod_that_waits_is_deleted(group: Group, first: bool) -> None:
    """A spare has no workers yet, and torchrun no handler for SIGTERM, which a process 1 needs to be ended by it."""
    group.create_rendezvous(1, NODES - 1)
    group.create(indexed_job("train", NODES, group.template("1:2", share_processes=not first)))
    pods = group.wait_for_training(NODES - 1)
    spares = group.wait(lambda: group.status.spares, "a spare")
    spare = group.pod(spares[0].removeprefix("train."))

    def gone() -> bool:
        return spare.uid not in {pod.uid for pod in group.pods()}

    with group.recorder() as recorder:
        at = group.delete_pod(spare)
        if first:
            with pytest.raises(AssertionError, match="in vain for the spare to be gone"):
                group.wait(gone, "the spare to be gone", 25)
        group.wait(gone, "the spare to be gone", 15)
    assert not [sight for sight in recorder.sights if sight.at > at and sight.status.waiting_nodes], "training went on"
    assert group.wait_for_training(NODES - 1) == pods


def other_node(node: str) -> str:
    return {"node-a": "node-b", "node-b": "node-a"}[node]


def assert_same_ranks(group: Group, pods: list[str]) -> None:
    """Each index of the Job or StatefulSet has the rank that it had: the same pod, or its successor."""
    now = group.ranks()
    assert sorted(now.values()) == list(range(len(pods)))
    for pod in group.pods():
        if pod.name in now:
            index = pod.index if pod.index is not None else int(pod.name.rpartition("-")[2])
            assert now[pod.name] == index, f"{pod.name} has rank {now[pod.name]}"


def assert_lost_by_missed_beats(group: Group, row: Timing) -> None:
    """No pod was known to be gone when the round ended: the machine was not yet known to be NotReady."""
    assert group.status.history[-2].reason == RoundEndReason.MEMBER_LOST
    assert row.told is not None
    assert row.told < NODE_GRACE_SECONDS


def assert_survivors_were_told(group: Group, pods: list[str], lost_node: str) -> None:
    """The workers of the others hung in a collective until the rendezvous asked their agents to come back."""
    survivors = [name for name in pods if group.pod(name).node != lost_node]
    assert survivors
    reasons = {name: group.participant(name).spec.attempt_reason for name in survivors}
    assert reasons == dict.fromkeys(survivors, AttemptReason.MEMBERSHIP_CHANGE)
