"""Rule "topology ranks": the ranks, and who takes the place of a lost member."""

from tests.unit.core.placed_worlds import ZONE, Placed, by_labels, goes_on, goes_on_after, placed, spares_of

from rendezvous_api.rendezvous import Topology
from rendezvous_operator.core import topology

LEVELS = by_labels("zone", "rack")
TWO_LEVELS = {
    "a1": {ZONE: "east", "rack": "1"},
    "b1": {ZONE: "west", "rack": "1"},
    "c1": {ZONE: "east", "rack": "2"},
    "d1": {ZONE: "west", "rack": "1"},
    "e1": {ZONE: "east", "rack": "1"},
}
NO_LABELS: dict[str, str] = {}


# The first round.


def test_ranks_of_a_domain_follow_each_other() -> None:
    scenario = placed("a2", "b9", "c5", "b1", "a10", "c1", "a1")
    assert scenario.text == "a1 a2 a10 b1 b9 c1 c5"
    assert scenario.domains == [("a", 3), ("b", 2), ("c", 2)]
    assert scenario.status.topology is not None
    assert scenario.status.topology.keys == ("rack",)
    assert scenario.events[-1].message == "round 1 of run 'run': 7 nodes, rank 0 is a1; 3 domains"


def test_domains_are_in_the_order_of_their_first_nodes() -> None:
    scenario = Placed(4, 4, ranks=by_labels("rack"))
    for index, name in enumerate(("z1", "m1", "a1", "m2")):
        scenario.join(name, index=index)
    assert scenario.text == "z1 m1 m2 a1"


def test_so_they_are_at_each_level() -> None:
    scenario = placed(*TWO_LEVELS, labels=TWO_LEVELS, ranks=LEVELS)
    assert scenario.text == "a1 e1 c1 b1 d1"
    assert scenario.domains == [("east/1", 2), ("east/2", 1), ("west/1", 2)]


def test_racks_of_one_name_in_two_zones_are_two_domains() -> None:
    scenario = placed("a1", "b1", labels={"a1": TWO_LEVELS["a1"], "b1": TWO_LEVELS["b1"]}, ranks=LEVELS)
    assert scenario.domains == [("east/1", 1), ("west/1", 1)]


def test_machines_without_a_label_come_last_in_their_level() -> None:
    labels = {**TWO_LEVELS, "a1": NO_LABELS, "b1": {ZONE: "west"}, "c1": {"rack": "7"}}
    scenario = placed(*TWO_LEVELS, labels=labels, ranks=LEVELS)
    assert scenario.text == "d1 b1 e1 c1 a1", "e1 comes after d1, since b1 is the first of all"
    assert scenario.domains == [("west/1", 1), ("west/", 1), ("east/1", 1), ("/7", 1), ("/", 1)]
    assert scenario.message == (
        "round 1 runs with 5 nodes; not in the order of machines: "
        "a1 is on machine on-a1, which has no label topology.kubernetes.io/zone (and 1 more), "
        "b1 is on machine on-b1, which has no label rack, "
        "c1 is on machine on-c1, which has no label topology.kubernetes.io/zone"
    )
    assert scenario.events[-1].message.endswith("; 2 domains, and 3 nodes on machines that lack a label")


def test_a_new_run_begins_with_its_own_order() -> None:
    scenario = placed("a1", "b1", min_nodes=2)
    scenario.leave("a1", "b1")
    scenario.after(700)
    for index, name in enumerate(("b5", "a5")):
        scenario.join(name, index=index, run="another")
    assert scenario.text == "b5 a5"


# Later rounds.


def test_who_stays_keeps_its_place_and_domains_keep_their_order() -> None:
    scenario = placed("b1", "b2", "a1", "a2", "c1", max_nodes=9)
    assert scenario.text == "a1 a2 b1 b2 c1"
    scenario.gone("a1", "a2")
    scenario.join("a7", "b7", "0x")
    assert goes_on(scenario) == "a7 b1 b2 b7 c1 0x", "domain a has its place again, and a new one comes last"
    assert goes_on_after(scenario, "b1") == "a7 b1 b2 b7 c1 0x"


def test_a_domain_that_was_away_for_a_round_comes_last() -> None:
    scenario = placed("a1", "b1", "b2", max_nodes=3)
    scenario.gone("a1")
    assert goes_on(scenario) == "b1 b2"
    scenario.join("a1")
    assert goes_on(scenario) == "b1 b2 a1"


def test_a_new_rack_comes_after_those_of_its_zone() -> None:
    labels = {**TWO_LEVELS, "x1": {ZONE: "east", "rack": "9"}}
    scenario = placed(*TWO_LEVELS, labels=labels, ranks=LEVELS, max_nodes=6)
    scenario.join("x1")
    assert goes_on(scenario) == "a1 e1 c1 x1 b1 d1"


def test_the_place_of_a_lost_member_goes_to_a_spare_of_its_domain() -> None:
    scenario = placed("a1", "a2", "b1", "b2", max_nodes=4)
    scenario.join("a9")
    scenario.join("c9")
    scenario.join("b9")
    assert spares_of(scenario) == "a9 c9 b9"
    scenario.gone("b1")
    assert goes_on(scenario) == "a1 a2 b9 b2"
    assert spares_of(scenario) == "a9 c9"
    scenario.gone("a1")
    assert goes_on(scenario) == "a9 a2 b9 b2"


def test_each_place_goes_to_one_node() -> None:
    scenario = placed("a1", "b1", "b2", "c1")
    for name in ("b8", "b9", "c9"):
        scenario.join(name)
    scenario.gone("b1", "c1")
    assert goes_on(scenario) == "a1 b8 b2 c9"


def test_a_node_of_its_rack_comes_before_others_of_its_zone() -> None:
    labels = {**TWO_LEVELS, "c9": {ZONE: "east", "rack": "2"}, "a9": {ZONE: "east", "rack": "1"}}
    scenario = placed(*TWO_LEVELS, labels=labels, ranks=LEVELS)
    scenario.join("c9")
    scenario.join("a9")
    scenario.gone("e1")
    assert goes_on(scenario) == "a1 a9 c1 b1 d1"


def test_else_to_the_nearest_one() -> None:
    labels = {
        **TWO_LEVELS,
        "far": {ZONE: "north", "rack": "1"},
        "near": {ZONE: "east", "rack": "3"},
    }
    scenario = placed(*TWO_LEVELS, labels=labels, ranks=LEVELS)
    scenario.join("far")
    scenario.join("near")
    scenario.gone("e1")
    assert goes_on(scenario) == "a1 c1 near b1 d1"
    scenario.gone("near", "c1")
    assert goes_on(scenario) == "a1 b1 d1 far"


def test_a_spare_of_its_domain_comes_before_a_pod_of_the_same_index_elsewhere() -> None:
    scenario = Placed(2, 2, ranks=by_labels("rack"))
    scenario.join("a1", index=0)
    scenario.join("b1", index=1)
    scenario.join("b9", index=2)
    scenario.gone("b1")
    scenario.join("c1", index=1)
    assert goes_on(scenario) == "a1 b9"
    assert spares_of(scenario) == "c1"


def test_a_member_that_comes_back_elsewhere_stays_a_member() -> None:
    scenario = placed("a1", "a2", "b1", max_nodes=3)
    scenario.join("a9")
    scenario.gone("a2")
    scenario.labels["a2"] = {"rack": "z"}
    scenario.join("a2")
    assert goes_on(scenario) == "a1 b1 a2"
    assert spares_of(scenario) == "a9"


def test_what_else_is_free_goes_to_the_others_in_the_order_of_the_list() -> None:
    scenario = placed("a1", "b1", "b2", max_nodes=3)
    scenario.join("d9")
    scenario.join("c9")
    scenario.gone("b2")
    assert goes_on(scenario) == "a1 b1 d9"


def test_a_domain_that_shrinks_fills_the_place_from_its_end_and_gives_it_back() -> None:
    scenario = placed("a1", "a2", "a3", "b1", "b2", max_nodes=5)
    scenario.gone("a1")
    assert goes_on(scenario) == "a3 a2 b1 b2"
    owner = scenario.status.participants[0].stands_in_for
    assert owner is not None
    assert owner.name == "a1"
    scenario.join("a1")
    assert goes_on(scenario) == "a1 a2 a3 b1 b2"
    assert scenario.status.participants[0].stands_in_for is None


def test_a_stand_in_stays_one_behind_another_domain() -> None:
    scenario = placed("a1", "b1", "b2", "b3", max_nodes=5)
    scenario.gone("b1")
    assert goes_on(scenario) == "a1 b3 b2"
    scenario.join("a9")
    assert goes_on(scenario) == "a1 a9 b3 b2"
    owner = scenario.status.participants[2].stands_in_for
    assert owner is not None
    assert owner.name == "b1"


def test_who_comes_back_on_another_machine_is_new_in_that_domain() -> None:
    scenario = placed("a1", "a2", "b1", "b2")
    scenario.gone("a1")
    scenario.labels["a1"] = {"rack": "b"}
    scenario.join("a1")
    assert goes_on(scenario) == "a2 b1 b2 a1"


def test_a_new_label_counts_from_the_next_round_on() -> None:
    scenario = placed("a1", "a2", "b1")
    scenario.labels["a1"] = {"rack": "b"}
    scenario.after(500)
    assert (scenario.status.round, scenario.asks) == (1, False)
    assert goes_on_after(scenario, "b1") == "a2 b1 a1"


def test_a_group_that_becomes_smaller_by_its_spec_keeps_the_first_members() -> None:
    scenario = placed("a1", "a2", "b1", "b2")
    scenario.edit(max_nodes=3)
    assert goes_on(scenario) == "a1 a2 b1"
    assert spares_of(scenario) == "b2"


def test_the_policy_counts_from_the_next_round_on() -> None:
    scenario = placed("a1", "c1", "a2", "c2", ranks=None, labels={"c1": {"rack": "x"}, "a2": {"rack": "x"}})
    assert scenario.text == "a1 a2 c1 c2"
    scenario.edit(ranks=by_labels("rack"))
    assert (scenario.status.round, scenario.asks, scenario.status.topology) == (1, False, None)
    assert goes_on_after(scenario, "a1") == "a1 a2 c1 c2"
    assert scenario.domains == [("a", 1), ("x", 2), ("c", 1)]
    scenario.edit(ranks=None)
    scenario.reenter("a1")
    scenario.all_join_again()
    assert scenario.status.topology is None


# The host of the store.


def test_another_host_brings_its_domain_with_it() -> None:
    scenario = placed("a1", "a2", "b1", "b2", "c1", "c2", max_nodes=6)
    scenario.meets = False
    scenario.fail_to_check_in(host_is_reached=False)
    host = scenario.group[0]
    assert host != "a1"
    first, second = next(pair for pair in (["a1", "a2"], ["b1", "b2"], ["c1", "c2"]) if host in pair)
    rest = [name for name in ("a1", "a2", "b1", "b2", "c1", "c2") if name not in (first, second)]
    assert scenario.group == [host, second if host == first else first, *rest]
    scenario.meets = True
    scenario.reenter(*scenario.group)
    assert scenario.group[0] == host


def test_a_host_of_the_same_domain_only_changes_places() -> None:
    scenario = placed("a1", "a2", "a3", "a4")
    scenario.meets = False
    scenario.fail_to_check_in(host_is_reached=False)
    host = scenario.group[0]
    assert host != "a1"
    assert scenario.group[int(host[1]) - 1] == "a1"


def test_a_host_brings_its_zone_and_in_it_its_rack() -> None:
    scenario = placed(*TWO_LEVELS, labels=TWO_LEVELS, ranks=LEVELS)
    scenario.meets = False
    seen = []
    for _ in range(3):
        scenario.fail_to_check_in(host_is_reached=False)
        seen.append(scenario.text)
        assert topology.why_wrong(scenario.status.topology or Topology(), None) == ""
    assert len({text.split()[0] for text in seen} | {"a1"}) == 4, "a host that has failed is not tried again"
