"""A case of the recovery benchmark, with a launcher of a few lines in the place of real ones."""

import sys
from pathlib import Path

import pytest
from benchmarks.recovery import case
from benchmarks.recovery.journal import Ending
from benchmarks.recovery.launcher import FAULTS, Command, Launcher

# Each agent shows that it is there by the age of a file. Once all have been there, they start new workers when the set
# of agents that are there changes, and when a worker has died, which adds a byte to a file.
AGENT = """
import os, subprocess, sys, time
from pathlib import Path
folder, node = Path(sys.argv[1]), os.environ["RECOVERY_NODE"]
silent, first = float(os.environ["SILENT"]), int(os.environ["FIRST"])
worker, group = None, ""
while True:
    (folder / f"alive-{node}").touch()
    live = sorted(path.name for path in folder.glob("alive-*") if time.time() - path.stat().st_mtime < silent)
    died = worker is not None and worker.poll() is not None
    if died:
        with open(folder / "deaths", "a") as file:
            file.write("x")
    deaths = (folder / "deaths").stat().st_size if (folder / "deaths").exists() else 0
    if died or group != f"{deaths} {live}" and (group or len(live) >= first):
        group = f"{deaths} {live}"
        if worker is not None:
            worker.kill()
            worker.wait()
        rank = live.index(f"alive-{node}")
        command = [sys.executable, "-S", "-c", os.environ["WORKER"], str(folder), group, str(len(live)), str(rank)]
        worker = subprocess.Popen(command)
    if (folder / "end").exists():
        if worker is not None:
            worker.kill()
        sys.exit(3)
    time.sleep(0.02)
"""
WORKER = """
import json, os, sys, time
folder, group, nodes, rank = sys.argv[1:]
node = os.environ["RECOVERY_NODE"]
with open(f"{folder}/steps-{node}-{os.getpid()}.jsonl", "a", buffering=1) as file:
    def write(event, **fields):
        line = {"event": event, "node": node, "pid": os.getpid(), "at": time.monotonic(), **fields}
        file.write(json.dumps(line) + "\\n")
    write("start")
    while True:
        time.sleep(0.02)
        write("step", group=group, nodes=int(nodes), rank=int(rank))
"""


class Small(Launcher):
    """Its nodes are as above."""

    name = "small"
    silent_seconds = 3

    def __init__(self) -> None:
        self.killed_nodes: list[str] = []

    def open(self, folder: Path, group: str, members: int) -> None:
        self.members = members

    def command(self, node: str, folder: Path) -> Command:
        return [sys.executable, "-S", "-c", AGENT, str(folder)], {
            "WORKER": WORKER,
            "SILENT": str(self.silent_seconds),
            "FIRST": str(self.members),
        }

    def killed(self, node: str) -> None:
        self.killed_nodes.append(node)


@pytest.fixture
def launcher() -> Small:
    return Small()


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_done_and_followed(fault: str, launcher: Small, tmp_path: Path) -> None:
    found = case.run(launcher, fault, tmp_path)
    assert found["ending"] == Ending.RECOVERED
    assert found["nodes"] == (3 if fault in ("F1", "F4") else 2)
    assert 0 < found["started"] <= found["stepped"]
    assert launcher.killed_nodes == {"F2": ["node-2"], "F3": ["node-0"]}.get(fault, [])
    assert found["agents"] == {}


def test_a_stopped_node_that_nobody_missed_goes_on(
    launcher: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher.silent_seconds = 600
    monkeypatch.setattr(case, "STOPPED_SECONDS", 1.0)
    found = case.run(launcher, "F5", tmp_path)
    assert (found["ending"], found["ended"], found["started"]) == (Ending.UNNOTICED, None, None)


def test_agents_that_all_end_are_seen_with_their_codes(
    launcher: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Small, "killed", lambda self, node: (tmp_path / "end").touch())
    found = case.run(launcher, "F2", tmp_path)
    assert found["ending"] == Ending.AGENTS_ENDED
    assert {name: end["code"] for name, end in found["agents"].items()} == {"node-0": 3, "node-1": 3}
    assert found["stepped"] is None


def test_a_group_that_does_not_begin_is_an_error_that_says_so(
    launcher: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "end").touch()
    with pytest.raises(case.DidNotBeginError, match="all agents have ended before the group trained"):
        case.run(launcher, "F1", tmp_path)
