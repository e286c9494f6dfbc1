"""Since when a fact has been true: what starts a timer, and what does not start it again."""

from collections.abc import Callable

import pytest
from tests.unit.core.builders import now
from tests.unit.core.started import three
from tests.unit.core.worlds import Scenario

from rendezvous_api.reasons import AttemptReason
from rendezvous_operator.core.facts import tick
from rendezvous_operator.core.observe import observe
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.timers import Timer, Timers
from rendezvous_operator.core.world import Memory

WORKER_FAILURE = AttemptReason.WORKER_FAILURE


def situation(scenario: Scenario) -> Situation:
    seen = observe(now(scenario.clock), scenario.world(), scenario.memory)
    assert isinstance(seen, Situation)
    return seen


def test_what_does_not_hold_has_begun_now() -> None:
    timers = Timers(7.0, {(Timer.ROUND, 1): 3.0})
    assert timers.began(Timer.ROUND, 1) == 3
    assert timers.began(Timer.ROUND, 2) == 7
    assert timers.began(Timer.EMPTY) == 7
    assert timers.holds(Timer.ROUND, 1)
    assert not timers.holds(Timer.ROUND, 2)
    assert timers.passed(7)
    assert not timers.passed(7.1)


def test_what_holds_no_longer_is_forgotten_and_what_goes_on_is_kept() -> None:
    scenario = three()
    s = situation(scenario)
    memory = Memory({(Timer.ROUND, 1): 900.0, (Timer.ROUND, 0): 800.0, (Timer.EMPTY, None): 700.0})
    assert tick(s, memory).since == {(Timer.ROUND, 1): 900.0, (Timer.CHECKED_IN, 1): scenario.clock}


def waits_to_reenter() -> Scenario:
    scenario = three(reentry_seconds=330)
    scenario.reenter("a", "b", reason=WORKER_FAILURE)
    return scenario


def waits_for_replacements() -> Scenario:
    scenario = three(replacement_seconds=330)
    scenario.gone("c")
    scenario.reenter("a", "b")
    return scenario


def test_a_rendezvous_that_is_closed_for_a_moment_does_not_forget_when_its_members_were_asked() -> None:
    scenario = waits_to_reenter()
    scenario.at(300)
    scenario.edit(closed=True)
    assert scenario.condition("Running").reason == "ClosedBySpec"
    scenario.at(301)
    scenario.edit(closed=False)
    scenario.at(329)
    assert scenario.status.round == 1
    scenario.at(330)
    assert scenario.group == ["a", "b"]


def test_a_member_that_falls_silent_and_is_heard_again_has_no_more_time_to_come_back() -> None:
    scenario = waits_to_reenter()
    scenario.at(100)
    scenario.silent("a")
    scenario.at(120)
    scenario.beat("a")
    scenario.at(329)
    assert scenario.status.round == 1
    scenario.at(330)
    assert scenario.group == ["a", "b"]


@pytest.mark.parametrize("waits", [waits_to_reenter, waits_for_replacements])
def test_no_timer_starts_before_the_next_heartbeat(waits: Callable[[], Scenario]) -> None:
    scenario = waits()
    scenario.at(100)
    scenario.silent("a", "b", "c")
    scenario.at(1100)
    scenario.beat("a", "b", "c")
    scenario.at(1100 + 329)
    assert scenario.status.round == 1
    scenario.at(1100 + 330)
    assert scenario.group == ["a", "b"]


def test_nothing_that_is_remembered_is_in_the_future_when_the_clock_goes_back() -> None:
    scenario = waits_to_reenter()
    scenario.clock -= 10
    since = scenario.decide().memory.since
    assert since[Timer.ASKED, 1] == scenario.clock
    assert max(since.values()) == scenario.clock
