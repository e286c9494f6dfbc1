"""What a real API server makes of the CRDs: what it refuses, what it fills in."""

import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client
from tests.integration.crds_cases import (
    CHANGE_CASES,
    MEMBERS_CHANGED,
    ORDER,
    PARTICIPANT_CASES,
    RECORD,
    SIZE,
    SPEC,
    STATUS_CASES,
    Refusal,
    history,
    members,
    participant,
    published,
    rendezvous,
)
from tests.integration.crds_spec_cases import BETWEEN, MAX_STEP, SPEC_CASES, SUSPECT
from tests.support.objects import Json, without_removed
from tests.support.specs import changed, spec_of

from kube_rendezvous_cli.kubectl import CommandError
from kube_rendezvous_cli.simulator import spec as simulated
from rendezvous_api import names
from rendezvous_api.codec import decode, encode
from rendezvous_api.participant import ParticipantStatus
from rendezvous_api.rendezvous import RendezvousStatus, RoundRecord
from rendezvous_api.rendezvous_spec import RendezvousSpec
from rendezvous_controlplane import LocalControlPlane

ROOT = Path(__file__).parents[2]


class Objects:
    """The objects of the project in one namespace."""

    def __init__(self, api: Any, namespace: str):
        self.api, self.namespace = api, namespace

    def create(self, body: Json) -> Json:
        return self._call("create", body)

    def replace(self, body: Json) -> Json:
        return self._call("replace", body, body["metadata"]["name"])

    def replace_status(self, body: Json, status: Json | None) -> Json:
        body = without_removed({**body, "status": status})
        return self._call("replace", body, body["metadata"]["name"], "_status")

    def _call(self, verb: str, body: Json, *name: str) -> Json:
        plural, suffix = PLURALS[body["kind"]], "_status" if name[1:] else ""
        method = getattr(self.api, f"{verb}_namespaced_custom_object{suffix}")
        found: Json = method(names.GROUP, names.VERSION, self.namespace, plural, *name[:1], body)
        return found


PLURALS = {
    names.RENDEZVOUS_KIND: names.RENDEZVOUS_PLURAL,
    names.PARTICIPANT_KIND: names.PARTICIPANT_PLURAL,
}


@pytest.fixture(scope="session")
def api(control_plane: LocalControlPlane) -> Iterator[Any]:
    with control_plane.get_client() as api_client:
        yield client.CustomObjectsApi(api_client)


@pytest.fixture
def objects(api: Any, namespace: str) -> Objects:
    return Objects(api, namespace)


def check(expected: Refusal, action: Callable[[], object]) -> None:
    """Do it, and see that it is accepted, or refused for the expected reason and no other."""
    if expected is None:
        action()
        return
    field, words = expected
    with pytest.raises(client.ApiException) as caught:
        action()
    answer = json.loads(caught.value.body)
    assert caught.value.status == 422, answer
    # After a breach of the schema itself, the API server adds that it has not looked at the rules.
    causes = [cause for cause in answer["details"]["causes"] if cause["field"] != "<nil>"]
    assert [cause["field"] for cause in causes] == [field], causes
    assert words in causes[0]["message"]


@pytest.mark.parametrize(("spec", "expected"), SPEC_CASES)
def test_spec_of_a_rendezvous(objects: Objects, spec: Json, expected: Refusal) -> None:
    check(expected, lambda: objects.create(rendezvous(**spec)))


@pytest.mark.parametrize(("spec", "expected"), SPEC_CASES)
def test_a_scenario_may_have_the_same_spec(spec: Json, expected: Refusal) -> None:
    """`kubectl rdzv simulate` asks no server."""
    given = rendezvous(**spec)["spec"]
    if expected is None:
        simulated.read(given)
    else:
        with pytest.raises(CommandError, match=f"^{re.escape(expected[0])}"):
            simulated.read(given)


def test_what_fits_the_sizes_no_more_is_refused_in_an_edit(objects: Objects) -> None:
    found = objects.create(rendezvous(sizes={"step": 2}))
    check(MAX_STEP, lambda: objects.replace({**found, "spec": {**found["spec"], "maxNodes": 7}}))
    found = objects.replace({**found, "spec": {**found["spec"], "sizes": {"list": [2, 4]}}})
    check(BETWEEN, lambda: objects.replace({**found, "spec": {**found["spec"], "maxNodes": 3}}))
    check(None, lambda: objects.replace({**found, "spec": {**found["spec"], "maxNodes": 7}}))


@pytest.mark.parametrize("max_nodes", [4, 250, 251, 1000, 1001, names.MAX_NODES])
@pytest.mark.parametrize(("interval", "attempts"), [(1, 3), (5, 3), (5, 10), (20, 3), (21, 3), (3600, 100)])
def test_nobody_may_be_lost_before_it_is_silent(objects: Objects, max_nodes: int, interval: int, attempts: int) -> None:
    spec = spec_of(2, max_nodes, heartbeat_interval_seconds=interval, max_missed=attempts)
    for timeout in (spec.silent_seconds - 1, spec.silent_seconds):
        asked = changed(spec, suspect_seconds=timeout)
        # What the code does with it is what was asked for, or the API server refuses it.
        expected = None if asked.suspect_seconds == timeout else SUSPECT
        check(expected, partial(objects.create, rendezvous(**encode(asked))))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a" * 63, None),
        ("a" * 64, ("metadata.name", "may not be more than 63")),
        # Allowed for most kinds, but here a dot ends the name of the rendezvous within that of a participant.
        ("a.b", ("metadata.name", "should match")),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 10 else None,
)
def test_name_of_a_rendezvous(objects: Objects, name: str, expected: Refusal) -> None:
    check(expected, lambda: objects.create(rendezvous(name)))


@pytest.mark.parametrize(("before", "status", "expected"), STATUS_CASES)
def test_status_of_a_rendezvous(objects: Objects, before: list[Json], status: Json | None, expected: Refusal) -> None:
    found = objects.create(rendezvous())
    for earlier in before:
        found = objects.replace_status(found, earlier)
    check(expected, lambda: objects.replace_status(found, status))


def test_size_of_a_round_is_held_against_the_spec_of_that_moment(objects: Objects) -> None:
    found = objects.replace_status(objects.create(rendezvous()), published(1, 4))
    found = objects.replace({**found, "spec": {**found["spec"], "maxNodes": 3}})
    # The running round is too large now; its status can be written all the same.
    found = objects.replace_status(found, {**found["status"], "waitingNodes": 1})
    check(SIZE, lambda: objects.replace_status(found, published(2, 4)))
    check(None, lambda: objects.replace_status(found, published(2, 3)))


def test_largest_round_is_checked_within_the_cost_limit(objects: Objects) -> None:
    def group(incarnation: str) -> list[Json]:
        return [{**member, "name": f"{'x' * 245}.{i:06}"} for i, member in enumerate(large(incarnation))]

    def large(incarnation: str) -> list[Json]:
        return members(*range(names.MAX_NODES), incarnation=incarnation)

    found = objects.create(rendezvous(maxNodes=names.MAX_NODES))
    found = objects.replace_status(found, published(1, names.MAX_NODES, participants=group("aaaaaaaa")))
    found = objects.replace_status(found, {**found["status"], "waitingNodes": 1})
    swapped = group("bbbbbbbb")
    swapped[1000], swapped[1001] = swapped[1001], swapped[1000]
    check(ORDER, lambda: objects.replace_status(found, published(2, names.MAX_NODES, participants=swapped)))
    found = objects.replace_status(found, published(2, names.MAX_NODES, participants=group("bbbbbbbb")))
    changed = [*found["status"]["participants"][:-1], {**found["status"]["participants"][-1], "attempt": 9}]
    check(MEMBERS_CHANGED, lambda: objects.replace_status(found, {**found["status"], "participants": changed}))


def test_the_moments_of_a_round_are_kept_to_the_microsecond(objects: Objects) -> None:
    found = objects.replace_status(objects.create(rendezvous()), history())
    assert decode(RoundRecord, found["status"]["history"][0]) == RECORD


def test_condition_may_not_be_there_twice(objects: Objects) -> None:
    running = {
        "type": "Running",
        "status": "True",
        "reason": "Running",
        "message": "",
        "lastTransitionTime": "2026-01-02T03:04:05Z",
    }
    found = objects.create(rendezvous())
    check(
        ("status.conditions[1]", "Duplicate value"),
        lambda: objects.replace_status(found, {"conditions": [running] * 2}),
    )
    check(None, lambda: objects.replace_status(found, {"conditions": [running, {**running, "type": "Complete"}]}))


@pytest.mark.parametrize(("name", "spec", "expected"), PARTICIPANT_CASES)
def test_spec_of_a_participant(objects: Objects, name: str, spec: Json, expected: Refusal) -> None:
    check(expected, lambda: objects.create(participant(name, **spec)))


@pytest.mark.parametrize(("before", "changes", "expected"), CHANGE_CASES)
def test_change_of_a_participant(objects: Objects, before: Json, changes: Json, expected: Refusal) -> None:
    found = objects.create(participant(**before))
    check(expected, lambda: objects.replace({**found, "spec": without_removed({**found["spec"], **changes})}))


def test_server_fills_in_the_defaults_of_the_dataclasses(objects: Objects) -> None:
    found = objects.create(rendezvous())
    assert found["spec"] == encode(RendezvousSpec(min_nodes=2, max_nodes=4))
    assert objects.replace_status(found, {})["status"] == encode(RendezvousStatus())
    found = objects.replace_status(objects.create(participant()), {"incarnation": "abcd1234"})
    assert found["status"] == encode(ParticipantStatus(incarnation="abcd1234"))


def test_spec_and_status_are_written_apart(objects: Objects) -> None:
    found = objects.create({**rendezvous(), "status": published(1, 2)})
    assert "status" not in found
    found = objects.replace_status({**found, "spec": {**SPEC, "maxNodes": 3}}, published(1, 2))
    assert found["spec"]["maxNodes"] == 4
    assert objects.replace({**found, "status": published(2, 3)})["status"]["round"] == 1


def rules(node: Any) -> Iterator[str]:
    """The messages of all rules in a CRD."""
    if isinstance(node, dict) and "rule" in node:
        yield node["message"]
    elif isinstance(node, dict | list):
        for child in node.values() if isinstance(node, dict) else node:
            yield from rules(child)


def test_every_rule_of_the_crds_has_a_case_that_it_refuses() -> None:
    cases = [*SPEC_CASES, *STATUS_CASES, *PARTICIPANT_CASES, *CHANGE_CASES]
    refused = {case.values[-1][1] for case in cases if case.values[-1] is not None}
    found = {message for path in (ROOT / "crds").glob("*.yaml") for message in rules(yaml.safe_load(path.read_text()))}
    assert found
    assert found <= refused
