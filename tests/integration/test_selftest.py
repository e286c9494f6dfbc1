"""kube-rendezvous-selftest as processes, on a real API server and, where there is one, with a real operator."""

import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.integration.handler_support import PlayedOperator
from tests.integration.operator_support import Operators
from tests.support.api import Api
from tests.support.processes import Process
from tests.support.waiting import wait_until
from tests.support.without_torch import WITHOUT_TORCH

from rendezvous_controlplane import LocalControlPlane

ROLE = Path(__file__).parents[2] / "examples" / "agent-rbac.yaml"
MAIN = "import sys\nfrom rendezvous_handler.selftest.__main__ import main\nsys.exit(main())\n"

StartMember = Callable[..., Process]


@pytest.fixture
def start(control_plane: LocalControlPlane, tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Starts processes with a kubeconfig, the administrator's if no other is named; they end with the test."""
    started: list[Process] = []

    def start(*command: str, kubeconfig: Path | None = None) -> Process:
        environment = {**os.environ, "KUBECONFIG": str(kubeconfig or control_plane.kubeconfig)}
        log = tmp_path / f"process-{len(started)}.log"
        started.append(Process([sys.executable, *command], log, environment))
        return started[-1]

    yield start
    for process in started:
        process.kill()


@pytest.fixture
def member(start: Callable[..., Process], namespace: str) -> StartMember:
    """Starts a member of the Rendezvous `check`; without torch, as in the image, unless told otherwise."""

    def start_member(*flags: str, torch: bool = False, kubeconfig: Path | None = None) -> Process:
        code = MAIN if torch else WITHOUT_TORCH + MAIN
        return start("-c", code, f"--rendezvous={namespace}/check", *flags, kubeconfig=kubeconfig)

    return start_member


@pytest.fixture
def objects(control_plane: LocalControlPlane, namespace: str) -> PlayedOperator:
    """To look at the objects, and to write what an operator would where there is none."""
    return PlayedOperator(control_plane, namespace, "check")


@pytest.fixture
def operator(operators: Operators, namespace: str) -> Process:
    process = operators.start(f"--namespace={namespace}")
    wait_until(lambda: "decisions begin" in process.log, "the operator")
    return process


def until_closed(objects: PlayedOperator) -> Any:
    """The Rendezvous, once its operator has closed a run: some time after the last member has left."""

    def closed() -> Any:
        found = objects.rendezvous()
        return found if found and found["status"].get("closedRuns") else None

    return wait_until(closed, "a closed run")


def failed(process: Process, *says: str) -> str:
    """Wait for exit code 1, and for these words."""
    assert process.wait(60) == 1, process.log
    for text in says:
        assert text in process.log, process.log
    return process.log


def test_members_meet_with_and_without_torch(operator: Process, member: StartMember, objects: PlayedOperator) -> None:
    members = [member("--nodes=3"), member("--nodes=3"), member("--nodes=3", torch=True)]
    assert [process.wait(150) for process in members] == [0, 0, 0], [process.log for process in members]
    ranks = sorted(process.log.splitlines()[-1] for process in members)
    assert ranks == [f"all 3 members of round 1 have met; this was rank {rank}" for rank in range(3)]

    rendezvous = until_closed(objects)
    assert (rendezvous["spec"]["minNodes"], rendezvous["spec"]["maxNodes"]) == (3, 3)
    assert rendezvous["status"]["closedRuns"] == [{"runID": "none", "reason": "RunSucceeded"}]
    assert [(entry["round"], entry["nodes"]) for entry in rendezvous["status"]["history"]] == [(1, 3)]
    for item in objects.participants().values():
        assert (item["spec"]["state"], item["spec"]["leaveReason"]) == ("Left", "Succeeded")
        assert item["status"]["round"] == 1


def test_one_alone_says_what_the_operator_says(operator: Process, member: StartMember, objects: PlayedOperator) -> None:
    alone = member("--nodes=2", "--timeout-seconds=8")
    log = failed(alone, "not done within 8 s (--timeout-seconds)", "WaitingForNodes: 1 of at least 2 nodes")
    assert "operator has not reacted" not in log
    (left,) = objects.participants().values()
    assert (left["spec"]["state"], left["spec"]["leaveReason"]) == ("Left", "TimedOut")


def test_without_an_operator_it_says_so(member: StartMember) -> None:
    failed(member("--nodes=1", "--timeout-seconds=13"), "The operator has not reacted to this node")


def test_a_second_test_needs_no_run_id_or_another_one(
    operator: Process, member: StartMember, objects: PlayedOperator
) -> None:
    assert member("--nodes=1").wait(60) == 0
    assert member("--nodes=1").wait(60) == 0
    assert member("--nodes=1", "--run-id=first").wait(60) == 0
    wait_until(lambda: "first" in str(until_closed(objects)["status"]["closedRuns"]), "its run to be closed")
    failed(member("--nodes=1", "--run-id=first"), "run 'first' is closed (RunSucceeded); start with another --run-id")


def test_a_rendezvous_that_is_not_there(member: StartMember, namespace: str) -> None:
    failed(member(), f"there is no Rendezvous {namespace}/check, and --nodes, which creates one, was not given")


def test_its_own_flags_are_named_where_an_agent_would_name_those_of_torchrun(start: Callable[..., Process]) -> None:
    log = failed(start("-c", MAIN, "--rendezvous=no-such-team/check", "--nodes=1"), "name another one in --rendezvous")
    assert "--rdzv" not in log


def test_a_round_that_runs_is_left_alone(member: StartMember, objects: PlayedOperator) -> None:
    objects.create(max_nodes=4)
    objects.write(
        run={"id": "none"},
        round=1,
        nodes=1,
        participants=[{"name": "check.other", "incarnation": "aaaaaaaa", "attempt": 1, "rank": 0}],
        store={"host": "127.0.0.1", "port": 4000},
        history=[{"round": 1, "runID": "none", "nodes": 1, "formed": "2026-01-01T00:00:00.000000Z"}],
        conditions=objects.running("Running", "round 1", "True"),
    )
    failed(member(), "round 1 of", "this member would make it restart")
    assert not objects.participants()


def test_a_rank_0_that_cannot_be_reached(member: StartMember, objects: PlayedOperator) -> None:
    objects.create(min_nodes=2, max_nodes=2)
    process = member("--timeout-seconds=10")
    wait_until(objects.participants, "the participant")
    members = objects.participants()
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        rank_0 = {**next(iter(members.values()))["spec"], "nodeID": "a", "storePort": port}
        objects.publish({"check.a": {"spec": rank_0}, **members})
        failed(process, f"the meeting at rank 0, 127.0.0.1:{port}, did not come about", "Connect call failed")


def test_rank_0_names_who_is_missing(member: StartMember, objects: PlayedOperator) -> None:
    objects.create(min_nodes=2, max_nodes=2)
    process = member("--timeout-seconds=10")
    wait_until(objects.participants, "the participant")
    members = objects.participants()
    other = {**next(iter(members.values()))["spec"], "nodeID": "zz", "storePort": 1}
    objects.publish({**members, "check.zz": {"spec": other}})
    failed(process, "rank 1 did not come to this member, rank 0, at 127.0.0.1:")


def service_account(control_plane: LocalControlPlane, namespace: str, without: tuple[str, str] | None) -> Path:
    """A kubeconfig of examples/agent-rbac.yaml, but for one verb at one resource; None: without any Role."""
    documents: list[Any] = list(yaml.safe_load_all(ROLE.read_text()))
    if without is None:
        documents = [document for document in documents if document["kind"] == "ServiceAccount"]
    for document in documents:
        for rule in document.get("rules", ()):
            if without is not None and without[0] in rule["resources"]:
                rule["verbs"].remove(without[1])
    api = Api(control_plane, namespace)
    api.create_all(documents)
    return control_plane.kubeconfig_with_token(api.token("rendezvous-agent"))


@pytest.mark.parametrize(
    ("without", "says"),
    [
        (None, "cannot list rendezvous"),
        (("rendezvous", "create"), "cannot create rendezvous"),
        (("rendezvous", "watch"), "cannot watch rendezvous"),
        (("rendezvousparticipants", "create"), "cannot create rendezvousparticipants"),
        (("rendezvousparticipants", "patch"), "cannot patch rendezvousparticipants"),
        (("rendezvousparticipants/status", "patch"), "cannot patch rendezvousparticipants/status"),
    ],
)
def test_each_right_that_is_missing_is_named(
    control_plane: LocalControlPlane,
    operator: Process,
    member: StartMember,
    namespace: str,
    without: tuple[str, str] | None,
    says: str,
) -> None:
    kubeconfig = service_account(control_plane, namespace, without)
    log = failed(member("--nodes=1", kubeconfig=kubeconfig), f"{says} in namespace {namespace}: ", "is forbidden")
    assert "The agent's service account needs the Role of an agent" in log


def test_the_role_of_an_agent_is_enough(
    control_plane: LocalControlPlane, operator: Process, member: StartMember, namespace: str
) -> None:
    kubeconfig = service_account(control_plane, namespace, ("rendezvousparticipants", "update"))
    assert member("--nodes=1", kubeconfig=kubeconfig).wait(60) == 0


def test_an_api_server_that_does_not_answer(
    control_plane: LocalControlPlane, member: StartMember, namespace: str
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        kubeconfig = control_plane.kubeconfig_via(closed.getsockname()[1])
        failed(member("--timeout-seconds=5", kubeconfig=kubeconfig), "does not answer", "Connection refused")
