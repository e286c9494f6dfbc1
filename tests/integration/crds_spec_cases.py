"""What users write into the spec of a Rendezvous, and what a real API server makes of it; see `crds_cases`."""

from tests.integration.crds_cases import Refusal, table
from tests.support.objects import REMOVED, Json

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
