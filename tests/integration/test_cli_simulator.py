"""`kubectl rdzv simulate` and `whatif` as the real program: the one file, which kubectl finds.

What `whatif` says is compared with what a real operator then does.
"""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hack import generate_scenarios
from tests.integration.cli_support import Rdzv
from tests.integration.life import MEMBERS, Life, three_run
from tests.integration.operator_support import Group, Operators
from tests.support.waiting import wait_until

from rendezvous_controlplane import LocalControlPlane

FILE = generate_scenarios.FOLDER / "lost-rank-0.yaml"


pytestmark = pytest.mark.xdist_group("kubectl rdzv simulator")


@pytest.fixture
def rdzv(control_plane: LocalControlPlane, namespace: str, tmp_path: Path) -> Rdzv:
    """The program."""
    return Rdzv(control_plane, namespace, tmp_path)


def test_a_scenario_is_played_as_the_page_shows_it(rdzv: Rdzv, tmp_path: Path) -> None:
    done = rdzv("simulate", str(FILE), f"--plot={tmp_path / 'rounds.svg'}")
    assert (done.code, done.err) == (0, "")
    assert done.out.rstrip("\n") == generate_scenarios.timelines()[FILE.stem]
    assert "MemberLost" in (tmp_path / "rounds.svg").read_text(encoding="utf-8")


def test_a_scenario_is_played_for_programs(rdzv: Rdzv) -> None:
    done = rdzv("simulate", "-", "--output=json", stdin=FILE.read_text(encoding="utf-8"))
    assert done.value["end"]["ranks"] == {"train-3": 0, "train-1": 1, "train-2": 2}
    assert rdzv("simulate", str(FILE), "--plot=-").out.startswith("<svg")


def test_a_wrong_file_is_named_with_what_is_wrong_in_it(rdzv: Rdzv, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(FILE.read_text(encoding="utf-8").replace("kill:", "kil:"), encoding="utf-8")
    done = rdzv("simulate", str(wrong))
    assert (done.code, done.err) == (2, f"error: {wrong}: events[0].kil: is no known field; did you mean kill?\n")
    done = rdzv("simulate", str(tmp_path / "none.yaml"))
    assert done.code == 1
    assert "does not exist" in done.err


# ---- whatif


@pytest.fixture
def life(group: Group, operators: Operators) -> Life:
    """A round of three runs; a group waits for 3 s for replacements."""
    return three_run(group, operators, lastCallSeconds=1, replacementSeconds=3)


def predicted(rdzv: Rdzv, *options: str) -> tuple[Any, float, Any]:
    """The end of the round, after how many seconds the next one is published, and what is then so."""
    answer = rdzv("whatif", "train", *options, "--output=json").value
    lines = {entry["what"]: entry for entry in answer["timeline"] if entry["who"] == "operator"}
    return lines["RoundEnded"]["message"], lines["RoundPublished"]["at"] - lines["RoundEnded"]["at"], answer["end"]


def done(life: Life) -> tuple[str, float, dict[str, int]]:
    """The same of the real operator. The members that are asked to join again do so at once."""
    group = life.group

    def asked() -> bool:
        return group.status.waiting_nodes > 0

    wait_until(asked, "that the members are asked to join again")
    there = {participant.name for participant in group.status.participants}
    life.ask(*(name for name in MEMBERS if f"train.{name}" in there and name in life.pods))
    wait_until(lambda: group.status.round == 2, "round 2")
    first, second = group.status.history
    assert first.asked is not None
    seconds = datetime.fromisoformat(second.formed) - datetime.fromisoformat(first.asked)
    ranks = {member.name: member.rank for member in group.status.participants}
    return f"round 1 ends: {first.reason}: {first.message}", seconds.total_seconds(), ranks


def test_a_lost_pod_is_predicted(life: Life, rdzv: Rdzv) -> None:
    message, seconds, end = predicted(rdzv, "--lose=pod=train-1")
    life.group.api.patch("Pod", "train-1", {"status": {"phase": "Failed"}}, "status")
    del life.pods["train-1"]
    said, took, ranks = done(life)
    assert said == message
    assert ranks == end["ranks"] == {"train.train-0": 0, "train.train-2": 1}
    assert seconds - 2 == pytest.approx(3.0), "the members are assumed to take 2 s, and the group waits for 3 s"
    assert 3.0 <= took < 15.0, "a busy machine takes longer, but not as long as the default"


def test_a_smaller_group_is_predicted(life: Life, rdzv: Rdzv) -> None:
    message, _, end = predicted(rdzv, "--spec=maxNodes=2")
    life.edit(maxNodes=2)
    said, _, ranks = done(life)
    assert said == message == "round 1 ends: TooManyNodes: 3 nodes, but spec.maxNodes is 2"
    assert ranks == end["ranks"]
    assert [*life.group.status.spares] == end["spares"] == ["train.train-2"]


def test_a_suspension_is_predicted_and_nothing_is_changed_by_that(life: Life, rdzv: Rdzv) -> None:
    before = life.group.api.read("Rendezvous", "train")
    message = rdzv("whatif", "train", "--spec=suspend=true", "--output=json").value["timeline"][0]["message"]
    assert life.group.api.read("Rendezvous", "train") == before
    life.edit(suspend=True)
    wait_until(lambda: life.group.status.waiting_nodes > 0, "that the members are asked to join again")
    record = life.group.status.history[-1]
    assert f"round 1 ends: {record.reason}: {record.message}" == message


def test_what_is_asked_is_answered_in_words(life: Life, rdzv: Rdzv) -> None:
    answer = rdzv("whatif", "train", "--drain=machine=gpu-2")
    assert answer.code == 0
    lines = answer.out.splitlines()
    assert lines[0] == "If machine=gpu-2 is drained (1 node: train.train-2 with rank 2):"
    assert "round 1 ends: MemberEvicted: train.train-2: its pod is being deleted" in answer.out
    assert "Then nothing more changes: the group is Running, in round 2 with 2 nodes." in answer.out
    assert "- whether Job/train makes another pod: it is assumed that none comes (--replacement-after 20s)" in lines
    wrong = rdzv("whatif", "train", "--drain=machine=gpu-9")
    assert (wrong.code, wrong.out) == (1, "")
    assert wrong.err.startswith("error: --drain: there is no node of the group with machine=gpu-9; there are: ")
