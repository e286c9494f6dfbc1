"""What people see of the kinds through kubectl: columns, selectors, explanations; and that the examples apply."""

import json
import re
import shlex
from datetime import datetime, timezone
from pathlib import Path

import pytest
import yaml
from tests.support import objects
from tests.support.api import Api
from tests.support.objects import Json

from rendezvous_api import names
from rendezvous_api.codec import encode
from rendezvous_api.rendezvous import RoundRecord
from rendezvous_controlplane import LocalControlPlane

ROOT = Path(__file__).parents[2]

NOW = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
RENDEZVOUS: Json = {
    "apiVersion": names.API_VERSION,
    "kind": names.RENDEZVOUS_KIND,
    "metadata": {"name": "train"},
    "spec": {"minNodes": 1, "maxNodes": 4},
}
RENDEZVOUS_STATUS: Json = {
    "summary": {"state": "WaitingForMembers", "run": "Job/train", "nodes": "5/1-4", "spares": 2, "since": NOW},
    "run": {"id": "4d5c4d0f-5ad9-4f9b-8d56-9f4f33c4fcd5", "owner": {"kind": "Job", "name": "train"}},
    "round": 7,
    "nodes": 1,
    "participants": [{"name": "train.train-0", "incarnation": "abcd1234", "attempt": 1, "rank": 0}],
    "store": {"host": "10.0.0.1", "port": 29500},
    "waitingNodes": 2,
    "restarts": 3,
    "formation": {"reason": "LastCall", "message": "", "startTime": "2026-01-02T03:04:05Z", "joined": 5},
    "conditions": [
        {
            "type": "Running",
            "status": "False",
            "reason": "WaitingForMembers",
            "message": "train-1 is Pending",
            "lastTransitionTime": "2026-01-02T03:04:05Z",
        }
    ],
}


def participant(rendezvous: str) -> Json:
    in_pod = {"podName": "pod-0", "podUID": "4d5c4d0f-5ad9-4f9b-8d56-9f4f33c4fcd5", "nodeName": "gpu-a"}
    attempt = {"runID": "run-1", "attempt": 2, "attemptReason": "WorkerFailure"}
    spec: Json = {**attempt, **in_pod, "state": "Left", "leaveReason": "TimedOut"}
    return objects.participant("pod-0", of=rendezvous, **spec)


def write(control_plane: LocalControlPlane, namespace: str, body: Json, status: Json | None = None) -> None:
    api = Api(control_plane, namespace)
    api.create(body)
    if status is not None:
        api.patch(body["kind"], body["metadata"]["name"], {"status": status}, "status")


def table(control_plane: LocalControlPlane, namespace: str, *args: str) -> list[list[str]]:
    """Header and rows that `kubectl get` prints, but for the age at the end."""
    lines = control_plane.kubectl("get", *args, "--namespace", namespace).splitlines()
    cells = [re.split(r"\s{2,}", line.strip()) for line in lines]
    assert cells[0][-1] == "AGE"
    assert all(re.fullmatch(r"\d+s", row[-1]) for row in cells[1:])
    return [row[:-1] for row in cells]


def test_columns_of_rendezvous(control_plane: LocalControlPlane, namespace: str) -> None:
    write(control_plane, namespace, RENDEZVOUS, RENDEZVOUS_STATUS)
    header = ["NAME", "STATE", "RUN", "ROUND", "NODES", "SPARES", "RESTARTS", "SINCE"]
    row = ["train", "WaitingForMembers", "Job/train", "7", "5/1-4", "2", "3"]
    found = table(control_plane, namespace, "rdzv")
    assert found[0] == header
    assert found[1][:-1] == row
    assert re.fullmatch(r"(\d+[hms])+", found[1][-1])  # since this file was imported
    wide = table(control_plane, namespace, "rendezvous", "--output=wide")
    assert wide[0] == [*header, "RUN-ID", "MESSAGE"]
    assert wide[1][-2:] == ["4d5c4d0f-5ad9-4f9b-8d56-9f4f33c4fcd5", "train-1 is Pending"]


def test_both_kinds_have_one_category(control_plane: LocalControlPlane, namespace: str) -> None:
    write(control_plane, namespace, RENDEZVOUS)
    write(control_plane, namespace, participant("train"))
    found = control_plane.kubectl("get", "rdzv-all", "--namespace", namespace, "--output=name").split()
    assert found == ["rendezvous.rdzv.dev/train", "rendezvousparticipant.rdzv.dev/train.pod-0"]


def test_columns_of_participants(control_plane: LocalControlPlane, namespace: str) -> None:
    heartbeat = {
        "incarnation": "abcd1234",
        "attempt": 2,
        "round": 7,
        "rank": 3,
        "heartbeatTime": datetime.now(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z"),
    }
    write(control_plane, namespace, participant("train"), heartbeat)
    header = ["NAME", "POD", "MACHINE", "RANK", "STATE", "HEARTBEAT"]
    row = ["train.pod-0", "pod-0", "gpu-a", "3", "Left"]
    found = table(control_plane, namespace, "rdzvp")
    assert found[0] == header
    assert found[1][:-1] == row
    assert re.fullmatch(r"(\d+[hms])+", found[1][-1])  # since this file was imported
    wide = table(control_plane, namespace, "rdzvp", "--output=wide")
    assert wide[0] == [*header, "RENDEZVOUS", "RUN-ID", "ROUND", "ATTEMPT", "WHY", "LEFT", "ADDRESS", "UNHEALTHY"]
    assert wide[1][-7:] == ["train", "run-1", "7", "2", "WorkerFailure", "TimedOut", "10.0.0.1"]


def test_the_command_of_the_documentation_tells_why_rounds_ended(
    control_plane: LocalControlPlane, namespace: str
) -> None:
    def at(minute: int) -> str:
        return f"2026-01-02T03:{minute:02}:05.000007Z"

    lost = RoundRecord(6, "run-1", 2, at(1), at(2), at(3), at(4), at(5), "MemberLost", "train-1 is silent for 120 s")
    running = RoundRecord(7, "run-1", 1, at(6))
    status = {**RENDEZVOUS_STATUS, "history": [encode(lost), encode(running)]}
    write(control_plane, namespace, RENDEZVOUS, status)
    text = (ROOT / "docs" / "troubleshooting.md").read_text()
    (line,) = re.findall(r"^kubectl (.*range \.status\.history.*)$", text, flags=re.MULTILINE)
    arguments = [argument.replace("NAME", "train") for argument in shlex.split(line)]
    assert control_plane.kubectl(*arguments, "--namespace", namespace).splitlines() == [
        f"round 6, 2 nodes: formed {at(1)}, checked in {at(2)}, last heartbeat {at(3)}, asked {at(4)}, ended {at(5)}; "
        "MemberLost: train-1 is silent for 120 s",
        f"round 7, 1 nodes: formed {at(6)}, checked in , last heartbeat , asked , ended ; : ",
    ]


def test_participants_of_one_rendezvous_are_selected_by_the_server(
    control_plane: LocalControlPlane, namespace: str
) -> None:
    for rendezvous in ("train", "eval"):
        write(control_plane, namespace, participant(rendezvous))
    found = table(control_plane, namespace, "rdzvp", "--field-selector=spec.rendezvousName=eval")
    assert [row[0] for row in found] == ["NAME", "eval.pod-0"]


@pytest.mark.parametrize(
    ("field", "kind", "words"),
    [
        (
            "rendezvous.spec.timeouts.lastCallSeconds",
            "integer",
            ["Time in seconds", "first round", "`last_call_timeout` of `--rdzv-conf`", "With 0", "Defaults to 30."],
        ),
        ("rendezvous.spec.restarts.max", "integer", ["With 0 the first failure closes", "If it is not set"]),
        ("rdzv.status.formation.reason", "string", ["WaitingForReplacements", "LastCall means"]),
        ("rdzv.status.waitingNodes", "integer", ["num_nodes_waiting()"]),
        ("rendezvousparticipant.status.heartbeatTime", "string", ["never compares it with another clock"]),
        ("rdzvp.spec.leaveReason", "string", ["TimedOut means"]),
    ],
)
def test_explanation_teaches(control_plane: LocalControlPlane, field: str, kind: str, words: list[str]) -> None:
    text = " ".join(control_plane.kubectl("explain", field).split())
    assert f"FIELD: {field.rsplit('.', 1)[1]} <{kind}>" in text
    assert [phrase for phrase in words if phrase not in text] == []


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(document, id=f"{path.relative_to(ROOT / 'examples')}:{document['metadata']['name']}")
        for path in sorted((ROOT / "examples").rglob("*.yaml"))
        for document in yaml.safe_load_all(path.read_text())
        if document and document["kind"] == names.RENDEZVOUS_KIND
    ],
)
def test_example_is_accepted_as_it_is(control_plane: LocalControlPlane, namespace: str, document: Json) -> None:
    document["metadata"].pop("namespace", None)
    control_plane.kubectl(
        "create", "--namespace", namespace, "--validate=strict", "--filename=-", input=json.dumps(document)
    )
