"""Objects that are kept up to date by kubectl's watches, which may end and begin again."""

import gc
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from tests.support.waiting import wait_until

from kube_rendezvous_cli import commands, follow
from kube_rendezvous_cli.__main__ import main
from kube_rendezvous_cli.follow import Broken, Listed, Seen, Watches
from kube_rendezvous_cli.kubectl import Kubectl

EARLIER = datetime(2030, 1, 1, tzinfo=timezone.utc)
LATER = EARLIER + timedelta(seconds=5)


def item(uid: str) -> dict[str, dict[str, str]]:
    return {"metadata": {"uid": uid}}


def event(uid: str, kind: str = "ADDED") -> Seen:
    return Seen("pods", {"type": kind, "object": item(uid)})


class Played(Watches):
    """What its threads would have seen is given to it."""

    def after(self, *news: Listed | Seen | Broken) -> list[str]:
        for each in news:
            self._queue.put(each)
        assert self.changes(1, together=0.05)
        return [*self.objects["pods"]]


def test_a_watch_that_begins_again_forgets_what_is_gone() -> None:
    watches = Played(Kubectl(), {"pods": ("pods",)}, known={"pods": [item("a")]})
    assert watches.listed == {"pods"}
    assert watches.after(event("b"), event("c")) == ["a", "b", "c"]
    assert watches.after(event("b", "DELETED"), event("c", "MODIFIED"), event("d")) == ["a", "c", "d"]
    assert watches.after(Broken("pods", EARLIER, "")) == ["a", "c", "d"], "the old ones are shown meanwhile"
    assert watches.after(Listed("pods", [item("d")])) == ["d"]
    assert watches.after(Listed("pods", [])) == []
    assert not watches.changes(0.01)


def test_what_is_broken_is_known_with_the_time_and_the_reason() -> None:
    watches = Played(Kubectl(), {"pods": ("pods",)})
    assert (watches.listed, watches.broken) == (set(), {})
    watches.after(Broken("pods", EARLIER, "connection refused"))
    watches.after(Broken("pods", LATER, ""))
    assert watches.broken == {"pods": Broken("pods", EARLIER, "connection refused")}, "it was broken all the time"
    watches.after(Broken("pods", LATER, "Error from server (Forbidden): pods is forbidden"))
    assert watches.broken["pods"].forbidden
    assert watches.listed == set()
    watches.after(Listed("pods", []))
    assert (watches.listed, watches.broken) == ({"pods"}, {})


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program in the place of kubectl, which does what a file says, and writes down how it is called."""
    program = tmp_path / "kubectl"
    program.write_text(f"#!/bin/bash\necho $$ $* >> {tmp_path}/calls\n. {tmp_path}/does\n")
    program.chmod(0o755)
    (tmp_path / "calls").touch()
    monkeypatch.setenv("KUBECTL", str(program))
    monkeypatch.setattr(follow, "_AGAIN_SECONDS", 0.02)
    return tmp_path


def calls(folder: Path) -> list[str]:
    return (folder / "calls").read_text().splitlines()


LIST = """[[ "$*" == *--watch* ]] || { echo '{"items": [{"metadata": {"uid": "a"}}]}'; exit; }\n"""


def test_each_watch_begins_with_a_list_and_is_started_again(kubectl: Path) -> None:
    (kubectl / "does").write_text(LIST + "echo 'error: the server is gone' >&2; exit 1\n")
    with Watches(Kubectl(), {"pods": ("pods",)}) as watches:
        wait_until(lambda: watches.changes(0.1, 0.01) and "pods" in watches.broken, "the end of the watch")
        assert [*watches.objects["pods"]] == ["a"]
        assert watches.broken["pods"].reason == "the server is gone"
        wait_until(lambda: len(calls(kubectl)) >= 4, "the next watch")
    kinds = ["--watch" in call for call in calls(kubectl)][:4]
    assert kinds == [False, True, False, True]


def test_a_watch_that_ends_early_waits_longer_each_time(kubectl: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (kubectl / "does").write_text("exit 1\n")
    monkeypatch.setattr(follow, "_LONGEST_PAUSE_SECONDS", 0.5)
    with Watches(Kubectl(), {"pods": ("pods",)}) as watches:
        slept: list[float] = []
        wait = watches._ended.wait

        def noted(seconds: float) -> bool:
            slept.append(seconds)
            return wait(0)

        monkeypatch.setattr(watches._ended, "wait", noted)
        wait_until(lambda: len(slept) >= 6, "six starts")
    assert slept[:6] == sorted(slept[:6])
    assert slept[5] == 0.5


def test_the_end_leaves_no_kubectl_behind(kubectl: Path) -> None:
    (kubectl / "does").write_text(LIST + "exec sleep 1000\n")
    with Watches(Kubectl(), {"pods": ("pods",), "others": ("others",)}):
        wait_until(lambda: sum("--watch" in call for call in calls(kubectl)) == 2, "both watches")
        numbers = [int(call.split()[0]) for call in calls(kubectl)]
        began = time.monotonic()
    assert time.monotonic() - began < 4
    assert [number for number in numbers if Path(f"/proc/{number}").exists()] == []


def test_only_a_command_that_follows_looks_for_garbage(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a large group consists of is in use until the end, and to look through all of it takes long."""
    collects: list[bool] = []

    def ends(_: object) -> int:
        collects.append(gc.isenabled())
        return 0

    def follows(_: object) -> int:
        with Watches(Kubectl(), {}):
            return ends(_)

    for command, expected in ((ends, False), (follows, True)):
        monkeypatch.setitem(commands.COMMANDS, "why", command)
        assert main(["why", "train"]) == 0
        assert collects.pop() is expected
        assert gc.isenabled()
