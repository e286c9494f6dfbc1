"""What the cache knows of pods: those with the label, those that were read, and those that are gone."""

from typing import Any

import pytest
from tests.unit.cache_support import (
    KEY,
    Clock,
    listed,
    participant,
    pod,
    read,
    world,
)

from rendezvous_api import names
from rendezvous_operator.core.world import Target
from rendezvous_operator.watch.cache import Cache
from rendezvous_operator.watch.seen import Gone, Key, Shown

OF_POD: dict[str, Any] = {"podName": "pod-p-1", "podUID": "p-1"}
POD = Target(names.POD_KIND, "pod-p-1", "p-1")


@pytest.mark.parametrize("how", ["event", "list", "label"])
def test_a_pod_that_a_watch_shows_no_more_may_only_have_lost_its_label(cache: Cache, how: str) -> None:
    cache.take(Shown(names.POD_KIND, pod()))
    cache.take(Shown(names.PARTICIPANT_KIND, participant(**OF_POD)))
    match how:
        case "event":
            assert cache.take(Gone(names.POD_KIND, pod())) == {KEY}
        case "list":
            assert listed(cache, names.POD_KIND, []) == {KEY}
        case "label":
            assert KEY in cache.take(Shown(names.POD_KIND, pod(label="other")))
    assert not world(cache).pods
    assert (world(cache).vanished, world(cache).absent) == (frozenset({POD}), frozenset())
    read(cache, POD, pod(label=None))
    assert not world(cache).pods["p-1"].known
    assert not world(cache).vanished | world(cache).absent
    # The label is given back.
    cache.take(Shown(names.POD_KIND, pod()))
    assert world(cache).pods["p-1"].known
    cache.take(Gone(names.POD_KIND, pod()))
    read(cache, POD, None)
    assert not world(cache).pods
    assert (world(cache).vanished, world(cache).absent) == (frozenset(), frozenset({POD}))


def test_when_a_pod_has_ended_is_known_from_the_first_sight_of_it(cache: Cache, clock: Clock) -> None:
    def ended_at() -> float | None:
        return world(cache).ended_at.get("p-1")

    cache.take(Shown(names.PARTICIPANT_KIND, participant(**OF_POD)))
    cache.take(Shown(names.POD_KIND, pod()))
    assert ended_at() is None
    for version, state in ((2, {"terminated": {"exitCode": 1}}), (3, {"terminated": {"exitCode": 2}})):
        clock.now += 5
        item = pod(version=version)
        item["spec"] = {"containers": [{"name": "train"}]}
        item["status"]["containerStatuses"] = [{"name": "train", "state": state}]
        cache.take(Shown(names.POD_KIND, item))
        assert ended_at() == clock.now, "another end"
    for version in (4, 5):
        clock.now += 5
        cache.take(Shown(names.POD_KIND, pod(phase="Failed", version=version)))
        assert ended_at() == 1015, "the same end"
    clock.now += 5
    cache.take(Gone(names.POD_KIND, pod(phase="Failed", version=6)))
    assert ended_at() == 1015, "it may only have lost its label"
    read(cache, POD, None)
    assert ended_at() == clock.now
    cache.take(Gone(names.PARTICIPANT_KIND, participant(**OF_POD)))
    assert ended_at() is None


def test_a_pod_that_is_read_without_the_label_may_have_ended(cache: Cache, clock: Clock) -> None:
    cache.take(Shown(names.PARTICIPANT_KIND, participant(**OF_POD)))
    read(cache, POD, pod(phase="Succeeded", label=None))
    assert world(cache).ended_at == {"p-1": clock.now}


def test_nothing_is_kept_of_the_pod_of_a_participant_that_is_gone(cache: Cache) -> None:
    for answer in (None, pod(label=None)):
        cache.take(Shown(names.POD_KIND, pod()))
        cache.take(Shown(names.PARTICIPANT_KIND, participant(**OF_POD)))
        cache.take(Gone(names.POD_KIND, pod()))
        read(cache, POD, answer)
        cache.take(Gone(names.PARTICIPANT_KIND, participant(**OF_POD)))
        seen = world(cache)
        assert not seen.pods
        assert not [target for target in seen.vanished | seen.absent if target.uid]
        assert not seen.ended_at


def test_nothing_is_kept_of_a_pod_whose_participant_has_gone_while_it_was_read(cache: Cache) -> None:
    """As when a pod is deleted: the garbage collector deletes its participant in the same moment."""
    for answer in (None, pod(label=None)):
        cache.take(Shown(names.POD_KIND, pod()))
        cache.take(Shown(names.PARTICIPANT_KIND, participant(**OF_POD)))
        cache.take(Gone(names.POD_KIND, pod()))
        asked = cache.asks(names.POD_KIND)
        cache.take(Gone(names.PARTICIPANT_KIND, participant(**OF_POD)))
        read(cache, POD, answer, asked)
        seen = world(cache)
        assert not seen.pods
        assert (seen.vanished, seen.absent, seen.ended_at) == (frozenset(), frozenset(), {})


def test_a_pod_that_is_read_without_the_label_is_not_known(cache: Cache) -> None:
    cache.take(Shown(names.PARTICIPANT_KIND, participant(podName="pod-p-1", podUID="p-1")))
    read(cache, Target(names.POD_KIND, "pod-p-1", "p-1"), pod(label=None))
    assert not world(cache).pods["p-1"].known
    # It is in no list of labelled pods, and is not forgotten for that.
    listed(cache, names.POD_KIND, [])
    assert "p-1" in world(cache).pods


def test_another_pod_of_the_same_name_means_that_the_pod_is_gone(cache: Cache) -> None:
    cache.take(Shown(names.PARTICIPANT_KIND, participant(podName="pod-p-1", podUID="p-1")))
    target = Target(names.POD_KIND, "pod-p-1", "p-1")
    read(cache, target, pod(uid="p-2"))
    assert target in world(cache).absent


def test_a_pod_whose_label_is_changed_moves(cache: Cache) -> None:
    cache.take(Shown(names.POD_KIND, pod()))
    assert cache.take(Shown(names.POD_KIND, pod(label="other"))) == {KEY, Key("ns", "other")}
    assert world(cache).pods == {}


def test_a_pod_in_which_no_participant_is_leaves_nothing_behind(cache: Cache) -> None:
    cache.take(Shown(names.POD_KIND, pod()))
    cache.take(Gone(names.POD_KIND, pod(version=2)))
    assert world(cache).vanished == frozenset(), "there is nothing to read it for"


def test_a_pod_that_gets_its_label_back_is_shown_again(cache: Cache) -> None:
    cache.take(Shown(names.POD_KIND, pod()))
    cache.take(Shown(names.PARTICIPANT_KIND, participant(podName="pod-p-1", podUID="p-1")))
    cache.take(Gone(names.POD_KIND, pod(version=2)))
    assert world(cache).vanished == {Target(names.POD_KIND, "pod-p-1", "p-1")}
    cache.take(Shown(names.POD_KIND, pod(version=3)))
    assert world(cache).vanished == frozenset()


def test_a_pod_that_changes_in_nothing_that_matters_asks_for_no_decision(cache: Cache) -> None:
    assert cache.take(Shown(names.POD_KIND, pod())) == {KEY}
    assert cache.take(Shown(names.POD_KIND, pod(version=2))) == set()
    assert cache.take(Shown(names.POD_KIND, pod(version=3, phase="Failed"))) == {KEY}
