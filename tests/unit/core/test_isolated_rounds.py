"""Rule "liveness": a round of which no member is heard is kept, whoever else is heard, since it may train on."""

import pytest
from tests.unit.core.worlds import Scenario

from rendezvous_api.reasons import AttemptReason
from rendezvous_operator.core.liveness import ISOLATED_ROUND_SECONDS

WORKER_FAILURE = AttemptReason.WORKER_FAILURE


def cut_off(*, pods: bool = False, **spec: int) -> Scenario:
    """A round of a and b, and two spares; the members are not heard any more."""
    scenario = Scenario(2, 2, **spec)
    if pods:
        scenario.pod("a", "b", "c", "d", workload="run")
        scenario.join_from_pods("a", "b", run=None)
        scenario.join_from_pods("c", "d", run=None)
    else:
        scenario.join("a", "b")
        scenario.join("c", "d")
    assert scenario.group == ["a", "b"]
    scenario.silent("a", "b")
    return scenario


def test_a_round_in_known_pods_is_kept_until_a_pod_shows_that_a_member_is_dead() -> None:
    scenario = cut_off(pods=True)
    scenario.after(3 * 3600)
    assert (scenario.status.round, scenario.asks) == (1, False)
    assert scenario.status.holds("Degraded")
    assert "all its members are silent" in scenario.explanation
    scenario.pod("a", phase="Failed", workload="run")
    scenario.after(60)
    assert scenario.group == ["c", "d"]


def test_a_round_without_known_pods_is_kept_for_a_while() -> None:
    scenario = cut_off()
    scenario.at(15 + ISOLATED_ROUND_SECONDS - 1)
    assert (scenario.status.round, scenario.asks) == (1, False)
    scenario.at(15 + ISOLATED_ROUND_SECONDS + 1)
    assert (scenario.status.history[0].reason, scenario.group) == ("MemberLost", ["c", "d"])


@pytest.mark.parametrize("pods", [True, False])
def test_the_user_may_say_for_how_long(pods: bool) -> None:
    scenario = cut_off(pods=pods, isolated_round_seconds=200)
    scenario.at(214)
    assert not scenario.asks
    scenario.at(216)
    assert scenario.group == ["c", "d"]


def test_a_round_is_kept_for_ever_while_nobody_waits() -> None:
    scenario = Scenario(1, 1, max_restarts=0)
    scenario.join("a")
    scenario.silent("a")
    scenario.after(3 * 3600)
    assert (scenario.status.round, scenario.asks, scenario.closed_runs) == (1, False, {})
    scenario.beat("a")
    scenario.after(3 * 3600)
    assert (scenario.status.round, scenario.asks) == (1, False)


def test_the_user_gives_it_up_by_asking_for_another_round() -> None:
    scenario = cut_off(pods=True)
    scenario.after(1000)
    scenario.request_restart("now")
    assert scenario.group == ["c", "d"]


def test_it_is_given_up_in_one_write() -> None:
    """The decision that gives it up says for how long its members are silent, as the one after it does."""
    scenario = Scenario(1, 1)
    scenario.join("a")
    scenario.silent("a")
    scenario.after(1000)
    scenario.request_restart("now")
    assert scenario.status.formation is not None
    assert scenario.status.formation.message.endswith("a was lost (no heartbeat for more than 120 s)")


def test_a_suspension_is_no_evidence() -> None:
    """The members may train on and not know of it, so it is not suspended, and nobody takes their place."""
    scenario = cut_off(pods=True)
    scenario.after(1000)
    scenario.edit(suspend=True)
    scenario.after(3 * 3600)
    assert not scenario.status.holds("Suspended")
    scenario.edit(suspend=False)
    scenario.after(3 * 3600)
    assert scenario.status.round == 1


def test_neither_newcomers_nor_fewer_allowed_nodes_end_it() -> None:
    scenario = Scenario(1, 4, last_call_seconds=1, scale_up_interval_seconds=3600)
    scenario.pod("a", "b", workload="run")
    scenario.join_from_pods("a", "b", run=None)
    scenario.after(10)
    scenario.pod("c", workload="run")
    scenario.join_from_pods("c", run=None)
    scenario.silent("a", "b")
    scenario.after(4000)
    assert (scenario.status.round, scenario.asks) == (1, False)
    scenario.edit(max_nodes=1)
    scenario.after(3 * 3600)
    assert (scenario.status.round, scenario.asks) == (1, False)
    scenario.beat("a", "b")
    assert scenario.ended_because == "TooManyNodes"


def test_the_round_of_a_closed_run_is_kept_too() -> None:
    scenario = cut_off(pods=True)
    scenario.request_close("c")
    scenario.after(3 * 3600)
    assert (scenario.status.round, scenario.closed_runs) == (1, {"run": "CloseRequested"})


def test_a_round_that_was_asked_to_end_just_before_is_kept_until_its_members_are_overdue() -> None:
    """They may not know that they were asked, and train on."""
    scenario = Scenario(2, 3, scale_up_interval_seconds=10, reentry_seconds=330, last_call_seconds=0)
    scenario.join("a")
    scenario.join("b")
    scenario.at(20)
    scenario.join("c", "d")
    assert scenario.asks
    scenario.silent("a", "b")
    scenario.at(20 + 329)
    assert scenario.status.round == 1
    scenario.at(20 + 400)
    assert scenario.group == ["c", "d"]


def test_when_the_path_heals_every_member_has_time_to_be_heard() -> None:
    scenario = cut_off(pods=True)
    scenario.after(2000)
    scenario.beat("a")
    scenario.after(100)
    assert not scenario.asks
    scenario.beat("b")
    scenario.after(2000)
    assert (scenario.status.round, scenario.asks) == (1, False)


def test_time_that_is_excused_is_not_all_time() -> None:
    scenario = cut_off(pods=True)
    scenario.after(2000)
    scenario.beat("a")
    scenario.after(120)
    assert scenario.ended_because == "MemberLost"


@pytest.mark.parametrize("interval", [5, 16, 25, 60])
def test_a_member_that_is_heard_now_and_then_does_not_keep_a_dead_one_for_ever(interval: int) -> None:
    scenario = cut_off()
    for _ in range(1200 // interval):
        scenario.after(interval)
        scenario.beat("a")
        scenario.silent("a")
        if scenario.asks or scenario.status.round > 1:
            break
    assert scenario.status.history[0].reason == "MemberLost"


@pytest.mark.parametrize("interval", [16, 25, 60, 200])
def test_a_member_that_is_heard_now_and_then_holds_the_next_round_no_longer_than_any_other(interval: int) -> None:
    scenario = Scenario(2, 3, reentry_seconds=330, replacement_seconds=30)
    scenario.join("a", "b", "c")
    scenario.silent("c")
    scenario.reenter("a", "b", reason=WORKER_FAILURE)
    for _ in range((330 + 30) // interval + 1):
        scenario.after(interval)
        scenario.beat("c")
        scenario.silent("c")
    assert scenario.group == ["a", "b"]


def test_a_stranger_that_is_heard_now_and_then_holds_it_no_longer_either() -> None:
    """It reports a round in which it is not listed."""
    scenario = Scenario(2, 3, reentry_seconds=330, replacement_seconds=0)
    scenario.join("a", "b", "c")
    scenario.silent("c")
    scenario.after(16)
    scenario.reenter("a", "b", reason=WORKER_FAILURE)
    assert scenario.group == ["a", "b"]
    scenario.reenter("a", reason=WORKER_FAILURE)
    for _ in range(16):
        scenario.after(25)
        scenario.beat("c")
        scenario.silent("c")
        if scenario.asks and scenario.group == ["a", "b"] and scenario.status.round == 2:
            scenario.reenter("b")
    assert scenario.status.round >= 3


def test_a_round_of_which_a_member_has_joined_again_is_not_isolated() -> None:
    """It is broken: the others cannot train on without that member, so nobody waits for them for long."""
    scenario = Scenario(2, 4, scale_up_interval_seconds=10, reentry_seconds=330, last_call_seconds=0)
    scenario.join("a")
    scenario.join("b")
    scenario.at(20)
    scenario.join("c", "d")
    scenario.reenter("a")
    scenario.silent("a", "b")
    scenario.after(20)
    assert scenario.group == ["c", "d"]


def test_times_in_which_a_round_was_cut_off_add_up() -> None:
    scenario = cut_off(pods=True, suspect_seconds=120)
    scenario.after(2000)
    scenario.beat("a")
    scenario.silent("a")
    scenario.after(500)
    scenario.beat("a")
    scenario.after(80)
    assert not scenario.asks, "b was silent for less than 120 s while its round was not cut off"
    scenario.after(30)
    assert scenario.ended_because == "MemberLost"


def test_who_was_heard_after_it_was_cut_off_is_lost_like_any_other() -> None:
    scenario = cut_off(pods=True, suspect_seconds=120)
    scenario.after(2000)
    scenario.beat("a")
    scenario.after(10)
    scenario.beat("b")
    scenario.silent("b")
    scenario.after(119)
    assert not scenario.asks
    scenario.after(1)
    assert scenario.ended_because == "MemberLost"
