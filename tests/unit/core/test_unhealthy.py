"""Rule "health": who says that a health check has failed stays out, and nobody waits for it."""

from tests.unit.core.healths import FOUND, comes_back, stays_out
from tests.unit.core.started import running, three, x_is_held_out
from tests.unit.core.worlds import Scenario

from rendezvous_api import names
from rendezvous_api.reasons import AttemptReason, LeaveReason
from rendezvous_api.rendezvous import Unhealthy


def test_the_others_train_on_at_once_without_it() -> None:
    scenario = three(replacement_seconds=30)
    scenario.request_restart("now")
    scenario.reenter("a", "b")
    stays_out(scenario, "c")
    assert scenario.group == ["a", "b"]
    assert scenario.status.unhealthy == (Unhealthy("c", FOUND),)


def test_a_spare_takes_its_place() -> None:
    scenario = three(replacement_seconds=30)
    scenario.join("d")
    stays_out(scenario, "b")
    scenario.all_join_again()
    assert scenario.group == ["a", "d", "c"]


def test_a_lost_member_beside_it_is_waited_for() -> None:
    scenario = running("a", "b", "c", "d", replacement_seconds=30)
    scenario.gone("d")
    stays_out(scenario, "c")
    scenario.reenter("a", "b")
    assert scenario.condition("Running").message.startswith("2 of 3 nodes have joined again; waiting for replacements")
    scenario.after(30)
    assert scenario.group == ["a", "b"]


def test_it_is_taken_in_again_when_its_checks_succeed() -> None:
    scenario = three(scale_up_interval_seconds=60)
    stays_out(scenario, "c")
    scenario.all_join_again()
    comes_back(scenario, "c")
    assert scenario.asks, "it fills the group"
    scenario.all_join_again()
    assert scenario.group == ["a", "b", "c"]
    assert scenario.status.unhealthy == ()
    assert scenario.condition("Degraded").reason == "AsExpected"


def test_a_spare_that_is_unhealthy_is_none() -> None:
    scenario = three(replacement_seconds=30)
    scenario.join("d")
    assert [*scenario.status.spares] == ["d"]
    stays_out(scenario, "d")
    assert [*scenario.status.spares] == []
    assert not scenario.asks, "no running round ends for that"
    scenario.reenter("a", reason=AttemptReason.WORKER_FAILURE)
    scenario.reenter("b", "c")
    assert scenario.group == ["a", "b", "c"]


def test_people_see_what_was_found() -> None:
    scenario = three()
    stays_out(scenario, "c")
    assert scenario.messages().count("NodeUnhealthy") == 1
    (event,) = [event for event in scenario.events if event.reason == "NodeUnhealthy"]
    assert event.message == f"c stays out, since it is unhealthy: {FOUND}"
    assert event.warning
    scenario.all_join_again()
    degraded = scenario.condition("Degraded")
    assert (degraded.status, degraded.reason) == ("True", "NodeUnhealthy")
    assert degraded.message == f"c is unhealthy: {FOUND}"
    assert f"c is unhealthy: {FOUND}" in scenario.condition("Running").message


def test_one_event_tells_of_it_whatever_its_further_checks_find() -> None:
    scenario = three()
    stays_out(scenario, "c", "b")
    stays_out(scenario, "c", found="disk: 1 GiB is free")
    assert scenario.messages().count("NodeUnhealthy") == 1
    assert scenario.events[-1].message.endswith("(and 1 more)")
    assert scenario.status.unhealthy == (Unhealthy("b", FOUND), Unhealthy("c", "disk: 1 GiB is free"))


def test_a_hold_out_is_the_first_reason() -> None:
    scenario = x_is_held_out()
    stays_out(scenario, "d")
    assert scenario.condition("Degraded").reason == "NodeHeldOut"
    assert "d is unhealthy" in scenario.condition("Degraded").message


def test_too_few_are_left() -> None:
    scenario = three()
    stays_out(scenario, "b", "c")
    scenario.all_join_again()
    scenario.after(60)
    running = scenario.condition("Running")
    assert (running.status, running.reason) == ("False", "WaitingForNodes")
    assert running.message == (
        "1 of at least 2 nodes, which would be enough with the unhealthy ones; "
        f"b is unhealthy: {FOUND}, c is unhealthy: {FOUND}"
    )
    formation = scenario.status.formation
    assert formation is not None
    assert [item.name for item in formation.missing] == ["b", "c"]


def test_too_few_would_be_left_with_them_too() -> None:
    scenario = Scenario(4, 4)
    scenario.join("a")
    stays_out(scenario, "b")
    assert scenario.condition("Running").message == f"1 of at least 4 nodes; b is unhealthy: {FOUND}"


def test_before_any_run_it_is_shown() -> None:
    scenario = Scenario(2, 2)
    scenario.pod("a")
    stays_out(scenario, "a", pod=True)
    assert scenario.condition("Running").message == f"0 of at least 2 nodes; a is unhealthy: {FOUND}"
    assert scenario.status.unhealthy == (Unhealthy("a", FOUND),)


def test_a_first_round_does_not_wait_for_it() -> None:
    """Its pod is known, and the others are all that are expected."""
    scenario = Scenario(2, 4, last_call_seconds=300)
    scenario.pod("a", "b", "c")
    scenario.join_from_pods("a", "b", run=None)
    stays_out(scenario, "c", pod=True)
    scenario.after(5)
    assert scenario.group == ["a", "b"]


def test_of_a_run_that_has_ended_it_is_not_shown() -> None:
    scenario = three()
    stays_out(scenario, "c")
    scenario.all_join_again()
    assert scenario.status.unhealthy
    scenario.leave("a", "b", reason=LeaveReason.SUCCEEDED)
    assert scenario.closed_runs == {"run": "RunSucceeded"}
    assert scenario.status.unhealthy == ()
    scenario.join("x", run="other")
    assert scenario.status.unhealthy == ()
    assert "unhealthy" not in scenario.condition("Running").message


def test_who_is_dead_is_shown_no_more() -> None:
    scenario = Scenario(2, 3, replacement_seconds=30)
    scenario.pod("a", "b", "c", workload="run")
    scenario.join_from_pods("a", "b", "c")
    stays_out(scenario, "c")
    scenario.pod("c", workload="run", phase="Failed")
    assert scenario.status.unhealthy == ()
    scenario.all_join_again()
    assert scenario.group == ["a", "b"], "nor is it waited for"


def test_what_it_says_counts_only_after_it_has_left() -> None:
    """A later release may say it of a node that takes part."""
    scenario = three()
    scenario.restart("c", unhealthy="gpus: one is hot")
    scenario.reenter("a", "b")
    assert scenario.group == ["a", "b", "c"]
    assert scenario.status.unhealthy == ()


def test_the_list_has_a_limit() -> None:
    scenario = Scenario(2, 200)
    who = [f"n{number:03}" for number in range(names.MAX_UNHEALTHY + 1)]
    scenario.complete = False
    for name in who:
        stays_out(scenario, name)
    scenario.complete = True
    scenario.settle()
    assert [entry.name for entry in scenario.status.unhealthy] == who[:-1]
