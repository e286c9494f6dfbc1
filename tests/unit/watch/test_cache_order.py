"""Answers of lists and reads that come later than newer events, and the other way round."""

import pytest
from tests.unit.cache_support import (
    KEY,
    Clock,
    listed,
    participant,
    participants,
    pod,
    read,
    rendezvous,
    world,
)

from rendezvous_api import names
from rendezvous_operator.core.world import Target
from rendezvous_operator.kube.client import KINDS
from rendezvous_operator.watch.cache import Cache
from rendezvous_operator.watch.seen import Gone, Key, Shown

POD = Target(names.POD_KIND, "pod-p-1", "p-1")
AGENT = Target(names.PARTICIPANT_KIND, "train.a")


def test_an_older_list_does_not_undo_what_a_watch_has_shown_of_a_pod(cache: Cache) -> None:
    asked = cache.asks(names.POD_KIND)
    cache.take(Shown(names.POD_KIND, pod(phase="Failed", version=8)))
    listed(cache, names.POD_KIND, [pod(version=7)], asked)
    assert world(cache).pods["p-1"].phase == "Failed"


def test_an_older_event_does_not_undo_what_a_list_has_shown_of_a_pod(cache: Cache) -> None:
    listed(cache, names.POD_KIND, [pod(phase="Failed", version=8)])
    assert cache.take(Shown(names.POD_KIND, pod(version=7))) == set()
    assert world(cache).pods["p-1"].phase == "Failed"


def test_an_older_read_does_not_undo_what_a_watch_has_shown_of_a_pod(cache: Cache) -> None:
    cache.take(Shown(names.PARTICIPANT_KIND, participant(podName="pod-p-1", podUID="p-1")))
    asked = cache.asks(names.POD_KIND)
    cache.take(Shown(names.POD_KIND, pod(phase="Failed", version=8)))
    read(cache, POD, pod(label=None, version=7), asked)
    assert (world(cache).pods["p-1"].phase, world(cache).pods["p-1"].known) == ("Failed", True)


def test_a_label_that_was_given_back_is_not_taken_by_an_older_event(cache: Cache) -> None:
    listed(cache, names.POD_KIND, [pod(version=12)])
    assert cache.take(Gone(names.POD_KIND, pod(version=10))) == set()
    assert world(cache).pods["p-1"].known


def test_what_was_deleted_while_a_read_was_under_way_does_not_come_back(cache: Cache) -> None:
    cache.take(Shown(names.PARTICIPANT_KIND, participant(podName="pod-p-1", podUID="p-1")))
    cache.take(Shown(names.POD_KIND, pod()))
    asked = {kind: cache.asks(kind) for kind in (names.PARTICIPANT_KIND, names.POD_KIND)}
    cache.take(Gone(names.POD_KIND, pod(version=5)))
    read(cache, POD, pod(), asked[names.POD_KIND])
    assert world(cache).pods == {}
    cache.take(Gone(names.PARTICIPANT_KIND, participant(version=5)))
    read(cache, AGENT, participant(), asked[names.PARTICIPANT_KIND])
    assert participants(cache) == {}


def test_each_of_several_requests_knows_what_came_after_it(cache: Cache) -> None:
    first = cache.asks(names.PARTICIPANT_KIND)
    cache.take(Shown(names.PARTICIPANT_KIND, participant()))
    second = cache.asks(names.PARTICIPANT_KIND)
    assert read(cache, AGENT, None, first) == set()
    assert set(participants(cache)) == {"train.a"}
    assert read(cache, AGENT, None, second) == {KEY}
    assert participants(cache) == {}


def test_a_read_that_is_older_than_what_a_watch_has_shown_counts_as_read(cache: Cache, clock: Clock) -> None:
    """Otherwise it is read again and again."""
    cache.take(Shown(names.PARTICIPANT_KIND, participant(version=2)))
    asked = cache.asks(names.PARTICIPANT_KIND)
    clock.now += 1
    cache.take(Shown(names.PARTICIPANT_KIND, participant(version=3, beat="3")))
    read(cache, AGENT, participant(version=2), asked)
    seen = participants(cache)["train.a"]
    assert (seen.read_at, seen.object.metadata.resource_version) == (1000.0, "3")


def test_a_read_counts_from_when_it_was_sent(cache: Cache, clock: Clock) -> None:
    asked = cache.asks(names.PARTICIPANT_KIND)
    clock.now += 29
    read(cache, AGENT, participant(), asked)
    assert participants(cache)["train.a"].read_at == 1000.0


def test_no_read_is_in_the_future_when_the_clock_goes_back(cache: Cache, clock: Clock) -> None:
    asked = cache.asks(names.PARTICIPANT_KIND)
    clock.now -= 20
    read(cache, AGENT, participant(), asked)
    assert participants(cache)["train.a"].read_at == 980.0


def test_a_rendezvous_that_is_gone_is_forgotten_unless_it_was_created_again(cache: Cache) -> None:
    target = Target(names.RENDEZVOUS_KIND, "train")
    asked = cache.asks(names.RENDEZVOUS_KIND)
    cache.take(Shown(names.RENDEZVOUS_KIND, rendezvous(version=9, uid="r-2")))
    assert read(cache, target, None, asked) == set()
    assert world(cache).rendezvous.metadata.uid == "r-2"
    assert read(cache, target, None) == {KEY}
    assert cache.keys() == []


def test_a_member_whose_name_belongs_to_another_rendezvous_now_is_absent(cache: Cache) -> None:
    """Otherwise it would be read again and again."""
    cache.take(Shown(names.PARTICIPANT_KIND, participant()))
    other = {**participant(version=7, rendezvousName="other")}
    other["metadata"]["uid"] = "another"
    read(cache, AGENT, other)
    assert AGENT in world(cache).absent
    assert set(cache.orphans(Key("ns", "other"))) == {"train.a"}


def test_what_was_read_before_a_round_was_seen_is_no_evidence_about_its_members(cache: Cache) -> None:
    cache.take(Shown(names.PARTICIPANT_KIND, participant()))
    read(cache, AGENT, participant())
    under_way = cache.asks(names.PARTICIPANT_KIND)
    cache.take(Shown(names.RENDEZVOUS_KIND, rendezvous(version=2, round=1)))
    assert participants(cache)["train.a"].read_at is None
    read(cache, AGENT, participant(), under_way)
    assert participants(cache)["train.a"].read_at is None
    read(cache, AGENT, participant())
    assert participants(cache)["train.a"].read_at is not None
    cache.take(Shown(names.RENDEZVOUS_KIND, rendezvous(version=3, round=1, waitingNodes=1)))
    assert participants(cache)["train.a"].read_at is not None, "the same round: nothing is read again"


def test_who_was_absent_before_a_round_was_seen_may_be_a_member_of_it(cache: Cache) -> None:
    read(cache, AGENT, None)
    assert world(cache).absent == {AGENT}
    under_way = cache.asks(names.PARTICIPANT_KIND)
    cache.take(Shown(names.RENDEZVOUS_KIND, rendezvous(version=2, round=1)))
    assert world(cache).absent == frozenset()
    read(cache, AGENT, None, under_way)
    assert world(cache).absent == frozenset()
    read(cache, AGENT, None)
    assert world(cache).absent == {AGENT}


def test_a_late_deletion_of_an_earlier_object_of_a_member_is_no_evidence(cache: Cache) -> None:
    cache.take(Shown(names.PARTICIPANT_KIND, participant()))
    cache.take(Shown(names.RENDEZVOUS_KIND, rendezvous(version=9, round=1)))
    cache.take(Gone(names.PARTICIPANT_KIND, participant(version=5)))
    assert (dict(participants(cache)), world(cache).absent) == ({}, frozenset())


@pytest.mark.parametrize("kind", KINDS)
def test_a_list_whose_version_goes_back_is_one_of_a_restored_etcd(cache: Cache, kind: str) -> None:
    newer = {
        names.RENDEZVOUS_KIND: rendezvous(version=2000),
        names.PARTICIPANT_KIND: participant(version=2000),
        names.POD_KIND: pod(version=2000),
    }
    under_way = cache.asks(kind)
    cache.take(Shown(kind, newer[kind]))
    listed(cache, kind, [], under_way, version=1999)
    assert cache.restored is None, "it was requested before"
    listed(cache, kind, [], version=2000)
    assert cache.restored is None
    assert listed(cache, kind, [], version=1999) == set()
    assert cache.restored == f"a list of every {kind} has version 1999, but 2000 was seen before"


def test_a_read_whose_version_goes_back_is_one_of_a_restored_etcd(cache: Cache) -> None:
    """Its watch may go on from a version that etcd has not reached yet, and so show nothing."""
    cache.take(Shown(names.PARTICIPANT_KIND, participant(version=2000)))
    read(cache, AGENT, participant(version=2000))
    assert cache.restored is None
    assert read(cache, AGENT, participant(version=1999)) == set()
    assert cache.restored == "RendezvousParticipant train.a has version 1999, but 2000 was seen before"
