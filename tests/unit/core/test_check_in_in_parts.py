"""Rule "hold-outs": who is at fault for a failed check-in where no more than half of a group reach each other."""

from collections import Counter
from collections.abc import Callable, Hashable
from random import Random

import pytest
from tests.unit.core.worlds import Scenario

from rendezvous_api import names
from rendezvous_api.participant import CheckIn
from rendezvous_api.reasons import AttemptReason, HeldOutReason, LeaveReason

STORE_NOT_REACHED = HeldOutReason.STORE_NOT_REACHED
CHECK_IN_SECONDS = 61


def check_in_in_parts(scenario: Scenario, part: Callable[[str], Hashable]) -> bool:
    """Whether all members reach the host; if not, their check-in fails. Only nodes of one part reach each other."""
    host = scenario.group[0]
    met = {name for name in scenario.group if part(name) == part(host)}
    scenario.meets = met == {*scenario.group}
    if not scenario.meets:
        scenario.after(CHECK_IN_SECONDS)
        scenario.fail_to_check_in(*(name for name in scenario.group if name not in met))
    return scenario.meets


def in_parts(size: int, min_nodes: int, **spec: object) -> Scenario:
    """The first round of n00, n01, ... is published; `check_in_in_parts` says which members can meet."""
    scenario = Scenario(min_nodes, size, **{"replacement_seconds": 0, **spec})
    scenario.meets = False
    scenario.join(*(f"n{number:02}" for number in range(size)))
    return scenario


@pytest.mark.parametrize(("size", "largest"), [(2, 1), (3, 1), (5, 2), (9, 4), (11, 5), (12, 6), (14, 7), (20, 8)])
@pytest.mark.parametrize("rest", ["in one part", "each alone"])
def test_enough_nodes_that_reach_each_other_train_within_some_check_ins(size: int, largest: int, rest: str) -> None:
    """They are those of the highest ranks, and need not be half of the group."""
    scenario = in_parts(size, largest)
    healthy = {*scenario.group[-largest:]}
    failed = 0
    while not check_in_in_parts(scenario, lambda name: rest if name in healthy or rest == "in one part" else name):
        failed += 1
        assert failed <= 2 * size
    assert failed <= 6 or rest == "each alone"
    assert scenario.status.nodes >= largest


@pytest.mark.parametrize("seed", range(40))
def test_in_any_group_in_parts_a_part_trains_and_the_larger_half_pays_for_nobody(seed: int) -> None:
    chance = Random(seed)
    size = chance.randint(2, 12)
    parts = {f"n{number:02}": chance.choice(range(chance.randint(1, 4))) for number in range(size)}
    largest = max(Counter(parts.values()).values())
    scenario = in_parts(size, chance.randint(1, largest))
    failed = 0
    while not check_in_in_parts(scenario, parts.__getitem__):
        failed += 1
        assert failed <= 2 * size
    trains = Counter(parts.values())[parts[scenario.group[0]]]
    assert 2 * largest <= size or trains == largest
    assert all(parts[name] != parts[scenario.group[0]] for name in scenario.held_out)


def test_two_halves_go_on_apart_after_five_hosts_in_vain() -> None:
    scenario = in_parts(12, 6)
    hosts = [scenario.group[0]]
    while not check_in_in_parts(scenario, lambda name: int(name[1:]) % 2):
        hosts.append(scenario.group[0])
    assert len({*hosts[:6]}) == 6
    assert hosts[6:] == hosts[5:6], "the first round of one half has the host of the check-in that showed it"
    assert scenario.status.nodes == len(scenario.held_out) == 6
    assert scenario.status.restarts == 5


def test_a_broken_rack_at_the_lowest_ranks_is_found_by_the_second_host() -> None:
    scenario = in_parts(20, 2)
    rack = {*scenario.group[:5]}
    while not check_in_in_parts(scenario, rack.__contains__):
        pass
    assert {*scenario.held_out} == rack
    assert scenario.status.restarts == 1


def test_a_sick_node_in_a_group_of_three_costs_one_restart_and_no_more() -> None:
    scenario = Scenario(2, 3, max_restarts=1)
    scenario.join("a", "b", "x")
    scenario.fail_to_check_in("x")
    for times in range(1, 6):
        scenario.meets = False
        scenario.fail_to_check_in("x")
        assert scenario.held_out == {"x": (STORE_NOT_REACHED, times)}
        scenario.meets = True
        while "x" not in scenario.group:
            scenario.after(10)
            if scenario.asks:
                scenario.meets = False
                scenario.all_join_again()
    assert scenario.status.restarts == 1


def test_hold_outs_that_do_not_help_are_counted() -> None:
    """The group needs a fourth node, and each one that may take part is sick."""
    scenario = Scenario(4, 4, max_restarts=2, replacement_seconds=0)
    scenario.meets = False
    scenario.join("a", "b", "c", "x", "y", "z")
    failed = 0
    while not scenario.closed_runs:
        scenario.after(CHECK_IN_SECONDS)
        scenario.fail_to_check_in(*({*scenario.group} - {*"abc"}))
        failed += 1
    assert scenario.closed_runs == {"run": "RestartBudgetExhausted"}
    assert failed == names.MAX_HISTORY - 1 + 3


def test_failures_of_an_earlier_run_are_no_sign_that_hold_outs_do_not_help() -> None:
    scenario = Scenario(2, 4, replacement_seconds=0)
    scenario.join("a", "b", "c", "x", run="one")
    for _ in range(names.MAX_HISTORY):
        scenario.reenter("a", "b", "c", "x", reason=AttemptReason.WORKER_FAILURE)
    scenario.reenter("a", reason=AttemptReason.WORKER_FAILURE)
    scenario.leave("b", reason=LeaveReason.SUCCEEDED)
    assert scenario.closed_runs == {"one": "RunSucceeded"}
    assert scenario.ended_because == "WorkerFailed"
    scenario.leave("a", "c", "x")
    scenario.meets = False
    scenario.join("a", "b", "c", "x", run="two", incarnation="second")
    scenario.fail_to_check_in("x")
    assert {*scenario.held_out} == {"x"}
    assert scenario.status.restarts == 0


def test_no_member_is_held_out_by_the_word_of_one_other() -> None:
    """In a group of three, l lies; h and v say nothing: they were called back before they had tried for long."""
    scenario = Scenario(2, 3)
    scenario.meets = False
    scenario.join("h", "l", "v")
    for _ in range(6):
        lie = CheckIn(scenario.status.round, reached_store=True, missing=("h", "v"))
        scenario.reenter("l", reason=AttemptReason.CHECK_IN_FAILED, check_ins={"l": lie})
        scenario.reenter("h", "v", reason=AttemptReason.CHECK_IN_FAILED)
        assert scenario.held_out == {}
        assert {*scenario.group} == {*"hlv"}
    assert scenario.status.restarts == 6


def test_the_same_host_twice_is_not_another_host() -> None:
    scenario = Scenario(2, 3)
    scenario.meets = False
    scenario.join("a", "b", "x")
    scenario.reenter("a", "b", "x", reason=AttemptReason.CHECK_IN_FAILED)
    assert scenario.group[0] == "a", "nobody says anything"
    scenario.fail_to_check_in("x")
    assert scenario.held_out == {}
    assert scenario.group[0] == "b"
