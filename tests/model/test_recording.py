"""What real operators decide in random walks is decided again from their recording."""

from pathlib import Path

import pytest
from tests.model.search import started, walk
from tests.model.setups import WALKS

from kube_rendezvous_cli.__main__ import main
from rendezvous_operator.core.recorded import Recorded
from rendezvous_operator.reconcile.reconciler import Reconciler
from rendezvous_operator.reconcile.recording import Files

STEPS = 250


def test_a_thousand_decisions_are_decided_again_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In each setup of the model: operators that restart, lag and lose answers, nodes and pods that come and go."""
    files = Files(tmp_path, 64 * 1024 * 1024, "0.1.0")
    monkeypatch.setattr(Reconciler, "_record", lambda _, decision: files.write(decision, 0))
    for seed, setup in enumerate(WALKS.values()):
        walk(setup, seed, STEPS, started(setup, setup.names))
    files.close()
    assert main(["replay", str(tmp_path)]) == 0
    count, _, rest = capsys.readouterr().out.partition(" decisions about 1 Rendezvous, ")
    assert int(count) >= 1_000
    assert rest.endswith(", all would be the same.\n")


def test_a_thousand_decisions_differ_somewhere_if_the_world_was_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The comparison can fail: here the recording says that each decision was made a second later than it was."""
    files = Files(tmp_path, 64 * 1024 * 1024, "0.1.0")

    def late(_: Reconciler, decision: Recorded) -> None:
        now = decision.now
        files.write(decision._replace(now=now.__class__(now.monotonic + 1, now.wall)), 0)

    monkeypatch.setattr(Reconciler, "_record", late)
    setup = WALKS["one operator whose watches lag"]
    walk(setup, 0, STEPS, started(setup, setup.names))
    files.close()
    assert main(["replay", str(tmp_path)]) == 3
    assert " decisions would be another one.\n" in capsys.readouterr().out
