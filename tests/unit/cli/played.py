"""Groups for the tests of `kubectl rdzv`: their objects, as a scenario of the decision core leaves them."""

from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from tests.unit.core.builders import now
from tests.unit.core.peer_worlds import PeerScenario
from tests.unit.core.worlds import Scenario

from kube_rendezvous_cli.group import Group, group_of
from rendezvous_api import names
from rendezvous_api.codec import encode
from rendezvous_api.rendezvous import Owner, Rendezvous

Json = dict[str, Any]
_AnyPlayed = TypeVar("_AnyPlayed", bound="Played")

MACHINES = {"train-0": "gpu-a", "train-1": "gpu-b", "train-2": "gpu-b", "train-3": "gpu-c", "train-4": "gpu-a"}
JOB = Owner("Job", "train")
NO_MACHINE = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."


def named(*pods: str) -> tuple[str, ...]:
    """The participants of these pods."""
    return tuple(f"train.{pod}" for pod in pods)


class Played(Scenario):
    """A Job of pods `train-0`, `train-1` and so on, in a group of 2 to 4 nodes."""

    def __init__(self, min_nodes: int = 2, max_nodes: int = 4, **spec: Any) -> None:
        super().__init__(min_nodes, max_nodes, **spec)
        self.metadata = replace(self.metadata, namespace="team-a", creation_timestamp=now(self.clock).timestamp)

    def start(self, *pods: str) -> None:
        """Pods run, and their agents join."""
        self.pod(*pods, owner=JOB)
        for pod in pods:
            index = int(pod.rpartition("-")[2])
            self.join(*named(pod), pod=pod, run=None, index=index, address=f"10.1.2.{index + 3}")

    def pending(self, *pods: str) -> None:
        """Pods for which there is no machine."""
        self.pod(*pods, owner=JOB, phase="Pending", problem=f"Pending ({NO_MACHINE})", unschedulable=True)

    @property
    def now(self) -> datetime:
        """The moment."""
        return now(self.clock).wall

    def objects(self) -> tuple[Json, list[Json], list[Json]]:
        """The Rendezvous, the participants and the pods as the API server has them."""
        kinds = {"apiVersion": names.API_VERSION, "kind": names.RENDEZVOUS_KIND}
        participants = [encode(seen.object) for seen in self.seen.values()]
        for item in participants:
            machine = MACHINES.get(item["spec"].get("podName", ""))
            item["spec"].update({"nodeName": machine} if machine else {})
        return {**kinds, **encode(Rendezvous(self.metadata, self.spec, self.status))}, participants, self._pods()

    def _pods(self) -> list[Json]:
        found = []
        for pod in self.pods.values():
            metadata: Json = {"name": pod.name, "creationTimestamp": now(1000).timestamp}
            if pod.owner is not None:
                owner = {"kind": pod.owner.kind, "name": pod.owner.name, "controller": True}
                metadata["ownerReferences"] = [owner]
            if pod.leaving is not None:
                metadata["deletionTimestamp"] = now(self.clock).timestamp
            status: Json = {"phase": pod.phase}
            if pod.unschedulable:
                condition = {
                    "type": "PodScheduled",
                    "status": "False",
                    "reason": "Unschedulable",
                    "message": NO_MACHINE,
                }
                status["conditions"] = [condition]
            spec = {} if pod.unschedulable else {"nodeName": MACHINES[pod.name]}
            found.append({"metadata": metadata, "spec": spec, "status": status})
        return found

    def shown(self) -> Group:
        """What the program reads."""
        return group_of(*self.objects())


class PlayedWithBeats(Played, PeerScenario):
    """The same, where members also beat to the host of the round, the agent of ``train-0``."""


def trains(**spec: Any) -> Played:
    """Round 1 of three nodes trains for two minutes."""
    return _trained(Played(**{"last_call_seconds": 1, **spec}))


def trains_with_beats(**spec: Any) -> PlayedWithBeats:
    """The same, with beats."""
    return _trained(PlayedWithBeats(**{"last_call_seconds": 1, **spec}))


def _trained(scenario: _AnyPlayed) -> _AnyPlayed:
    scenario.start("train-0", "train-1", "train-2")
    scenario.after(1)
    scenario.after(120)
    return scenario


def has_lost_one(**spec: Any) -> Played:
    """train-2 was killed after two minutes; the others join again, and wait for a replacement."""
    scenario = trains(**spec)
    scenario.pod("train-2", owner=JOB, phase="Failed")
    scenario.gone(*named("train-2"))
    scenario.after(2)
    scenario.reenter(*named("train-0", "train-1"))
    scenario.after(5)
    return scenario


def trains_again(**spec: Any) -> Played:
    """The second round, 40 seconds after a loss: the pod train-3 came for train-2."""
    scenario = has_lost_one(**spec)
    scenario.pod_gone("train-2")
    scenario.start("train-3")
    scenario.after(40)
    return scenario


def waits() -> Played:
    """One node has joined, and there is no machine for the second one."""
    scenario = Played(2, 2)
    scenario.pending("train-1")
    scenario.start("train-0")
    scenario.after(90)
    return scenario
