"""Pods of a JobSet that a TrainJob owns have the TrainJob as their workload (rule "launches").

A TrainJob may recreate its JobSet, which then has another UID, for example when it is resumed. It is the same training.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from rendezvous_api.rendezvous import Owner
from rendezvous_operator.core.run_names import last_launch
from rendezvous_operator.core.world import Pod, World


class TrainJob(NamedTuple):
    """A TrainJob of Kubeflow Trainer."""

    uid: str
    name: str


def jobsets_to_know(world: World) -> dict[str, str]:
    """UID and name of each JobSet that has known pods, and after which no run is named yet.

    A run that has its name keeps it: its nodes may have joined before the owner of their JobSet could be read.
    """
    status = world.rendezvous.status
    found = {
        pod.owner_uid: pod.owner.name
        for pod in world.pods.values()
        if pod.known and pod.owner_uid is not None and pod.owner is not None and pod.owner.kind == "JobSet"
    }
    return {uid: name for uid, name in found.items() if last_launch(uid, status.run_ids) is None}


def with_train_jobs(world: World, owners: Mapping[str, TrainJob | None]) -> World:
    """The same world, in which TrainJobs are the workloads of their pods.

    Args:
        world: in which JobSets are.
        owners: the TrainJob of a JobSet, by the UID of the JobSet; None: it has none, or that is not known.
    """
    named = {uid: owner for uid in jobsets_to_know(world) if (owner := owners.get(uid)) is not None}
    if not named:
        return world
    pods = {
        uid: _of(named[pod.owner_uid], pod) if pod.owner_uid in named and pod.known else pod
        for uid, pod in world.pods.items()
    }
    return replace(world, pods=pods)


def _of(owner: TrainJob, pod: Pod) -> Pod:
    workload = owner.uid if pod.workload == pod.owner_uid else pod.workload  # else it is a label of the user
    return replace(pod, workload=workload, owner_uid=owner.uid, owner=Owner("TrainJob", owner.name))
