"""Rule "hold-outs": nobody pays for the fault of another node."""

from dataclasses import replace

import pytest
from tests.unit.core.builders import now
from tests.unit.core.started import CHECK_IN_SECONDS, trains_and_x_comes, x_is_held_out
from tests.unit.core.worlds import Scenario

from rendezvous_api import names
from rendezvous_api.reasons import AttemptReason, HeldOutReason, LeaveReason
from rendezvous_api.rendezvous import LONGEST_HOLD_OUT_SECONDS, HeldOut
from rendezvous_api.rendezvous_spec import AllowedSizes
from rendezvous_operator.core.select.held_out import SOON_SECONDS

STORE_NOT_REACHED, CRASH_LOOP = HeldOutReason.STORE_NOT_REACHED, HeldOutReason.CRASH_LOOP


def test_a_newcomer_that_does_not_reach_the_store_costs_one_check_in() -> None:
    scenario = x_is_held_out(max_restarts=0)
    assert scenario.status.restarts == 0
    assert scenario.status.failures == ()
    assert scenario.closed_runs == {}
    assert scenario.status.spares == ()
    until = now(scenario.clock + 30).timestamp
    message = "it did not reach the store of round 2 (a.local:20002), which 2 of 3 others reached"
    assert scenario.status.held_out == (HeldOut("x", STORE_NOT_REACHED, message, until, 1),)
    assert scenario.messages()[-2:] == ["NodeHeldOut", "RoundPublished"]
    assert scenario.events[-2].message == f"x is held out until {until}: {message}"


def test_people_read_who_is_held_out_why_and_until_when() -> None:
    scenario = x_is_held_out()
    told = f"x is held out until {now(scenario.clock + 30).timestamp}: it did not reach the store of round 2"
    degraded = scenario.condition("Degraded")
    assert (degraded.status, degraded.reason) == ("True", "NodeHeldOut")
    assert degraded.message.startswith(told)
    assert f"round 3 runs with 3 nodes; {told}" in scenario.explanation
    scenario.reenter("a", reason=AttemptReason.WORKER_FAILURE)
    assert scenario.status.formation is not None
    missing = {item.name: item.message for item in scenario.status.formation.missing}
    assert missing["x"].startswith("is held out until ")
    assert told in scenario.status.formation.message
    assert scenario.condition("Degraded").reason == "AsExpected"


def test_while_it_is_held_out_it_ends_no_round_and_is_in_none() -> None:
    scenario = x_is_held_out(scale_up_interval_seconds=0)
    scenario.after(29)
    assert not scenario.asks
    assert scenario.status.formation is None
    scenario.reenter("a", "b", "c", reason=AttemptReason.WORKER_FAILURE)
    assert scenario.group == ["a", "b", "c"], "nor is it waited for"
    scenario.after(1)
    assert scenario.ended_because == "ScaleUp"


def test_it_never_fills_the_group_at_once_again() -> None:
    scenario = x_is_held_out(scale_up_interval_seconds=300)
    scenario.after(299)
    assert not scenario.asks
    scenario.after(1)
    assert scenario.ended_because == "ScaleUp"


def test_another_node_that_fills_the_group_is_taken_in_at_once() -> None:
    scenario = x_is_held_out(scale_up_interval_seconds=300)
    scenario.join("d")
    assert scenario.ended_because == "ScaleUp"
    scenario.all_join_again()
    assert scenario.group == ["a", "b", "c", "d"]
    scenario.after(600)
    assert scenario.status.spares == ("x",)


def test_each_time_it_is_held_out_for_longer() -> None:
    scenario = x_is_held_out()
    stretches: list[float] = []
    published = scenario.clock
    while len(stretches) < 7:
        scenario.after(5)
        if scenario.asks:
            stretches.append(scenario.clock - published)
            scenario.meets = False
            scenario.all_join_again()
            assert scenario.group == ["a", "b", "c", "x"]
            scenario.after(CHECK_IN_SECONDS)
            scenario.fail_to_check_in("x")
            scenario.meets, published = True, scenario.clock
    assert stretches == [60, 60, 120, 240, 480, LONGEST_HOLD_OUT_SECONDS, LONGEST_HOLD_OUT_SECONDS]
    assert scenario.held_out == {"x": (STORE_NOT_REACHED, 8)}
    assert scenario.status.restarts == 0


def test_once_it_has_trained_for_long_all_is_forgiven() -> None:
    scenario = x_is_held_out()
    scenario.after(60)
    scenario.all_join_again()
    assert scenario.group == ["a", "b", "c", "x"]
    scenario.after(SOON_SECONDS - 1)
    assert scenario.held_out == {"x": (STORE_NOT_REACHED, 1)}
    scenario.after(1)
    assert scenario.held_out == {}


def test_who_has_gone_is_forgotten_after_a_while() -> None:
    scenario = x_is_held_out()
    scenario.leave("x", reason=LeaveReason.TIMED_OUT)
    scenario.after(30 + LONGEST_HOLD_OUT_SECONDS - 1)
    assert scenario.held_out == {"x": (STORE_NOT_REACHED, 1)}
    scenario.after(1)
    assert scenario.held_out == {}


def test_a_new_leader_goes_on_with_what_is_left() -> None:
    scenario = x_is_held_out(scale_up_interval_seconds=0)
    scenario.after(20)
    scenario.new_leader()
    scenario.after(9)
    assert not scenario.asks
    scenario.after(1)
    assert scenario.asks


def test_a_leader_whose_clock_is_behind_makes_no_hold_out_longer_than_it_was() -> None:
    scenario = x_is_held_out(scale_up_interval_seconds=0)
    (entry,) = scenario.status.held_out
    late = now(scenario.clock + 3600).timestamp
    scenario.status = replace(scenario.status, held_out=(replace(entry, until=late),))
    scenario.new_leader()
    scenario.after(29)
    assert not scenario.asks
    scenario.after(1)
    assert scenario.asks


def test_the_user_ends_all_hold_outs() -> None:
    scenario = x_is_held_out(scale_up_interval_seconds=0)
    scenario.request_retry("2030-01-01")
    assert scenario.held_out == {}
    assert scenario.ended_because == "ScaleUp"
    scenario.all_join_again()
    scenario.fail_to_check_in("x")
    assert scenario.held_out == {"x": (STORE_NOT_REACHED, 1)}, "only a change counts"
    scenario.new_leader()
    assert scenario.held_out == {"x": (STORE_NOT_REACHED, 1)}
    scenario.request_retry("2030-01-02")
    assert scenario.held_out == {}


def test_nobody_is_held_out_if_too_few_would_be_left() -> None:
    scenario = Scenario(4, 4)
    scenario.join("a", "b", "c", "x")
    scenario.fail_to_check_in("x")
    assert scenario.group == ["a", "b", "c", "x"]
    assert scenario.held_out == {}
    assert scenario.status.restarts == 1
    scenario.fail_to_check_in("x")
    assert scenario.group[0] == "b", "maybe x reaches another host"


def all_but(*bad: str, **spec: object) -> Scenario:
    """The first round of ten nodes is published, of which these will not reach the store."""
    scenario = Scenario(2, 10, **spec)
    scenario.meets = False
    scenario.join(*"abcdefg", *bad)
    return scenario


def test_a_list_that_has_no_place_for_all_excuses_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "MAX_HELD_OUT", 2)
    scenario = all_but("x", "y", "z", max_restarts=3)
    for restarts in range(1, 4):
        scenario.fail_to_check_in("x", "y", "z")
        assert scenario.held_out == {}
        assert scenario.status.restarts == restarts
    scenario.fail_to_check_in("x", "y", "z")
    assert scenario.closed_runs == {"run": "RestartBudgetExhausted"}


def test_a_hold_out_that_has_ended_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "MAX_HELD_OUT", 3)
    scenario = all_but("x", "y", "z")
    scenario.fail_to_check_in("x")
    scenario.after(10)
    scenario.fail_to_check_in("y")
    assert [*scenario.held_out] == ["x", "y"]
    scenario.fail_to_check_in("g", "z")
    assert [*scenario.held_out] == ["x", "y"], "both have not ended"
    assert scenario.status.restarts == 1
    scenario.after(20)
    scenario.fail_to_check_in("f", "z")
    assert [*scenario.held_out] == ["y", "f", "z"]
    assert scenario.status.restarts == 1


def test_the_list_has_a_place_for_all_nodes_if_most_of_a_group_reach_the_store() -> None:
    assert 2 * names.MAX_HELD_OUT > names.MAX_NODES - 1


def test_only_sizes_that_are_allowed_count_as_enough() -> None:
    scenario = Scenario(4, 8, sizes=AllowedSizes(list=(4, 8)))
    scenario.complete = False
    scenario.join(*"abcdefgx")
    scenario.complete = True
    scenario.settle()
    scenario.fail_to_check_in("x")
    assert scenario.held_out == {"x": (STORE_NOT_REACHED, 1)}
    assert scenario.group == ["a", "b", "c", "d"]
    scenario.fail_to_check_in("d")
    assert scenario.held_out == {"x": (STORE_NOT_REACHED, 1), "d": (STORE_NOT_REACHED, 1)}
    assert scenario.group == ["a", "b", "c", "e"]


def test_who_is_held_out_helps_where_the_others_are_too_few() -> None:
    scenario = x_is_held_out()
    scenario.gone("b", "c")
    scenario.all_join_again()
    scenario.after(29)
    assert scenario.group == ["a", "b", "c"]
    scenario.after(1)
    assert scenario.group == ["a", "x"]


def test_a_member_of_the_running_round_is_not_said_to_be_held_out() -> None:
    """`Scenario.settle` also sees that the round costs one write, not two."""
    scenario = Scenario(3, 5, last_call_seconds=0, replacement_seconds=0)
    scenario.meets = False
    scenario.complete = False
    scenario.join("a", "b", "c", "d", "x")
    scenario.complete = True
    scenario.settle()
    scenario.fail_to_check_in("x")
    assert {*scenario.held_out} == {"x"}
    scenario.fail_to_check_in("d")
    assert {*scenario.held_out} == {"d", "x"}
    scenario.gone("d")
    scenario.leave("c", reason=LeaveReason.TERMINATED)
    scenario.all_join_again()
    assert {*scenario.group} == {"a", "b", "x"}, "the hold-out does not count while the others are too few"
    told = scenario.condition("Degraded").message + scenario.condition("Running").message
    assert "x is held out" not in told
    assert "d is held out" in told


def test_while_members_may_still_join_again_nobody_else_is_needed() -> None:
    scenario = x_is_held_out()
    scenario.reenter("a", reason=AttemptReason.WORKER_FAILURE)
    assert scenario.status.formation is not None
    assert scenario.status.formation.joined == 1
    scenario.reenter("b", "c")
    assert scenario.group == ["a", "b", "c"]


def test_another_run_begins_without_hold_outs() -> None:
    scenario = x_is_held_out()
    scenario.leave("a", "b", "c", reason=LeaveReason.SUCCEEDED)
    scenario.leave("x")
    scenario.join("y", run="another")
    assert scenario.held_out == {}


def test_the_message_of_a_hold_out_is_bounded() -> None:
    scenario = trains_and_x_comes()
    assert scenario.status.store is not None
    scenario.status = replace(scenario.status, store=replace(scenario.status.store, host="h" * 2000))
    scenario.fail_to_check_in("x")
    (entry,) = scenario.status.held_out
    assert len(entry.message) < 1100


def test_who_waits_is_not_forgotten() -> None:
    scenario = x_is_held_out()
    scenario.edit(max_nodes=3)
    scenario.after(30 + LONGEST_HOLD_OUT_SECONDS + 5)
    assert scenario.held_out == {"x": (STORE_NOT_REACHED, 1)}


def test_it_ends_no_running_round_that_has_become_too_small() -> None:
    scenario = x_is_held_out(scale_up_interval_seconds=0)
    scenario.edit(min_nodes=4)
    scenario.after(29)
    assert not scenario.asks
    scenario.after(1)
    assert scenario.ended_because == "ScaleUp"


def test_only_time_in_which_its_round_runs_earns_forgiveness() -> None:
    scenario = x_is_held_out(scale_up_interval_seconds=0)
    scenario.after(30)
    scenario.all_join_again()
    scenario.edit(min_nodes=4)
    scenario.after(SOON_SECONDS - 100)
    scenario.silent("c")
    scenario.reenter("a", "b", "x", reason=AttemptReason.WORKER_FAILURE)
    scenario.after(200)
    assert "3 of at least 4 nodes" in scenario.explanation
    assert scenario.held_out == {"x": (STORE_NOT_REACHED, 1)}


def ended(scenario: Scenario, *entries: tuple[str, int, float]) -> None:
    """The status has hold-outs that have ended: name, how often, and how many seconds ago."""
    scenario.status = replace(
        scenario.status,
        held_out=tuple(
            HeldOut(name, STORE_NOT_REACHED, "", now(scenario.clock - ago).timestamp, times)
            for name, times, ago in entries
        ),
    )
    scenario.settle()


def test_the_hold_out_that_ended_first_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "MAX_HELD_OUT", 2)
    scenario = all_but("x", "y", "z")
    ended(scenario, ("x", 2, 1), ("y", 1, 100))
    scenario.fail_to_check_in("z")
    assert [*scenario.held_out] == ["x", "z"]


def test_a_round_is_as_old_as_the_operator_has_seen_it_whatever_its_clock_says() -> None:
    """The clock of this machine is behind that of the leader before, so the round begins in the future."""
    scenario = x_is_held_out(scale_up_interval_seconds=0)
    scenario.after(30)
    scenario.all_join_again()
    assert scenario.group == ["a", "b", "c", "x"]
    scenario.status = replace(scenario.status, round_start_time=now(scenario.clock + 3600).timestamp)
    scenario.after(SOON_SECONDS)
    assert scenario.held_out == {}, "x has trained for long"


# The pods of an indexed Job: one that is replaced has another name.
GONE, ALSO_GONE, HERE, OTHER = "train-3-aaaaa", "train-3-bbbbb", "train-3-ccccc", "train-3-ddddd"


@pytest.mark.parametrize(
    ("before", "there", "after"),
    [
        pytest.param([GONE], {HERE: ("run", 3)}, [HERE], id="it goes on for the pod in its place"),
        pytest.param([GONE], {HERE: ("another", 3)}, [GONE], id="not for a pod of another run"),
        pytest.param([GONE], {HERE: ("run", None)}, [GONE], id="not for a name that only looks like one"),
        pytest.param([GONE, HERE], {HERE: ("run", 3)}, [GONE, HERE], id="nor twice for one pod"),
        pytest.param([GONE, ALSO_GONE], {HERE: ("run", 3)}, [HERE, ALSO_GONE], id="nor two for one pod"),
        pytest.param(
            [HERE, "x"], {HERE: ("run", 3), OTHER: ("run", 3)}, [HERE, "x"], id="and none leaves a pod that is there"
        ),
    ],
)
def test_a_hold_out_goes_on_for_the_pod_in_the_place(
    before: list[str], there: dict[str, tuple[str, int | None]], after: list[str]
) -> None:
    scenario = Scenario(1, 1)
    scenario.join("a", run="run")
    for name, (run, index) in there.items():
        scenario.join(name, run=run, index=index)
    ended(scenario, *((name, 1, -20) for name in before))
    assert [*scenario.held_out] == after


def test_however_often_a_node_was_held_out_the_next_time_is_bounded() -> None:
    """The number comes from the status."""
    assert HeldOut("x", CRASH_LOOP, "", "", times=10**15).seconds == LONGEST_HOLD_OUT_SECONDS


def test_the_end_of_a_hold_out_is_noticed_although_nothing_else_happens() -> None:
    scenario = x_is_held_out(scale_up_interval_seconds=0)
    scenario.after(7)  # so that no limit of silence comes at the same moment
    scenario.after(22)
    assert not scenario.asks
    scenario.after(1)
    assert scenario.ended_because == "ScaleUp"
