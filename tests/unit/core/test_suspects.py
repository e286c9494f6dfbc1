"""What people are told of members that are silent, and how often."""

import random

from tests.unit.core.peer_worlds import peers
from tests.unit.core.started import running, three
from tests.unit.core.worlds import Scenario

from rendezvous_api.reasons import EventReason
from rendezvous_operator.core.suspects import TELL_SECONDS
from rendezvous_operator.kube.event_recorder import REFILL_SECONDS

MANY = [f"node-{number:04}" for number in range(1000)]


def told(scenario: Scenario) -> list[str]:
    """The Events about suspects so far, and forget them."""
    about = (EventReason.MEMBER_SUSPECTED, EventReason.MEMBER_RESPONDS)
    found = [f"{event.reason}: {event.message}" for event in scenario.events if event.reason in about]
    scenario.events.clear()
    return found


def test_a_suspect_is_told_at_once_and_with_it_since_when_it_is_silent() -> None:
    scenario = three()
    scenario.at(7)
    scenario.settle()
    scenario.silent("c")
    scenario.at(21)
    assert told(scenario) == []
    scenario.at(22)
    assert told(scenario) == ["MemberSuspected: round 1 goes on, but c is silent since 2030-01-01T00:16:47Z"]
    degraded = scenario.condition("Degraded")
    assert (degraded.reason, degraded.message) == ("MemberSuspected", "c is silent since 2030-01-01T00:16:47Z")
    assert degraded.message in scenario.condition("Running").message
    scenario.at(100)
    assert told(scenario) == [], "once is enough"
    scenario.beat("c")
    assert told(scenario) == ["MemberResponds: round 1: c sends heartbeats again"]
    assert scenario.condition("Degraded").message == ""


def test_what_changes_soon_after_is_told_together() -> None:
    scenario = running("a", "b", "c", "d", "e", "f", max_nodes=6)
    scenario.silent("c")
    scenario.after(1)
    for late in ("d", "e", "f"):
        scenario.silent(late)
        scenario.after(2)
    scenario.after(9)
    assert [event.count("silent since") for event in told(scenario)] == [1]
    scenario.after(20)
    assert told(scenario) == []
    scenario.after(TELL_SECONDS - 20 + 1)
    [event] = told(scenario)
    assert event.startswith("MemberSuspected: round 1 goes on, but d is silent since")
    assert ("c is silent" in event, event.count("silent since")) == (False, 3)


def test_a_path_that_comes_and_goes_is_told_now_and_then() -> None:
    scenario = three()
    for _ in range(40):
        scenario.silent("c")
        scenario.after(16)
        scenario.beat("c")
        scenario.after(1)
    events = [event.reason for event in scenario.events]
    assert events.count(EventReason.MEMBER_SUSPECTED) <= 40 * 17 / TELL_SECONDS + 1


def test_of_many_paths_that_come_and_go_one_event_tells_all() -> None:
    """More of them would use up what the recorder lets through, and those of rounds would be dropped."""
    scenario = running("a", "b", "c", "d", "e", "f", max_nodes=6, suspect_seconds=600)
    rng = random.Random(1)
    for _ in range(300):
        change = rng.choice([scenario.silent, scenario.beat])
        change(rng.choice("bcdef"))
        scenario.after(2)
    events = told(scenario)
    assert any("; " in event and "sends heartbeats again" in event for event in events)
    assert len(events) <= 600 / TELL_SECONDS + 1 < 600 / REFILL_SECONDS


def test_a_member_that_is_lost_or_whose_round_ends_is_not_told_to_be_well_again() -> None:
    scenario = three(suspect_seconds=60)
    scenario.silent("c")
    scenario.after(20)
    told(scenario)
    scenario.reenter("a", "b")
    assert scenario.group == ["a", "b"]
    scenario.restart("c")
    assert told(scenario) == []


def test_while_all_are_silent_nobody_is_told_to_be_well_again() -> None:
    scenario = three()
    scenario.silent("c")
    scenario.after(20)
    assert len(told(scenario)) == 1
    scenario.silent("a", "b")
    scenario.after(100)
    assert scenario.condition("Degraded").status == "False"
    assert told(scenario) == []
    scenario.beat("a", "b")
    scenario.after(40)
    assert told(scenario) == [], "c was told of, and has not been heard since"
    scenario.beat("c")
    assert told(scenario) == ["MemberResponds: round 1: c sends heartbeats again"]


def test_a_thousand_suspects_are_two_events_and_a_short_message() -> None:
    scenario = running(*MANY, max_nodes=1000)
    scenario.silent(*MANY[1:501])
    scenario.after(1)
    scenario.silent(*MANY[501:])
    writes = scenario.writes
    scenario.after(100)
    first, second = told(scenario)
    assert "and 497 more" in first
    assert "and 496 more" in second
    assert len(scenario.condition("Degraded").message) < 300
    # The reconciler bounds the rate of writes that change only the message; these are those of the core.
    assert scenario.writes - writes <= 3


def test_people_learn_of_a_contradiction_within_a_second() -> None:
    """A heartbeat with the same content as before is no reason for a decision."""
    scenario = peers()
    scenario.at(4)
    scenario.silent("c")
    scenario.says(missed=["c"])
    assert scenario.degraded[0] == "MemberSuspected"
    scenario.after(1)
    scenario.cut_off.discard("c")
    scenario.after(1)
    assert scenario.degraded == ("PathBroken", "a (rank 0) gets no beats of c, whose heartbeats arrive")
    assert scenario.wake_at is not None
    assert scenario.wake_at > scenario.clock + 2, "there is nothing to look for any more"
