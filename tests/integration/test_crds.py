"""What a real API server makes of the CRDs: what it refuses, what it fills in, what kubectl shows."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client, config

from rendezvous_api import names
from rendezvous_api.codec import decode, encode
from rendezvous_api.participant import ParticipantStatus
from rendezvous_api.rendezvous import RendezvousSpec, RendezvousStatus, RoundRecord
from rendezvous_controlplane import LocalControlPlane

ROOT = Path(__file__).parents[2]
Json = dict[str, Any]
Refusal = tuple[str, str] | None
"""The field that the API server complains of and the words in which it does; None: it accepts."""

SPEC = {"minNodes": 2, "maxNodes": 4}
STORE = {"host": "10.0.0.1", "port": 29500}
REMOVED = None
"""As the value of a field: the field is left out."""


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
    with config.new_client_from_config(str(control_plane.kubeconfig)) as api_client:
        yield client.CustomObjectsApi(api_client)


@pytest.fixture
def objects(api: Any, namespace: str) -> Objects:
    return Objects(api, namespace)


def without_removed(value: Json) -> Json:
    return {key: item for key, item in value.items() if item is not REMOVED}


def rendezvous(name: str = "train", **spec: Any) -> Json:
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.RENDEZVOUS_KIND,
        "metadata": {"name": name},
        "spec": without_removed({**SPEC, **spec}),
    }


def participant(name: str = "train.train-0", **spec: Any) -> Json:
    joined = {
        "rendezvousName": "train",
        "rendezvousUID": "0b5c7d5e-64ab-4c47-8b4f-5c6d2f9e9b1a",
        "runID": "run-1",
        "nodeID": "train-0",
        "incarnation": "abcd1234",
        "attempt": 2,
        "attemptReason": "Start",
        "address": "10.0.0.1",
        "storePort": 29500,
        "podName": "train-0",
        "podUID": "4d5c4d0f-5ad9-4f9b-8d56-9f4f33c4fcd5",
        "state": "Joined",
    }
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.PARTICIPANT_KIND,
        "metadata": {"name": name},
        "spec": without_removed({**joined, **spec}),
    }


def members(*ranks: int, incarnation: str = "abcd1234") -> list[Json]:
    return [{"name": f"train.train-{rank}", "incarnation": incarnation, "attempt": 1, "rank": rank} for rank in ranks]


def published(number: int, nodes: int, **changes: Any) -> Json:
    """A status with a round."""
    status = {"runID": "run-1", "round": number, "nodes": nodes, "participants": members(*range(nodes)), "store": STORE}
    return without_removed({**status, **changes})


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


def table(*cases: tuple[Any, ...]) -> Any:
    return [pytest.param(*case[1:], id=case[0]) for case in cases]


MIN_MAX = ("spec.minNodes", "`minNodes` must be less than or equal to `maxNodes`")
SUSPECT = (
    "spec.suspectTimeoutSeconds",
    "`suspectTimeoutSeconds` must be greater than or equal to `keepAliveMaxAttempts` times the time between two "
    "heartbeats, which is the greater of `keepAliveIntervalSeconds` and `maxNodes` / 50, rounded up",
)
ONE_OF_BOTH = ("spec.sizes", "`sizes` must have exactly one of `step` and `list`")
MIN_STEP = ("spec.minNodes", "`minNodes` must be a multiple of `sizes.step`")
MAX_STEP = ("spec.maxNodes", "`maxNodes` must be a multiple of `sizes.step`")
BETWEEN = ("spec.sizes.list", "each of `sizes.list` must be between `minNodes` and `maxNodes`")
SPEC_CASES = table(
    ("fixed size", {"minNodes": 3, "maxNodes": 3}, None),
    ("more at least than at most", {"minNodes": 3, "maxNodes": 2}, MIN_MAX),
    ("suspected when silent", {"keepAliveIntervalSeconds": 40, "suspectTimeoutSeconds": 120}, None),
    ("lost before silent", {"keepAliveIntervalSeconds": 40, "suspectTimeoutSeconds": 119}, SUSPECT),
    ("lost before silent by default", {"keepAliveMaxAttempts": 25}, SUSPECT),
    ("lost before silent in a large group", {"maxNodes": 2000, "keepAliveMaxAttempts": 10}, SUSPECT),
    ("no nodes", {"minNodes": 0}, ("spec.minNodes", "greater than or equal to 1")),
    ("largest", {"maxNodes": 2000}, None),
    (
        "too large",
        {"maxNodes": 2001, "suspectTimeoutSeconds": 200},
        ("spec.maxNodes", "less than or equal to 2000"),
    ),
    ("min left out", {"minNodes": REMOVED}, ("spec.minNodes", "Required value")),
    ("no last call", {"lastCallTimeoutSeconds": 0}, None),
    ("no replacement time", {"replacementTimeoutSeconds": 0}, None),
    ("no scale-up interval", {"scaleUpIntervalSeconds": 0}, None),
    ("a week", {"joinTimeoutSeconds": 604800}, None),
    ("no join time", {"joinTimeoutSeconds": 0}, ("spec.joinTimeoutSeconds", "greater than or equal to 1")),
    ("no heartbeat", {"keepAliveIntervalSeconds": 0}, ("spec.keepAliveIntervalSeconds", "greater than or equal to 1")),
    ("no re-entry time", {"reentryTimeoutSeconds": 0}, ("spec.reentryTimeoutSeconds", "greater than or equal to 1")),
    ("a part of a second", {"joinTimeoutSeconds": 1.5}, ("spec.joinTimeoutSeconds", "must be of type int")),
    ("no restarts, deleted at once", {"maxRestarts": 0, "ttlSecondsAfterClosed": 0}, None),
    ("fewer than no restarts", {"maxRestarts": -1}, ("spec.maxRestarts", "greater than or equal to 0")),
    ("run with spaces and umlauts", {"runID": "Übung 7/b"}, None),
    ("longest run", {"runID": "r" * 253}, None),
    ("run too long", {"runID": "r" * 254}, ("spec.runID", "may not be more than 253")),
    ("empty run", {"runID": ""}, ("spec.runID", "should be at least 1 chars long")),
    ("run of two lines", {"runID": "a\nb"}, ("spec.runID", "should match")),
    ("sizes by a step", {"sizes": {"step": 2}}, None),
    ("sizes by a step as large as the group", {"minNodes": 2000, "maxNodes": 2000, "sizes": {"step": 2000}}, None),
    ("sizes by a list", {"sizes": {"list": [4, 2]}}, None),
    ("sizes by a list between min and max", {"sizes": {"list": [3]}}, None),
    ("sizes by nothing", {"sizes": {}}, ONE_OF_BOTH),
    ("sizes by both", {"sizes": {"step": 2, "list": [2]}}, ONE_OF_BOTH),
    ("sizes that are no object", {"sizes": 2}, ("spec.sizes", "must be of type object")),
    ("sizes that min does not fit", {"minNodes": 3, "sizes": {"step": 2}}, MIN_STEP),
    ("sizes that max does not fit", {"maxNodes": 5, "sizes": {"step": 2}}, MAX_STEP),
    ("sizes below min", {"sizes": {"list": [1, 2]}}, BETWEEN),
    ("sizes above max", {"sizes": {"list": [2, 5]}}, BETWEEN),
    ("sizes by no step", {"sizes": {"step": 0}}, ("spec.sizes.step", "greater than or equal to 1")),
    ("sizes by an empty list", {"sizes": {"list": []}}, ("spec.sizes.list", "should have at least 1 items")),
    ("sizes twice", {"sizes": {"list": [2, 4, 2]}}, ("spec.sizes.list[2]", "Duplicate value")),
    ("sizes by words", {"sizes": {"list": ["2"]}}, ("spec.sizes.list[0]", "must be of type integer")),
    ("most sizes", {"maxNodes": 200, "sizes": {"list": [*range(2, 102)]}}, None),
    ("more sizes", {"maxNodes": 200, "sizes": {"list": [*range(2, 103)]}}, ("spec.sizes.list", "at most 100 items")),
)


@pytest.mark.parametrize(("spec", "expected"), SPEC_CASES)
def test_spec_of_a_rendezvous(objects: Objects, spec: Json, expected: Refusal) -> None:
    check(expected, lambda: objects.create(rendezvous(**spec)))


def test_what_fits_the_sizes_no_more_is_refused_in_an_edit(objects: Objects) -> None:
    found = objects.create(rendezvous(sizes={"step": 2}))
    check(MAX_STEP, lambda: objects.replace({**found, "spec": {**found["spec"], "maxNodes": 7}}))
    found = objects.replace({**found, "spec": {**found["spec"], "sizes": {"list": [2, 4]}}})
    check(BETWEEN, lambda: objects.replace({**found, "spec": {**found["spec"], "maxNodes": 3}}))
    check(None, lambda: objects.replace({**found, "spec": {**found["spec"], "maxNodes": 7}}))


@pytest.mark.parametrize("max_nodes", [4, 250, 251, 1000, 1001, names.MAX_NODES])
@pytest.mark.parametrize(("interval", "attempts"), [(1, 3), (5, 3), (5, 10), (20, 3), (21, 3), (3600, 100)])
def test_nobody_may_be_lost_before_it_is_silent(objects: Objects, max_nodes: int, interval: int, attempts: int) -> None:
    spec = RendezvousSpec(2, max_nodes, keep_alive_interval_seconds=interval, keep_alive_max_attempts=attempts)
    for timeout in (spec.keep_alive_seconds - 1, spec.keep_alive_seconds):
        asked = replace(spec, suspect_timeout_seconds=timeout)
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


REMOVAL = ("status", "`status` may not be removed once it is set")
SIZE = ("status.nodes", "the size of a new round must be between `spec.minNodes` and `spec.maxNodes`")
BACK = ("status.round", "`round` may not decrease")
COUNT = ("status.nodes", "`nodes` must be the number of `participants`")
INCOMPLETE = ("status.round", "a published round must have `runID`, `participants` and `store`")
NO_ROUND = ("status.round", "`participants` and `store` may not be set when `round` is 0")
ORDER = (
    "status.participants",
    "`participants` must be in the order of their ranks, from 0 to `nodes` - 1 without gaps",
)
MEMBERS_CHANGED = ("status.participants", "the members of a published round may not change")
STORE_CHANGED = ("status.store", "the store of a published round may not change")

OTHERS = members(0, 1, incarnation="zzzz9999")
RECORD = RoundRecord(
    round=1,
    run_id="run-1",
    nodes=2,
    formed="2030-01-01T00:00:00.000000Z",
    checked_in="2030-01-01T00:00:01.250000Z",
    last_heard="2030-01-01T00:10:00.000001Z",
    asked="2030-01-01T00:12:00.100000Z",
    ended="2030-01-01T00:12:05.999999Z",
    reason="MemberLost",
    message="m" * names.MAX_MESSAGE_LENGTH,
)


def history(**changes: Any) -> Json:
    return {"history": [without_removed({**encode(RECORD), **changes})]}


STATUS_CASES = table(
    # name, the statuses before, the next one, what is expected of it
    ("nothing yet", [], {"waitingNodes": 1}, None),
    ("claimed", [], {"runID": "run-1"}, None),
    ("status removed", [{"runID": "run-1"}], None, REMOVAL),
    ("first round", [], published(1, 2), None),
    ("first round after a claim", [{"runID": "run-1"}], published(1, 2), None),
    ("largest round", [], published(1, 4), None),
    ("first round too small", [], published(1, 1), SIZE),
    ("first round too large", [], published(1, 5), SIZE),
    ("later round too small", [published(1, 2)], published(2, 1), SIZE),
    ("next round", [published(1, 2)], published(2, 3), None),
    ("a round left out", [published(1, 2)], published(3, 3), None),
    ("round before", [published(2, 2)], published(1, 2), BACK),
    ("counts and conditions", [published(1, 2)], published(1, 2, waitingNodes=2, restarts=1), None),
    ("too few counted", [], published(1, 2, participants=members(0, 1, 2)), COUNT),
    ("members removed", [published(1, 2)], published(1, 2, participants=REMOVED), COUNT),
    ("everybody removed", [published(1, 2)], published(1, 0, participants=REMOVED), INCOMPLETE),
    ("round without a store", [published(1, 2)], published(2, 2, store=REMOVED), INCOMPLETE),
    ("round without a run", [published(1, 2)], published(2, 2, runID=REMOVED), INCOMPLETE),
    ("store without a round", [], {"store": STORE}, NO_ROUND),
    ("members without a round", [], {"participants": members(0, 1), "nodes": 2}, NO_ROUND),
    ("ranks in order", [], published(1, 4, participants=members(0, 1, 2, 3)), None),
    ("ranks swapped", [], published(1, 2, participants=members(1, 0)), ORDER),
    ("ranks swapped inside", [], published(1, 4, participants=members(0, 2, 1, 3)), ORDER),
    ("a rank twice, one missing", [], published(1, 4, participants=members(0, 1, 1, 3)), ORDER),
    ("a rank twice, none missing", [], published(1, 4, participants=members(0, 1, 2, 2)), ORDER),
    ("only the last rank right", [], published(1, 4, participants=members(3, 3, 3, 3)), ORDER),
    ("first rank 1", [], published(1, 2, participants=members(1, 2)), ORDER),
    ("gap", [], published(1, 3, participants=members(0, 1, 3)), ORDER),
    ("rank beyond the list", [], published(1, 3, participants=members(0, 1999, 2)), ORDER),
    ("rank 0 everywhere", [], published(1, 3, participants=members(0, 0, 0)), ORDER),
    ("other members", [published(1, 2)], published(1, 2, participants=OTHERS), MEMBERS_CHANGED),
    ("one member more", [published(1, 2)], published(1, 3), MEMBERS_CHANGED),
    ("other members in a new round", [published(1, 2)], published(2, 2, participants=OTHERS), None),
    ("other store", [published(1, 2)], published(1, 2, store={**STORE, "port": 29501}), STORE_CHANGED),
    ("other store in a new round", [published(1, 2)], published(2, 2, store={**STORE, "port": 29501}), None),
    ("next run claims", [published(1, 2)], published(1, 2, runID="run-2"), None),
    ("history of a round", [], history(), None),
    ("round that runs", [], history(**dict.fromkeys(("lastHeard", "asked", "ended", "reason", "message"))), None),
    ("round never formed", [], history(formed=REMOVED), ("status.history[0].formed", "Required value")),
    ("asked at no time", [], history(asked="then"), ("status.history[0].asked", "must be of type date-time")),
    ("reason of no kind", [], history(reason="Lost"), ("status.history[0].reason", "Unsupported value")),
    ("long message", [], history(message="m" * 1025), ("status.history[0].message", "may not be more than 1024")),
)


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
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "Running",
        "message": "",
        "lastTransitionTime": "2026-01-02T03:04:05Z",
    }
    found = objects.create(rendezvous())
    check(
        ("status.conditions[1]", "Duplicate value"), lambda: objects.replace_status(found, {"conditions": [ready] * 2})
    )
    check(None, lambda: objects.replace_status(found, {"conditions": [ready, {**ready, "type": "Closed"}]}))


NAME = ("spec.rendezvousName", "`metadata.name` must begin with `spec.rendezvousName` and a dot")
POD = ("spec.podUID", "`podName` and `podUID` must be set together")
LEAVE = ("spec.leaveReason", "`leaveReason` must be set when `state` is `Left`, and may not be set otherwise")
PARTICIPANT_CASES = table(
    # what is called, its spec, what is expected
    ("in a pod", "train.train-0", {}, None),
    ("second agent of a pod", "train.train-0.1", {}, None),
    ("of another rendezvous", "train.train-0", {"rendezvousName": "other"}, NAME),
    ("name of the rendezvous alone", "train", {}, NAME),
    ("longer name of a rendezvous", "trainer.train-0", {}, NAME),
    ("outside a pod", "train.host-7", {"podName": REMOVED, "podUID": REMOVED}, None),
    ("pod without a UID", "train.train-0", {"podUID": REMOVED}, POD),
    ("pod without a name", "train.train-0", {"podName": REMOVED}, POD),
    ("left", "train.train-0", {"state": "Left", "leaveReason": "Failed"}, None),
    ("left without a reason", "train.train-0", {"state": "Left"}, LEAVE),
    ("a reason without leaving", "train.train-0", {"leaveReason": "Failed"}, LEAVE),
    ("state of no kind", "train.train-0", {"state": "Lost"}, ("spec.state", "Unsupported value")),
    ("no run", "train.train-0", {"runID": REMOVED}, None),
    ("run of two lines", "train.train-0", {"runID": "a\nb"}, ("spec.runID", "should match")),
    ("IPv6 address with a zone", "train.train-0", {"address": "fe80::1%eth0"}, None),
    ("host name", "train.train-0", {"address": "Train_0.example.com"}, None),
    ("address with a port", "train.train-0", {"address": "10.0.0.1 29500"}, ("spec.address", "should match")),
    ("no port", "train.train-0", {"storePort": 0}, ("spec.storePort", "greater than or equal to 1")),
    ("port too high", "train.train-0", {"storePort": 65536}, ("spec.storePort", "less than or equal to 65535")),
    ("attempt 0", "train.train-0", {"attempt": 0}, ("spec.attempt", "greater than or equal to 1")),
    ("long incarnation", "train.train-0", {"incarnation": "abcd12345"}, ("spec.incarnation", "may not be more than 8")),
    ("upper-case incarnation", "train.train-0", {"incarnation": "ABCD1234"}, ("spec.incarnation", "should match")),
)


@pytest.mark.parametrize(("name", "spec", "expected"), PARTICIPANT_CASES)
def test_spec_of_a_participant(objects: Objects, name: str, spec: Json, expected: Refusal) -> None:
    check(expected, lambda: objects.create(participant(name, **spec)))


def immutable(field: str) -> Refusal:
    return f"spec.{field}", f"`{field}` may not change"


RUN = ("spec.runID", "`runID` may not change within one `incarnation`")
ATTEMPT = ("spec.attempt", "`attempt` may not decrease within one `incarnation`")
OUTSIDE = {"podName": REMOVED, "podUID": REMOVED}
CHANGE_CASES = table(
    # name, the spec before, what changes in it, what is expected
    ("next attempt", {}, {"attempt": 3, "attemptReason": "WorkerFailure", "storePort": 29501}, None),
    ("same attempt", {}, {"closeRequested": True}, None),
    ("attempt before", {}, {"attempt": 1}, ATTEMPT),
    ("restarted agent", {}, {"attempt": 1, "incarnation": "efgh5678"}, None),
    ("another run", {}, {"runID": "run-2"}, RUN),
    ("run forgotten", {}, {"runID": REMOVED}, RUN),
    ("run found later", {"runID": REMOVED}, {"runID": "run-1"}, RUN),
    ("still no run", {"runID": REMOVED}, {"attempt": 3}, None),
    ("another run after a restart", {}, {"runID": "run-2", "incarnation": "efgh5678"}, None),
    ("leaves", {}, {"state": "Left", "leaveReason": "Succeeded"}, None),
    ("another rendezvous", {}, {"rendezvousName": "other", "incarnation": "efgh5678"}, NAME),
    ("another node", {}, {"nodeID": "train-1", "incarnation": "efgh5678"}, immutable("nodeID")),
    ("another pod of the name", {}, {"podUID": "other", "incarnation": "efgh5678"}, immutable("podUID")),
    ("another name of the pod", {}, {"podName": "other", "incarnation": "efgh5678"}, immutable("podName")),
    ("still outside a pod", OUTSIDE, {"attempt": 3}, None),
    ("another rendezvous of the name", {}, {"rendezvousUID": "other", "attempt": 3}, None),
)


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
