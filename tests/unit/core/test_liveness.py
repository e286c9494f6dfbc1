"""Rules "liveness" and "outages": who is silent, and what an absent control plane changes."""

from dataclasses import replace

import pytest
from tests.support.specs import spec_of
from tests.unit.core.started import running, three
from tests.unit.core.worlds import Scenario

from rendezvous_api.reasons import AttemptReason, LeaveReason, RefusalReason
from rendezvous_api.rendezvous_spec import RendezvousSpec

WORKER_FAILURE = AttemptReason.WORKER_FAILURE


def test_silence_in_a_running_round_makes_a_suspect_and_later_a_loss() -> None:
    scenario = three(suspect_seconds=120)
    scenario.silent("c")
    scenario.at(14)
    assert not scenario.status.holds("Degraded")
    scenario.at(16)
    assert scenario.status.holds("Degraded")
    assert scenario.condition("Running").status == "True"
    assert "c is silent" in scenario.explanation
    scenario.at(119)
    assert not scenario.asks
    scenario.at(121)
    assert scenario.ended_because == "MemberLost"


def test_a_suspect_that_is_heard_again_is_none() -> None:
    scenario = three()
    scenario.silent("c")
    scenario.at(60)
    scenario.beat("c")
    assert not scenario.status.holds("Degraded")
    scenario.at(1000)
    assert not scenario.asks


@pytest.mark.parametrize("reason", [AttemptReason.WORKER_FAILURE, AttemptReason.CHECK_IN_FAILED])
def test_a_suspect_is_lost_as_soon_as_a_re_entry_speaks_for_it(reason: AttemptReason) -> None:
    scenario = three()
    scenario.silent("c")
    scenario.at(30)
    scenario.reenter("a", reason=reason)
    scenario.reenter("b", reason=reason)
    assert set(scenario.group) == {"a", "b"}


def test_silence_is_death_while_a_round_is_formed() -> None:
    scenario = Scenario(2, 3, last_call_seconds=30)
    scenario.join("a", "b")
    scenario.silent("b")
    scenario.at(31)
    assert scenario.status.round == 0
    assert "1 of at least 2 nodes" in scenario.explanation


def test_a_group_that_may_be_large_has_longer_intervals_and_is_silent_later() -> None:
    scenario = Scenario(2, 1000, last_call_seconds=60)
    scenario.join("a", "b")
    scenario.silent("b")
    scenario.at(59)
    assert "2 of at most 1000 nodes" in scenario.explanation
    scenario.at(61)
    assert "1 of at least 2 nodes" in scenario.explanation


@pytest.mark.parametrize(("max_nodes", "interval"), [(1, 5), (250, 5), (251, 6), (1000, 20), (2000, 40)])
def test_all_heartbeats_of_a_group_are_50_a_second_on_average(max_nodes: int, interval: int) -> None:
    spec = RendezvousSpec(1, max_nodes)
    assert (spec.heartbeat_seconds, spec.silent_seconds) == (interval, 3 * interval)


def test_an_interval_that_the_user_has_set_is_never_shortened() -> None:
    assert spec_of(1, 1000, heartbeat_interval_seconds=30).heartbeat_seconds == 30


def test_a_round_that_could_be_larger_has_the_interval_of_its_size() -> None:
    scenario = Scenario(2, 2000, last_call_seconds=60)
    scenario.join("a", "b", "c")
    assert scenario.status.heartbeat_interval_seconds == 40
    scenario.after(60)
    assert scenario.group == ["a", "b", "c"]
    assert scenario.status.heartbeat_interval_seconds == 5
    scenario.interval_seconds = 5
    scenario.after(1)
    scenario.silent("c")
    scenario.reenter("a", reason=WORKER_FAILURE)
    scenario.reenter("b")
    scenario.after(16)
    scenario.after(30)
    assert scenario.group == ["a", "b"]


def test_the_interval_grows_with_the_nodes_that_are_there() -> None:
    scenario = Scenario(1, 600, last_call_seconds=0)
    scenario.join("a")
    assert scenario.status.heartbeat_interval_seconds == 5
    scenario.complete = False
    scenario.join(*(f"n{number}" for number in range(300)))
    scenario.complete = True
    scenario.settle()
    assert scenario.status.heartbeat_interval_seconds == 7


def test_the_interval_that_holds_is_in_the_status() -> None:
    scenario = Scenario(2, 1000)
    scenario.join("a")
    assert scenario.status.heartbeat_interval_seconds == 20
    scenario.edit(max_nodes=1100)
    assert scenario.status.heartbeat_interval_seconds == 22
    scenario.edit(heartbeat_interval_seconds=30)
    assert scenario.status.heartbeat_interval_seconds == 30


def test_the_first_heartbeat_has_a_full_period() -> None:
    scenario = Scenario(2, 2)
    scenario.join("a")
    scenario.silent("a")
    scenario.at(14)
    scenario.join("b")
    assert scenario.group == ["a", "b"]


def test_when_all_are_silent_no_member_is_lost() -> None:
    scenario = three(suspect_seconds=120)
    scenario.silent("a", "b", "c")
    scenario.at(3000)
    assert not scenario.asks
    assert scenario.condition("Running").status == "True"


def test_after_that_every_node_gets_a_full_period() -> None:
    scenario = three(suspect_seconds=120)
    scenario.silent("a", "b", "c")
    scenario.at(3000)
    scenario.beat("a")
    assert not scenario.asks
    scenario.at(3010)
    scenario.beat("b")
    scenario.at(3119)
    assert not scenario.asks
    scenario.at(3121)
    assert scenario.ended_because == "MemberLost"


def test_all_may_go_after_they_were_silent() -> None:
    scenario = three(suspect_seconds=120)
    scenario.silent("a", "b", "c")
    scenario.at(3000)
    scenario.gone("a", "b", "c")
    assert scenario.ended_because == "MemberLost"


def refused_and_gone(scenario: Scenario, name: str) -> None:
    """A node of another run comes, is refused, and says that it leaves."""
    scenario.join(name, run="other")
    assert scenario.refused == {name: RefusalReason.OTHER_RUN_ACTIVE}
    scenario.leave(name)


def test_who_is_not_heard_in_its_full_period_is_not_protected_by_others_that_come_and_go() -> None:
    scenario = Scenario(3, 3)
    scenario.join("a", "b")
    scenario.silent("a", "b")
    scenario.at(100)
    refused_and_gone(scenario, "x")
    scenario.after(14)
    refused_and_gone(scenario, "y")
    scenario.after(1)
    assert scenario.status.run_id == "run"
    scenario.after(600)
    scenario.join("z", run="other")
    assert scenario.status.run_id == "other"
    assert scenario.closed_runs == {"run": "Abandoned"}


def test_a_path_that_breaks_again_is_a_broken_path_again() -> None:
    scenario = three(suspect_seconds=120)
    scenario.silent("a", "b", "c")
    for moment in range(1000, 5000, 1000):
        scenario.at(moment)
        scenario.beat("a")
        scenario.silent("a")
    scenario.at(9000)
    assert not scenario.asks
    assert not scenario.status.holds("Degraded"), "none of them is a suspect"


def test_a_round_that_is_not_heard_in_its_full_period_is_cut_off() -> None:
    scenario = three(isolated_round_seconds=600)
    scenario.silent("a", "b", "c")
    scenario.at(1000)
    refused_and_gone(scenario, "x")
    scenario.after(615)
    assert not scenario.asks, "nobody waits"
    scenario.join("y", run="other")
    assert scenario.status.run_id == "other"
    assert scenario.closed_runs == {"run": "Abandoned"}


def test_within_that_time_it_keeps_the_rendezvous() -> None:
    scenario = three(isolated_round_seconds=600)
    scenario.silent("a", "b", "c")
    for moment in range(1000, 1600, 50):
        scenario.at(moment)
        refused_and_gone(scenario, f"x-{moment}")
    scenario.beat("a", "b", "c")
    assert scenario.ended_because is None


@pytest.mark.parametrize("moment", range(0, 40, 5))
def test_a_new_leader_only_makes_every_node_wait_a_full_period_once_more(moment: int) -> None:
    scenario = three()
    scenario.silent("c")
    scenario.reenter("a", "b", reason=WORKER_FAILURE)
    scenario.at(moment)
    led = scenario.status.round
    scenario.new_leader()
    assert scenario.status.round == led
    scenario.after(16)
    assert set(scenario.group) == {"a", "b"}
    assert scenario.status.round == 2


def test_no_member_is_lost_sooner_than_it_is_a_suspect() -> None:
    """The schema refuses such a spec now, but an object may be older than that rule."""
    scenario = running("a", "b", "c", max_nodes=1000, suspect_seconds=30)
    assert (scenario.spec.silent_seconds, scenario.spec.suspect_seconds) == (60, 60)
    began = scenario.clock
    scenario.silent("c")
    scenario.after(59)
    assert not scenario.asks
    assert not scenario.status.holds("Degraded")
    assert scenario.wake_at == began + 60
    scenario.after(1)
    assert scenario.ended_because == "MemberLost"


@pytest.mark.parametrize(
    ("max_nodes", "timeout", "limit"), [(4, 15, 15), (4, 120, 120), (1000, 30, 60), (2000, 119, 120)]
)
def test_the_limit_of_suspicion_is_never_under_that_of_silence(max_nodes: int, timeout: int, limit: int) -> None:
    spec = spec_of(1, max_nodes, suspect_seconds=timeout)
    assert spec.suspect_seconds == limit
    assert spec.suspect_seconds >= spec.silent_seconds


def test_an_agent_that_keeps_a_longer_interval_is_believed() -> None:
    """The operator takes up a shorter one at once, the agents with their next heartbeats."""
    scenario = running("a", "b", "c", heartbeat_interval_seconds=20, suspect_seconds=70)
    scenario.interval_seconds = 20
    scenario.after(1)
    scenario.edit(heartbeat_interval_seconds=1)
    scenario.silent("b", "c")
    scenario.after(58)
    assert not scenario.status.holds("Degraded")
    scenario.after(2)
    assert "b is silent since 2030-01-01T00:16:42Z, c is silent since" in scenario.explanation
    scenario.interval_seconds = 1
    scenario.beat("b", "c")
    scenario.silent("c")
    scenario.after(4)
    assert "c is silent" in scenario.explanation


def test_the_interval_of_an_earlier_agent_of_that_name_is_not_believed() -> None:
    """A new agent keeps the interval of its group, and may send its first heartbeat as late as that."""
    scenario = Scenario(3, 1000, last_call_seconds=30)
    scenario.interval_seconds = 5
    scenario.join("a", "b", "c", run="one")
    scenario.after(200)
    scenario.leave("a", "b", "c", reason=LeaveReason.SUCCEEDED)
    scenario.interval_seconds = 20
    # No heartbeat of the new agent in c arrives before 19 s have passed.
    scenario.restart("a", run_id="two")
    scenario.restart("b", run_id="two")
    assert scenario.status.heartbeat_interval_seconds == 20
    before = scenario.seen["c"].object
    scenario.complete = False
    scenario.restart("c", run_id="two")
    scenario.silent("c")
    scenario._put(replace(scenario.seen["c"].object, status=before.status))
    scenario.complete = True
    scenario.settle()
    scenario.after(19)
    assert "3 of at most 1000 nodes" in scenario.explanation
    scenario.beat("c")
    scenario.after(12)
    assert scenario.group == ["a", "b", "c"]


def test_no_agent_can_say_that_it_is_never_silent() -> None:
    scenario = running("a", "b", "c")
    scenario.interval_seconds = 3600
    scenario.after(1)
    scenario.silent("c")
    scenario.after(3 * 300 - 2)
    assert not scenario.asks
    scenario.after(3)
    assert scenario.ended_because == "MemberLost"
    assert "no heartbeat for more than 900 s" in str(scenario.status.history[-1].message)
