"""A real operator records its decisions, is killed and starts again; `kubectl rdzv replay` decides them again."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hack.build_cli import zipapp
from tests.integration.life import Life
from tests.integration.operator_support import Group, Operators
from tests.support.waiting import wait_until

from rendezvous_api import names


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """`kubectl rdzv` as one file."""
    made = tmp_path / "kubectl-rdzv"
    made.write_bytes(zipapp())
    made.chmod(0o755)
    return made


def test_decisions_of_real_groups_are_replayed_equal_and_contain_no_secrets(
    operators: Operators, group: Group, program: Path, tmp_path: Path
) -> None:
    """A group forms, loses a member, is taken over by another operator after a SIGKILL, and forms again."""
    folder = tmp_path / "recording" / "decisions"
    options = ("--namespace", group.namespace, "--record", str(folder), "--record-megabytes=8")

    def replayed(*more: str) -> Any:
        called = subprocess.run(
            [program, "replay", str(folder), "-o", "json", *more], capture_output=True, text=True, check=False
        )
        assert called.returncode == 0, (called.stdout, called.stderr)
        return json.loads(called.stdout)

    operator = operators.start(*options)
    life = Life(group)
    group.create(maxNodes=3, lastCallSeconds=60, replacementSeconds=1)
    note = {"metadata": {"annotations": {"example.com/note": "a-text-of-the-user"}}}
    group.api.patch(names.RENDEZVOUS_KIND, group.name, note)
    life.start("train", 0, 1, 2)
    group.wait_for_round(1)
    life.beat("train-0", "train-1", "train-2", round_number=1)
    life.lose("train-2")
    wait_until(lambda: group.status.waiting_nodes, "the end of the round")
    operator.kill()
    second = operators.start(*options)
    life.ask("train-0", "train-1")
    group.wait_for_round(2)
    second.terminate()
    assert second.wait(30) == 0

    assert len(list(folder.iterdir())) == 2, "one file of each operator"
    told = replayed()
    assert told["decisions"] > 10
    assert (told["different"], told["leftOut"], told["problems"]) == ([], 0, [])
    explanations = [replayed(f"--decision={number}") for number in range(1, told["decisions"] + 1, 3)]
    assert {found["rendezvous"] for found in explanations} == {f"{group.namespace}/{group.name}"}
    assert any(node["state"] == "was lost" for found in explanations for node in found["nodes"])
    text = "".join(path.read_text() for path in folder.iterdir())
    assert "train-2" in text
    assert "a-text-of-the-user" not in text
