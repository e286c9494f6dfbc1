"""Rule "failing nodes": others go before who has ended too many rounds with a failure."""

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.core.builders import now
from tests.unit.core.machine_worlds import MachineScenario
from tests.unit.core.started import together

from rendezvous_api import names
from rendezvous_api.reasons import AttemptReason, RoundEndReason
from rendezvous_api.rendezvous import Failure, PassedOver
from rendezvous_operator.core.select.failing_nodes import FIRST_SECONDS, LONGEST_SECONDS


def trains(*spares: str, allowed: int | None = 1, **spec: Any) -> MachineScenario:
    """A round of a, b and c runs, which fill it."""
    times = {"last_call_seconds": 0, "replacement_seconds": 0, "scale_up_interval_seconds": 0}
    scenario = together(MachineScenario(2, 3, max_failures_per_node=allowed, **{**times, **spec}), "a", "b", "c")
    for spare in spares:
        scenario.join(spare)
    return scenario


def workers_fail(scenario: MachineScenario, name: str) -> None:
    """Workers of this member fail, and all join again."""
    scenario.reenter(name, reason=AttemptReason.WORKER_FAILURE)
    scenario.reenter(*(other for other in scenario.group if other != name))


def failed_before(scenario: MachineScenario, *failures: Failure) -> None:
    scenario.status = replace(scenario.status, failures=failures)


def failure(name: str, at: float, machine: str | None = None, index: int | None = None) -> Failure:
    return Failure(0, now(at).micro_time(), name, RoundEndReason.WORKER_FAILED, index, machine)


def test_a_spare_goes_before_a_node_that_has_failed_too_often() -> None:
    scenario = trains("d")
    workers_fail(scenario, "b")
    assert scenario.group == ["a", "b", "c"], "one failure is allowed"
    scenario.after(100)
    workers_fail(scenario, "b")
    assert scenario.group == ["a", "d", "c"]
    assert scenario.status.spares == ("b",)
    until = now(scenario.clock + FIRST_SECONDS).timestamp
    message = f"its machine machine-of-b has ended 2 rounds with a failure; others go before it until {until}"
    assert scenario.status.passed_over == (PassedOver("b", "FailedTooOften", message, "machine-of-b"),)  # type: ignore[arg-type]
    assert scenario.messages().count("NodePassedOver") == 1
    assert "kept out" not in scenario.explanation, "it is a spare like any other"


def test_without_a_spare_it_stays() -> None:
    scenario = trains()
    for _ in range(5):
        workers_fail(scenario, "b")
        assert scenario.group == ["a", "b", "c"]
        assert scenario.status.passed_over == ()


def test_without_the_field_nobody_is_passed_over() -> None:
    scenario = trains("d", allowed=None)
    for _ in range(5):
        workers_fail(scenario, "b")
    assert scenario.group == ["a", "b", "c"]


def test_none_may_be_allowed() -> None:
    scenario = trains("d", allowed=0)
    workers_fail(scenario, "b")
    assert scenario.group == ["a", "d", "c"]


def test_it_is_the_last_of_the_spares_for_a_while() -> None:
    scenario = trains("d")
    failed_before(scenario, failure("b", 990, "machine-of-b"), failure("b", 995, "machine-of-b"))
    workers_fail(scenario, "a")
    assert (scenario.group, scenario.status.spares) == (["a", "d", "c"], ("b",))
    scenario.join("e")
    assert scenario.status.spares == ("e", "b")
    scenario.leave("a")
    scenario.all_join_again()
    assert scenario.group == ["e", "d", "c"]


def test_it_is_never_passed_over_for_ever() -> None:
    scenario = trains("d")
    failed_before(scenario, failure("b", 999, "machine-of-b"), failure("b", 1000, "machine-of-b"))
    workers_fail(scenario, "a")
    assert scenario.group == ["a", "d", "c"]
    scenario.after(FIRST_SECONDS)
    scenario.join("e")
    assert scenario.status.spares == ("b", "e")
    assert scenario.status.passed_over == ()


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [
        (2, FIRST_SECONDS),
        (3, 2 * FIRST_SECONDS),
        (6, 16 * FIRST_SECONDS),
        (9, 128 * FIRST_SECONDS),
        (10, LONGEST_SECONDS),
        (99, LONGEST_SECONDS),
    ],
)
def test_each_further_failure_takes_twice_as_long(failures: int, seconds: int) -> None:
    scenario = trains("d")
    failed_before(scenario, *(failure("b", 1000, "machine-of-b") for _ in range(failures)))
    scenario.reenter("a", reason=AttemptReason.WORKER_FAILURE)
    scenario.reenter("b", "c")
    assert scenario.status.passed_over[0].message.endswith(f"until {now(1000 + seconds).timestamp}")


def test_a_failure_counts_for_the_machine_on_which_the_node_ran() -> None:
    scenario = trains()
    workers_fail(scenario, "b")
    workers_fail(scenario, "b")
    assert {(entry.node, entry.machine) for entry in scenario.status.failures} == {("b", "machine-of-b")}
    scenario.on["x"] = "machine-of-b"
    scenario.join("x", "y")
    assert scenario.status.spares == ("y", "x")
    assert [entry.name for entry in scenario.status.passed_over] == ["x"]


def test_a_node_that_has_moved_begins_anew() -> None:
    scenario = trains("d")
    failed_before(scenario, *(failure("b", 1000, "machine-before") for _ in range(3)))
    workers_fail(scenario, "a")
    assert scenario.group == ["a", "b", "c"]


@pytest.mark.parametrize("knows", ["the machine", "only now", "only then", "no machine"])
def test_where_the_machine_is_not_known_the_node_counts(knows: str) -> None:
    scenario = trains("d")
    then = "machine-of-b" if knows in ("the machine", "only then") else None
    failed_before(scenario, *(failure("b", 1000, then) for _ in range(2)))
    if knows in ("only then", "no machine"):
        scenario.on["b"] = None
    scenario.reenter("a", reason=AttemptReason.WORKER_FAILURE)
    scenario.reenter("b", "c")
    assert ("b" in scenario.group) == (knows == "only then")
    if knows == "no machine":
        assert scenario.status.passed_over[0].message.startswith("it has ended 2 rounds")


def test_a_pod_that_is_replaced_stays_the_same_node() -> None:
    scenario = trains()
    failed_before(scenario, *(failure("train-1-abcde", 1000, index=1) for _ in range(2)))
    scenario.join("train-1-fghij", index=1)
    scenario.join("train-2-klmno", index=2)
    assert scenario.status.spares == ("train-2-klmno", "train-1-fghij")


def test_a_failure_counts_for_the_time_of_the_window() -> None:
    scenario = trains("d", failure_window_seconds=300)
    failed_before(scenario, failure("b", 700, "machine-of-b"), failure("b", 1000, "machine-of-b"))
    workers_fail(scenario, "a")
    assert scenario.group == ["a", "b", "c"]
    failed_before(scenario, failure("b", 701, "machine-of-b"), failure("b", 1000, "machine-of-b"))
    workers_fail(scenario, "a")
    assert scenario.group == ["a", "d", "c"]
    assert "has ended 2 rounds with a failure within 300 s; others go" in scenario.status.passed_over[0].message


def test_a_leader_whose_clock_is_behind_passes_nobody_over_for_longer() -> None:
    scenario = trains("d")
    failed_before(scenario, *(failure("b", 90_000, "machine-of-b") for _ in range(2)))
    workers_fail(scenario, "a")
    assert scenario.status.passed_over[0].message.endswith(f"until {now(1000 + FIRST_SECONDS).timestamp}")


def test_the_list_has_room_for_what_is_counted() -> None:
    scenario = trains(allowed=20)
    for _ in range(30):
        workers_fail(scenario, "b")
    assert len(scenario.status.failures) == 30
    scenario = trains(allowed=None)
    for _ in range(30):
        workers_fail(scenario, "b")
    assert len(scenario.status.failures) == names.MAX_HISTORY


def test_the_machine_of_a_lost_member_is_that_on_which_it_ran() -> None:
    """Its pod is made anew, on another machine, before the fault for the end of the round is found."""
    scenario = trains("d")
    scenario.pod("b")
    scenario.leave("b")
    assert scenario.status.failures[-1].machine == "machine-of-b"
    scenario.on["b"] = "machine-of-x"
    scenario.restart("b")
    scenario.reenter("a", "c")
    (entry,) = scenario.status.failures
    assert (entry.node, entry.machine) == ("b", "machine-of-b")


def test_as_a_newcomer_it_is_taken_in_where_there_is_room() -> None:
    scenario = together(
        MachineScenario(2, 4, max_failures_per_node=0, last_call_seconds=0, scale_up_interval_seconds=60), "a", "b"
    )
    failed_before(scenario, failure("c", 1000, "machine-of-c"))
    scenario.join("c")
    assert scenario.status.formation is not None
    assert scenario.status.formation.joined == 1
    assert scenario.status.passed_over == ()
    scenario.after(60)
    assert scenario.ended_because == "ScaleUp"


def test_while_too_few_nodes_are_there_nobody_is_passed_over() -> None:
    scenario = trains()
    failed_before(scenario, *(failure("b", 1000, "machine-of-b") for _ in range(2)))
    scenario.leave("a", "c")
    scenario.reenter("b")
    assert scenario.status.formation is not None
    assert scenario.status.formation.joined == 1
    assert scenario.status.passed_over == ()
