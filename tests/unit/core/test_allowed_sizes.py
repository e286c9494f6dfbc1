"""Rule "size", the part of ``spec.sizes``: rounds of some sizes only."""

from dataclasses import replace

import pytest
from tests.unit.core.started import running
from tests.unit.core.worlds import Scenario

from rendezvous_api.reasons import FormationReason
from rendezvous_api.rendezvous_spec import AllowedSizes, RendezvousSpec
from rendezvous_operator.core.sizes.sizes import sizes_of

PAIRS = AllowedSizes(step=2)
TWO_FOUR_EIGHT = AllowedSizes(list=(8, 2, 4))


def spares_of(scenario: Scenario) -> list[str]:
    return [*scenario.status.spares]


@pytest.mark.parametrize(
    ("bounds", "sizes", "allowed"),
    [
        ((2, 5), None, (2, 3, 4, 5)),
        ((2, 8), PAIRS, (2, 4, 6, 8)),
        ((4, 4), AllowedSizes(step=4), (4,)),
        ((1, 3), AllowedSizes(step=1), (1, 2, 3)),
        ((2, 8), TWO_FOUR_EIGHT, (2, 4, 8)),
        ((1, 9), AllowedSizes(list=(4,)), (4,)),
        # The API server refuses these; min and max hold all the same.
        ((3, 7), PAIRS, (4, 6)),
        ((3, 4), TWO_FOUR_EIGHT, (4,)),
        ((3, 3), PAIRS, ()),
    ],
)
def test_the_sizes_within_min_and_max(
    bounds: tuple[int, int], sizes: AllowedSizes | None, allowed: tuple[int, ...]
) -> None:
    assert sizes_of(RendezvousSpec(*bounds, sizes=sizes)).allowed == allowed


def test_a_spec_that_differs_only_in_them_is_another_one() -> None:
    spec = RendezvousSpec(2, 4)
    assert [sizes_of(each).allowed for each in (spec, replace(spec, sizes=PAIRS), spec)] == [
        (2, 3, 4),
        (2, 4),
        (2, 3, 4),
    ]


@pytest.mark.parametrize(
    ("sizes", "nodes", "members"),
    [
        (PAIRS, "ab", "ab"),
        (PAIRS, "abc", "ab"),
        (PAIRS, "abcde", "abcd"),
        (PAIRS, "abcdefg", "abcdef"),
        (TWO_FOUR_EIGHT, "abcdefg", "abcd"),
        (TWO_FOUR_EIGHT, "abc", "ab"),
    ],
)
def test_a_first_round_takes_the_largest_size_and_the_others_are_spares(
    sizes: AllowedSizes, nodes: str, members: str
) -> None:
    scenario = Scenario(2, 8, sizes=sizes, last_call_seconds=30)
    scenario.join(*nodes)
    scenario.at(29)
    assert scenario.status.round == 0
    scenario.at(30)
    assert scenario.group == [*members]
    assert spares_of(scenario) == [*nodes.removeprefix(members)]
    assert not scenario.asks


@pytest.mark.parametrize(("sizes", "most"), [(PAIRS, 8), (TWO_FOUR_EIGHT, 8), (AllowedSizes(list=(2, 4)), 4)])
def test_the_last_call_ends_at_once_at_the_largest_size(sizes: AllowedSizes, most: int) -> None:
    scenario = Scenario(2, 8, sizes=sizes)
    scenario.join(*"abcdefgh"[: most - 1])
    assert scenario.status.round == 0
    assert f"{most - 1} of at most {most} nodes" in scenario.condition("Running").message
    scenario.join("z")
    assert len(scenario.group) == most


@pytest.mark.parametrize(("sizes", "fewest"), [(AllowedSizes(step=3), 3), (AllowedSizes(list=(6, 4)), 4)])
def test_the_message_counts_to_the_smallest_size(sizes: AllowedSizes, fewest: int) -> None:
    scenario = Scenario(3, 6, sizes=sizes)
    scenario.settle()
    assert scenario.condition("Running").message == f"0 of at least {fewest} nodes"
    scenario.join(*"abcdef"[: fewest - 1])
    assert scenario.condition("Running").reason == FormationReason.WAITING_FOR_NODES
    assert scenario.condition("Running").message == f"{fewest - 1} of at least {fewest} nodes"
    scenario.join("z")
    assert scenario.condition("Running").reason == FormationReason.LAST_CALL


@pytest.mark.parametrize(
    ("sizes", "nodes", "lost", "members", "spares"),
    [
        (PAIRS, "abcd", "d", "ab", ("c",)),
        (PAIRS, "abcd", "a", "cb", ("d",)),
        (PAIRS, "abcd", "cd", "ab", ()),
        (PAIRS, "abcdef", "f", "abcd", ("e",)),
        (TWO_FOUR_EIGHT, "abcdefgh", "h", "abcd", ("e", "f", "g")),
    ],
)
def test_a_group_that_has_lost_a_member_goes_on_with_the_next_smaller_size(
    sizes: AllowedSizes, nodes: str, lost: str, members: str, spares: tuple[str, ...]
) -> None:
    scenario = running(*nodes, max_nodes=8, sizes=sizes)
    scenario.gone(*lost)
    scenario.all_join_again()
    scenario.after(29)
    assert scenario.status.round == 1
    assert spares_of(scenario) == []
    scenario.after(1)
    assert {*scenario.group} == {*members}
    assert {*spares_of(scenario)} == {*spares}
    # That was all: it neither grows nor shrinks by itself.
    scenario.after(1000)
    assert (scenario.status.round, scenario.asks) == (2, False)


def test_when_the_lost_one_comes_back_in_time_the_size_stays() -> None:
    scenario = running(*"abcd", sizes=PAIRS)
    scenario.gone("d")
    scenario.all_join_again()
    scenario.after(20)
    scenario.join("d")
    assert scenario.group == [*"abcd"]


def test_a_group_below_the_smallest_size_waits() -> None:
    scenario = running(*"ab", sizes=PAIRS, replacement_seconds=0)
    scenario.gone("b")
    scenario.all_join_again()
    scenario.after(500)
    assert scenario.status.round == 1
    assert "1 of at least 2 nodes" in scenario.condition("Running").message


def test_a_spare_takes_the_place_of_a_lost_one_at_once() -> None:
    scenario = running(*"ab", sizes=PAIRS)
    scenario.join("c")
    assert spares_of(scenario) == ["c"]
    scenario.gone("a")
    scenario.all_join_again()
    assert scenario.group == ["c", "b"]
    assert spares_of(scenario) == []


def test_a_failed_worker_costs_the_spare_nothing() -> None:
    scenario = running(*"ab", sizes=PAIRS)
    scenario.join("c")
    scenario.reenter("a")
    assert spares_of(scenario) == ["c"], "b comes back, so there is no place"
    scenario.reenter("b")
    assert scenario.group == ["a", "b"]
    assert spares_of(scenario) == ["c"]


def test_newcomers_below_a_full_step_restart_no_member() -> None:
    scenario = running(*"ab", max_nodes=6, sizes=PAIRS, scale_up_interval_seconds=0)
    scenario.join("c")
    scenario.after(5000)
    assert not scenario.asks
    assert spares_of(scenario) == ["c"]
    assert scenario.status.formation is None
    assert scenario.condition("Running").message == "round 1 runs with 2 nodes"


def test_who_completes_the_step_is_gathered_until_the_round_has_run_for_its_time() -> None:
    scenario = running(*"ab", max_nodes=6, sizes=PAIRS, scale_up_interval_seconds=60)
    started = scenario.clock
    scenario.join("c")
    scenario.after(10)
    scenario.join("d")
    assert spares_of(scenario) == []
    assert scenario.status.formation is not None
    assert scenario.status.formation.reason is FormationReason.GATHERING
    assert scenario.status.formation.message.startswith("2 more nodes joined")
    scenario.after(started + 59 - scenario.clock)
    assert not scenario.asks
    scenario.after(1)
    assert scenario.ended_because == "ScaleUp"
    scenario.all_join_again()
    assert scenario.group == [*"abcd"]


def test_who_waits_beyond_the_next_size_keeps_its_place_behind_those_who_will_be_taken_in() -> None:
    scenario = running(*"ab", max_nodes=6, sizes=PAIRS, scale_up_interval_seconds=60)
    scenario.join("z")
    scenario.after(1)
    scenario.join("y")
    assert spares_of(scenario) == [], "there is a place for both in the next round"
    scenario.after(1)
    scenario.join("x")
    assert spares_of(scenario) == ["z", "y", "x"], "there is none for all of them"
    assert scenario.condition("Running").message.startswith("round 1 runs with 2 nodes; 2 more nodes joined")
    writes = scenario.writes
    for _ in range(10):
        scenario.after(1)
        scenario.settle()
    assert scenario.writes == writes
    scenario.after(60)
    scenario.all_join_again()
    assert scenario.group == [*"abzy"]
    assert spares_of(scenario) == ["x"]


@pytest.mark.parametrize(("sizes", "last"), [(PAIRS, "d"), (AllowedSizes(list=(2, 5)), "e")])
def test_who_fills_the_group_is_taken_in_at_once(sizes: AllowedSizes, last: str) -> None:
    everyone = "abcde"[: "abcde".index(last) + 1]
    scenario = running(*"ab", max_nodes=len(everyone), sizes=sizes, scale_up_interval_seconds=600)
    scenario.join(*everyone[2:-1])
    assert not scenario.asks
    scenario.join(last)
    assert scenario.ended_because == "ScaleUp"
    scenario.all_join_again()
    assert scenario.group == [*everyone]


def test_who_has_become_a_spare_by_the_loss_of_another_comes_back_with_a_full_step() -> None:
    scenario = running(*"abcd", sizes=PAIRS, replacement_seconds=0)
    scenario.gone("b")
    scenario.all_join_again()
    assert {*scenario.group, *scenario.status.spares} == {*"acd"}
    assert len(scenario.group) == 2
    scenario.join("b")
    scenario.all_join_again()
    assert {*scenario.group} == {*"abcd"}


def test_an_edit_counts_from_the_next_round_on() -> None:
    scenario = running(*"abc")
    scenario.edit(sizes=PAIRS)
    scenario.after(1000)
    assert (scenario.status.round, scenario.asks) == (1, False)
    scenario.reenter("b")
    scenario.all_join_again()
    assert (scenario.group, spares_of(scenario)) == (["a", "b"], ["c"])
    scenario.edit(sizes=None)
    scenario.after(60)
    scenario.all_join_again()
    assert scenario.group == [*"abc"]
