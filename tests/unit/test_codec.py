"""Dataclasses to and from JSON."""

import re
from dataclasses import dataclass, make_dataclass
from typing import Any

import pytest

from rendezvous_api.codec import DecodeError, decode, encode, json_name
from rendezvous_api.participant import CheckIn
from rendezvous_api.reasons import AttemptReason, HeldOutReason, RanksPolicy
from rendezvous_api.rendezvous import Domain, HeldOut, Member, RankOwner, Rendezvous, RendezvousStatus, Topology
from rendezvous_api.rendezvous_spec import AllowedSizes, Ranks, RendezvousSpec, Restarts


@dataclass(frozen=True)
class Inner:
    pod_uid: str
    reason: AttemptReason = AttemptReason.START


@dataclass(frozen=True)
class Outer:
    inner: Inner
    many: tuple[Inner, ...] = ()
    count: int | None = None
    on: bool = False


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("run_id", "runID"),
        ("pod_uid", "podUID"),
        ("uid", "uid"),
        ("min_nodes", "minNodes"),
        ("ttl_seconds_after_finished", "ttlSecondsAfterFinished"),
    ],
)
def test_names_follow_the_conventions(field: str, expected: str) -> None:
    assert json_name(field) == expected


def test_what_is_encoded_decodes_to_the_same() -> None:
    value = Outer(Inner("a"), (Inner("b", AttemptReason.WORKER_FAILURE),), 0, True)
    encoded = encode(value)
    assert encoded == {
        "inner": {"podUID": "a", "reason": "Start"},
        "many": [{"podUID": "b", "reason": "WorkerFailure"}],
        "count": 0,
        "on": True,
    }
    assert decode(Outer, encoded) == value


def test_unset_fields_are_left_out_and_zeros_are_not() -> None:
    assert encode(RendezvousStatus()) == {
        "observedGeneration": 0,
        "round": 0,
        "nodes": 0,
        "waitingNodes": 0,
        "restarts": 0,
    }
    assert encode(Member("a", "i", 1, 0, 0, RankOwner("b"))) == {
        "name": "a",
        "incarnation": "i",
        "attempt": 1,
        "rank": 0,
        "podIndex": 0,
        "standsInFor": {"name": "b"},
    }


@pytest.mark.parametrize(
    ("found", "sizes"),
    [
        ({}, None),
        ({"sizes": {"step": 2}}, AllowedSizes(step=2)),
        ({"sizes": {"list": [8, 2, 4]}}, AllowedSizes(list=(8, 2, 4))),
    ],
)
def test_the_sizes_of_a_spec(found: dict[str, object], sizes: AllowedSizes | None) -> None:
    spec = decode(RendezvousSpec, {"minNodes": 2, "maxNodes": 8, **found})
    assert spec == RendezvousSpec(2, 8, sizes=sizes)
    assert hash(spec) == hash(RendezvousSpec(2, 8, sizes=sizes)), "it is a key of a cache"
    assert encode(spec).get("sizes") == found.get("sizes")


def test_the_ranks_of_a_spec_and_the_domains_of_a_status() -> None:
    found = {"policy": "Topology", "keys": ["zone", "rack"], "segmentSize": 2}
    spec = decode(RendezvousSpec, {"minNodes": 2, "maxNodes": 8, "ranks": found})
    assert spec == RendezvousSpec(2, 8, ranks=Ranks(RanksPolicy.TOPOLOGY, ("zone", "rack"), 2))
    assert hash(spec), "it is a key of a cache"
    assert encode(spec)["ranks"] == found
    told = {"keys": ["zone"], "domains": [{"values": [""], "nodes": 2}]}
    status = decode(RendezvousStatus, {"topology": told})
    assert status.topology == Topology(("zone",), (Domain(("",), 2),))
    assert encode(status)["topology"] == told


def test_unknown_fields_are_ignored() -> None:
    spec = decode(RendezvousSpec, {"minNodes": 1, "maxNodes": 2, "fromTheFuture": {}})
    assert spec == RendezvousSpec(1, 2)


@pytest.mark.parametrize(
    ("check_in", "expected"),
    [
        (CheckIn(3, reached_store=True, missing=("t.b", "t.c")), {"reachedStore": True, "missing": ["t.b", "t.c"]}),
        (CheckIn(3, reached_store=False), {"reachedStore": False}),
    ],
)
def test_what_a_member_says_of_a_failed_check_in(check_in: CheckIn, expected: dict[str, object]) -> None:
    encoded = encode(check_in)
    assert encoded == {"round": 3, **expected}
    assert decode(CheckIn, encoded) == check_in


def test_a_node_that_is_held_out() -> None:
    status = RendezvousStatus(
        held_out=(HeldOut("t.b", HeldOutReason.STORE_NOT_REACHED, "why", "2026-07-01T00:00:00Z", 2),),
        observed_retry_request="0" * 64,
    )
    encoded = encode(status)
    assert encoded["heldOut"] == [
        {"name": "t.b", "reason": "StoreNotReached", "message": "why", "until": "2026-07-01T00:00:00Z", "times": 2}
    ]
    assert encoded["observedRetryRequest"] == "0" * 64
    assert decode(RendezvousStatus, encoded) == status


@pytest.mark.parametrize(
    ("check_in", "message"),
    [
        ({"round": 3}, "checkIn.reachedStore: is required"),
        ({"round": 3, "reachedStore": "yes"}, "checkIn.reachedStore: 'yes' is no bool"),
        ({"round": 3, "reachedStore": True, "missing": "t.b"}, "checkIn.missing: 't.b' is no list"),
        ({"round": "3", "reachedStore": True}, "checkIn.round: '3' is no int"),
    ],
)
def test_what_is_no_check_in(check_in: dict[str, object], message: str) -> None:
    with pytest.raises(DecodeError, match=f"^{message}$"):
        decode(CheckIn, check_in, "checkIn")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"metadata": {"name": "a"}}, "spec: is required"),
        ({"metadata": {"name": "a"}, "spec": {"minNodes": 1}}, "spec.maxNodes: is required"),
        ({"metadata": {"name": "a"}, "spec": {"minNodes": "1", "maxNodes": 1}}, "spec.minNodes: '1' is no int"),
        ({"metadata": {"name": "a"}, "spec": {"minNodes": True, "maxNodes": 1}}, "spec.minNodes: True is no int"),
        ({"metadata": {"name": 1}, "spec": {"minNodes": 1, "maxNodes": 1}}, "metadata.name: 1 is no str"),
        (
            {"metadata": {"name": "a"}, "spec": {"minNodes": 1, "maxNodes": 1, "sizes": {"list": [1, "2"]}}},
            r"spec.sizes.list\[1\]: '2' is no int",
        ),
        (
            {"metadata": {"name": "a"}, "spec": {"minNodes": 1, "maxNodes": 1, "sizes": {"list": "24"}}},
            "spec.sizes.list: '24' is no list",
        ),
        (
            {"metadata": {"name": "a"}, "spec": {"minNodes": 1, "maxNodes": 1, "sizes": {"list": {"2": 4}}}},
            "spec.sizes.list: {'2': 4} is no list",
        ),
        ({"metadata": {"name": "a"}, "spec": {"minNodes": 1.0, "maxNodes": 1}}, "spec.minNodes: 1.0 is no int"),
        ({"metadata": {"name": "a"}, "spec": {"minNodes": 1, "maxNodes": 1, "closed": 1}}, "spec.closed: 1 is no bool"),
        ({"metadata": {"name": "a"}, "spec": []}, r"spec: \[\] is no object"),
        ({"metadata": {"name": "a", "labels": "b"}, "spec": {}}, "metadata.labels: 'b' is no object"),
        ({"metadata": {"name": "a", "labels": ["b"]}, "spec": {}}, r"metadata.labels: \['b'\] is no object"),
        ({"metadata": {"name": "a", "labels": {"b": 1}}, "spec": {}}, r"metadata.labels\['b'\]: 1 is no str"),
        ([], r"Rendezvous: \[\] is no object"),
    ],
)
def test_errors_name_the_field_and_the_value(data: Any, message: str) -> None:
    with pytest.raises(DecodeError, match=f"^{message}$"):
        decode(Rendezvous, data)


@pytest.mark.parametrize("many", ["ab", {"podUID": "a"}, 1, True])
def test_only_a_list_is_a_list(many: object) -> None:
    with pytest.raises(DecodeError, match=rf"^many: {re.escape(repr(many))} is no list$"):
        decode(Outer, {"inner": {"podUID": "a"}, "many": many})


@pytest.mark.parametrize("reason", [1, True, ["Start"], {"Start": 1}])
def test_only_a_string_is_a_reason(reason: object) -> None:
    with pytest.raises(DecodeError, match=rf"^inner\.reason: {re.escape(repr(reason))} is no AttemptReason$"):
        decode(Outer, {"inner": {"podUID": "a", "reason": reason}})


@pytest.mark.parametrize("hint", [float, Any, list[int], tuple[int, str], dict[str, int]])
def test_a_field_of_a_type_that_is_not_checked_is_an_error_of_ours(hint: Any) -> None:
    unchecked = make_dataclass("Unchecked", [("field", hint)])
    with pytest.raises(TypeError, match="cannot be decoded"):
        decode(unchecked, {"field": 1})


def test_an_object_without_fields_is_left_out() -> None:
    assert "restarts" not in encode(RendezvousSpec(1, 2))
    assert encode(RendezvousSpec(1, 2, restarts=Restarts(max=0)))["restarts"] == {"max": 0}


def test_a_word_of_another_release_stands_for_itself() -> None:
    word = AttemptReason("OfALaterRelease")
    assert isinstance(word, AttemptReason)
    assert word == "OfALaterRelease"
    assert word == AttemptReason("OfALaterRelease")
    assert hash(word) == hash(AttemptReason("OfALaterRelease"))
    assert (str(word), word.value, encode(word)) == ("OfALaterRelease",) * 3
    assert word not in [*AttemptReason]
    assert {AttemptReason.START: 1}.get(word) is None
    with pytest.raises(ValueError, match="3 is not a valid AttemptReason"):
        AttemptReason(3)


@pytest.mark.parametrize("word", AttemptReason)
def test_a_word_that_is_known_is_that_one(word: AttemptReason) -> None:
    assert AttemptReason(word.value) is word
