"""Rule "topology ranks", the part of ``ranks.segmentSize``: rounds of whole segments, each in one domain."""

import pytest
from tests.unit.core.placed_worlds import by_labels, goes_on, goes_on_after, in_segments, placed, spares_of

from rendezvous_api.reasons import FormationReason, RanksPolicy
from rendezvous_api.rendezvous_spec import AllowedSizes, Ranks, RendezvousSpec
from rendezvous_operator.core.sizes.sizes import sizes_of

NO_LABELS: dict[str, str] = {}


@pytest.mark.parametrize(
    ("bounds", "sizes", "allowed"),
    [((2, 8), None, (2, 4, 6, 8)), ((4, 8), AllowedSizes(step=4), (4, 8)), ((2, 6), AllowedSizes(list=(3, 6)), (6,))],
)
def test_sizes_are_whole_segments(bounds: tuple[int, int], sizes: AllowedSizes, allowed: tuple[int, ...]) -> None:
    assert sizes_of(RendezvousSpec(*bounds, sizes=sizes, ranks=by_labels("rack", segment=2))).allowed == allowed
    assert sizes_of(RendezvousSpec(2, 3, ranks=Ranks(RanksPolicy.STABLE, segment_size=2))).allowed == (2, 3)


def test_only_whole_segments_of_a_domain_count_and_the_rest_waits() -> None:
    scenario = in_segments("a1", "a2", "a3", "b1", "c1", "c2", "c3", "c4", "c5", max_nodes=8)
    assert scenario.text == "a1 a2 c1 c2 c3 c4"
    assert spares_of(scenario) == "a3 b1 c5"
    assert scenario.domains == [("a", 2), ("c", 4)]


def test_with_more_segments_than_places_the_first_domains_are_taken() -> None:
    scenario = in_segments("a1", "b1", "b2", "b3", "b4", "c1", "c2", max_nodes=4)
    assert scenario.text == "b1 b2 b3 b4"
    assert spares_of(scenario) == "a1 c1 c2"


def test_nodes_that_fill_no_segment_form_no_round() -> None:
    scenario = in_segments("a1", "b1", "c1", max_nodes=4, last_call_seconds=30)
    scenario.after(500)
    assert scenario.status.round == 0
    assert scenario.condition("Running").reason == FormationReason.WAITING_FOR_NODES
    assert scenario.message == "3 of at least 2 nodes, 0 of them in whole segments of 2"
    assert spares_of(scenario) == ""
    scenario.join("b2")
    assert scenario.condition("Running").reason == FormationReason.LAST_CALL, "the last call begins only now"
    scenario.after(29)
    assert scenario.status.round == 0
    scenario.after(1)
    assert scenario.text == "b1 b2"


def test_a_machine_without_the_innermost_label_fills_none() -> None:
    scenario = in_segments("a1", "a2", "x1", "x2", max_nodes=4, labels={"x1": NO_LABELS, "x2": NO_LABELS})
    assert scenario.text == "a1 a2"
    assert spares_of(scenario) == "x1 x2"
    assert "x1 is on machine on-x1, which has no label rack" in scenario.message


def test_nor_does_one_that_had_a_place_before_there_were_segments() -> None:
    labels = {"a1": NO_LABELS, "a2": NO_LABELS}
    scenario = placed("a1", "a2", "b1", "b2", labels=labels)
    assert scenario.text == "b1 b2 a1 a2"
    scenario.join("c1", "c2")
    scenario.edit(ranks=by_labels("rack", segment=2))
    assert goes_on_after(scenario, "b1") == "b1 b2 c1 c2"
    assert spares_of(scenario) == "a1 a2"


def test_a_label_that_comes_later_is_seen() -> None:
    labels = {"a1": NO_LABELS, "a2": NO_LABELS}
    scenario = in_segments("a1", "a2", labels=labels, max_nodes=2)
    assert scenario.status.round == 0
    scenario.labels.clear()
    scenario.after(4.9)
    assert scenario.status.round == 0
    scenario.after(0.1)
    assert scenario.text == "a1 a2"
    assert scenario.wake_at is not None
    assert scenario.wake_at > scenario.clock + 5, "all labels are known, so no machine is looked at again"


def test_the_last_call_ends_at_once_only_with_all_segments() -> None:
    scenario = in_segments("a1", "a2", "b1", "c1", max_nodes=4, last_call_seconds=30)
    assert scenario.status.round == 0
    scenario.join("c2")
    assert scenario.text == "a1 a2 c1 c2"


def test_a_lost_member_is_replaced_from_its_domain_at_once() -> None:
    scenario = in_segments("a1", "a2", "a3", "b1", "b2", max_nodes=4, replacement_seconds=30)
    assert spares_of(scenario) == "a3"
    scenario.gone("a1")
    assert goes_on(scenario) == "a3 a2 b1 b2"


def test_a_spare_elsewhere_cannot_replace_it() -> None:
    scenario = in_segments("a1", "a2", "b1", "b2", "b3", max_nodes=4, replacement_seconds=30)
    scenario.gone("a1")
    scenario.all_join_again()
    assert scenario.status.round == 1
    assert scenario.message.startswith(
        "4 of 4 nodes have joined again, 2 of them in whole segments of 2; waiting for replacements until"
    )
    scenario.after(29)
    assert scenario.status.round == 1
    scenario.after(1)
    assert scenario.text == "b1 b2"
    assert spares_of(scenario) == "a2 b3"
    scenario.join("a9")
    assert goes_on(scenario) == "b1 b2 a2 a9"


def test_a_whole_segment_elsewhere_can() -> None:
    scenario = in_segments("a1", "a2", "b1", "b2", "c1", "c2", max_nodes=4, replacement_seconds=30)
    assert scenario.text == "a1 a2 b1 b2"
    scenario.gone("a1")
    assert goes_on(scenario) == "b1 b2 c1 c2"
    assert spares_of(scenario) == "a2"


def test_segments_of_members_come_before_those_of_others() -> None:
    scenario = in_segments("a1", "a2", "b1", "b2", "b3", max_nodes=4)
    scenario.join("a3", "a4", "b4")
    assert not scenario.asks
    assert goes_on_after(scenario, "a1") == "a1 a2 b1 b2"
    assert {*scenario.status.spares} == {"a3", "a4", "b3", "b4"}


def test_a_newcomer_ends_the_round_only_with_a_whole_segment() -> None:
    scenario = in_segments("a1", "a2", max_nodes=4)
    scenario.join("b1", "c1", "a3")
    scenario.after(5000)
    assert not scenario.asks
    assert {*scenario.status.spares} == {"a3", "b1", "c1"}
    scenario.join("c2")
    assert scenario.ended_because == "ScaleUp"
    assert goes_on(scenario) == "a1 a2 c1 c2"
    assert {*scenario.status.spares} == {"a3", "b1"}


def test_who_is_gathered_is_who_fills_a_segment() -> None:
    scenario = in_segments("a1", "a2", max_nodes=6, scale_up_interval_seconds=60)
    scenario.join("b1", "c1", "c2")
    assert scenario.message.startswith("round 1 runs with 2 nodes; 2 more nodes joined and will be added once")
    assert {*scenario.status.spares} == {"b1", "c1", "c2"}
    writes = scenario.writes
    for _ in range(10):
        scenario.after(1)
        scenario.settle()
    assert scenario.writes == writes
    scenario.after(60)
    assert goes_on(scenario) == "a1 a2 c1 c2"


def test_a_segment_in_the_place_of_one_that_lost_its_label_ends_no_round() -> None:
    scenario = in_segments("a1", "a2", max_nodes=4)
    scenario.labels["a2"] = NO_LABELS
    scenario.join("c1", "c2")
    scenario.after(5000)
    assert (scenario.asks, scenario.status.formation) == (False, None)
    assert spares_of(scenario) == "c1 c2"
    assert goes_on_after(scenario, "a1") == "c1 c2"


def test_while_members_come_back_spares_wait_without_a_limit() -> None:
    scenario = in_segments("a1", "a2", "b1", max_nodes=4)
    assert spares_of(scenario) == "b1"
    scenario.reenter("a1")
    assert spares_of(scenario) == "b1"
    scenario.gone("a2")
    assert spares_of(scenario) == ""
    assert scenario.status.round == 1


def test_a_domain_with_one_node_less_loses_one_segment() -> None:
    scenario = in_segments("a1", "a2", "a3", "a4", "b1", "b2", max_nodes=6)
    scenario.gone("a1")
    assert goes_on(scenario) == "a3 a2 b1 b2"
    assert spares_of(scenario) == "a4"


def test_segments_go_with_a_step_of_sizes() -> None:
    scenario = in_segments("a1", "a2", "b1", "b2", "c1", "c2", max_nodes=8, min_nodes=4, sizes=AllowedSizes(step=4))
    assert scenario.text == "a1 a2 b1 b2"
    assert spares_of(scenario) == "c1 c2"
