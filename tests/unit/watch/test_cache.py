"""What the cache makes of events, lists and reads, on a clock of the test's own."""

import re
import time
from pathlib import Path
from typing import Any

import pytest
from tests.unit.cache_support import (
    KEY,
    Clock,
    complete_cache,
    listed,
    participant,
    participants,
    pod,
    read,
    rendezvous,
    world,
)

from rendezvous_api import names
from rendezvous_operator.core import decide
from rendezvous_operator.core.world import Target
from rendezvous_operator.kube.client import KINDS
from rendezvous_operator.watch.cache import Cache
from rendezvous_operator.watch.seen import Gone, Key, Shown


def test_nothing_is_complete_before_all_kinds_are_listed(clock: Clock) -> None:
    cache = Cache(clock)
    for kind in KINDS[:-1]:
        listed(cache, kind, [rendezvous()] if kind == names.RENDEZVOUS_KIND else [])
    assert not world(cache).complete
    assert listed(cache, KINDS[-1], []) == {KEY}
    assert world(cache).complete


def test_a_heartbeat_that_says_nothing_new_asks_for_no_decision(cache: Cache, clock: Clock) -> None:
    assert cache.take(Shown(names.PARTICIPANT_KIND, participant(beat="1"))) == {KEY}
    clock.now += 5
    assert cache.take(Shown(names.PARTICIPANT_KIND, participant(version=2, beat="2"))) == set()
    assert world(cache).participants["train.a"].beat_at == clock.now


def test_a_heartbeat_after_a_silence_asks_for_a_decision(cache: Cache, clock: Clock) -> None:
    cache.take(Shown(names.PARTICIPANT_KIND, participant(beat="1")))
    clock.now += 15
    assert cache.take(Shown(names.PARTICIPANT_KIND, participant(version=2, beat="2"))) == {KEY}


def test_an_object_that_comes_late_is_ignored(cache: Cache) -> None:
    cache.take(Shown(names.PARTICIPANT_KIND, participant(version=7, attempt=2)))
    assert cache.take(Shown(names.PARTICIPANT_KIND, participant(version=6))) == set()
    assert cache.take(Shown(names.RENDEZVOUS_KIND, rendezvous(version=0, round=9))) == set()
    assert world(cache).participants["train.a"].object.spec.attempt == 2
    assert world(cache).rendezvous.status.round == 0


def test_an_unchanged_object_does_not_sound_like_a_heartbeat(cache: Cache, clock: Clock) -> None:
    cache.take(Shown(names.PARTICIPANT_KIND, participant(beat="1")))
    beat_at = clock.now
    clock.now += 20
    read(cache, Target(names.PARTICIPANT_KIND, "train.a"), participant(beat="1"))
    seen = world(cache).participants["train.a"]
    assert (seen.beat_at, seen.read_at) == (beat_at, clock.now)


@pytest.mark.parametrize("how", ["event", "list", "read"])
def test_a_participant_that_is_gone_is_known_to_be_absent_until_it_comes_back(cache: Cache, how: str) -> None:
    cache.take(Shown(names.RENDEZVOUS_KIND, rendezvous(version=2, participants=[_member("train.a")])))
    cache.take(Shown(names.PARTICIPANT_KIND, participant()))
    target = Target(names.PARTICIPANT_KIND, "train.a")
    match how:
        case "event":
            assert cache.take(Gone(names.PARTICIPANT_KIND, participant())) == {KEY}
        case "list":
            assert listed(cache, names.PARTICIPANT_KIND, []) == {KEY}
    assert world(cache).absent == frozenset(), "a watch may be late: it may have been created again"
    read(cache, target, None)
    assert world(cache).participants == {}
    assert target in world(cache).absent
    cache.take(Shown(names.PARTICIPANT_KIND, participant(version=9)))
    assert world(cache).absent == frozenset()


def test_a_participant_that_has_come_back_while_a_read_was_under_way_is_there(cache: Cache, clock: Clock) -> None:
    cache.take(Shown(names.PARTICIPANT_KIND, participant(beat="1")))
    clock.now += 20
    asked = cache.asks(names.PARTICIPANT_KIND)
    clock.now += 2
    cache.take(Shown(names.PARTICIPANT_KIND, participant(version=2, beat="2")))
    target = Target(names.PARTICIPANT_KIND, "train.a")
    assert read(cache, target, None, asked) == set()
    assert (set(world(cache).participants), world(cache).absent) == ({"train.a"}, frozenset())
    assert read(cache, target, None) == {KEY}


def _seconds_until_all_are_gone(count: int) -> float:
    cache = complete_cache(Clock())
    pods = [pod(f"p-{n}") for n in range(count)]
    agents = [
        participant(f"train.a{n}", podName=pods[n]["metadata"]["name"], podUID=f"p-{n}", version=n + 2)
        for n in range(count)
    ]
    for kind, items in ((names.PARTICIPANT_KIND, agents), (names.POD_KIND, pods)):
        for item in items:
            cache.take(Shown(kind, item))
    began = time.process_time()
    for kind, items in ((names.POD_KIND, pods), (names.PARTICIPANT_KIND, agents)):
        for item in items:
            cache.take(Gone(kind, item))
    assert (world(cache).participants, world(cache).vanished) == ({}, frozenset())
    return time.process_time() - began


def test_eight_times_as_many_nodes_that_go_at_once_cost_about_eight_times_as_much() -> None:
    """All namespaces share one event loop."""
    few, many = (min(_seconds_until_all_are_gone(count) for _ in range(3)) for count in (250, 2000))
    assert many < 24 * few


def test_of_the_metadata_only_that_is_kept_on_which_a_decision_depends(cache: Cache) -> None:
    """Agents may write as much as the API server takes, and the operator's memory has a limit."""
    large = {f"{n}": "x" * 250_000 for n in range(4)}
    fields = [{"manager": f"{n}", "operation": "Apply" if n else "Update"} for n in range(1000)]
    restart, applied = names.ANNOTATION_RESTART_REQUESTED_AT, names.ANNOTATION_LAST_APPLIED
    for kind, item in ((names.PARTICIPANT_KIND, participant()), (names.RENDEZVOUS_KIND, rendezvous(version=2))):
        item["metadata"] |= {"labels": {**large, names.LABEL_CREATED_BY: "agent"}, "managedFields": fields}
        item["metadata"]["annotations"] = {**large, restart: "now" + "x" * 250_000, applied: "y" * 250_000}
        cache.take(Shown(kind, item))
    for metadata in (world(cache).rendezvous.metadata, world(cache).participants["train.a"].object.metadata):
        assert (set(metadata.labels), set(metadata.annotations)) == ({names.LABEL_CREATED_BY}, {restart, applied})
        assert metadata.annotations[restart].startswith("now")
        assert len(metadata.managed_fields) == 1
        assert len(str(metadata)) < 1000


def test_each_annotation_that_a_decision_reads_is_kept(cache: Cache) -> None:
    core = Path(decide.__file__).parent
    read = {name for path in core.rglob("*.py") for name in re.findall(r"\bANNOTATION_\w+", path.read_text())}
    assert len(read) > 2
    annotations = {getattr(names, name): "now" for name in read}
    item = rendezvous(version=2)
    item["metadata"]["annotations"] = annotations
    cache.take(Shown(names.RENDEZVOUS_KIND, item))
    assert world(cache).rendezvous.metadata.annotations.keys() == annotations.keys()


def test_a_long_request_for_a_restart_differs_from_another_that_begins_alike(cache: Cache) -> None:
    requests = set()
    for version, end in enumerate("abb", start=2):
        item = rendezvous(version=version)
        item["metadata"]["annotations"] = {names.ANNOTATION_RESTART_REQUESTED_AT: "x" * 1000 + end}
        cache.take(Shown(names.RENDEZVOUS_KIND, item))
        requests.add(world(cache).rendezvous.metadata.annotations[names.ANNOTATION_RESTART_REQUESTED_AT])
    assert len(requests) == 2


def test_what_has_come_while_a_list_was_made_is_newer_than_the_list(cache: Cache) -> None:
    cache.take(Shown(names.POD_KIND, pod("p-0")))
    asked = {kind: cache.asks(kind) for kind in KINDS}
    cache.take(Shown(names.RENDEZVOUS_KIND, rendezvous(version=5, uid="r-2")))
    cache.take(Shown(names.PARTICIPANT_KIND, participant(version=6)))
    cache.take(Shown(names.POD_KIND, pod("p-1")))
    cache.take(Gone(names.POD_KIND, pod("p-0")))
    listed(cache, names.RENDEZVOUS_KIND, [], asked[names.RENDEZVOUS_KIND])
    listed(cache, names.PARTICIPANT_KIND, [], asked[names.PARTICIPANT_KIND])
    listed(cache, names.POD_KIND, [pod("p-0")], asked[names.POD_KIND])
    assert (world(cache).rendezvous.metadata.uid, set(world(cache).participants), set(world(cache).pods)) == (
        "r-2",
        {"train.a"},
        {"p-1"},
    )
    assert world(cache).absent == frozenset()


def test_what_came_before_a_list_is_not_newer_than_the_list(cache: Cache) -> None:
    cache.asks(names.POD_KIND)
    cache.take(Shown(names.POD_KIND, pod()))
    listed(cache, names.POD_KIND, [])
    assert world(cache).pods == {}


def test_an_object_that_cannot_be_understood_does_not_keep_the_others_from_being_seen(
    cache: Cache, caplog: pytest.LogCaptureFixture
) -> None:
    strange = {**rendezvous(), "metadata": {**rendezvous()["metadata"], "name": "other"}, "spec": {"minNodes": "two"}}
    listed(cache, names.RENDEZVOUS_KIND, [strange, rendezvous()])
    assert cache.world(KEY) is not None
    assert "a Rendezvous is ignored: spec.minNodes: 'two' is no int" in caplog.text


def test_a_word_of_a_later_release_is_no_reason_not_to_understand_an_object(cache: Cache) -> None:
    cache.take(Shown(names.RENDEZVOUS_KIND, rendezvous()))
    cache.take(Shown(names.PARTICIPANT_KIND, participant(attemptReason="OfALaterRelease")))
    seen = participants(cache)["train.a"]
    assert seen.understood
    assert seen.object.spec.attempt_reason == "OfALaterRelease"


def strange(version: int = 2) -> dict[str, Any]:
    """A version of the participant in which a field has another type."""
    return participant(version=version, attempt="once more")


def test_a_participant_that_cannot_be_understood_is_alive_and_what_it_was(
    cache: Cache, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    cache.take(Shown(names.RENDEZVOUS_KIND, rendezvous()))
    cache.take(Shown(names.PARTICIPANT_KIND, participant()))
    before = participants(cache)["train.a"]
    clock.now += 10
    assert cache.take(Shown(names.PARTICIPANT_KIND, strange())) == {KEY}
    seen = participants(cache)["train.a"]
    assert not seen.understood
    assert seen.beat_at == before.beat_at + 10
    assert seen.object.spec == before.object.spec
    assert seen.object.metadata.resource_version == "2"
    assert "participant train.a counts as alive, but cannot be understood: spec.attempt: 'once more'" in caplog.text
    # It goes on to beat, which is no news; a read does not fail.
    clock.now += 10
    assert cache.take(Shown(names.PARTICIPANT_KIND, strange(version=3))) == set()
    read(cache, Target(names.PARTICIPANT_KIND, "train.a"), strange(version=3))
    seen = participants(cache)["train.a"]
    assert (seen.beat_at, seen.read_at, seen.understood) == (before.beat_at + 20, before.beat_at + 20, False)
    assert caplog.text.count("cannot be understood") == 1
    # The next version can be understood again.
    assert cache.take(Shown(names.PARTICIPANT_KIND, participant(version=4))) == {KEY}
    assert participants(cache)["train.a"].understood


def test_of_a_participant_that_could_never_be_understood_only_the_name_is_known(cache: Cache) -> None:
    cache.take(Shown(names.RENDEZVOUS_KIND, rendezvous()))
    assert cache.take(Shown(names.PARTICIPANT_KIND, strange())) == {KEY}
    seen = participants(cache)["train.a"]
    assert not seen.understood
    assert seen.object.metadata.uid
    assert seen.object.spec.rendezvous_uid == ""
    cache.take(Gone(names.PARTICIPANT_KIND, strange(version=3)))
    assert participants(cache) == {}


def test_observers_are_told_of_each_rendezvous_and_of_its_end(cache: Cache) -> None:
    told: list[tuple[Key, str | None]] = []
    cache.observe(lambda key, seen: told.append((key, seen.metadata.uid if seen is not None else None)))
    cache.take(Shown(names.RENDEZVOUS_KIND, rendezvous(version=2)))
    cache.take(Shown(names.RENDEZVOUS_KIND, rendezvous(version=1)))  # it comes late
    cache.take(Shown(names.PARTICIPANT_KIND, participant()))
    cache.take(Gone(names.RENDEZVOUS_KIND, rendezvous(version=3)))
    assert told == [(KEY, "r-1"), (KEY, None)]


def test_the_deletion_of_an_older_object_of_the_name_does_not_remove_the_newer_one(cache: Cache) -> None:
    cache.take(Shown(names.PARTICIPANT_KIND, participant()))
    older = participant()
    older["metadata"]["uid"] = "former"
    cache.take(Gone(names.PARTICIPANT_KIND, older))
    assert set(world(cache).participants) == {"train.a"}


def test_a_rendezvous_that_is_recreated_replaces_its_predecessor(cache: Cache) -> None:
    newer = rendezvous(version=50, uid="r-2", created="2026-01-01T00:01:00Z")
    assert cache.take(Shown(names.RENDEZVOUS_KIND, newer)) == {KEY}
    # The deletion of the predecessor may be seen afterwards.
    cache.take(Gone(names.RENDEZVOUS_KIND, rendezvous()))
    assert world(cache).rendezvous.metadata.uid == "r-2"


def test_nothing_is_kept_of_what_is_gone(cache: Cache) -> None:
    cache.take(Shown(names.POD_KIND, pod()))
    cache.take(Shown(names.PARTICIPANT_KIND, participant()))
    cache.take(Gone(names.RENDEZVOUS_KIND, rendezvous()))
    assert set(cache.orphans(KEY)) == {"train.a"}
    cache.take(Gone(names.PARTICIPANT_KIND, participant()))
    cache.take(Gone(names.POD_KIND, pod()))
    assert cache.keys() == []


def _member(name: str) -> dict[str, Any]:
    return {"name": name, "incarnation": "aaaaaaaa", "attempt": 1, "rank": 0}


def test_who_was_absent_in_an_earlier_round_is_read_again_as_a_member_of_the_next_one(cache: Cache) -> None:
    """It may have come back since, and its watch may be late."""
    target = Target(names.PARTICIPANT_KIND, "train.a")
    cache.take(Shown(names.RENDEZVOUS_KIND, rendezvous(version=2, round=1, participants=[_member("train.a")])))
    read(cache, target, None)
    assert target in world(cache).absent
    cache.take(Shown(names.RENDEZVOUS_KIND, rendezvous(version=3, round=2, participants=[_member("train.a")])))
    assert world(cache).absent == frozenset()


def test_of_another_object_of_that_name_nothing_is_known(cache: Cache) -> None:
    cache.take(Shown(names.PARTICIPANT_KIND, participant()))
    other = strange()
    other["metadata"] = {**other["metadata"], "uid": "of-another-one"}
    assert cache.take(Shown(names.PARTICIPANT_KIND, other)) == {KEY}
    seen = participants(cache)["train.a"]
    assert (seen.object.metadata.uid, seen.object.spec.rendezvous_uid) == ("of-another-one", "")


def test_a_read_of_what_cannot_be_understood_is_no_heartbeat(cache: Cache, clock: Clock) -> None:
    cache.take(Shown(names.PARTICIPANT_KIND, strange()))
    beat_at = clock.now
    clock.now += 7
    read(cache, Target(names.PARTICIPANT_KIND, "train.a"), strange())
    seen = participants(cache)["train.a"]
    assert (seen.beat_at, seen.read_at) == (beat_at, clock.now)
