"""The operator as a process, on a real API server. The tests write participants, as agents would."""

import json
import os
import sys
from pathlib import Path

from tests.integration.operator_support import Group, Operators
from tests.support.api import create_namespace
from tests.support.groups import OWN_CONTROL_PLANE
from tests.support.processes import Process
from tests.support.waiting import wait_until

from rendezvous_api import names
from rendezvous_api.reasons import HeldOutReason
from rendezvous_api.rendezvous import RendezvousStatus
from rendezvous_controlplane import LocalControlPlane

CRDS = Path(__file__).parents[2] / "crds"


def test_a_killed_operator_loses_nothing(operators: Operators, group: Group) -> None:
    group.create()
    group.join("a")
    first = operators.start("--namespace", group.namespace)
    wait_until(lambda: group.status.run_id, "the run to be claimed")
    first.kill()
    group.join("b")  # while no operator runs
    second = operators.start("--namespace", group.namespace)
    published = group.wait_for_round(1)
    assert [member.name for member in published.participants] == ["train.a", "train.b"]

    second.kill()
    group.join("a", 2)
    third = operators.start("--namespace", group.namespace)
    wait_until(lambda: group.status.waiting_nodes, "the round to be asked to end")
    third.kill()
    operators.start("--namespace", group.namespace)
    group.join("b", 2)
    again = group.wait_for_round(2)
    assert again.restarts == 1
    assert [(record.round, record.reason) for record in again.history] == [(1, "WorkerFailed"), (2, None)]


def test_two_operators_publish_each_round_once(operators: Operators, group: Group) -> None:
    logs = [operators.start("--namespace", group.namespace) for _ in range(2)]
    group.create()
    for attempt in (1, 2, 3):
        for node in ("a", "b"):
            group.join(node, attempt)
        status = group.wait_for_round(attempt)
        assert {(member.name, member.attempt) for member in status.participants} == {
            ("train.a", attempt),
            ("train.b", attempt),
        }
    assert group.status.round == 3

    def told() -> int:
        return sum(log.log.count("RoundPublished: round 2 ") for log in logs)

    wait_until(told, "word of round 2")
    assert told() == 1, "only the operator whose write was accepted may report it"


def test_one_operator_serves_many_rendezvous_in_many_namespaces(
    operators: Operators, control_plane: LocalControlPlane, namespace: str
) -> None:
    operators.start()
    groups = [Group(control_plane, namespace, f"group-{number}") for number in range(3)]
    for number in range(3):
        groups.append(Group(control_plane, create_namespace(control_plane, f"{namespace}-{number}")))
    for group in groups:
        group.create()
        for node in ("a", "b"):
            group.join(node)
    for group in groups:
        assert group.wait_for_round(1).participants[0].name == f"{group.name}.a"


def test_an_operator_of_one_namespace_leaves_others_alone(
    operators: Operators, control_plane: LocalControlPlane, namespace: str
) -> None:
    other = Group(control_plane, create_namespace(control_plane, f"{namespace}-other"))
    mine = Group(control_plane, namespace)
    for group in (mine, other):
        group.create()
        for node in ("a", "b"):
            group.join(node)
    operators.start("--namespace", namespace)
    mine.wait_for_round(1)
    assert other.status == RendezvousStatus()


def test_the_annotation_of_the_documentation_ends_all_hold_outs(operators: Operators, group: Group) -> None:
    group.create()
    held_out = {
        "name": "train.c",
        "reason": HeldOutReason.STORE_NOT_REACHED.value,
        "message": "it did not reach the store",
        "until": "2100-01-01T00:00:00Z",
        "times": 5,
    }
    group.api.patch(names.RENDEZVOUS_KIND, group.name, {"status": {"heldOut": [held_out]}}, "status")
    operators.start("--namespace", group.namespace)
    wait_until(lambda: group.status.conditions, "the first decision")
    assert [entry.name for entry in group.status.held_out] == ["train.c"]
    group.kubectl("annotate", "rdzv", "train", "--overwrite", "rdzv.dev/retry-at=now")
    wait_until(lambda: not group.status.held_out, "the hold-out to end")


def test_nothing_but_the_status_is_written_and_no_finalizers(operators: Operators, group: Group) -> None:
    operators.start("--namespace", group.namespace)
    group.create()
    for node in ("a", "b"):
        group.join(node)
    group.wait_for_round(1)
    found = [*group.api.list(names.RENDEZVOUS_KIND), *group.api.list(names.PARTICIPANT_KIND)]
    assert len(found) == 3
    for item in found:
        assert not {"finalizers", "annotations"} & item["metadata"].keys()
    group.delete_everything()
    assert not [*group.api.list(names.RENDEZVOUS_KIND), *group.api.list(names.PARTICIPANT_KIND)]


def test_events_tell_what_happened(operators: Operators, group: Group) -> None:
    operators.start("--namespace", group.namespace)
    group.create()
    for node in ("a", "b"):
        group.join(node)
    group.wait_for_round(1)
    group.join("b", 2)

    def reasons() -> set[tuple[str, str]]:
        return {(event["type"], event["reason"]) for event in group.events()}

    wanted = {("Normal", "RunClaimed"), ("Normal", "RoundPublished"), ("Warning", "RoundEnded")}
    wait_until(lambda: reasons() >= wanted, f"the events {wanted}")
    described = group.kubectl("describe", "rdzv", "train")
    assert "RoundPublished" in described
    assert "train.b asks to join again: WorkerFailure" in described


def test_machines_can_read_the_log_and_each_decision_is_in_it_once(operators: Operators, group: Group) -> None:
    process = operators.start("--namespace", group.namespace, "--log-format", "json")
    group.create()
    for node in ("a", "b"):
        group.join(node)
    group.wait_for_round(1)
    wait_until(lambda: "Running" in process.log, "the decision in the log")
    lines = [json.loads(line) for line in process.log.splitlines()]
    decisions = [line for line in lines if line.get("rendezvous") == f"{group.namespace}/train"]
    published = [line for line in decisions if line["reason"] == "RoundPublished"]
    assert [line["round"] for line in published] == [1]
    messages = [line["message"] for line in decisions]
    assert len(messages) == len(set(messages))


def test_a_closed_rendezvous_is_deleted_when_its_time_has_come(operators: Operators, group: Group) -> None:
    operators.start("--namespace", group.namespace)
    group.create(ttlSecondsAfterFinished=2)
    for node in ("a", "b"):
        group.join(node)
    group.wait_for_round(1)
    for node in ("a", "b"):
        group.join(node, state="Left", leaveReason="Succeeded")
    wait_until(lambda: not group.is_there, "the Rendezvous to be deleted")


@OWN_CONTROL_PLANE
def test_what_was_deleted_while_no_operator_ran_is_forgotten(operators: Operators) -> None:
    """Not even etcd knows any more what there was: the watch begins with an empty list."""
    with LocalControlPlane(apiserver_args=["--etcd-compaction-interval=1s"]) as own:
        own.apply(CRDS)
        operator = operators.serve(kubeconfig=own.kubeconfig)
        group = Group(own, "default")
        group.create()
        for node in ("a", "b"):
            group.join(node)
        group.wait_for_round(1)
        known = 'kube_rendezvous_members{namespace="default",rendezvous="train"}'
        wait_until(lambda: operator.metrics().get(known) == 2, "the operator to see its round")
        operator.process.freeze()
        version = group.api.read(names.RENDEZVOUS_KIND, "train")["metadata"]["resourceVersion"]
        watch = f"/apis/{names.API_VERSION}/rendezvous?watch=true&timeoutSeconds=1&resourceVersion={version}"
        own.stop_apiserver()  # what is deleted now shall not wait in an open connection
        own.start_apiserver()
        group.delete_everything()
        wait_until(lambda: "Expired" in group.kubectl("get", "--raw", watch), "etcd to forget")
        operator.process.thaw()
        wait_until(lambda: known not in operator.metrics(), "the operator to forget them", 60)


@OWN_CONTROL_PLANE
def test_an_operator_started_before_the_crds_waits_for_them_and_says_so(operators: Operators) -> None:
    with LocalControlPlane() as bare:
        process = operators.start(kubeconfig=bare.kubeconfig)
        wait_until(lambda: "waiting for the API server to list every Rendezvous" in process.log, "a word")
        bare.apply(CRDS)
        group = Group(bare, "default")
        group.create()
        for node in ("a", "b"):
            group.join(node)
        group.wait_for_round(1)


def test_without_a_configuration_the_operator_says_what_is_missing(tmp_path: Path) -> None:
    environment = {**os.environ, "KUBECONFIG": str(tmp_path / "none"), "HOME": str(tmp_path)}
    process = Process([sys.executable, "-m", "rendezvous_operator.app"], tmp_path / "log", environment)
    assert process.wait() == 1
    assert "neither a service account of a pod" in process.log
    assert f"nor a usable kubeconfig: {tmp_path / 'none'}" in process.log
