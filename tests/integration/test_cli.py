"""`kubectl rdzv` as its users run it: the one file, the real kubectl, a real API server and a real operator."""

import json
import os
import pty
import subprocess
from pathlib import Path

import pytest
import yaml
from tests.integration.cli_support import Rdzv
from tests.integration.life import MEMBERS, Life, three_run
from tests.integration.operator_support import Group, Operators
from tests.support import objects
from tests.support.waiting import wait_until

from rendezvous_api import names
from rendezvous_controlplane import LocalControlPlane

ONE_WORKER = pytest.mark.xdist_group("kubectl rdzv")
pytestmark = ONE_WORKER


@pytest.fixture
def rdzv(control_plane: LocalControlPlane, namespace: str, tmp_path: Path) -> Rdzv:
    return Rdzv(control_plane, namespace, tmp_path)


@pytest.fixture
def life(group: Group, operators: Operators) -> Life:
    """A round of three runs."""
    return three_run(group, operators, lastCallSeconds=60, replacementSeconds=3600)


def test_what_is_shown_is_what_the_objects_say(life: Life, rdzv: Rdzv) -> None:
    table = rdzv("get").out.splitlines()
    assert table[0].split() == ["NAME", "STATE", "RUN", "ROUND", "NODES", "SPARES", "RESTARTS", "SINCE"]
    assert table[1].split()[:-1] == ["train", "Running", "Job/train", "1", "3/2-3", "0", "0"]
    everywhere = rdzv("get", "--all-namespaces").out
    assert f"{life.group.namespace}   train   Running" in " ".join(everywhere.replace("   ", " ").split()).replace(
        " ", "   "
    )
    shown = rdzv("get", "train")
    assert (shown.code, shown.err) == (0, "")
    rows = [line.split()[:4] for line in shown.out.splitlines()[3:]]
    status = life.group.status
    assert rows == [
        [str(member.rank), member.name.partition(".")[2], f"gpu-{member.rank}", "training"]
        for member in status.participants
    ]
    value = rdzv("get", "train", "-o", "json").value
    assert [node["participant"] for node in value["nodes"]] == [member.name for member in status.participants]
    assert yaml.safe_load(rdzv("get", "train", "--output=yaml").out)["run"] == status.run_id
    assert rdzv("why", "train").out.startswith("train (Job/train, 2 to 3 nodes) has been Running")
    told = rdzv("history", "train", "--plot=-")
    assert told.out.startswith("<svg ")
    (of_round,) = rdzv("history", "train", "-o", "json").value["rounds"]
    assert of_round["trainingSeconds"] > 0


def test_a_lost_node_is_explained(life: Life, rdzv: Rdzv) -> None:
    life.group.api.patch("Pod", "train-2", {"status": {"phase": "Failed"}}, "status")
    life.lose("train-2")
    life.ask("train-0", "train-1")
    life.wait("WaitingForReplacements")
    nodes = {node["pod"] or node["participant"]: node for node in rdzv("get", "train", "-o", "json").value["nodes"]}
    assert nodes["train-0"]["state"].startswith("has joined again")
    assert nodes["train.train-2"]["state"] == "gone"
    assert "was lost" in nodes["train.train-2"]["evidence"]
    text = rdzv("why", "train").out
    assert "WaitingForReplacements" in text
    assert "because a member was lost (MemberLost: train.train-2" in text
    assert "MemberLost" in rdzv("history", "train").out


def test_a_live_view_is_shown_again_when_something_changes(life: Life, rdzv: Rdzv) -> None:
    with rdzv.start("get", "train", "--watch") as watching:
        assert watching.stdout is not None
        seen: list[str] = []

        def until(word: str) -> None:
            assert watching.stdout is not None
            while not seen or word not in seen[-1]:
                line = watching.stdout.readline()
                assert line, (seen, watching.communicate())
                seen.append(line)

        until("train   Running")
        life.edit(suspend=True)
        until("train   WaitingForMembers")
        life.ask(*MEMBERS)
        until("train   Suspended")
        life.group.delete()
        assert watching.wait(30) == 1
        assert watching.stderr is not None
        assert watching.stderr.read() == "error: train is gone: it was deleted\n"
    assert not [line for line in seen if "\x1b" in line], "no colours where there is no terminal"


def on_a_terminal(rdzv: Rdzv, answer: bytes, *arguments: str) -> tuple[int, str]:
    """Run it on a terminal, and type an answer."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        rdzv.command(*arguments), env=rdzv.environment, stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True
    )
    os.close(theirs)
    os.write(ours, answer)
    said = b""
    try:
        while part := os.read(ours, 10000):
            said += part
    except OSError:  # Linux says so at the end
        pass
    os.close(ours)
    return process.wait(60), said.decode()


def test_actions_ask_and_then_do(life: Life, rdzv: Rdzv) -> None:
    refused = rdzv("suspend", "train")
    assert (refused.code, refused.err.splitlines()[-1]) == (2, "error: there is no terminal to ask at: give --yes")
    code, said = on_a_terminal(rdzv, b"n\n", "suspend", "train")
    assert code == 5
    assert "Do it? [y/N]" in said
    assert "Nothing is done." in said
    assert not life.group.api.read(names.RENDEZVOUS_KIND, "train")["spec"].get("suspend")
    code, said = on_a_terminal(rdzv, b"y\n", "suspend", "train")
    assert code == 0
    life.wait("WaitingForMembers")
    life.ask(*MEMBERS)
    assert rdzv("wait", "train", "--for=suspended", "--timeout=30s").code == 0
    assert rdzv("resume", "train", "--yes").out == "train: spec.suspend is false\n"
    life.until("Running")
    life.beat(*MEMBERS, round_number=2)
    assert rdzv("restart", "train", "--yes").code == 0
    life.wait("WaitingForMembers")
    assert life.group.status.history[-1].reason == "RestartRequested"
    nothing = rdzv("restart", "train", "--yes")
    assert (nothing.code, "no round of train runs" in nothing.err) == (1, True)
    assert rdzv("close", "train", "-y").code == 0
    life.wait("Closed")
    assert rdzv("reopen", "train", "-y").code == 0
    life.wait("WaitingForMembers")
    assert rdzv("retry", "train", "-y").err == "error: no node of train is held out or unhealthy\n"


def test_an_eviction_keeps_to_the_budget(life: Life, rdzv: Rdzv, control_plane: LocalControlPlane) -> None:
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "all", "namespace": life.group.namespace},
        "spec": {"minAvailable": 3, "selector": {"matchLabels": {names.LABEL_RENDEZVOUS: "train"}}},
    }
    control_plane.kubectl("create", "-f", "-", input=json.dumps(budget))
    ready = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
    life.group.api.patch("Pod", "train-1", ready, "status")
    refused = rdzv("evict", "train.train-1", "--yes")
    assert refused.code == 1
    assert "disruption budget" in refused.err
    control_plane.kubectl("-n", life.group.namespace, "delete", "pdb", "all")
    done = rdzv("evict", "train-1", "--yes")
    assert (done.code, done.out) == (0, "pod/train-1 evicted\n")
    assert "It has rank 1 of round 1" in done.err
    wait_until(lambda: life.group.status.history[-1].reason == "MemberEvicted", "the end of the round")


def test_wait_ends_with_how_the_run_ended(life: Life, rdzv: Rdzv) -> None:
    assert rdzv("wait", "train", "--for=running").code == 0
    late = rdzv("wait", "train", "--timeout=1s")
    assert (late.code, late.err) == (4, "train is not complete after 1 s\n")
    with rdzv.start("wait", "train", "--timeout=60s") as waiting:
        assert waiting.stdout is not None
        assert waiting.stdout.readline() == "train: Running: round 1 runs with 3 nodes\n"
        life.leave("train-0", "Succeeded")
        assert waiting.wait(60) == 0
        assert waiting.stdout.read().startswith("train: Complete: run ")
    assert rdzv("wait", "train", "--for=failed").code == 3


def test_what_cannot_be_done_is_said(rdzv: Rdzv, group: Group, control_plane: LocalControlPlane) -> None:
    assert rdzv("get").err == f"There is no Rendezvous in the namespace {group.namespace}.\n"
    missing = rdzv("why", "train")
    assert missing.code == 1
    assert missing.err == f"error: there is no Rendezvous 'train' in the namespace {group.namespace}\n"
    unknown = rdzv("evict", "train-7", "-y")
    assert (unknown.code, "there are: none" in unknown.err) == (1, True)
    assert rdzv("get", "train", "--all-namespaces").code == 2
    group.create()
    nobody = rdzv("get", "train", "--as=nobody")
    assert (nobody.code, "forbidden" in nobody.err) == (1, True)
    assert "no node in a pod" in rdzv("logs", "train").err
    unreachable = rdzv("get", "--server=https://127.0.0.1:1")
    assert unreachable.code == 1
    assert "127.0.0.1:1" in unreachable.err
    assert len(unreachable.err.splitlines()) == 1, "no line of the library's log"
    without_kubectl = subprocess.run(
        [rdzv.environment["PATH"].partition(":")[0] + "/kubectl-rdzv", "get"],
        env={**rdzv.environment, "KUBECTL": "no-such-kubectl"},
        capture_output=True,
        text=True,
    )
    assert without_kubectl.stderr.startswith("error: no-such-kubectl is not on the PATH")


def test_rights_on_pods_are_not_needed(rdzv: Rdzv, group: Group) -> None:
    group.create()
    group.join("a")
    rules = [{**rule, "verbs": ["get", "list"]} for rule in objects.AGENT_RULES]
    group.api.grant("reader", rules, {"kind": "User", "name": "alice", "apiGroup": "rbac.authorization.k8s.io"})
    wait_until(lambda: rdzv("get", "train", "--as=alice").code == 0, "the role to count")
    shown = rdzv("get", "train", "--as=alice").out
    assert "a " in shown
    assert "note: pods cannot be listed: Error from server (Forbidden)" in shown


def completed(rdzv: Rdzv, *words: str) -> tuple[dict[str, str], int]:
    """What kubectl tells a shell to offer for the last one of these words, with descriptions, and its directive."""
    name, *rest = words
    command = [str(rdzv.kubectl), "__complete", "rdzv", name, *(rdzv.options if rest else ()), *rest]
    done = subprocess.run(command, env=rdzv.environment, capture_output=True, text=True, check=True, timeout=60)
    *lines, directive = done.stdout.splitlines()
    return {word: what for word, _, what in (line.partition("\t") for line in lines)}, int(directive.removeprefix(":"))


def test_kubectl_completes_what_the_cluster_has(life: Life, rdzv: Rdzv) -> None:
    commands, directive = completed(rdzv, "")
    assert commands["why"].startswith("say in words what a group does")
    assert directive == 4
    assert completed(rdzv, "why", "tr") == ({"train": "Running, 3/2-3 nodes"}, 36)
    participants, _ = completed(rdzv, "evict", "")
    assert participants == {f"train.{pod}": f"pod {pod} on gpu-{number}" for number, pod in enumerate(MEMBERS)}
    assert completed(rdzv, "evict", "train-1")[0] == {"train-1": "train.train-1 on gpu-1"}
    ranks = {str(member.rank): member.name for member in life.group.status.participants}
    assert completed(rdzv, "logs", "train", "--rank", "")[0] == ranks
    assert completed(rdzv, "logs", "train", "--round", "")[0] == {"1": "it runs"}
    assert completed(rdzv, "wait", "train", "--for=")[0].keys() == {"running", "complete", "failed", "suspended"}
    assert completed(rdzv, "whatif", "train", "--lose", "") == (
        dict.fromkeys(["machine=", "participant=", "pod=", "rank="], ""),
        6,
    )
    machines, _ = completed(rdzv, "whatif", "train", "--lose", "machine=gpu-1")
    assert [*machines] == ["machine=gpu-1"]
    assert life.group.namespace in completed(rdzv, "get", "--namespace", "")[0]
    assert completed(rdzv, "simulate", "") == (dict.fromkeys(["yaml", "yml", "json"], ""), 8)
    assert completed(rdzv, "why", "--as=nobody", "") == ({}, 36), "who may not list groups is offered none"
