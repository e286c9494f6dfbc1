"""Two rows of `make bench-detection`: a machine whose power is cut sends nothing any more, and its group goes on."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.pages import ROOT

from rendezvous_api.reasons import RoundEndReason


def has_networks() -> bool:
    """Whether this user can make them: a container may have root, and not the right to."""
    command = ["unshare", "--net", "--mount", "ip", "link", "add", "switch", "type", "bridge"]
    there = all(map(shutil.which, ("unshare", "ip", "nsenter", "mount")))
    return os.geteuid() == 0 and there and subprocess.run(command, capture_output=True).returncode == 0


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(not has_networks(), reason="no network namespace with a bridge can be made: this needs root")
def test_a_machine_without_power_is_lost_by_its_beats_and_a_killed_agent_by_its_connection(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.detection", "--rows", "kill,power", "--runs", "1"]
    done = subprocess.run(
        [*command, "--results", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, done.stderr
    killed, cut = (json.loads((tmp_path / f"{row}-1.json").read_text()) for row in ("kill", "power"))
    for found in (killed, cut):
        assert found["reason"] == RoundEndReason.MEMBER_LOST, found
        assert found["told"] < found["new_round"]
    # A busy machine may be late, so the limits are those of the benchmark and not of this test. The evidence is not.
    assert "its connection to" in killed["message"]
    assert "no beats at" in cut["message"]
