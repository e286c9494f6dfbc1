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


# ---- the spec of a Rendezvous

MIN_MAX = ("spec.minNodes", "`minNodes` must be less than or equal to `maxNodes`")
SUSPECT = (
    "spec.timeouts.suspectSeconds",
    "`timeouts.suspectSeconds` must be greater than or equal to `heartbeat.maxMissed` times the time between two "
    "heartbeats, which is the greater of `heartbeat.intervalSeconds` and `maxNodes` / 50, rounded up",
)
ONE_OF_BOTH = ("spec.sizes", "`sizes` must have exactly one of `step` and `list`")
MIN_STEP = ("spec.minNodes", "`minNodes` must be a multiple of `sizes.step`")
MAX_STEP = ("spec.maxNodes", "`maxNodes` must be a multiple of `sizes.step`")
BETWEEN = ("spec.sizes.list", "each of `sizes.list` must be between `minNodes` and `maxNodes`")
SIZE_OF_GROUPS = ("spec.nodes.groupKey", "`nodes.groupKey` must have `nodes.groupSize` beside it")
KEY_OF_GROUPS = ("spec.nodes.groupSize", "`nodes.groupSize` must have `nodes.groupKey` beside it")
OTHER_MODE = ("spec.nodes.mode", "`nodes.mode` must be Together or Escalate")
MODE = ("spec.nodes.mode", "`nodes.mode` must have `nodes.groupKey` beside it")
ESCALATES = ("spec.nodes.escalationSeconds", "`nodes.escalationSeconds` must have the `nodes.mode` Escalate beside it")
ESCALATES_TOO_LATE = (
    "spec.timeouts.joinSeconds",
    "`timeouts.joinSeconds` must be greater than `nodes.escalationSeconds`, which is 300 if it is not set",
)
MIN_GROUPS = ("spec.minNodes", "`minNodes` must be a multiple of `nodes.groupSize`")
MAX_GROUPS = ("spec.maxNodes", "`maxNodes` must be a multiple of `nodes.groupSize`")
LIST_OF_GROUPS = ("spec.sizes.list", "each of `sizes.list` must be a multiple of `nodes.groupSize`")
IN_RACKS = {"groupKey": "example.com/rack", "groupSize": 2}
LISTED = (
    "spec.restarts.max",
    "`restarts.max` must be at most 100 beside `restarts.windowSeconds`, `restarts.perNode` or `restarts.perReason`",
)
PER_NODE = ("spec.restarts.perNode", "`restarts.perNode` must be at most `restarts.max`")
PER_REASON = ("spec.restarts.perReason", "each of `restarts.perReason` must be at most `restarts.max`")
POLICY = ("spec.ranks.policy", "`ranks.policy` must be `Stable` or `Topology`")
KEYS = ("spec.ranks.policy", "`ranks.keys` must be set with `Topology`, and may not be set otherwise")
SEGMENT_ALONE = ("spec.ranks.segmentSize", "`ranks.segmentSize` may be set only with `Topology`")
MIN_SEGMENT = ("spec.minNodes", "`minNodes` must be a multiple of `ranks.segmentSize`")
MAX_SEGMENT = ("spec.maxNodes", "`maxNodes` must be a multiple of `ranks.segmentSize`")
LIST_SEGMENT = ("spec.sizes.list", "each of `sizes.list` must be a multiple of `ranks.segmentSize`")
BLOCK, RACK, HOST = "cloud.provider.com/topology-block", "cloud.provider.com/topology-rack", "kubernetes.io/hostname"
"""The levels of the Topology in the documentation of Kueue."""
TWICE = ("spec.ranks.keys", "`ranks.keys` may not have a key twice")
NO_FAILURE = ("spec.restarts.perReason", "at least 1")
"""The API server leaves an unknown field out, and then nothing is left."""
ALL_KINDS = {"memberLost": 3, "memberFailed": 0, "workerFailed": 1, "checkInFailed": 2}


def topology(*keys: str, segment: int | None = None) -> Json:
    return {"ranks": {"policy": "Topology", "keys": [*keys], **({} if segment is None else {"segmentSize": segment})}}


def alone(field: str) -> Refusal:
    return (f"spec.restarts.{field}", f"`restarts.{field}` must have `restarts.max` beside it")


EVERY_MARK = {
    "cordoned": True,
    "knownMarks": True,
    "taints": ["a", "a.example.com/b=c", "a:NoExecute", "a=b:NoSchedule", "a/*:PreferNoSchedule", "a="],
    "labels": ["a", "a/b=c", "a/*", "*"],
    "conditions": ["A", "A=False", "A=Unknown", "A*=True"],
    "names": [f"gpu-{number}.example.com" for number in range(1000)],
}
NO_MARK = {"cordoned": False, "knownMarks": False}
NO_MARK_COUNTS = (
    "spec.nodes.tooFewSeconds",
    "`nodes.tooFewSeconds` must have a mark in `nodes.exclude` that can keep nodes out",
)
NO_FAILURES = (
    "spec.nodes.failureWindowSeconds",
    "`nodes.failureWindowSeconds` must have `nodes.maxFailuresPerNode` beside it",
)


SPEC_CASES = table(
    ("fixed size", {"minNodes": 3, "maxNodes": 3}, None),
    ("more at least than at most", {"minNodes": 3, "maxNodes": 2}, MIN_MAX),
    ("suspected when silent", {"heartbeatIntervalSeconds": 40, "suspectSeconds": 120}, None),
    ("lost before silent", {"heartbeatIntervalSeconds": 40, "suspectSeconds": 119}, SUSPECT),
    ("lost before silent by default", {"maxMissed": 25}, SUSPECT),
    ("lost before silent in a large group", {"maxNodes": 2000, "maxMissed": 10}, SUSPECT),
    ("no nodes", {"minNodes": 0}, ("spec.minNodes", "greater than or equal to 1")),
    ("largest", {"maxNodes": 2000}, None),
    (
        "too large",
        {"maxNodes": 2001, "suspectSeconds": 200},
        ("spec.maxNodes", "less than or equal to 2000"),
    ),
    ("min left out", {"minNodes": REMOVED}, ("spec.minNodes", "Required value")),
    ("no last call", {"lastCallSeconds": 0}, None),
    ("no replacement time", {"replacementSeconds": 0}, None),
    ("no time for pods", {"replacementPodSeconds": 0}, None),
    (
        "a negative time for pods",
        {"replacementPodSeconds": -1},
        ("spec.timeouts.replacementPodSeconds", "greater than or equal to 0"),
    ),
    ("no time to confirm", {"confirmSeconds": 0}, ("spec.timeouts.confirmSeconds", "greater than or equal to 1")),
    ("no scale-up interval", {"scaleUpIntervalSeconds": 0}, None),
    ("a week", {"joinSeconds": 604800}, None),
    ("no join time", {"joinSeconds": 0}, ("spec.timeouts.joinSeconds", "greater than or equal to 1")),
    ("rare heartbeats", {"heartbeatPeersIntervalSeconds": 300}, None),
    (
        "heartbeats that are not rare",
        {"heartbeatIntervalSeconds": 20, "heartbeatPeersIntervalSeconds": 20},
        (
            "spec.heartbeat.peersIntervalSeconds",
            "`heartbeat.peersIntervalSeconds` must be greater than `heartbeat.intervalSeconds`",
        ),
    ),
    (
        "heartbeats that are too rare",
        {"heartbeatPeersIntervalSeconds": 301},
        ("spec.heartbeat.peersIntervalSeconds", "less than or equal to 300"),
    ),
    ("no heartbeat", {"heartbeatIntervalSeconds": 0}, ("spec.heartbeat.intervalSeconds", "greater than or equal to 1")),
    ("no re-entry time", {"reentrySeconds": 0}, ("spec.timeouts.reentrySeconds", "greater than or equal to 1")),
    ("a part of a second", {"joinSeconds": 1.5}, ("spec.timeouts.joinSeconds", "must be of type int")),
    ("no restarts, deleted at once", {"maxRestarts": 0, "ttlSecondsAfterFinished": 0}, None),
    ("fewer than no restarts", {"maxRestarts": -1}, ("spec.restarts.max", "greater than or equal to 0")),
    ("restarts in a window", {"restarts": {"max": 100, "windowSeconds": 31536000}}, None),
    (
        "restarts by all limits",
        {"restarts": {"max": 3, "windowSeconds": 1, "perNode": 3, "perReason": ALL_KINDS}},
        None,
    ),
    ("restarts without a window", {"restarts": {"max": 1000000}}, None),
    ("no restarts of any kind", {"restarts": {"max": 0, "perNode": 0, "perReason": {"memberLost": 0}}}, None),
    ("a window without restarts", {"restarts": {"windowSeconds": 60}}, alone("windowSeconds")),
    ("restarts per node alone", {"restarts": {"perNode": 1}}, alone("perNode")),
    ("restarts per reason alone", {"restarts": {"perReason": {"memberLost": 1}}}, alone("perReason")),
    ("more in a window than are listed", {"restarts": {"max": 101, "windowSeconds": 60}}, LISTED),
    ("more per node than are listed", {"restarts": {"max": 101, "perNode": 1}}, LISTED),
    ("more per reason than are listed", {"restarts": {"max": 101, "perReason": {"memberLost": 1}}}, LISTED),
    ("more per node than for all", {"restarts": {"max": 3, "perNode": 4}}, PER_NODE),
    (
        "more per reason than for all",
        {"restarts": {"max": 3, "perReason": {**ALL_KINDS, "checkInFailed": 5}}},
        PER_REASON,
    ),
    ("restarts for no reason", {"restarts": {"max": 3, "perReason": {}}}, ("spec.restarts.perReason", "at least 1")),
    ("restarts for a reason that is no failure", {"restarts": {"max": 3, "perReason": {"scaleUp": 1}}}, NO_FAILURE),
    ("no window", {"restarts": {"max": 3, "windowSeconds": 0}}, ("spec.restarts.windowSeconds", "or equal to 1")),
    ("every mark", {"nodes": {"exclude": EVERY_MARK}}, None),
    ("no mark", {"nodes": {"exclude": NO_MARK, "maxFailuresPerNode": 0, "failureWindowSeconds": 1}}, None),
    ("no further marks", {"nodes": {"exclude": {"taints": [], "labels": [], "conditions": [], "names": []}}}, None),
    ("too few nodes without a mark", {"nodes": {"tooFewSeconds": 599}}, None),
    (
        "too few nodes for longer than they wait",
        {"nodes": {"tooFewSeconds": 600}},
        ("spec.nodes.tooFewSeconds", "`nodes.tooFewSeconds` must be less than `timeouts.joinSeconds`"),
    ),
    ("too few nodes by a name", {"nodes": {"exclude": {**NO_MARK, "names": ["gpu-7"]}, "tooFewSeconds": 1}}, None),
    ("too few nodes, and no mark", {"nodes": {"exclude": NO_MARK, "tooFewSeconds": 60}}, NO_MARK_COUNTS),
    ("too few nodes for no time", {"nodes": {"tooFewSeconds": 0}}, ("spec.nodes.tooFewSeconds", "or equal to 1")),
    ("a window without failures", {"nodes": {"failureWindowSeconds": 60}}, NO_FAILURES),
    (
        "more failures than are listed",
        {"nodes": {"maxFailuresPerNode": 101}},
        ("spec.nodes.maxFailuresPerNode", "or equal to 100"),
    ),
    (
        "a taint with a space",
        {"nodes": {"exclude": {"taints": ["a b"]}}},
        ("spec.nodes.exclude.taints[0]", "should match"),
    ),
    (
        "a taint with an effect",
        {"nodes": {"exclude": {"taints": ["a:Never"]}}},
        ("spec.nodes.exclude.taints[0]", "should match"),
    ),
    (
        "a label with an effect",
        {"nodes": {"exclude": {"labels": ["a:NoExecute"]}}},
        ("spec.nodes.exclude.labels[0]", "match"),
    ),
    (
        "a condition without sense",
        {"nodes": {"exclude": {"conditions": ["A=B"]}}},
        ("spec.nodes.exclude.conditions[0]", "should match"),
    ),
    (
        "a machine with a capital",
        {"nodes": {"exclude": {"names": ["GPU-7"]}}},
        ("spec.nodes.exclude.names[0]", "should match"),
    ),
    (
        "a machine twice",
        {"nodes": {"exclude": {"names": ["a", "a"]}}},
        ("spec.nodes.exclude.names[1]", "Duplicate value"),
    ),
    (
        "an empty mark",
        {"nodes": {"exclude": {"labels": [""]}}},
        ("spec.nodes.exclude.labels[0]", "at least 1 chars long"),
    ),
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
    ("replacement groups", {"nodes": IN_RACKS}, None),
    ("replacement groups by a label without a prefix", {"nodes": {**IN_RACKS, "groupKey": "rack_1.a"}}, None),
    ("replacement groups together", {"nodes": {**IN_RACKS, "mode": "Together"}}, None),
    ("replacement groups one after the other", {"nodes": {**IN_RACKS, "mode": "Escalate"}}, None),
    (
        "replacement groups after a while",
        {"nodes": {**IN_RACKS, "mode": "Escalate", "escalationSeconds": 599}},
        None,
    ),
    ("replacement groups and sizes", {"nodes": IN_RACKS, "sizes": {"list": [2, 4]}}, None),
    (
        "replacement groups and a step that both fit",
        {"minNodes": 6, "maxNodes": 12, "nodes": IN_RACKS, "sizes": {"step": 3}},
        None,
    ),
    ("replacement groups of no size", {"nodes": {"groupKey": "rack"}}, SIZE_OF_GROUPS),
    ("replacement groups of no label", {"nodes": {"groupSize": 2}}, KEY_OF_GROUPS),
    ("replacement groups of one", {"nodes": {**IN_RACKS, "groupSize": 1}}, ("spec.nodes.groupSize", "or equal to 2")),
    ("replacement groups of none", {"nodes": {**IN_RACKS, "groupSize": 0}}, ("spec.nodes.groupSize", "or equal to 2")),
    (
        "replacement groups of two labels",
        {"nodes": {**IN_RACKS, "groupKey": "rack,row"}},
        ("spec.nodes.groupKey", "should match"),
    ),
    ("replacement groups at random", {"nodes": {**IN_RACKS, "mode": "Often"}}, OTHER_MODE),
    ("a mode without replacement groups", {"nodes": {"mode": "Together"}}, MODE),
    ("a time without Escalate", {"nodes": {**IN_RACKS, "escalationSeconds": 60}}, ESCALATES),
    ("a time with Together", {"nodes": {**IN_RACKS, "mode": "Together", "escalationSeconds": 60}}, ESCALATES),
    (
        "replacement groups that are kept for too long",
        {"nodes": {**IN_RACKS, "mode": "Escalate", "escalationSeconds": 600}},
        ESCALATES_TOO_LATE,
    ),
    (
        "replacement groups that are kept for too long by default",
        {"joinSeconds": 300, "nodes": {**IN_RACKS, "mode": "Escalate"}},
        ESCALATES_TOO_LATE,
    ),
    ("a short join timeout without Escalate", {"joinSeconds": 300, "nodes": IN_RACKS}, None),
    (
        "no time with Escalate",
        {"nodes": {**IN_RACKS, "mode": "Escalate", "escalationSeconds": 0}},
        ("spec.nodes.escalationSeconds", "greater than or equal to 1"),
    ),
    ("no policy for nodes", {"nodes": {}}, None),
    ("replacement groups that min does not fit", {"minNodes": 3, "nodes": IN_RACKS}, MIN_GROUPS),
    ("replacement groups that max does not fit", {"maxNodes": 5, "nodes": IN_RACKS}, MAX_GROUPS),
    (
        "replacement groups that a size does not fit",
        {"nodes": IN_RACKS, "sizes": {"list": [2, 3]}},
        LIST_OF_GROUPS,
    ),
    ("sizes twice", {"sizes": {"list": [2, 4, 2]}}, ("spec.sizes.list[2]", "Duplicate value")),
    ("sizes by words", {"sizes": {"list": ["2"]}}, ("spec.sizes.list[0]", "must be of type integer")),
    ("stable ranks", {"ranks": {"policy": "Stable"}}, None),
    ("ranks by the levels of a Topology of Kueue", topology(BLOCK, RACK, HOST), None),
    ("ranks by short names", topology("region", "zone", "rack", segment=2), None),
    ("ranks by as many levels as Kueue has", topology(*(f"example.com/level-{n}" for n in range(16))), None),
    (
        "ranks by more levels",
        topology(*(f"level-{n}" for n in range(17))),
        ("spec.ranks.keys", "at most 16 items"),
    ),
    ("ranks without a policy", {"ranks": {}}, ("spec.ranks.policy", "Required value")),
    ("ranks by a policy of a later release", {"ranks": {"policy": "Later"}}, POLICY),
    ("ranks by no keys", {"ranks": {"policy": "Topology"}}, KEYS),
    ("keys that have no effect", {"ranks": {"policy": "Stable", "keys": ["rack"]}}, KEYS),
    ("ranks by an empty list", topology(), ("spec.ranks.keys", "should have at least 1 items")),
    ("ranks by a key twice", topology("rack", "zone", "rack"), TWICE),
    ("ranks by what is no label", topology("a rack"), ("spec.ranks.keys[0]", "should match")),
    ("a segment that has no effect", {"ranks": {"policy": "Stable", "segmentSize": 2}}, SEGMENT_ALONE),
    ("a segment of no nodes", topology("rack", segment=0), ("spec.ranks.segmentSize", "greater than or equal to 1")),
    ("segments that min does not fit", {"minNodes": 2, "maxNodes": 3, **topology("rack", segment=3)}, MIN_SEGMENT),
    ("segments that max does not fit", {"maxNodes": 5, **topology("rack", segment=2)}, MAX_SEGMENT),
    (
        "segments and replacement groups",
        {"nodes": IN_RACKS, **topology("rack", segment=2)},
        (
            "spec.ranks.segmentSize",
            "`ranks.segmentSize` and `nodes.groupKey` cannot be set together: both say which nodes are together",
        ),
    ),
    ("ranks by topology and replacement groups", {"nodes": IN_RACKS, **topology("rack")}, None),
    ("segments that a size does not fit", {"sizes": {"list": [2, 3]}, **topology("rack", segment=2)}, LIST_SEGMENT),
    ("segments beside a step", {"maxNodes": 4, "sizes": {"step": 1}, **topology("rack", segment=2)}, None),
    ("segments that fit each size", {"sizes": {"list": [2, 4]}, **topology("rack", segment=2)}, None),
    ("most sizes", {"maxNodes": 200, "sizes": {"list": [*range(2, 102)]}}, None),
    ("more sizes", {"maxNodes": 200, "sizes": {"list": [*range(2, 103)]}}, ("spec.sizes.list", "at most 100 items")),
)


# ---- its status

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


DOMAINS = {"keys": [BLOCK], "domains": [{"values": ["b1"], "nodes": 1}, {"values": [""], "nodes": 1}]}

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
