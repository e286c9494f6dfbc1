"""A group from its first node to its end, with a real operator: its pods, agents and users are played."""

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from tests.integration.operator_support import Group, Operators
from tests.support import judges, objects
from tests.support.objects import Json
from tests.support.waiting import wait_until

from rendezvous_api import names
from rendezvous_api.meta import micro_time
from rendezvous_controlplane import ControlPlaneError

JOB = {"apiVersion": "batch/v1", "kind": "Job", "controller": True}


@dataclass(frozen=True)
class Seen:
    """What was seen at one stage."""

    state: str
    kstatus: str
    argo: str
    participants: dict[str, str]
    """The health of each participant in Argo CD."""
    printed: str
    """What ``kubectl get rdzv,rdzvp`` printed."""


MEMBERS = ("train-0", "train-1", "train-2")


def three_run(group: Group, operators: Operators, **spec: Any) -> "Life":
    """An operator has started, and a round of `MEMBERS` runs; the group has no place for another node."""
    operators.start("--namespace", group.namespace)
    life = Life(group)
    group.create(maxNodes=3, **spec)
    life.start("train", 0, 1, 2)
    life.until("Running")
    life.beat(*MEMBERS, round_number=1)
    return life


class Life:
    """Plays pods, their agents and the user; the operator is a real one."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self.pods: dict[str, Json] = {}
        self.agents: dict[str, dict[str, Any]] = {}
        self.lives = 0
        self.seen: dict[str, Seen] = {}

    def start(self, job: str, *indices: int) -> None:
        """Pods of a Job, and their agents, start."""
        for index in indices:
            name = f"{job}-{index}"
            metadata = {
                "labels": {names.LABEL_RENDEZVOUS: self.group.name},
                "ownerReferences": [{**JOB, "name": job, "uid": f"uid-of-{job}"}],
            }
            body = objects.pod(name, metadata=metadata, nodeName=f"gpu-{index}")
            self.pods[name] = self.group.api.create(body)
            self.group.api.patch("Pod", name, {"status": {"phase": "Running"}}, "status")
            self.lives += 1
            self.agents[name] = {"attempt": 0, "podIndex": index, "incarnation": f"life{self.lives:04}"}
        for index in indices:
            self.ask(f"{job}-{index}")

    def ask(self, *agents: str) -> None:
        """Agents ask for a round, the first time or again."""
        for name in agents:
            agent, pod = self.agents[name], self.pods[name]["metadata"]
            agent["attempt"] += 1
            reason = "Start" if agent["attempt"] == 1 else "MembershipChange"
            in_pod = {"podName": name, "podUID": pod["uid"], "nodeName": self.pods[name]["spec"]["nodeName"]}
            self.group.join(name, **in_pod, **agent, attemptReason=reason)
            self.beat(name)

    def beat(self, *agents: str, round_number: int = 0) -> None:
        """Agents send a heartbeat; a member with its round and rank."""
        ranks = {member.name.partition(".")[2]: member.rank for member in self.group.status.participants}
        for name in agents:
            rank = {"rank": ranks[name]} if round_number else {}
            agent = {key: self.agents[name][key] for key in ("incarnation", "attempt")}
            status = {**agent, "round": round_number, **rank}
            status["heartbeatTime"] = micro_time(datetime.now(timezone.utc))
            participant = f"{self.group.name}.{name}"
            self.group.api.patch(names.PARTICIPANT_KIND, participant, {"status": status}, "status")

    def lose(self, *pods: str) -> None:
        """Pods are gone, and with them the objects of their agents, as the garbage collector does it."""
        for name in pods:
            self.group.api.delete("Pod", name, grace_seconds=0)
            self.group.api.delete(names.PARTICIPANT_KIND, f"{self.group.name}.{name}")

    def leave(self, name: str, reason: str) -> None:
        """An agent ends."""
        change = {"spec": {"state": "Left", "leaveReason": reason}}
        self.group.api.patch(names.PARTICIPANT_KIND, f"{self.group.name}.{name}", change)

    def edit(self, **spec: Any) -> None:
        """The user edits the Rendezvous."""
        self.group.api.patch(names.RENDEZVOUS_KIND, self.group.name, {"spec": spec})

    def wait(self, state: str, beating: tuple[str, ...] = ()) -> None:
        """Wait until the operator says that the group is in that state, and has seen the spec."""

        def reached() -> bool:
            if beating:
                self.beat(*beating, round_number=self.group.status.round)
            item = self.group.api.read(names.RENDEZVOUS_KIND, self.group.name)
            status = item.get("status", {})
            newest = status.get("observedGeneration") == item["metadata"]["generation"]
            return bool(newest and status["summary"]["state"] == state)

        wait_until(reached, f"the state {state}")

    def note(self, stage: str) -> None:
        """Ask all judges."""
        item = self.group.api.read(names.RENDEZVOUS_KIND, self.group.name)
        (status,) = judges.kstatus(item)
        participants = self.group.api.list(names.PARTICIPANT_KIND)
        self.seen[stage] = Seen(
            state=item["status"]["summary"]["state"],
            kstatus=status,
            argo=judges.argo_health(item),
            participants={each["metadata"]["name"]: judges.argo_health(each) for each in participants},
            printed=self.group.kubectl("get", "rdzv,rdzvp"),
        )

    def until(self, condition: str) -> None:
        """``kubectl wait``."""
        try:
            self.group.kubectl("wait", f"rdzv/{self.group.name}", f"--for=condition={condition}", "--timeout=30s")
        except ControlPlaneError as error:
            raise AssertionError(f"{error}\n{self.group.kubectl('get', 'rdzv,rdzvp', '-o', 'yaml')}") from None
