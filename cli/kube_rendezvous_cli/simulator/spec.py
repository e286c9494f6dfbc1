"""The spec of a Rendezvous as the API server accepts it: its schema, its rules and its defaults."""

import copy
import json
import math
import pkgutil
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from kube_rendezvous_cli.kubectl import CommandError
from kube_rendezvous_cli.simulator import checks
from rendezvous_api.codec import decode
from rendezvous_api.rendezvous_spec import ESCALATE, ESCALATION_SECONDS, TOGETHER, RendezvousSpec

Json = dict[str, Any]

Rule = Callable[[Mapping[str, Any]], bool]
"""Whether an object of the scenario keeps a rule of the schema."""


def schema() -> Json:
    """Of crds/rendezvous.yaml; hack/generate_spec_schema.py writes it."""
    text = pkgutil.get_data(__name__, "spec_schema.json")
    assert text is not None
    found: Json = json.loads(text)
    return found


def read(value: Any) -> RendezvousSpec:
    """The spec with its defaults.

    Raises:
        CommandError: the API server would not accept it; the message names the field and its value.
    """
    spec = _checked("spec", copy.deepcopy(value), schema())
    return decode(RendezvousSpec, spec, "spec")


def known(given: Json, form: Json | None = None) -> Json:
    """What of a spec this release knows: that of a live object may be of another one."""
    properties = (form or schema())["properties"]
    return {
        name: known(value, properties[name]) if properties[name]["type"] == "object" else value
        for name, value in given.items()
        if name in properties
    }


def _checked(path: str, value: Any, form: Json) -> Any:
    kind = form["type"]
    if kind == "object":
        properties = form["properties"]
        checks.mapping(path, value, properties, form.get("required", ()))
        for name, inner in properties.items():
            if value.get(name) is None:
                value.pop(name, None)
                if "default" in inner:
                    value[name] = copy.deepcopy(inner["default"])
            if name in value:
                value[name] = _checked(f"{path}.{name}", value[name], inner)
        for name in form.get("required", ()):
            if name not in value:
                raise CommandError(f"{path}.{name}: is required", checks.WRONG)
        if len(value) < form.get("minProperties", 0):
            checks.fail(path, value, f"must have at least {form['minProperties']} field")
        _keeps_rules(path, value, form.get("x-kubernetes-validations", ()))
    elif kind == "array":
        if not isinstance(value, list):
            checks.fail(path, value, "is no list")
        if not form["minItems"] <= len(value) <= form["maxItems"]:
            checks.fail(path, value, f"must have {form['minItems']} to {form['maxItems']} items")
        value = [_checked(f"{path}[{number}]", item, form["items"]) for number, item in enumerate(value)]
        for number, item in enumerate(value):
            if form["x-kubernetes-list-type"] == "set" and item in value[:number]:
                checks.fail(f"{path}[{number}]", item, "is there twice")
    elif kind == "integer":
        if not isinstance(value, int) or isinstance(value, bool):
            checks.fail(path, value, "is no whole number")
        if value < form["minimum"]:
            checks.fail(path, value, f"must be greater than or equal to {form['minimum']}")
        if value > form["maximum"]:
            checks.fail(path, value, f"must be less than or equal to {form['maximum']}")
    elif kind == "boolean":
        checks.truth(path, value)
    elif not isinstance(value, str):
        checks.fail(path, value, "is no text")
    elif not form["minLength"] <= len(value) <= form["maxLength"] or not re.search(form["pattern"], value):
        checks.fail(path, value, f"must have {form['minLength']} to {form['maxLength']} characters, and no controls")
    return value


def _keeps_rules(path: str, value: Json, rules: Sequence[Json]) -> None:
    for rule in rules:
        if not RULES[rule["message"]](value):
            found: Any = value
            for step in rule["fieldPath"].strip(".").split("."):
                found = found[step]
            raise CommandError(f"{path}{rule['fieldPath']}: {found!r}: {rule['message']}", checks.WRONG)


def _min(spec: Mapping[str, Any]) -> Sequence[int]:
    return [spec["minNodes"]]


def _max(spec: Mapping[str, Any]) -> Sequence[int]:
    return [spec["maxNodes"]]


def _listed(spec: Mapping[str, Any]) -> Sequence[int]:
    return spec.get("sizes", {}).get("list", ())  # type: ignore[no-any-return]


def _multiples(sizes: Callable[[Mapping[str, Any]], Sequence[int]], part: str, field: str) -> Rule:
    """Whether each of these sizes is a multiple of that field of the spec, if it has one."""
    return lambda spec: all(size % spec.get(part, {}).get(field, 1) == 0 for size in sizes(spec))


def _sizes_say_one(spec: Mapping[str, Any]) -> bool:
    sizes = spec.get("sizes")
    return sizes is None or ("step" in sizes) != ("list" in sizes)


def _suspected_after_silent(spec: Mapping[str, Any]) -> bool:
    heartbeat = spec["heartbeat"]
    interval = max(heartbeat["intervalSeconds"], (spec["maxNodes"] + 49) // 50)
    return bool(heartbeat["maxMissed"] * interval <= spec["timeouts"]["suspectSeconds"])


def _has_beside(field: str, other: str) -> Rule:
    return lambda found: field not in found or other in found


def _escalates_before_the_join_timeout(spec: Mapping[str, Any]) -> bool:
    nodes = spec.get("nodes", {})
    seconds = nodes.get("escalationSeconds", ESCALATION_SECONDS)
    return nodes.get("mode") != ESCALATE or bool(seconds < spec["timeouts"]["joinSeconds"])


def _are_rarer(spec: Mapping[str, Any]) -> bool:
    heartbeat = spec["heartbeat"]
    return bool(heartbeat.get("peersIntervalSeconds", math.inf) > heartbeat["intervalSeconds"])


def _can_be_listed(restarts: Mapping[str, Any]) -> bool:
    return restarts.get("max", 0) <= 100 or not {"windowSeconds", "perNode", "perReason"} & {*restarts}


def _at_most_max(restarts: Mapping[str, Any], limits: Iterable[int]) -> bool:
    return "max" not in restarts or all(limit <= restarts["max"] for limit in limits)


RULES: Mapping[str, Rule] = {
    "`minNodes` must be less than or equal to `maxNodes`": lambda spec: spec["minNodes"] <= spec["maxNodes"],
    "`sizes` must have exactly one of `step` and `list`": _sizes_say_one,
    "`minNodes` must be a multiple of `sizes.step`": _multiples(_min, "sizes", "step"),
    "`maxNodes` must be a multiple of `sizes.step`": _multiples(_max, "sizes", "step"),
    "each of `sizes.list` must be between `minNodes` and `maxNodes`": lambda spec: all(
        spec["minNodes"] <= size <= spec["maxNodes"] for size in _listed(spec)
    ),
    "`ranks.policy` must be `Stable` or `Topology`": lambda ranks: ranks["policy"] in ("Stable", "Topology"),
    "`ranks.keys` must be set with `Topology`, and may not be set otherwise": lambda ranks: (
        (ranks["policy"] == "Topology") == ("keys" in ranks)
    ),
    "`ranks.segmentSize` may be set only with `Topology`": lambda ranks: (
        ranks["policy"] == "Topology" or "segmentSize" not in ranks
    ),
    "`ranks.keys` may not have a key twice": lambda ranks: len({*ranks.get("keys", ())}) == len(ranks.get("keys", ())),
    "`ranks.segmentSize` and `nodes.groupKey` cannot be set together: both say which nodes are together": lambda spec: (
        "segmentSize" not in spec.get("ranks", {}) or "groupKey" not in spec.get("nodes", {})
    ),
    "`minNodes` must be a multiple of `ranks.segmentSize`": _multiples(_min, "ranks", "segmentSize"),
    "`maxNodes` must be a multiple of `ranks.segmentSize`": _multiples(_max, "ranks", "segmentSize"),
    "each of `sizes.list` must be a multiple of `ranks.segmentSize`": _multiples(_listed, "ranks", "segmentSize"),
    "`timeouts.suspectSeconds` must be greater than or equal to `heartbeat.maxMissed` times the time between two "
    "heartbeats, which is the greater of `heartbeat.intervalSeconds` and `maxNodes` / 50, rounded up": (
        _suspected_after_silent
    ),
    "`heartbeat.peersIntervalSeconds` must be greater than `heartbeat.intervalSeconds`": _are_rarer,
    "`restarts.windowSeconds` must have `restarts.max` beside it": _has_beside("windowSeconds", "max"),
    "`restarts.perNode` must have `restarts.max` beside it": _has_beside("perNode", "max"),
    "`restarts.perReason` must have `restarts.max` beside it": _has_beside("perReason", "max"),
    "`restarts.max` must be at most 100 beside `restarts.windowSeconds`, `restarts.perNode` or "
    "`restarts.perReason`": _can_be_listed,
    "`restarts.perNode` must be at most `restarts.max`": lambda restarts: _at_most_max(
        restarts, [restarts.get("perNode", 0)]
    ),
    "`nodes.failureWindowSeconds` must have `nodes.maxFailuresPerNode` beside it": _has_beside(
        "failureWindowSeconds", "maxFailuresPerNode"
    ),
    "`nodes.tooFewSeconds` must have a mark in `nodes.exclude` that can keep nodes out": (
        lambda nodes: "tooFewSeconds" not in nodes or any(nodes["exclude"].values())
    ),
    "each of `restarts.perReason` must be at most `restarts.max`": lambda restarts: _at_most_max(
        restarts, restarts.get("perReason", {}).values()
    ),
    "`nodes.groupKey` must have `nodes.groupSize` beside it": _has_beside("groupKey", "groupSize"),
    "`nodes.groupSize` must have `nodes.groupKey` beside it": _has_beside("groupSize", "groupKey"),
    "`nodes.mode` must be Together or Escalate": lambda nodes: nodes.get("mode", TOGETHER) in (TOGETHER, ESCALATE),
    "`nodes.mode` must have `nodes.groupKey` beside it": _has_beside("mode", "groupKey"),
    "`nodes.escalationSeconds` must have the `nodes.mode` Escalate beside it": lambda nodes: (
        "escalationSeconds" not in nodes or nodes.get("mode") == ESCALATE
    ),
    "`minNodes` must be a multiple of `nodes.groupSize`": _multiples(_min, "nodes", "groupSize"),
    "`maxNodes` must be a multiple of `nodes.groupSize`": _multiples(_max, "nodes", "groupSize"),
    "`nodes.tooFewSeconds` must be less than `timeouts.joinSeconds`": (
        lambda spec: spec.get("nodes", {}).get("tooFewSeconds", 0) < spec["timeouts"]["joinSeconds"]
    ),
    "`timeouts.joinSeconds` must be greater than `nodes.escalationSeconds`, which is 300 if it is not set": (
        _escalates_before_the_join_timeout
    ),
    "each of `sizes.list` must be a multiple of `nodes.groupSize`": _multiples(_listed, "nodes", "groupSize"),
}
"""The rules of the schema (CEL), by their messages, each for the object that has it; a test sees that these are all."""
