"""Decisions as lines of JSON: without loss, whatever the values, and readable for other releases."""

import copy
import json
import typing
from dataclasses import MISSING, fields, is_dataclass, replace
from datetime import datetime
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.core.random_worlds import random_world
from tests.unit.core.small_world_objects import NOW

from rendezvous_api.codec import DecodeError
from rendezvous_api.names import ANNOTATION_LAST_APPLIED, ANNOTATION_RETRY_AT
from rendezvous_api.reasons import RoundEndReason
from rendezvous_operator.core.decide import decide
from rendezvous_operator.core.recorded import (
    FORMAT,
    DecisionFailed,
    Lines,
    Reader,
    Recorded,
    header,
    release_of,
)
from rendezvous_operator.core.recorded_values import patched
from rendezvous_operator.core.timers import Timer
from rendezvous_operator.core.world import Decision, Evidence, Machine, Memory, Now, Target, World

Json = dict[str, Any]


def decision(seed: int = 0, **memory: Any) -> Recorded:
    world, remembered = random_world(Random(seed))
    remembered = replace(remembered, **memory)
    return Recorded("ns/train", NOW, world, remembered, decide(NOW, world, remembered))


def line(recorded: Recorded) -> Json:
    found: Json = json.loads(json.dumps(Lines().line(recorded), allow_nan=False))
    return found


def is_read(found: Json) -> Recorded:
    return Reader().read(found)[0]


@settings(max_examples=300, deadline=None, database=None)
@given(seeds=st.lists(st.integers(0, 2**64), min_size=1, max_size=5))
def test_what_is_read_is_what_was_recorded(seeds: list[int]) -> None:
    """Each line builds on the one before, of whatever world that was; the order of the entries counts, too."""
    lines, reader = Lines(), Reader()
    for seed in seeds:
        recorded = decision(seed)
        written = json.dumps(lines.line(recorded, left_out=seed % 3), allow_nan=False)
        found, left_out = reader.read(json.loads(written))
        assert (found, left_out) == (recorded, seed % 3)
        for name in ("participants", "pods", "ended_at"):
            assert list(getattr(found.world, name)) == list(getattr(recorded.world, name))
        assert list(found.memory.since) == list(recorded.memory.since)
        assert decide(found.now, found.world, found.memory) == recorded.outcome


def test_a_line_has_only_what_is_new() -> None:
    recorded = decision(3)
    lines = Lines()
    whole = lines.line(recorded)
    assert whole["whole"] is True
    again = lines.line(recorded)
    assert again["seen"] == {}
    assert "whole" not in again
    name, seen = next(iter(recorded.world.participants.items()))
    beat = replace(seen.object, status=replace(seen.object.status, heartbeat_time="2030-01-01T00:00:09.000000Z"))
    later = replace(
        recorded.world, participants={**recorded.world.participants, name: replace(seen, object=beat, beat_at=9.0)}
    )
    change = lines.line(recorded._replace(world=later))["seen"]
    expected = {"object": {"status": {"heartbeatTime": "2030-01-01T00:00:09.000000Z"}}, "beatAt": 9.0}
    assert change == {"world": {"participants": {name: expected}}}


def test_no_machines_that_are_needed_are_other_than_none_that_may_be_read() -> None:
    recorded, lines, reader = decision(3), Lines(), Reader()
    for machines in (None, {}, {"gpu-7": Machine("is gone")}, {}, None, {}):
        now = recorded._replace(world=replace(recorded.world, machines=machines))
        assert reader.read(json.loads(json.dumps(lines.line(now))))[0].world.machines == machines
        assert is_read(line(now)).world.machines == machines


def test_entries_in_another_order_are_recorded_as_a_whole() -> None:
    recorded = next(found for found in map(decision, range(100)) if len(found.world.participants) > 1)
    first, *others = recorded.world.participants.items()
    turned = recorded._replace(world=replace(recorded.world, participants=dict([*others, first])))
    lines, reader = Lines(), Reader()
    reader.read(lines.line(recorded))
    found = lines.line(turned)
    assert found["whole"] is True
    assert list(reader.read(found)[0].world.participants) == [*(name for name, _ in others), first[0]]


@pytest.mark.parametrize(
    "outcome", [Evidence(frozenset({Target("Pod", "a", "u"), Target("Pod", "b")})), DecisionFailed("no")]
)
def test_other_outcomes_are_kept(outcome: Evidence | DecisionFailed) -> None:
    recorded = decision()._replace(outcome=outcome)
    assert is_read(line(recorded)) == recorded


def test_a_set_is_written_in_its_order() -> None:
    evidence = Evidence(frozenset(Target("Pod", name) for name in "badce"))
    written = line(decision()._replace(outcome=evidence))["outcome"]["evidence"]["targets"]
    assert [target["name"] for target in written] == ["a", "b", "c", "d", "e"]


def test_of_the_outcome_a_line_has_what_the_decision_has_changed() -> None:
    recorded = decision()
    before = recorded.world.rendezvous.status
    changed = replace(before, waiting_nodes=before.waiting_nodes + 1)
    outcome = Decision(changed, recorded.memory, "one more waits")
    written = line(recorded._replace(outcome=outcome))["outcome"]["decision"]
    assert written["status"] == {"waitingNodes": changed.waiting_nodes}
    assert written["memory"] == {}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"seen": None}, "seen: 'None' is no object"),
        ({"rendezvous": None}, "rendezvous: is required"),
        (None, "rendezvous: is required"),
    ],
)
def test_a_line_builds_only_on_one_that_could_be_read(wrong: Json | None, says: str) -> None:
    lines, reader = Lines(), Reader()
    whole, second, third = (json.loads(json.dumps(lines.line(decision(3)))) for _ in range(3))
    reader.read(whole)
    with pytest.raises(DecodeError, match=says):
        reader.read(wrong and {**second, **wrong})
    with pytest.raises(DecodeError, match="whole: the line of ns/train before this one is missing"):
        reader.read(third)
    assert reader.read(whole)[0] == reader.read(third)[0] == decision(3)


def test_a_whole_line_builds_on_no_other_one() -> None:
    """Such as the first one of an operator that begins with an empty memory, in a file that it continues."""
    reader = Reader()
    reader.read(line(decision(since={(Timer.EMPTY, None): 1.0})))
    after = decision(5)
    assert reader.read(line(after))[0] == after


def test_what_a_decision_empties_is_empty_when_it_is_read() -> None:
    recorded = next(found for found in map(decision, range(100)) if found.world.rendezvous.status.spares)
    assert isinstance(recorded.outcome, Decision)
    emptied = replace(
        recorded.outcome, status=replace(recorded.outcome.status, spares=(), formation=None), memory=Memory()
    )
    assert is_read(line(recorded._replace(outcome=emptied))).outcome == emptied


def test_texts_of_users_annotations_are_left_out() -> None:
    recorded = decision()
    rendezvous = recorded.world.rendezvous
    annotations = {ANNOTATION_LAST_APPLIED: "private", "example.com/note": "private", ANNOTATION_RETRY_AT: "now"}
    metadata = replace(rendezvous.metadata, annotations=annotations)
    world = replace(recorded.world, rendezvous=replace(rendezvous, metadata=metadata))
    recorded = recorded._replace(world=world, outcome=decide(NOW, world, recorded.memory))
    written = line(recorded)
    assert "private" not in json.dumps(written)
    found = is_read(written)
    assert found.world.rendezvous.metadata.annotations == dict.fromkeys(annotations, "") | {ANNOTATION_RETRY_AT: "now"}
    assert decide(found.now, found.world, found.memory) == recorded.outcome


def test_what_a_later_release_says_is_tolerated() -> None:
    recorded = decision(since={(Timer.EMPTY, None): 1.0, (Timer.LEFT, ("a", "b")): 2.0})
    written = line(recorded)
    written["tomorrow"] = written["seen"]["tomorrow"] = written["seen"]["world"]["tomorrow"] = {"a": 1}
    written["seen"]["world"]["rendezvous"]["spec"]["tomorrow"] = 1
    written["seen"]["memory"]["since"].append(["of tomorrow", ["a"], 3.0])
    for participant in written["seen"]["world"]["participants"].values():
        participant["tomorrow"] = True
    found = is_read(written)
    assert found == recorded
    written["outcome"]["decision"]["lost"] = {"a": "StoleATrain"}
    outcome = is_read(written).outcome
    assert isinstance(outcome, Decision)
    assert outcome.lost == {"a": RoundEndReason("StoleATrain")}


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["rendezvous"], 1, "rendezvous: is required"),
        (["whole"], False, "whole: the line of ns/train before this one is missing"),
        (["now", "monotonic"], "soon", "now.monotonic: 'soon' is no number"),
        (["now", "wall"], "noon", "now.wall: 'noon' is no time"),
        (["now", "wall"], "2030-01-01T00:00:00", "now.wall: '2030-01-01T00:00:00' is no time"),
        (["now"], None, "now: 'None' is no object"),
        (["seen"], None, "seen: 'None' is no object"),
        (["seen", "world", "complete"], "yes", "seen.world.complete: 'yes' is no bool"),
        (["seen", "world", "rendezvous", "spec", "minNodes"], None, "seen.world.rendezvous.spec.minNodes: is required"),
        (["seen", "world", "rendezvous", "status", "round"], "1", "seen.world.rendezvous.status.round: '1' is no int"),
        (["seen", "world", "participants"], [], "seen.world.participants: '[]' is no object"),
        (["seen", "world", "participants", "a"], {}, "seen.world.participants.a.object: is required"),
        (["seen", "world", "pods", "a"], {"uid": 1}, "seen.world.pods.a.uid: 1 is no str"),
        (["seen", "world", "absent"], 1, "seen.world.absent: '1' is no list"),
        (["seen", "world", "absent"], [{"kind": "Pod"}], "seen.world.absent[0].name: is required"),
        (["seen", "memory", "since"], [[1]], "seen.memory.since: '[1]' is no fact with a key and a moment"),
        (["seen", "memory", "since"], [7], "seen.memory.since: '7' is no fact with a key and a moment"),
        (["seen", "memory", "since"], [["left", {"set": 1}, 2]], "seen.memory.since.set: '1' is no list"),
        (["seen", "memory", "told"], {"suspects": 3}, "seen.memory.told.suspects: '3' is no object"),
        (["outcome"], {}, "outcome: [] is none that is known"),
        (["outcome"], {"miracle": 1}, "outcome: ['miracle'] is none that is known"),
        (["outcome"], 1, "outcome: 1 is none that is known"),
        (["outcome"], {"failure": 1, "evidence": 1}, "outcome: ['evidence', 'failure'] is none that is known"),
        (["outcome"], {"decision": 3}, "outcome.decision: 3 is no object"),
        (["outcome", "decision", "status"], [1], "outcome.decision.status: '[1]' is no object"),
        (["outcome", "decision", "memory"], 7, "outcome.decision.memory: '7' is no object"),
        (["outcome", "decision", "events"], [{}], "outcome.decision.events[0].reason: is required"),
        (["leftOut"], "many", "leftOut: 'many' is no int"),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_read_names_the_field(path: list[str], value: Any, message: str) -> None:
    written = line(decision())
    *way, last = path
    tree = written
    for name in way:
        tree = tree.setdefault(name, {})
    tree[last] = value
    with pytest.raises(DecodeError) as error:
        is_read(written)
    assert str(error.value) == message


def test_the_first_line_says_which_release_has_written_the_file() -> None:
    assert release_of(header("0.2.0")) == "0.2.0"
    with pytest.raises(DecodeError, match=r"format: 'rdzv.dev/decisions-9' of release 7.0.0 is not '" + FORMAT):
        release_of({**header("7.0.0"), "format": "rdzv.dev/decisions-9"})
    others: list[Any] = [[], {}, 1, {"kind": "List"}]
    for other in others:
        with pytest.raises(DecodeError, match="of release unknown"):
            release_of(other)


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "foo"}, "bar", "bar"),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ],
)
def test_merge_patches_are_those_of_the_rfc(target: Any, patch: Any, result: Any) -> None:
    """RFC 7396, appendix A."""
    before = copy.deepcopy((target, patch))
    assert patched(target, patch) == result
    assert (target, patch) == before, "neither is changed"


def _types(hint: Any) -> list[Any]:
    return [hint, *(inner for argument in typing.get_args(hint) for inner in _types(argument))]


def _records(hint: Any, found: dict[Any, Any]) -> dict[Any, Any]:
    for cls in _types(hint):
        if isinstance(cls, type) and (is_dataclass(cls) or hasattr(cls, "_fields")) and cls not in found:
            found[cls] = typing.get_type_hints(cls)
            for inner in found[cls].values():
                _records(inner, found)
    return found


def test_what_is_left_out_has_that_value_as_its_default() -> None:
    """Of each type that a line may have; otherwise another value would be read."""
    records: dict[Any, Any] = {}
    for cls in (Now, World, Memory, Decision, Evidence, DecisionFailed):
        _records(cls, records)
    assert len(records) > 30
    wrong = []
    for cls, hints in records.items():
        given = dict(getattr(cls, "_field_defaults", {}))
        for item in fields(cls) if is_dataclass(cls) else ():
            if item.default is not MISSING:
                given[item.name] = item.default
            elif item.default_factory is not MISSING:
                given[item.name] = item.default_factory()
        for name, hint in hints.items():
            empty: tuple[Any, ...] = (None, (), frozenset(), {})
            nothing = [value for value in empty if _may_be(hint, value)]
            if nothing and given.get(name, MISSING) not in nothing:
                wrong.append(f"{cls.__name__}.{name}")
    assert wrong == ["Domain.values", "Evidence.targets"], "which never are empty"


def _may_be(hint: Any, value: Any) -> bool:
    if value is None:
        return type(None) in typing.get_args(hint)
    origins = {typing.get_origin(part) for part in [hint, *typing.get_args(hint)]}
    return any(isinstance(origin, type) and isinstance(value, origin) for origin in origins - {None})


def test_times_are_kept_to_the_microsecond() -> None:
    now = Now(0.1 + 0.2, datetime.fromisoformat("2030-01-01T00:00:00.000001+00:00"))
    recorded = decision()._replace(now=now)
    assert is_read(line(recorded)).now == now
