"""One short schedule of random faults; `make chaos` plays longer ones."""

import tempfile
from pathlib import Path

import pytest
from chaos import journal
from chaos.checker import check
from chaos.play import Player
from chaos.schedule import schedule
from chaos.summary import summarize
from tests.support.fork_server import ForkServer


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_short_schedule_breaks_no_promise(torchrun_server: ForkServer) -> None:
    """A node is killed, another agent and a worker end, requests fail, and maxNodes changes."""
    # The path of a socket is short, and the folders of pytest are not.
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        played = Path(folder) / "seed-1"
        Player(schedule(1, nodes=3), played, torchrun_server, print).play(18)
        seen = journal.read(played)
    violations = check(seen)
    assert violations == []
    summary = summarize(seen, violations)
    assert sum(summary["faults"].values()) >= 3
    assert summary["rounds"]["RunSucceeded"] == 1
    assert summary["steps"] > 20
