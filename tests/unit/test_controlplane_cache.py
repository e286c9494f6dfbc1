"""The cache of the local control plane: where it is, that it is filled whole or not at all, and by one at a time."""

import io
import os
import threading
from pathlib import Path

import pytest

from rendezvous_controlplane import Report, cache


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "kube-rendezvous"


def test_it_is_where_the_xdg_rules_say(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache.cache_dir() == folder
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for ignored in ("", "relative/path"):
        monkeypatch.setenv("XDG_CACHE_HOME", ignored)
        assert cache.cache_dir() == tmp_path / "home" / ".cache" / "kube-rendezvous"


def test_a_folder_appears_only_when_it_is_whole(folder: Path) -> None:
    target = folder / "thing-1"

    def make(new: Path) -> None:
        (new / "part").write_text("x")
        assert not target.exists()

    with cache.exclusive(Report(io.StringIO())):
        cache.fill(target, make)
    assert (target / "part").read_text() == "x"
    assert sorted(path.name for path in folder.iterdir()) == ["lock", "thing-1"]


def test_a_failure_leaves_nothing_behind(folder: Path) -> None:
    def make(new: Path) -> None:
        (new / "part").write_text("x")
        raise RuntimeError("broken off")

    with cache.exclusive(Report(io.StringIO())), pytest.raises(RuntimeError):
        cache.fill(folder / "thing-1", make)
    assert [path.name for path in folder.iterdir()] == ["lock"]


def test_what_is_incomplete_or_left_over_is_replaced(folder: Path) -> None:
    for old in ("thing-1", ".partial-of-a-killed-process"):
        (folder / old).mkdir(parents=True)
        (folder / old / "old").write_text("x")
    with cache.exclusive(Report(io.StringIO())):
        cache.fill(folder / "thing-1", lambda new: (new / "new").touch())
    assert [path.name for path in (folder / "thing-1").iterdir()] == ["new"]
    assert sorted(path.name for path in folder.iterdir()) == ["lock", "thing-1"]


def test_the_second_waits_for_the_first_and_says_so() -> None:
    said = io.StringIO()
    order = []

    def second() -> None:
        with cache.exclusive(Report(said)):
            order.append("second")

    with cache.exclusive(Report(io.StringIO())):
        thread = threading.Thread(target=second)
        thread.start()
        while "waiting" not in said.getvalue():
            thread.join(0.01)
            assert thread.is_alive(), "the second did not wait"
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]
    assert f"waiting for process {os.getpid()}, which is filling" in said.getvalue()
