"""`kubectl rdzv dashboard` with the real kubectl, a real API server and a real operator, without a browser."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
from tests.integration.cli_support import Rdzv
from tests.integration.dashboard_support import Dashboard, Json, children_of
from tests.integration.life import Life
from tests.integration.operator_support import Group, Operators
from tests.support import objects
from tests.support.pages import blocks, read
from tests.support.proxy import Proxy
from tests.support.waiting import wait_until

from rendezvous_api import names
from rendezvous_controlplane import LocalControlPlane

pytestmark = pytest.mark.xdist_group("kubectl rdzv")

MARKUP = "<img src=x onerror=alert(1)>"


@pytest.fixture
def rdzv(control_plane: LocalControlPlane, namespace: str, tmp_path: Path) -> Rdzv:
    return Rdzv(control_plane, namespace, tmp_path)


def states(view: Json) -> dict[str, str]:
    """What each node does, in the first words, by its pod."""
    nodes = view["group"]["nodes"] if view["group"] is not None else ()
    return {node["pod"] or node["participant"]: node["state"] for node in nodes}


def test_the_page_follows_a_group(group: Group, operators: Operators, rdzv: Rdzv) -> None:
    """From nothing to a round, a node that is lost, its replacement, and the end; it is what the objects say."""
    operators.start("--namespace", group.namespace)
    life = Life(group)
    with Dashboard(rdzv) as dashboard:
        assert dashboard.get()[0] == 200
        assert dashboard.get("page.js")[0] == 200
        everything, one = dashboard.stream(), dashboard.stream(group.namespace, "train")
        everything.until(lambda view: view["groups"] == [], "no group")
        one.until(lambda view: view["group"] is None and view["stale"] is None, "no group of that name")
        group.create(maxNodes=3, lastCallSeconds=60, replacementSeconds=3600)
        life.start("train", 0, 1)
        one.until(lambda view: "train-1" in states(view), "the nodes that wait")
        life.start("train", 2)
        life.until("Running")
        life.beat("train-0", "train-1", "train-2", round_number=1)
        one.until(lambda view: [state[:8] for state in states(view).values()] == ["training"] * 3, "the round")
        everything.until(lambda view: [each["state"] for each in view["groups"]] == ["Running"], "the same in the list")
        shown, status = one.views[-1]["group"], group.status
        assert [(node["rank"], node["participant"]) for node in shown["nodes"]] == [
            (member.rank, member.name) for member in status.participants
        ]
        assert {node["machine"] for node in shown["nodes"]} == {"gpu-0", "gpu-1", "gpu-2"}
        assert [each["round"] for each in shown["rounds"]] == [1]
        said = rdzv("get", "train", "-o", "json").value
        assert (shown["run"], shown["minNodes"], shown["maxNodes"]) == (said["run"], said["minNodes"], said["maxNodes"])

        life.lose("train-2")
        life.ask("train-0", "train-1")
        one.until(lambda view: view["group"]["state"] == "WaitingForReplacements", "the state without the node")
        assert states(one.views[-1])["train.train-2"] == "gone"
        reason = group.status.history[0].reason
        assert reason in ("MemberLost", "MemberEvicted")
        assert one.views[-1]["group"]["rounds"][0]["reason"] == reason
        assert f"({reason}" in one.views[-1]["group"]["why"]["paragraph"]
        life.start("train", 3)
        one.until(lambda view: view["group"]["round"] == 2, "the next round")
        assert "train-3" in states(one.views[-1])
        group.delete_everything()
        one.until(lambda view: view["group"] is None, "the end")
        everything.until(lambda view: view["groups"] == [], "the end in the list")


def test_names_with_markup_are_text(group: Group, operators: Operators, rdzv: Rdzv) -> None:
    operators.start("--namespace", group.namespace)
    group.create()
    for node in ("a", "b"):
        group.join(node, runID=f"</script>{MARKUP}")
    group.wait_for_round(1)
    group.api.create(objects.pod("train-1", metadata={"labels": {names.LABEL_RENDEZVOUS: "train"}}))
    failed = {"phase": "Failed", "message": f"{MARKUP}\r\ndata: {{}}\r\n\r\n"}
    group.api.patch("Pod", "train-1", {"status": failed}, "status")
    with Dashboard(rdzv) as dashboard:
        one = dashboard.stream(group.namespace, "train")
        one.until(lambda view: "Failed" in states(view).get("train-1", ""), "the pod")
        shown = one.views[-1]["group"]
        assert MARKUP in shown["line"]["run"]
        assert [MARKUP in node["evidence"] for node in shown["nodes"] if node["pod"] == "train-1"] == [True]
        assert all("stale" in view for view in one.views), "no event but those of the page"
        assert MARKUP.encode() not in dashboard.get()[1], "the page itself has nothing of any object"


def test_a_broken_watch_is_said_and_heals(group: Group, rdzv: Rdzv, control_plane: LocalControlPlane) -> None:
    group.create()
    group.join("a")
    with (
        Proxy(control_plane.port) as proxy,
        Dashboard(rdzv, f"--server=https://127.0.0.1:{proxy.port}") as dashboard,
    ):
        one = dashboard.stream(group.namespace, "train")
        one.until(lambda view: not view["stale"] and states(view), "the group")
        proxy.refuse()
        stale = one.until(lambda view: view["stale"], "what is stale")
        assert stale["since"].endswith("Z")
        assert one.views[-1]["group"]["nodes"], "what was known is still shown"
        group.api.delete("RendezvousParticipant", "train.a")
        group.join("b")
        proxy.mend()
        one.until(lambda view: not view["stale"], "the watches to begin again")
        one.until(lambda view: [*states(view)] == ["train.b"], "what has changed meanwhile")


def what_the_page_says(namespace: str) -> list[str]:
    """What the command prints beside the address, by the documentation."""
    (block,) = blocks(read("docs/kubectl-rdzv.md"), "The page", "console")
    _, waits, _, shows = block.replace("namespace team-a", f"namespace {namespace}").splitlines()
    return [waits, shows]


def test_the_end_leaves_nothing_behind(group: Group, rdzv: Rdzv) -> None:
    group.create()
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGHUP, 130)):
        with Dashboard(rdzv) as dashboard:
            stream = dashboard.stream()
            stream.until(lambda view: view["groups"], "the group")
            wait_until(lambda: len(children_of(dashboard.process.pid)) == 3, "kubectl's watches")
            children = children_of(dashboard.process.pid)
            os.kill(dashboard.process.pid, number)
            said = dashboard.process.communicate(timeout=10)
            assert dashboard.process.returncode == code
            assert said == ("", "\n".join(what_the_page_says(group.namespace)) + "\n")
            assert stream.ended.wait(10)
            assert [child for child in children if Path(f"/proc/{child}").exists()] == []
            with pytest.raises(OSError, match="refused"):
                dashboard.get()


def test_what_cannot_be_shown_is_said(group: Group, rdzv: Rdzv) -> None:
    forbidden = rdzv("dashboard", "--no-open", "--as=nobody")
    assert forbidden.code == 1
    assert "cannot list resource" in forbidden.err
    with Dashboard(rdzv) as dashboard:
        port = dashboard.address.split(":")[2].partition("/")[0]
        taken = rdzv("dashboard", "--no-open", f"--port={port}")
        assert (taken.code, f"--port={port} on 127.0.0.1 cannot be had" in taken.err) == (1, True)
    assert rdzv("dashboard", "--port=65536").code == 2


def test_without_rights_on_pods_the_rest_is_shown(group: Group, rdzv: Rdzv) -> None:
    group.create()
    group.join("a")
    rules = [{**rule, "verbs": ["get", "list", "watch"]} for rule in objects.AGENT_RULES]
    group.api.grant("reader", rules, {"kind": "User", "name": "alice", "apiGroup": "rbac.authorization.k8s.io"})
    wait_until(lambda: rdzv("get", "train", "--as=alice").code == 0, "the role to count")
    with Dashboard(rdzv, "--as=alice") as dashboard:
        one = dashboard.stream(group.namespace, "train")
        one.until(lambda view: bool(view["group"]["problems"]), "the note")
        (note,) = one.views[-1]["group"]["problems"]
        assert note.startswith("pods cannot be listed: Error from server (Forbidden)")
        assert [*states(one.views[-1])] == ["train.a"]
        assert one.views[-1]["stale"] is None


def test_a_browser_is_opened_where_there_is_a_screen(group: Group, rdzv: Rdzv, tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/opened.part; mv {tmp_path}/opened.part {tmp_path}/opened\n')
    browser.chmod(0o755)
    environment = {**rdzv.environment, "BROWSER": str(browser), "DISPLAY": ":77"}
    command = rdzv.command("dashboard", "--all-namespaces", "--port=0")
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        wait_until(lambda: (tmp_path / "opened").exists(), "the browser")
        opened = (tmp_path / "opened").read_text()
        assert opened.startswith(address.rsplit("/", 2)[0] + "/once/")
        assert address.rsplit("/", 2)[1] not in opened, "other users may see the command line of the browser"
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
