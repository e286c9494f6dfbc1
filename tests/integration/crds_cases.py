"""What is written to the CRDs' objects, and what a real API server makes of it: accepted, or refused for one reason."""

from typing import Any

import pytest
from tests.support import objects
from tests.support.objects import REMOVED, Json, without_removed

from rendezvous_api import names
from rendezvous_api.codec import encode
from rendezvous_api.rendezvous import RoundRecord

Refusal = tuple[str, str] | None
"""The field that the API server complains of and the words in which it does; None: it accepts."""

SPEC = {"minNodes": 2, "maxNodes": 4}
STORE = {"host": "10.0.0.1", "port": 29500}


def rendezvous(name: str = "train", **spec: Any) -> Json:
    return objects.rendezvous(name, **{**SPEC, **spec})


def participant(name: str = "train.train-0", **spec: Any) -> Json:
    in_pod = {"podName": "train-0", "podUID": "4d5c4d0f-5ad9-4f9b-8d56-9f4f33c4fcd5"}
    defaults = {"runID": "run-1", "attempt": 2, **in_pod}
    return objects.participant("train-0", metadata={"name": name}, **{**defaults, **spec})


def members(*ranks: int, incarnation: str = "abcd1234") -> list[Json]:
    return [{"name": f"train.train-{rank}", "incarnation": incarnation, "attempt": 1, "rank": rank} for rank in ranks]


def published(number: int, nodes: int, **changes: Any) -> Json:
    """A status with a round."""
    status = {
        "run": {"id": "run-1"},
        "round": number,
        "nodes": nodes,
        "participants": members(*range(nodes)),
        "store": STORE,
    }
    return without_removed({**status, **changes})


def table(*cases: tuple[Any, ...]) -> Any:
    return [pytest.param(*case[1:], id=case[0]) for case in cases]


# ---- the status of a Rendezvous

REMOVAL = ("status", "`status` may not be removed once it is set")
SIZE = ("status.nodes", "the size of a new round must be between `spec.minNodes` and `spec.maxNodes`")
BACK = ("status.round", "`round` may not decrease")
COUNT = ("status.nodes", "`nodes` must be the number of `participants`")
INCOMPLETE = ("status.round", "a published round must have `run`, `participants` and `store`")
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


LONGEST_RUN = "a/2" + "/" * 251
"""Of the longest ``--rdzv-id``, with one more character; see `run_names.name_of_id`."""
CLOSED = {"runID": LONGEST_RUN, "reason": "RunSucceeded"}


def history(**changes: Any) -> Json:
    return {"history": [without_removed({**encode(RECORD), **changes})]}


DOMAINS = {"keys": ["block"], "domains": [{"values": ["b1"], "nodes": 1}, {"values": [""], "nodes": 1}]}

STATUS_CASES = table(
    # name, the statuses before, the next one, what is expected of it
    ("nothing yet", [], {"waitingNodes": 1}, None),
    ("claimed", [], {"run": {"id": "run-1"}}, None),
    ("status removed", [{"run": {"id": "run-1"}}], None, REMOVAL),
    ("first round", [], published(1, 2), None),
    ("first round after a claim", [{"run": {"id": "run-1"}}], published(1, 2), None),
    ("run of the longest id", [], published(1, 2, run={"id": LONGEST_RUN}, closedRuns=[CLOSED]), None),
    ("round of the longest id", [], history(runID=LONGEST_RUN), None),
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
    ("round without a run", [published(1, 2)], published(2, 2, run=REMOVED), INCOMPLETE),
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
    ("next run claims", [published(1, 2)], published(1, 2, run={"id": "run-2"}), None),
    ("where the members are", [], published(1, 2, topology=DOMAINS), None),
    ("longest value of a label", [], published(1, 2, topology={"domains": [{"values": ["v" * 63], "nodes": 2}]}), None),
    ("history of a round", [], history(), None),
    ("round that runs", [], history(**dict.fromkeys(("lastHeard", "asked", "ended", "reason", "message"))), None),
    ("round never formed", [], history(formed=REMOVED), ("status.history[0].formed", "Required value")),
    ("asked at no time", [], history(asked="then"), ("status.history[0].asked", "must be of type date-time")),
    ("reason of a later release", [], history(reason="Lost"), None),
    ("reason of two words", [], history(reason="Got lost"), ("status.history[0].reason", "should match")),
    ("long message", [], history(message="m" * 1025), ("status.history[0].message", "may not be more than 1024")),
)


# ---- participants

NAME = ("spec.rendezvousName", "`metadata.name` must begin with `spec.rendezvousName` and a dot")
POD = ("spec.podUID", "`podName` and `podUID` must be set together")
LEAVE = ("spec.leaveReason", "`leaveReason` must be set when `state` is `Left`, and may not be set otherwise")
STAYS_OUT = {"state": "Left", "leaveReason": "Terminated"}
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
    ("stays out", "train.train-0", {**STAYS_OUT, "unhealthy": "gpus: 7 of 8 are there"}, None),
    ("finds two lines", "train.train-0", {**STAYS_OUT, "unhealthy": "a\nb"}, ("spec.unhealthy", "should match")),
    (
        "finds much",
        "train.train-0",
        {**STAYS_OUT, "unhealthy": "a" * 1025},
        ("spec.unhealthy", "may not be more than 1024"),
    ),
    ("a reason without leaving", "train.train-0", {"leaveReason": "Failed"}, LEAVE),
    ("words of a later release", "train.train-0", {"state": "Draining", "attemptReason": "Drain2"}, None),
    ("state of two words", "train.train-0", {"state": "Is lost"}, ("spec.state", "should match")),
    ("a long word", "train.train-0", {"attemptReason": "A" * 65}, ("spec.attemptReason", "may not be more than 64")),
    ("no word", "train.train-0", {"attemptReason": ""}, ("spec.attemptReason", "should be at least 1 chars long")),
    ("no run", "train.train-0", {"runID": REMOVED}, None),
    ("run of two lines", "train.train-0", {"runID": "a\nb"}, ("spec.runID", "should match")),
    ("longest run", "train.train-0", {"runID": "r" * 253, "lastRunID": "r" * 253 + "/"}, None),
    ("run too long", "train.train-0", {"runID": "r" * 254}, ("spec.runID", "may not be more than 253")),
    ("last launch", "train.train-0", {"launch": 999_999_998}, None),
    ("launch too high", "train.train-0", {"launch": 999_999_999}, ("spec.launch", "less than or equal to 999999998")),
    ("IPv6 address with a zone", "train.train-0", {"address": "fe80::1%eth0"}, None),
    ("host name", "train.train-0", {"address": "Train_0.example.com"}, None),
    ("address with a port", "train.train-0", {"address": "10.0.0.1 29500"}, ("spec.address", "should match")),
    ("no port", "train.train-0", {"storePort": 0}, ("spec.storePort", "greater than or equal to 1")),
    ("port too high", "train.train-0", {"storePort": 65536}, ("spec.storePort", "less than or equal to 65535")),
    ("attempt 0", "train.train-0", {"attempt": 0}, ("spec.attempt", "greater than or equal to 1")),
    ("long incarnation", "train.train-0", {"incarnation": "abcd12345"}, ("spec.incarnation", "may not be more than 8")),
    ("upper-case incarnation", "train.train-0", {"incarnation": "ABCD1234"}, ("spec.incarnation", "should match")),
)


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
    ("takes part again", STAYS_OUT, {"state": "Joined", "leaveReason": REMOVED, "attempt": 3}, None),
    ("another rendezvous", {}, {"rendezvousName": "other", "incarnation": "efgh5678"}, NAME),
    ("another node", {}, {"nodeID": "train-1", "incarnation": "efgh5678"}, immutable("nodeID")),
    ("another pod of the name", {}, {"podUID": "other", "incarnation": "efgh5678"}, immutable("podUID")),
    ("another name of the pod", {}, {"podName": "other", "incarnation": "efgh5678"}, immutable("podName")),
    ("still outside a pod", OUTSIDE, {"attempt": 3}, None),
    ("another rendezvous of the name", {}, {"rendezvousUID": "other", "attempt": 3}, None),
)
