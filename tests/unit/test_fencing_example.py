"""The class of examples/fencing/train.py, without torch and without nodes."""

import runpy
from pathlib import Path
from typing import Any

import pytest

from kube_rendezvous.worker import FencingToken

EXAMPLE = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "fencing" / "train.py"))
FIRST, SECOND = (FencingToken("2026-11-30T12:00:05Z", number, "0a1b2c3d") for number in (1, 2))


def checkpoints(folder: Path, token: FencingToken) -> Any:
    return EXAMPLE["Checkpoints"](folder, token)


def test_a_group_goes_on_where_the_one_before_was_and_that_one_saves_no_more(tmp_path: Path) -> None:
    old = checkpoints(tmp_path, FIRST)
    for step in (1, 2, 3):
        old.save(step, b"%d" % step)
    new = checkpoints(tmp_path, SECOND)
    assert new.load() == (3, b"3")
    with pytest.raises(EXAMPLE["StaleGroupError"], match=f"{SECOND} has taken the place of {FIRST}"):
        old.save(4, b"4")
    new.save(4, b"new")
    assert new.load() == (4, b"new")
    with pytest.raises(EXAMPLE["StaleGroupError"]):
        checkpoints(tmp_path, FIRST)


def test_files_that_nfs_keeps_are_passed_over(tmp_path: Path) -> None:
    """It does so where a checkpoint is deleted while another worker still reads it."""
    mine = checkpoints(tmp_path, FIRST)
    (tmp_path / ".nfs000000000a1b2c3d00000001").touch()
    mine.save(1, b"1")
    assert mine.load() == (1, b"1")
