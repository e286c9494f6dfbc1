"""One group from its first node to its end: what kubectl, kstatus and Argo CD say at each stage."""

import re
from collections.abc import Iterator

import pytest
from tests.integration.life import Life
from tests.integration.operator_support import Group, Operators
from tests.support import judges, objects
from tests.support.pages import blocks, read, section
from tests.support.waiting import wait_until

from rendezvous_api import names
from rendezvous_controlplane import LocalControlPlane

PAGE = "docs/stages.md"
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
