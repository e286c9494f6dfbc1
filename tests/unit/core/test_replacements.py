"""Rule "replacements": when a later round of a run is published."""

from tests.unit.core.builders import now
from tests.unit.core.started import running, three
from tests.unit.core.worlds import Scenario

from rendezvous_api.reasons import AttemptReason, FormationReason
from rendezvous_operator.core.facts import tick
from rendezvous_operator.core.observe import observe
from rendezvous_operator.core.select.select import select
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.start import replacements
from rendezvous_operator.core.verdict import Waits

WORKER_FAILURE = AttemptReason.WORKER_FAILURE


def test_later_rounds_start_at_once_when_every_member_is_back() -> None:
    scenario = running("a", "b", "c")
    scenario.reenter("a", reason=WORKER_FAILURE)
    scenario.all_join_again()
    assert scenario.status.round == 2


def test_later_rounds_start_at_once_when_the_lost_are_replaced() -> None:
    scenario = running("a", "b", "c")
    scenario.gone("c")
    scenario.all_join_again()
    assert scenario.status.round == 1
    scenario.join("d")
    assert scenario.group == ["a", "b", "d"]


def test_later_rounds_wait_for_replacements_from_the_last_loss_or_return_on() -> None:
    scenario = running("a", "b", "c", replacement_seconds=30)
    scenario.gone("c")
    scenario.at(20)
    scenario.reenter("a")
    scenario.at(50)
    scenario.reenter("b")  # the last one to come back
    scenario.at(79)
    assert scenario.condition("Running").reason == FormationReason.WAITING_FOR_REPLACEMENTS
    scenario.at(80)
    assert scenario.group == ["a", "b"]


def test_the_message_names_the_moment_and_stays_as_it_is() -> None:
    scenario = three(replacement_seconds=30)
    scenario.gone("c")
    assert "until" not in scenario.condition("Running").message, "a and b have not come back, so this is not known"
    scenario.reenter("a", "b")
    message = scenario.condition("Running").message
    assert message == (
        "2 of 3 nodes have joined again; waiting for replacements until 2030-01-01T00:17:10Z; "
        "c was lost (its participant object is gone)"
    )
    writes = scenario.writes
    for _ in range(29):
        scenario.after(1)
        scenario.settle()
    assert scenario.condition("Running").message == message
    assert scenario.writes == writes
    scenario.after(1)
    assert scenario.status.round_start_time == "2030-01-01T00:17:10Z"


def test_a_group_that_may_be_no_larger_now_waits_for_no_other_node() -> None:
    scenario = three(replacement_seconds=30)
    scenario.edit(max_nodes=2)
    scenario.gone("c")
    scenario.reenter("a", "b")
    assert scenario.group == ["a", "b"]


def test_while_a_member_may_still_come_back_no_moment_is_known() -> None:
    scenario = three(replacement_seconds=30)
    scenario.gone("c")
    scenario.reenter("a")
    s = observe(now(scenario.clock), scenario.world(), scenario.memory)
    assert isinstance(s, Situation)
    timers = tick(s, scenario.memory)
    answer = replacements.verdict(s, timers, select(s, timers))
    assert answer == Waits(FormationReason.WAITING_FOR_REPLACEMENTS, "1 of 3 nodes have joined again")


def test_the_wait_starts_again_when_the_rendezvous_was_closed_in_between() -> None:
    scenario = running("a", "b", "c", replacement_seconds=30)
    scenario.request_restart("now")
    scenario.edit(closed=True)
    scenario.leave("a", "b", "c")
    scenario.after(300)
    scenario.edit(closed=False)
    scenario.join("d", "e")
    assert scenario.status.round == 1, "others had no chance to come yet"
    scenario.join("f")
    assert set(scenario.group) == {"d", "e", "f"}


def test_who_is_lost_by_silence_has_had_its_time_since_its_last_heartbeat() -> None:
    scenario = three(replacement_seconds=30)
    scenario.silent("c")
    scenario.after(5)
    scenario.reenter("a", reason=WORKER_FAILURE)
    scenario.reenter("b")
    scenario.at(29)
    assert scenario.condition("Running").reason == FormationReason.WAITING_FOR_REPLACEMENTS
    scenario.at(30)
    assert scenario.group == ["a", "b"]


def test_one_that_was_lost_otherwise_has_its_time_from_then_on_whoever_is_silent() -> None:
    scenario = running("a", "b", "c", "d", replacement_seconds=30)
    began = scenario.clock
    scenario.silent("c")
    scenario.after(10)
    scenario.gone("d")
    scenario.reenter("a", "b")
    scenario.after(30)
    assert scenario.status.round == 1, "c was lost by its silence after 15 s, and only then no member ran any more"
    scenario.at(began - 1000 + 45)
    assert scenario.group == ["a", "b"]


def test_one_whose_pod_is_evicted_has_its_time_from_then_on_however_long_it_was_silent() -> None:
    """As on a machine that is lost: it is silent at once, and the Job makes another pod when this one is evicted."""
    scenario = Scenario(2, 3, last_call_seconds=0, replacement_seconds=30)
    scenario.pod("a", "b", "c")
    scenario.join_from_pods("a", "b", "c")
    scenario.silent("c")
    scenario.after(50)
    scenario.pod("c", leaving="its pod is being evicted (DeletionByTaintManager)")
    assert scenario.ended_because == "MemberEvicted"
    scenario.reenter("a", "b")
    scenario.after(29)
    assert scenario.status.round == 1
    scenario.pod("d")
    scenario.join_from_pods("d")
    assert set(scenario.group) == {"a", "b", "d"}
