"""Rule "replacement groups": nodes that belong together become members together, or not at all."""

from dataclasses import replace

import pytest
from tests.unit.core.builders import now
from tests.unit.core.racks import RACK, held_out, in_racks, join_together, labelled, lose, message, training
from tests.unit.core.worlds import Scenario

from rendezvous_api.reasons import AttemptReason, FormationReason, HeldOutReason, LeaveReason
from rendezvous_api.rendezvous_spec import AllowedSizes, NodePolicies, RendezvousSpec
from rendezvous_operator.core.decide import Steps, steps
from rendezvous_operator.core.facts import tick
from rendezvous_operator.core.invariants import InvariantError, check
from rendezvous_operator.core.observe import observe
from rendezvous_operator.core.run import Run
from rendezvous_operator.core.select.held_out import Blame, counting, hold_out
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.sizes.sizes import sizes_of
from rendezvous_operator.core.timers import Timers


def missing(scenario: Scenario) -> dict[str, str]:
    formation = scenario.status.formation
    return {} if formation is None else {item.name: item.message for item in formation.missing}


def found(scenario: Scenario) -> tuple[Situation, Timers]:
    s = observe(now(scenario.clock), scenario.world(), scenario.memory)
    assert isinstance(s, Situation)
    return s, tick(s, scenario.memory)


# ---- who may become a member


def test_a_round_has_whole_replacement_groups_side_by_side_in_the_order_of_their_first_nodes() -> None:
    scenario = in_racks("a1", "a2", "b1", "b2", last_call_seconds=30)
    join_together(scenario, *("b1", "a2", "b2", "a1"))
    assert scenario.group == ["a1", "a2", "b1", "b2"]
    scenario = in_racks("a1", "a2", "b1", "b2", last_call_seconds=30)
    for index, name in enumerate(("b1", "a1", "a2", "b2")):
        scenario.join_from_pods(name, index=index)
    assert scenario.group == ["b1", "b2", "a1", "a2"]


def test_nodes_of_one_that_is_not_whole_are_spares_and_the_message_says_why() -> None:
    scenario = in_racks("a1", "a2", "b1")
    join_together(scenario, "a1", "a2", "b1")
    assert scenario.group == ["a1", "a2"]
    assert scenario.status.spares == ("b1",)
    assert message(scenario) == ("round 1 runs with 2 nodes; b1 waits for its replacement group 'b' (1 of 2 nodes)")
    assert scenario.condition("Degraded").status == "False", "nothing is wrong with the round"
    event = next(event for event in scenario.events if event.reason == "NodesLeftOut")
    assert event.message == "b1 waits for its replacement group 'b' (1 of 2 nodes)"
    assert event.warning
    assert scenario.messages().count("NodesLeftOut") == 1


def test_more_nodes_than_it_has_places_for_are_spares_the_members_come_first() -> None:
    scenario = training("a2", "a3", spares=("a1",))
    assert scenario.status.spares == ("a1",)
    assert "a1 is beyond the 2 nodes of its replacement group 'a'" in message(scenario)
    lose(scenario, "a2")
    assert scenario.group == ["a1", "a3"], "it takes the place of the lost one at once"


def test_a_node_without_the_label_has_none_and_the_message_names_the_label() -> None:
    scenario = in_racks("a1", "a2")
    scenario.pod("x")
    scenario.pod("y", labels={RACK: ""})
    join_together(scenario, "a1", "a2", "x", "y")
    assert scenario.group == ["a1", "a2"]
    assert scenario.status.spares == ("x", "y")
    why = f"has no replacement group: its pod x has no label {RACK} (spec.nodes.groupKey)"
    assert f"x {why}, y has no replacement group: its pod y has no label" in message(scenario)


def test_a_node_outside_of_pods_has_none() -> None:
    scenario = in_racks("a1", last_call_seconds=30)
    join_together(scenario, "a1")
    scenario.join("z")
    assert scenario.status.round == 0
    assert missing(scenario)["z"] == (
        f"has no replacement group: it is in no labelled pod, and the label {RACK} of a pod says it "
        "(spec.nodes.groupKey)"
    )


def test_too_few_whole_ones_are_waited_for() -> None:
    scenario = in_racks("a1", "b1", "c1", "b2")
    join_together(scenario, "a1", "b1", "c1")
    assert scenario.condition("Running").reason == FormationReason.WAITING_FOR_NODES
    assert message(scenario).startswith("0 of at least 2 nodes may become members; a1 waits for its replacement group")
    assert missing(scenario).keys() == {"a1", "b1", "c1", "b2"}
    assert scenario.status.formation is not None
    assert scenario.status.formation.joined == 3
    assert not scenario.status.spares, "they wait for others, so their join timeout counts"
    scenario.join_from_pods("b2")
    assert scenario.group == ["b1", "b2"]
    assert scenario.status.spares == ("a1", "c1")


def test_the_last_call_begins_when_enough_whole_ones_are_there() -> None:
    scenario = in_racks("a1", "b1", "a2", "c1", "c2", last_call_seconds=30)
    scenario.join_from_pods("a1", "b1")
    scenario.at(100)
    scenario.join_from_pods("a2")
    assert scenario.condition("Running").reason == FormationReason.LAST_CALL
    assert message(scenario).startswith("2 of at most 4 nodes; more nodes may join until")
    assert "b1" in missing(scenario)
    scenario.at(129)
    assert scenario.status.round == 0
    scenario.at(130)
    assert scenario.group == ["a1", "a2"]


def test_the_last_call_ends_at_once_with_the_largest_number_of_whole_ones() -> None:
    scenario = in_racks("a1", "a2", "b1", "c1", "b2", last_call_seconds=30)
    scenario.join_from_pods("a1", "a2", "b1", "c1")
    assert scenario.status.round == 0, "four nodes are there, but only one replacement group is whole"
    scenario.join_from_pods("b2")
    assert scenario.group == ["a1", "a2", "b1", "b2"]


def test_without_a_label_in_the_spec_no_label_counts() -> None:
    scenario = Scenario(2, 4, last_call_seconds=0)
    labelled(scenario, "a1", "b1")
    join_together(scenario, "a1", "b1")
    assert scenario.group == ["a1", "b1"]
    assert scenario.status.spares == ()


def test_a_label_without_a_size_is_none() -> None:
    """The API server refuses it; an older schema may have dropped the size."""
    assert NodePolicies(group_key=RACK).groups is None
    assert NodePolicies(group_size=2).groups is None
    scenario = in_racks("a1", "b1", group_size=None)
    join_together(scenario, "a1", "b1")
    assert scenario.group == ["a1", "b1"]


@pytest.mark.parametrize(
    ("bounds", "sizes", "allowed"),
    [
        ((2, 8), None, (2, 4, 6, 8)),
        ((2, 8), AllowedSizes(list=(2, 8)), (2, 8)),
        ((6, 12), AllowedSizes(step=3), (6, 12)),
        ((3, 7), None, (4, 6)),  # the API server refuses these; min and max hold all the same
    ],
)
def test_the_sizes_of_rounds_are_multiples_of_theirs(
    bounds: tuple[int, int], sizes: AllowedSizes | None, allowed: tuple[int, ...]
) -> None:
    nodes = NodePolicies(group_key=RACK, group_size=2)
    assert sizes_of(RendezvousSpec(*bounds, sizes=sizes, nodes=nodes)).allowed == allowed


# ---- a member is lost: Together


def test_a_lost_member_takes_its_replacement_group_out_at_once_and_nobody_waits_for_it() -> None:
    scenario = training("a1", "a2", "b1", "b2", replacement_seconds=600)
    began = scenario.clock
    lose(scenario, "a1")
    assert scenario.clock == began
    assert scenario.group == ["b1", "b2"]
    assert scenario.status.spares == ("a2",)
    assert "a2 waits for its replacement group 'a' (1 of 2 nodes)" in message(scenario)


def test_a_whole_one_that_waits_takes_the_ranks() -> None:
    scenario = training("a1", "a2", "b1", "b2", spares=("c1", "d1", "d2"), replacement_seconds=600)
    assert scenario.status.spares == ("d1", "d2", "c1"), "those that may become members first"
    lose(scenario, "a2")
    assert scenario.group == ["d1", "d2", "b1", "b2"]
    assert set(scenario.status.spares) == {"a1", "c1"}


def test_when_it_is_whole_again_it_is_taken_in_as_a_whole() -> None:
    scenario = training("a1", "a2", "b1", "b2", scale_up_interval_seconds=60)
    lose(scenario, "a1")
    scenario.after(30)
    labelled(scenario, "a3")
    scenario.join_from_pods("a3")
    assert scenario.asks, "they fill the group"
    scenario.all_join_again()
    assert {*scenario.group} == {"a3", "a2", "b1", "b2"}
    assert scenario.group[1] == "a2", "it has its rank back"
    assert scenario.status.spares == ()


def test_one_that_is_not_whole_ends_no_round() -> None:
    scenario = training("a1", "a2", "b1", "b2", scale_up_interval_seconds=0)
    lose(scenario, "a1")
    labelled(scenario, "c1")
    scenario.join_from_pods("c1")
    scenario.after(600)
    assert scenario.status.round == 2
    assert not scenario.asks
    assert scenario.status.formation is None
    assert scenario.status.spares == ("a2", "c1")


def test_nodes_are_gathered_until_a_replacement_group_is_whole_and_the_interval_is_over() -> None:
    scenario = training("a1", "a2", max_nodes=6, scale_up_interval_seconds=60)
    labelled(scenario, "b1", "b2", "c1")
    scenario.join_from_pods("b1", "c1")
    scenario.at(59)
    scenario.join_from_pods("b2")
    assert scenario.status.formation is not None
    assert (scenario.status.formation.reason, scenario.status.formation.joined) == (FormationReason.GATHERING, 2)
    assert not scenario.asks
    scenario.at(60)
    scenario.all_join_again()
    assert scenario.group == ["a1", "a2", "b1", "b2"]
    assert scenario.status.spares == ("c1",)


def test_members_that_the_new_spec_would_not_take_run_on_and_do_not_count_for_growth() -> None:
    """Their round began before there were replacement groups."""
    scenario = Scenario(2, 4, last_call_seconds=0, scale_up_interval_seconds=0)
    labelled(scenario, "a1", "b1", "c1", "d1", "d2")
    join_together(scenario, "a1", "b1", "c1")
    scenario.edit(min_nodes=2, group_key=RACK, group_size=2)
    assert not scenario.asks
    join_together(scenario, "d1", "d2")
    assert not scenario.asks, "the next round would be one of two"
    assert scenario.status.spares == ("d1", "d2")
    scenario.leave("a1", reason=LeaveReason.TERMINATED)
    scenario.all_join_again()
    assert scenario.group == ["d1", "d2"]


def test_too_few_that_are_left_wait_for_it() -> None:
    scenario = training("a1", "a2", "b1", "b2", min_nodes=4, replacement_seconds=0)
    lose(scenario, "a1")
    assert message(scenario).startswith("2 of at least 4 nodes may become members; a1 was lost")
    assert missing(scenario)["a2"] == "waits for its replacement group 'a' (1 of 2 nodes)"
    scenario.after(3600)
    labelled(scenario, "a3")
    scenario.join_from_pods("a3")
    assert scenario.group == ["a3", "a2", "b1", "b2"]


def test_it_is_left_out_only_when_no_member_runs_the_round_any_more() -> None:
    scenario = training("a1", "a2", "b1", "b2")
    scenario.pod_gone("a1")
    scenario.reenter("a2", "b1")
    assert scenario.condition("Running").reason == FormationReason.WAITING_FOR_MEMBERS
    assert message(scenario).startswith("2 nodes joined; b2 has not joined again")
    assert missing(scenario).keys() == {"b2", "a1"}
    scenario.reenter("b2")
    assert scenario.group == ["b1", "b2"]


def test_members_that_may_rejoin_count_for_the_spares_that_will_wait() -> None:
    scenario = training("a1", "a2", "b1", "b2", spares=("c1", "c2", "d1"))
    scenario.request_restart("now")
    scenario.reenter("a1")
    assert scenario.status.spares == ("c1", "c2", "d1")
    scenario.reenter("a2", "b1", "b2")
    assert scenario.group == ["a1", "a2", "b1", "b2"]


def test_a_suspended_group_says_how_many_wait() -> None:
    scenario = training("a1", "a2", "b1", "b2")
    scenario.edit(suspend=True)
    lose(scenario, "a1")
    assert message(scenario) == "spec.suspend is true; 3 nodes wait"


# ---- a node that is held out


def test_a_node_that_is_held_out_takes_its_replacement_group_out() -> None:
    scenario = training("a1", "a2", "b1", "b2")
    scenario.request_restart("now")
    held_out(scenario, "a1")
    scenario.all_join_again()
    assert scenario.group == ["b1", "b2"]
    assert scenario.status.spares == ("a2",)


def test_nobody_is_held_out_if_too_few_whole_ones_would_be_left() -> None:
    scenario = training("a1", "a2", "b1", "b2", min_nodes=4)
    scenario.request_restart("now")
    scenario.complete = False
    scenario.reenter(*scenario.group)
    scenario.complete = True
    s, timers = found(scenario)
    assert hold_out(s, timers, [Blame("a1", HeldOutReason.CRASH_LOOP, "")]) is None
    scenario.spec = in_racks(min_nodes=2).spec
    s, timers = found(scenario)
    assert hold_out(s, timers, [Blame("a1", HeldOutReason.CRASH_LOOP, "")]) is not None
    both = [Blame("a1", HeldOutReason.CRASH_LOOP, ""), Blame("b1", HeldOutReason.CRASH_LOOP, "")]
    assert hold_out(s, timers, both) is None, "two nodes would be left, but of two replacement groups"


def test_a_hold_out_does_not_count_while_too_few_whole_ones_would_be_left() -> None:
    scenario = training("a1", "a2", "b1", "b2", spares=("c1",), min_nodes=4)
    scenario.request_restart("now")
    held_out(scenario, "a1")
    scenario.all_join_again()
    assert scenario.group == ["a1", "a2", "b1", "b2"], "four nodes would be left, but only one whole replacement group"


def test_members_that_may_rejoin_make_one_whole_for_hold_outs() -> None:
    scenario = training("a1", "a2", "b1", "b2", spares=("c1",))
    scenario.request_restart("now")
    held_out(scenario, "c1")
    scenario.reenter("a1")
    s, timers = found(scenario)
    assert [entry.name for entry in counting(s, timers)] == ["c1"]


@pytest.mark.parametrize(("min_nodes", "excused"), [(2, True), (4, False)])
def test_the_budget_waits_for_the_fault_of_a_node_only_if_whole_ones_would_be_left(
    min_nodes: int, excused: bool
) -> None:
    """Else the failure of a2, which is seen first, closes the run at once."""
    scenario = training("a1", "a2", "b1", "b2", spares=("c1",), min_nodes=min_nodes, max_restarts=1)
    scenario.restart("a1")
    scenario.all_join_again()
    assert (scenario.group, scenario.status.restarts) == (["a1", "a2", "b1", "b2"], 1)
    scenario.complete = False
    scenario.restart("a1")
    scenario.reenter("a2", reason=AttemptReason.WORKER_FAILURE)
    scenario.complete = True
    scenario.settle()
    assert scenario.closed_runs == ({} if excused else {"run": "RestartBudgetExhausted"})


# ---- what must never be


def test_a_round_with_a_part_of_one_is_not_written() -> None:
    scenario = training("a1", "a2", "b1", "b2")
    scenario.request_restart("now")
    scenario.complete = False
    scenario.reenter(*scenario.group)
    scenario.complete = True
    seen = steps(now(scenario.clock), scenario.world(), scenario.memory)
    assert isinstance(seen, Steps)
    decided = scenario.decide()
    check(seen.situation, seen.timers, decided.status)
    for labels, pods in (({RACK: "b"}, ["uid-of-a1"]), ({}, ["uid-of-a1", "uid-of-a2"])):
        scenario.pods |= {uid: replace(scenario.pods[uid], labels=labels) for uid in pods}
        seen = steps(now(scenario.clock), scenario.world(), scenario.memory)
        assert isinstance(seen, Steps)
        with pytest.raises(InvariantError, match="a replacement group is not whole"):
            check(seen.situation, seen.timers, decided.status)


def test_an_edit_of_the_label_counts_from_the_next_round_on() -> None:
    scenario = training("a1", "a2", "b1", "b2")
    labelled(scenario, "x1")
    scenario.pod("a1", labels={RACK: "x"})
    assert not scenario.asks
    assert Run.of(scenario.status).round_runs
    scenario.request_restart("now")
    scenario.all_join_again()
    assert scenario.group == ["b1", "b2"]
    assert set(scenario.status.spares) == {"a1", "a2"}


def test_nobody_waits_for_a_lost_member_of_one() -> None:
    scenario = training("a1", "a2", "b1", "b2", replacement_seconds=60)
    scenario.leave("a1")
    scenario.all_join_again()
    assert scenario.group == ["b1", "b2"]
