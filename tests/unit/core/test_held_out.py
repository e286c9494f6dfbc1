"""Rule "hold-outs": nobody pays for the fault of another node."""

from dataclasses import replace

import pytest
from tests.unit.core.builders import now
from tests.unit.core.worlds import Scenario

from rendezvous_api import names
from rendezvous_api.reasons import AttemptReason, HeldOutReason, LeaveReason
from rendezvous_api.rendezvous import LONGEST_HOLD_OUT_SECONDS, AllowedSizes, HeldOut
from rendezvous_operator.core.select.held_out import SOON_SECONDS

STORE_NOT_REACHED, CRASH_LOOP = HeldOutReason.STORE_NOT_REACHED, HeldOutReason.CRASH_LOOP
CHECK_IN_SECONDS = 61


def trains_and_x_comes(**spec: object) -> Scenario:
    """The round of a, b and c has trained for ten minutes when x joins, which reaches the API server but no store."""
    scenario = Scenario(2, 4, **{"last_call_seconds": 0, "replacement_seconds": 30, **spec})
    scenario.complete = False
    scenario.join("a", "b", "c")
    scenario.complete = True
    scenario.settle()
    scenario.after(600)
    scenario.join("x")
    scenario.meets = False
    scenario.all_join_again()
    assert scenario.group == ["a", "b", "c", "x"]
    scenario.after(CHECK_IN_SECONDS)
    return scenario


def x_is_held_out(**spec: object) -> Scenario:
    scenario = trains_and_x_comes(**spec)
    scenario.fail_to_check_in("x")
    scenario.meets = True
    assert scenario.group == ["a", "b", "c"]
    assert scenario.held_out == {"x": (STORE_NOT_REACHED, 1)}
    return scenario


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


def test_a_node_that_says_nothing_is_missing_if_most_who_reached_the_store_say_so() -> None:
    scenario = trains_and_x_comes()
    scenario.fail_to_check_in("x", silent=["x"])
    assert scenario.group == ["a", "b", "c", "x"], "it may still come"
    scenario.after(330)
    assert scenario.group == ["a", "b", "c"]
    assert scenario.held_out == {"x": (STORE_NOT_REACHED, 1)}
    assert scenario.status.restarts == 0


def test_one_that_lies_makes_no_other_node_missing() -> None:
    scenario = Scenario(2, 4)
    scenario.join("a", "b", "c", "x")
    scenario.complete = False
    scenario.fail_to_check_in()
    for name in "bc":
        seen = scenario.seen[name]
        assert seen.object.spec.check_in is not None
        assert seen.object.spec.check_in.reached_store
    liar = scenario.seen["x"]
    assert liar.object.spec.check_in is not None
    lie = replace(liar.object.spec.check_in, missing=("b", "c"))
    scenario.seen["x"] = replace(liar, object=replace(liar.object, spec=replace(liar.object.spec, check_in=lie)))
    scenario.complete = True
    scenario.settle()
    assert scenario.held_out == {}
    assert scenario.group == ["a", "b", "c", "x"]


def test_in_a_group_of_three_another_host_is_tried_before_one_is_held_out() -> None:
    scenario = Scenario(2, 3)
    scenario.join("a", "b", "x")
    scenario.fail_to_check_in("x")
    assert scenario.group == ["b", "a", "x"], "one of two others reached it: that says little"
    scenario.fail_to_check_in("x")
    assert scenario.group == ["b", "a"]
    assert scenario.held_out == {"x": (STORE_NOT_REACHED, 1)}
    assert scenario.status.restarts == 1


def test_the_larger_part_goes_on_when_every_host_has_been_tried() -> None:
    """Of five nodes two reach each other, and nobody else reaches anybody."""
    scenario = Scenario(2, 5)
    scenario.join("a", "b", "x", "y", "z")
    hosts = []
    while len(scenario.group) == 5:
        hosts.append(scenario.group[0])
        met = {"a", "b"} if scenario.group[0] in "ab" else {scenario.group[0]}
        scenario.fail_to_check_in(*(name for name in scenario.group if name not in met))
    assert hosts == ["a", "b", "x", "y", "z", "a"]
    assert scenario.group == ["a", "b"]
    assert {*scenario.held_out} == {"x", "y", "z"}


def test_agents_that_say_nothing_hold_out_nobody() -> None:
    scenario = trains_and_x_comes(max_restarts=3)
    for restarts in range(1, 4):
        scenario.reenter(*scenario.group, reason=AttemptReason.CHECK_IN_FAILED)
        assert scenario.status.restarts == restarts
        assert set(scenario.group) == {*"abcx"}
        assert scenario.held_out == {}
    scenario.reenter("a", reason=AttemptReason.CHECK_IN_FAILED)
    assert scenario.closed_runs == {"run": "RestartBudgetExhausted"}, "without waiting for the others"


def test_a_spent_budget_closes_the_run_when_the_host_is_at_fault() -> None:
    scenario = Scenario(2, 2, max_restarts=0)
    scenario.join("a", "b")
    scenario.complete = False
    scenario.fail_to_check_in(host_is_reached=False)
    scenario.complete = True
    scenario.settle()
    assert scenario.closed_runs == {"run": "RestartBudgetExhausted"}
    assert [(failure.node, str(failure.reason)) for failure in scenario.status.failures] == [("a", "CheckInFailed")]
    assert {*scenario.refused} == {"a", "b"}


def test_a_member_that_dies_in_the_check_in_is_lost_and_its_host_is_not_at_fault() -> None:
    scenario = Scenario(2, 4, replacement_seconds=0)
    scenario.join("a", "b", "c", "x")
    scenario.meets = False
    scenario.fail_to_check_in("x", silent=["x"])
    scenario.gone("x")
    assert scenario.group == ["a", "b", "c"]
    assert scenario.held_out == {}
    assert scenario.status.restarts == 1
    assert [(failure.node, str(failure.reason)) for failure in scenario.status.failures] == [("x", "MemberLost")]


def test_what_was_seen_in_a_round_that_ended_for_another_cause_is_no_evidence() -> None:
    scenario = trains_and_x_comes()
    scenario.edit(max_nodes=3)
    assert scenario.ended_because == "TooManyNodes"
    scenario.fail_to_check_in("x")
    assert scenario.held_out == {}


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


def test_the_first_crash_of_a_node_that_reached_no_store_is_only_remembered() -> None:
    scenario = x_is_held_out(scale_up_interval_seconds=0, replacement_seconds=0)
    scenario.restart("x")
    scenario.after(30)
    scenario.all_join_again()
    assert scenario.group == ["a", "b", "c", "x"]
    scenario.after(20)
    scenario.leave("x", reason=LeaveReason.FAILED)
    scenario.all_join_again()
    assert scenario.held_out == {"x": (STORE_NOT_REACHED, 1)}
    assert scenario.status.restarts == 1


def test_a_crash_loop_says_nothing_about_the_store() -> None:
    """So in a group of three another host is tried first."""
    scenario = Scenario(2, 3, scale_up_interval_seconds=0, replacement_seconds=0)
    scenario.join("a", "b", "x")
    for _ in range(2):
        scenario.after(20)
        scenario.restart("x")
        scenario.all_join_again()
    assert scenario.held_out == {"x": (CRASH_LOOP, 1)}
    scenario.after(30)
    scenario.meets = False
    scenario.all_join_again()
    assert scenario.group == ["a", "b", "x"]
    scenario.fail_to_check_in("x")
    assert scenario.group == ["b", "a", "x"]
    assert scenario.held_out == {"x": (CRASH_LOOP, 1)}


def test_a_failed_check_in_is_nobodys_failure_before_all_have_said_what_they_saw() -> None:
    scenario = trains_and_x_comes()
    scenario.fail_to_check_in("x", silent=["b", "c"])
    assert scenario.asks
    assert scenario.status.failures == ()


def test_the_host_is_named_for_a_check_in_that_spends_the_budget_at_once() -> None:
    scenario = Scenario(2, 2, max_restarts=0)
    scenario.join("a", "b")
    scenario.reenter("b", reason=AttemptReason.CHECK_IN_FAILED)
    assert scenario.closed_runs == {"run": "RestartBudgetExhausted"}
    assert [failure.node for failure in scenario.status.failures] == ["a"]


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
