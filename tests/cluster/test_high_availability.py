"""Two operators: one decides, the other takes over when it goes; who trains notices nothing of either."""

import contextlib
import json
import signal
import time
from collections.abc import Callable, Iterator

import pytest
from testcluster import Cluster
from tests.cluster.harness import Group
from tests.cluster.manifests import indexed_job
from tests.cluster.order import make_whole
from tests.cluster.release import ROOT, Release
from tests.cluster.rows import Rows
from tests.cluster.take_over import Operators, TakeOver, told_of_rounds
from tests.cluster.timings import Timings
from tests.cluster.undisturbed import Training, assert_everyone_is_heard, assert_undisturbed, look_at

from rendezvous_api.reasons import RoundEndReason

TAKE_OVER_SECONDS = 20.0
"""At most: the Lease lasts 15 s, and the others look at it every 2 s."""
HAND_OVER_SECONDS = 3.0
AWAY_SECONDS = 60
FROZEN_SECONDS = 10

TakeOvers = Rows[TakeOver]
Disturb = Callable[[Operators], float]
DISTURBANCES: dict[str, Disturb] = {
    "pod deleted with --force": lambda operators: operators.delete_leader("--grace-period=0", "--force"),
    "process killed (SIGKILL)": lambda operators: operators.signal_leader(signal.SIGKILL),
}


@pytest.fixture(scope="module")
def take_overs() -> Iterator[TakeOvers]:
    """Where the times go: build/cluster-take-overs.json, and standard output."""
    found: TakeOvers = Rows(ROOT / "build" / "cluster-take-overs.json")
    yield found
    print("", *(row.line() for row in found.rows), sep="\n")


@pytest.fixture
def operators(cluster: Cluster, release: Release, group: Group) -> Iterator[Operators]:
    """Both operators; they are there again after the test."""
    found = Operators(release, group)
    found.wait_until_complete()
    yield found
    make_whole(cluster)
    release.scale(2)
    found.wait_until_complete()


def start_training(group: Group, pods: int = 2, node: str | None = None) -> Training:
    group.create_rendezvous(2, 3, replacementSeconds=60)
    group.create(indexed_job("train", pods, group.template("2:3", node=node)))
    group.wait_for_training(pods)
    return look_at(group)


def assert_told_once(group: Group) -> None:
    """Each round was published by one operator, once."""
    told = [round_ for round_, _ in told_of_rounds(group, group.name)]
    assert len(told) == len(set(told)) == group.status.round, told


@pytest.mark.parametrize("how", DISTURBANCES)
def test_the_leader_dies(group: Group, operators: Operators, take_overs: TakeOvers, how: str) -> None:
    before = start_training(group)
    with group.recorder() as recorder:
        row = take_overs.add(operators.take_over(how, lambda: DISTURBANCES[how](operators)))
        assert row.holds_lease < TAKE_OVER_SECONDS
        assert row.decides < TAKE_OVER_SECONDS
        assert_everyone_is_heard(group)
        assert_undisturbed(group, before)
    recorder.assert_rules(2, 3)
    assert_told_once(group)


def test_the_leader_is_deleted_and_hands_over(group: Group, operators: Operators, take_overs: TakeOvers) -> None:
    before = start_training(group)
    row = take_overs.add(operators.take_over("pod deleted", operators.delete_leader))
    assert row.holds_lease < HAND_OVER_SECONDS
    assert row.decides < HAND_OVER_SECONDS
    assert_everyone_is_heard(group)
    assert_undisturbed(group, before)
    assert_told_once(group)


def test_the_node_of_the_leader_is_lost(
    cluster: Cluster, group: Group, operators: Operators, take_overs: TakeOvers
) -> None:
    lost = operators.leader().node
    (other,) = set(cluster.nodes) - {lost}
    assert {pod.node for pod in operators.pods()} == {lost, other}
    before = start_training(group, node=other)

    def lose() -> float:
        event = time.time()
        cluster.node(lost).lose()
        return event

    row = take_overs.add(operators.take_over("its node is lost", lose))
    assert row.holds_lease < TAKE_OVER_SECONDS
    assert row.decides < TAKE_OVER_SECONDS
    assert_everyone_is_heard(group)
    assert_undisturbed(group, before)
    cluster.node(lost).start()
    cluster.wait_until_ready()
    operators.wait_until_complete()
    assert_undisturbed(group, before)
    assert_told_once(group)


def test_a_leader_that_was_frozen_decides_nothing_more(
    group: Group, operators: Operators, take_overs: TakeOvers
) -> None:
    before = start_training(group)
    frozen = operators.leader()
    try:
        with group.recorder() as recorder:
            row = take_overs.add(
                operators.take_over("process frozen (SIGSTOP)", lambda: operators.signal_leader(signal.SIGSTOP))
            )
            assert row.holds_lease < TAKE_OVER_SECONDS
            assert row.decides < TAKE_OVER_SECONDS
            # When it wakes up, it still has the world of before, a member that has failed since then, and work to do.
            member = group.pod_of_rank(1)
            group.crash(member)
            group.wait(lambda: group.status.round == 2, "round 2")
            operators.signal_pod(frozen, signal.SIGCONT)
            woke = time.time()
            time.sleep(FROZEN_SECONDS)
            operators.decide()
    finally:
        with contextlib.suppress(AssertionError):  # its kubelet has started it anew
            operators.signal_pod(frozen, signal.SIGCONT)
    assert operators.leader().name != frozen.name
    group.wait_for_training(2, since=woke)
    assert group.status.round == 2
    assert [record.reason for record in group.status.history] == [RoundEndReason.WORKER_FAILED, None]
    recorder.assert_rules(2, 3)
    assert_told_once(group)
    group.journal.assert_no_split()
    assert {pod.name for pod in group.pods()} == {name for name, _, _ in before.pods}


def test_both_operators_are_away_for_a_minute(group: Group, operators: Operators, release: Release) -> None:
    before = start_training(group)
    release.scale(0)
    time.sleep(AWAY_SECONDS)
    assert_undisturbed(group, before)
    release.scale(2)
    operators.wait_until_complete()
    operators.decide()
    assert_everyone_is_heard(group)
    assert_undisturbed(group, before)
    assert_told_once(group)


def test_leader_and_member_die_in_the_same_moment(group: Group, operators: Operators, timings: Timings) -> None:
    """The new leader knows nothing but what the API server has, and it must find out who is missing."""
    start_training(group, pods=3)
    with group.recorder() as recorder:
        event = operators.signal_leader(signal.SIGKILL)
        group.kill_container(group.pod_of_rank(0))
        row = timings.add(
            group.measure(recorder, "Job of 3 pods", "rank 0 and the leader killed at once", event, nodes=3)
        )
    print(json.dumps(row.cells()))
    assert group.status.round == 2, "one loss is one round"
    recorder.assert_rules(2, 3, operator_was_away=True)
    assert_told_once(group)
    group.journal.assert_no_split()
