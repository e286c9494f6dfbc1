"""One group from its first node to its end: what kubectl, kstatus and Argo CD say at each stage."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import pytest
from tests.integration.operator_support import Group, Operators
from tests.support import judges, objects
from tests.support.objects import Json
from tests.support.pages import blocks, read, section
from tests.support.waiting import wait_until

from rendezvous_api import names
from rendezvous_api.meta import micro_time
from rendezvous_controlplane import ControlPlaneError, LocalControlPlane

PAGE = "docs/stages.md"
JOB = {"apiVersion": "batch/v1", "kind": "Job", "controller": True}
STAGES = [
    # heading on the page, state, kstatus, Argo CD
    ("No node yet", "WaitingForNodes", "Current", "Healthy"),
    ("Waiting for nodes", "WaitingForNodes", "Current", "Healthy"),
    ("Running", "Running", "Current", "Healthy"),
    ("A member is silent", "Degraded", "Current", "Progressing"),
    ("A member is lost", "WaitingForMembers", "InProgress", "Progressing"),
    ("The others have joined again", "WaitingForReplacements", "InProgress", "Progressing"),
    ("Running again", "Running", "Current", "Healthy"),
    ("Suspended", "Suspended", "Current", "Suspended"),
    ("Closed", "Closed", "Current", "Suspended"),
    ("Complete", "Complete", "Current", "Healthy"),
    ("Failed", "Failed", "Failed", "Degraded"),
]


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


@pytest.fixture(scope="module")
def life(control_plane: LocalControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    """A whole life, played once."""
    control_plane.kubectl("create", "namespace", "stages")
    group = Group(control_plane, "stages")
    operators = Operators(control_plane.kubeconfig, tmp_path_factory.mktemp("operator"))
    operators.start("--namespace", group.namespace)
    try:
        life = Life(group)
        play(life)
        yield life
    finally:
        for process in operators.started:
            process.kill()
        control_plane.kubectl("delete", "namespace", "stages", "--wait=false")


def play(life: Life) -> None:
    life.group.create(maxNodes=3, lastCallSeconds=60, replacementSeconds=3600)
    life.wait("WaitingForNodes")
    life.note("No node yet")
    life.start("train", 0)
    wait_until(lambda: life.group.status.formation, "the first node to be seen")
    life.note("Waiting for nodes")

    life.start("train", 1, 2)
    life.until("Running")
    members = ("train-0", "train-1", "train-2")
    life.beat(*members, round_number=1)
    life.note("Running")

    life.edit(heartbeat={"intervalSeconds": 1})
    life.wait("Degraded", beating=members[:2])
    life.until("Degraded")
    life.note("A member is silent")
    life.edit(heartbeat={"intervalSeconds": 1000})
    # Not deleted at once: the operator may see that a pod ends before it is gone, and that would be an eviction.
    life.group.api.patch("Pod", "train-2", {"status": {"phase": "Failed"}}, "status")
    life.wait("WaitingForMembers")
    life.lose("train-2")
    life.note("A member is lost")
    life.ask("train-0", "train-1")
    life.wait("WaitingForReplacements")
    life.note("The others have joined again")
    life.start("train", 2)
    life.until("Running")
    life.beat(*members, round_number=2)
    life.note("Running again")

    life.edit(suspend=True)
    life.wait("WaitingForMembers")
    life.ask(*members)
    life.until("Suspended")
    life.note("Suspended")
    life.edit(closed=True)
    life.wait("Closed")
    life.note("Closed")
    life.edit(closed=False, suspend=False)
    life.until("Running")
    life.beat(*members, round_number=3)
    life.leave("train-0", "Succeeded")
    life.until("Complete")
    life.until("Failed=false")
    life.note("Complete")

    life.lose(*members)
    life.edit(timeouts={"lastCallSeconds": 0})
    life.start("again", 0, 1)
    life.until("Running")
    life.until("Complete=false")
    life.beat("again-0", "again-1", round_number=4)
    life.group.api.patch(names.PARTICIPANT_KIND, f"{life.group.name}.again-0", {"spec": {"closeRequested": True}})
    life.until("Failed")
    life.note("Failed")


@pytest.mark.parametrize(("stage", "state", "kstatus", "argo"), STAGES)
def test_every_judge_understands_every_stage(life: Life, stage: str, state: str, kstatus: str, argo: str) -> None:
    seen = life.seen[stage]
    assert (seen.state, seen.kstatus, seen.argo) == (state, kstatus, argo)
    assert f"\nkstatus: `{kstatus}`. Argo CD: `{argo}`.\n" in section(PAGE, f"## {stage}")


def test_before_the_operator_has_seen_it_nothing_is_wrong() -> None:
    new = objects.rendezvous(minNodes=1, maxNodes=2)
    new["metadata"]["generation"] = 1
    assert judges.kstatus(new) == ["Current"]
    assert judges.argo_health(new) == "Progressing"


def test_a_change_that_the_operator_has_not_seen_is_in_progress() -> None:
    condition = {"type": "Running", "status": "True", "reason": "Running", "message": "round 1 runs with 2 nodes"}
    changed = objects.rendezvous(minNodes=1, maxNodes=2)
    changed["metadata"]["generation"] = 2
    changed["status"] = {"observedGeneration": 1, "conditions": [condition]}
    assert judges.kstatus(changed) == ["InProgress"]
    assert judges.argo_health(changed) == "Progressing"


def test_argo_understands_participants(life: Life) -> None:
    waiting, running = life.seen["Waiting for nodes"], life.seen["Running"]
    assert waiting.participants == {"train.train-0": "Progressing"}
    assert set(running.participants.values()) == {"Healthy"}
    assert life.seen["Complete"].participants["train.train-0"] == "Healthy"
    left = objects.participant("a", state="Left", leaveReason="Failed")
    assert judges.argo_health(left) == "Degraded"


def settled(text: str) -> list[list[str]]:
    """The cells of each line that kubectl prints, with each age and each UID as the same."""
    text = re.sub(r"(?<=\s)\d+[smhd](\d+[smhd])?(?=\s)", "AGE", text + "\n")
    return [re.split(r"\s{2,}", line.strip()) for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize("stage", [stage for stage, *_ in STAGES])
def test_the_page_shows_what_kubectl_prints(life: Life, stage: str) -> None:
    print(f"## {stage}\n\n```console\n$ kubectl get rdzv,rdzvp\n{life.seen[stage].printed}```\n")
    (block,) = blocks(read(PAGE), stage, "console")
    command, _, shown = block.partition("\n")
    assert command == "$ kubectl get rdzv,rdzvp"
    assert settled(shown) == settled(life.seen[stage].printed)
