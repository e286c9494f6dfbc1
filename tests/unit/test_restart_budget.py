"""What the limits of a restart budget count (rule "restart budget")."""

from datetime import datetime, timedelta, timezone

import pytest

from rendezvous_api.meta import micro_time
from rendezvous_api.reasons import FAILURES, RoundEndReason
from rendezvous_api.rendezvous import Failure
from rendezvous_api.rendezvous_spec import Restarts, RestartsPerReason
from rendezvous_api.restart_budget import LIMITS, Count, counts, until_when

NOON = datetime(2030, 1, 1, 12, tzinfo=timezone.utc)


def failure(number: int, seconds: float, node: str = "a", **more: int) -> Failure:
    time = micro_time(NOON + timedelta(seconds=seconds))
    return Failure(number, time, node, RoundEndReason.WORKER_FAILED, more.get("pod_index"))


def counted(restarts: Restarts, *failures: Failure, at: float, total: int | None = None) -> tuple[Count, ...]:
    found = len(failures) if total is None else total
    return counts(restarts, failures, found, failures[-1], NOON + timedelta(seconds=at))


def test_each_limit_that_is_set_is_counted_in_its_order() -> None:
    restarts = Restarts(9, per_node=3, per_reason=RestartsPerReason(worker_failed=2))
    found = counted(restarts, failure(1, 0, "b"), failure(2, 1), at=1)
    assert [(count.limit, count.allowed, count.used, count.of) for count in found] == [
        ("max", 9, 2, ""),
        ("perNode", 3, 1, "a"),
        ("perReason.workerFailed", 2, 2, "WorkerFailed"),
    ]
    assert len(found) == len(LIMITS)
    assert counted(Restarts(), failure(1, 0), at=0) == ()


@pytest.mark.parametrize(("at", "used"), [(10, 2), (59.999999, 2), (60, 1), (69.999999, 1), (70, 0)])
def test_a_failure_counts_no_more_at_the_end_of_the_window(at: float, used: int) -> None:
    (count,) = counted(Restarts(1, window_seconds=60), failure(1, 0), failure(2, 10), at=at)
    assert (count.used, count.exceeded) == (used, used > 1)


def test_a_time_that_is_not_over_yet_by_this_clock_counts() -> None:
    """The clock of the leader before was ahead of this one."""
    (count,) = counted(Restarts(1, window_seconds=60), failure(1, 1000), failure(2, 0), at=0)
    assert count.exceeded


def test_without_a_window_those_count_that_are_listed_no_more() -> None:
    (count,) = counted(Restarts(20), failure(20, 0), failure(21, 1), at=1, total=21)
    assert (count.used, count.exceeded) == (21, True)
    assert until_when(Restarts(20), failure(1, 0)) is None


def test_a_pod_of_an_indexed_job_that_is_replaced_is_the_same_node() -> None:
    first, second = failure(1, 0, "t.job-1-aaaaa", pod_index=1), failure(2, 1, "t.job-1-bbbbb", pod_index=1)
    (_, of_node) = counted(Restarts(9, per_node=1), first, second, at=1)
    assert of_node.exceeded
    # A Job without indices may have a name that ends like one with them.
    (_, of_node) = counted(
        Restarts(9, per_node=1), failure(1, 0, "t.job-1-aaaaa"), failure(2, 1, "t.job-1-bbbbb"), at=1
    )
    assert not of_node.exceeded


def test_there_is_a_limit_for_each_kind_of_failure_and_for_nothing_else() -> None:
    limits = RestartsPerReason(1, 2, 3, 4)
    assert {limits.of(reason) for reason in FAILURES} == {1, 2, 3, 4}
    assert {limits.of(reason) for reason in {*RoundEndReason} - FAILURES} == {None}


def test_as_many_failures_are_needed_as_count_and_one_more() -> None:
    assert (Restarts().listed, Restarts(50).listed, Restarts(per_node=3).listed) == (0, 0, 0)
    limits = (Restarts(50, window_seconds=1), Restarts(50, per_node=1), Restarts(50, per_reason=RestartsPerReason()))
    assert {restarts.listed for restarts in limits} == {51}
