"""The last failures of a run stay in the status."""

from tests.unit.core.builders import now
from tests.unit.core.started import three, two
from tests.unit.core.worlds import Scenario

from rendezvous_api import names
from rendezvous_api.reasons import AttemptReason, LeaveReason, RoundEndReason
from rendezvous_api.rendezvous import Failure


def crash(scenario: Scenario, *who: str) -> None:
    scenario.after(10)
    scenario.reenter(*who, reason=AttemptReason.WORKER_FAILURE)
    if scenario.asks:
        scenario.all_join_again()


def test_a_failure_has_its_round_its_time_its_node_and_its_reason() -> None:
    scenario = two()
    crash(scenario, "b")
    failed = Failure(1, now(1010).micro_time(), "b", RoundEndReason.WORKER_FAILED)
    assert scenario.status.failures == (failed,)
    assert scenario.status.restarts == 1


def test_what_is_no_failure_is_not_there() -> None:
    scenario = two()
    scenario.request_restart("now")
    scenario.all_join_again()
    assert scenario.status.round == 2
    assert scenario.status.failures == ()


def test_the_failure_that_exhausts_the_budget_is_there_too() -> None:
    scenario = two(max_restarts=0)
    crash(scenario, "a", "b")
    assert [(failure.node, failure.reason) for failure in scenario.status.failures] == [
        ("a", RoundEndReason.WORKER_FAILED)
    ]


def test_only_the_last_ones_are_kept() -> None:
    scenario = two()
    for _ in range(names.MAX_HISTORY + 2):
        crash(scenario, "a", "b")
    rounds = [failure.round for failure in scenario.status.failures]
    assert rounds == [*range(3, names.MAX_HISTORY + 3)]


def test_the_next_run_begins_without_any() -> None:
    scenario = two("one")
    crash(scenario, "a", "b")
    scenario.leave("a", "b", reason=LeaveReason.FAILED)
    scenario.join("c", run="two")
    assert scenario.status.failures == ()


def test_a_failure_keeps_its_time_when_another_node_turns_out_to_be_its_cause() -> None:
    scenario = three()
    scenario.silent("c")
    scenario.reenter("a", "b", reason=AttemptReason.WORKER_FAILURE)
    (first,) = scenario.status.failures
    scenario.after(16)
    assert [failure.node for failure in scenario.status.failures] == ["c"]
    assert scenario.status.failures[0].time == first.time
