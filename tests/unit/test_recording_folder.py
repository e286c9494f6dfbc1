"""The folder of a recording: what others have put there, and a clock that goes back."""

import os
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from tests.unit.recording_support import MEBIBYTE, decisions_of, lost_and_replaced

from kube_rendezvous_cli.replay.files import Recording as Read
from rendezvous_operator.reconcile import recording as module
from rendezvous_operator.reconcile.recording import Files


def test_what_is_no_file_of_a_recording_stops_nothing_and_stays(tmp_path: Path) -> None:
    (tmp_path / "decisions-0.jsonl").mkdir()
    (tmp_path / "decisions-1.jsonl").symlink_to("nowhere")
    (tmp_path / "decisions-2.jsonl").symlink_to("decisions-2.jsonl")
    os.mkfifo(tmp_path / "decisions-3.jsonl")
    large = tmp_path / "large"
    large.write_bytes(b"x" * 2 * MEBIBYTE)
    (tmp_path / "decisions-4.jsonl").symlink_to(large)
    before = {*tmp_path.iterdir()}
    files = Files(tmp_path, MEBIBYTE, "0.1.0")
    for decision in decisions_of(lost_and_replaced):
        files.write(decision, 0)
    files.close()
    assert len({*tmp_path.iterdir()} - before) == 1
    assert before < {*tmp_path.iterdir()}


def test_a_file_that_another_operator_deletes_meanwhile_is_not_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "decisions-20300101T000000.000000Z.jsonl"
    monkeypatch.setattr(Path, "glob", lambda *_: [gone])
    files = Files(tmp_path, MEBIBYTE, "0.1.0")
    files.write(decisions_of(lost_and_replaced)[0], 0)
    files.close()
    assert len([*tmp_path.iterdir()]) == 1


@pytest.mark.parametrize("foreign", ["z", "99991231T235959.999999Z"])
def test_if_the_clock_goes_back_the_oldest_decisions_go_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, foreign: str
) -> None:
    (tmp_path / f"decisions-{foreign}.jsonl").write_text("")
    decisions = decisions_of(lost_and_replaced)
    moments = iter(datetime(2030, 1, 1, tzinfo=timezone.utc) - timedelta(hours=number) for number in range(1000))

    class Back(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return next(moments)

    monkeypatch.setattr(module, "datetime", Back)
    files = Files(tmp_path, MEBIBYTE, "0.1.0")
    for _ in range(30):
        for decision in decisions:
            files.write(decision, 0)
    files.close()
    found = [decided.recorded for decided in Read(tmp_path).decisions()]
    whole = len(decisions) * (len(found) // len(decisions) - 1)
    assert whole > 500  # the older ones were deleted
    assert found[-whole:] == decisions * (whole // len(decisions))
