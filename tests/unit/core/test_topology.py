"""Rule "topology ranks": where nodes are, as far as it is known."""

import pytest
from tests.unit.core.placed_worlds import ZONE, Placed, by_labels, goes_on, goes_on_after, placed

from rendezvous_api.reasons import RanksPolicy
from rendezvous_api.rendezvous import Domain, Topology
from rendezvous_api.rendezvous_spec import Ranks, RendezvousSpec
from rendezvous_operator.core import topology
from rendezvous_operator.core.world import Pod

# Which labels.


@pytest.mark.parametrize(
    ("ranks", "labels"),
    [
        (None, ()),
        (Ranks(RanksPolicy.STABLE), ()),
        (Ranks(RanksPolicy.STABLE, ("rack",)), ()),
        (by_labels("zone", "region", "rack"), (ZONE, "topology.kubernetes.io/region", "rack")),
        (by_labels("topology.kubernetes.io/zone", "example.com/zone"), (ZONE, "example.com/zone")),
    ],
)
def test_short_names_stand_for_the_labels_of_kubernetes(ranks: Ranks | None, labels: tuple[str, ...]) -> None:
    assert RendezvousSpec(1, 2, ranks=ranks).topology_labels == labels


@pytest.mark.parametrize("ranks", [None, Ranks(RanksPolicy.STABLE), Ranks(RanksPolicy("Later"))])
def test_without_the_policy_no_machine_is_read_and_nothing_is_remembered(ranks: Ranks | None) -> None:
    scenario = placed("a1", "b1", "a2", ranks=ranks)
    assert scenario.text == "a1 a2 b1", "the order of names"
    assert (scenario.asked, scenario.status.topology) == ((), None)
    assert scenario.events[-1].message == "round 1 of run 'run': 3 nodes, rank 0 is a1"


# Labels that cannot be read.


@pytest.mark.parametrize("new_leader", [False, True])
def test_who_cannot_be_read_now_stays_where_it_was(new_leader: bool) -> None:
    scenario = placed("a1", "b1", "a2", "b2", max_nodes=5)
    before = scenario.text
    scenario.unreadable |= {"a1", "b2", "a9"}
    if new_leader:
        scenario.new_leader()
    scenario.join("a9")
    assert scenario.message.endswith(
        "; not in the order of machines: a9 is on machine on-a9, whose labels are not known"
    )
    assert goes_on(scenario) == f"{before} a9"
    scenario.unreadable.clear()
    assert goes_on_after(scenario, "a1") == "a1 a2 a9 b1 b2"


def test_nor_does_a_restarted_agent_move_the_others_when_nothing_can_be_read() -> None:
    scenario = placed("a1", "b1", "a2", "b2")
    scenario.may_read = False
    scenario.restart("a1")
    assert goes_on(scenario) == "a1 a2 b1 b2"
    assert "not in the order" not in scenario.message


def test_a_machine_without_any_label_is_one_that_is_not_known() -> None:
    scenario = placed("a1", "b1", "a2")
    scenario.gone_machines.add("a2")
    assert goes_on_after(scenario, "b1") == "a1 a2 b1"


def test_what_is_remembered_counts_only_for_the_same_labels() -> None:
    scenario = placed("a1", "b1", "a2", labels={name: {"rack": name[0], "block": "1"} for name in ("a1", "b1", "a2")})
    scenario.edit(ranks=by_labels("block"))
    scenario.may_read = False
    assert goes_on_after(scenario, "a1") == "a1 a2 b1"
    assert scenario.domains == [("", 3)]
    assert "a1 is on machine on-a1, and the operator may not read machines, b1 is on" in scenario.message


def test_values_that_are_too_long_are_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topology, "MOST_CHARACTERS", 3)
    assert placed("a1", "b1", "c1").domains == [("a", 1), ("b", 1), ("c", 1)]
    scenario = placed("a1", "b1", "c1", "d1")
    assert scenario.text == "a1 b1 c1 d1"
    assert scenario.status.topology == Topology(("rack",), ())


# Without rights on machines.


def test_zone_and_region_are_also_those_of_pods() -> None:
    scenario = Placed(4, 4, ranks=by_labels("region", "zone"))
    scenario.may_read = False
    for name, zone in zip(("a", "b", "c", "d"), ("east", "west", "east", None), strict=True):
        labels = {} if zone is None else {ZONE: zone, "topology.kubernetes.io/region": "here"}
        scenario.show_pod(Pod(f"uid-of-{name}", name, workload="job", owner_uid="job", labels=labels))
    scenario.join_from_pods("a", "b", "c", "d")
    assert scenario.text == "a c b d"
    assert scenario.domains == [("here/east", 2), ("here/west", 1), ("/", 1)]
    assert scenario.message.endswith("d is on machine on-d, and the operator may not read machines")


def comes_again_from_a_pod(zone: str) -> Placed:
    """Of three nodes in the zone east, whose machines may no longer be read, a1 comes again, from a pod in `zone`."""
    scenario = placed("a1", "b1", "a2", max_nodes=4, ranks=by_labels("zone", "rack"), labels={
        name: {ZONE: "east", "rack": name[0]} for name in ("a1", "b1", "a2")
    })  # fmt: skip
    scenario.may_read = False
    scenario.gone("a1")
    scenario.show_pod(Pod("uid-of-a1", "a1", workload="job", owner_uid="job", labels={ZONE: zone}))
    scenario.join_from_pods("a1")
    return scenario


def test_a_pod_elsewhere_is_believed_before_what_is_remembered() -> None:
    scenario = comes_again_from_a_pod("west")
    assert goes_on(scenario) == "a2 b1 a1"
    assert scenario.domains[-1] == ("west/", 1)


def test_a_pod_that_says_the_same_adds_nothing() -> None:
    assert goes_on(comes_again_from_a_pod("east")) == "a1 a2 b1"


def test_what_may_not_be_read_is_not_waited_for() -> None:
    scenario = Placed(3, 3, ranks=by_labels("rack"))
    scenario.join("a1")
    assert scenario.wake_at == scenario.clock + 15, "it may be silent then"
    scenario.labels["b1"] = {}
    scenario.join("b1")
    assert scenario.wake_at == scenario.clock + 5
    scenario.may_read = False
    scenario.join("c1", run="another")
    assert scenario.wake_at != scenario.clock + 5


def test_who_is_gone_is_not_named() -> None:
    scenario = placed("a1", "b1", "c1", labels={"a1": {}, "c1": {}}, replacement_seconds=30)
    scenario.silent("c1")
    scenario.reenter("a1")
    scenario.after(40)
    assert "a1 is on machine on-a1" in scenario.message
    assert "c1 is on machine" not in scenario.message


# What must be true of every round.


@pytest.mark.parametrize(
    ("paths", "segment", "wrong"),
    [
        ([("a", "1", 2), ("a", "2", 2), ("b", "1", 2)], 2, ""),
        ([("a", "1", 2), ("b", "1", 2), ("a", "2", 2)], None, "the ranks of a domain by zone do not follow each other"),
        ([("a", "1", 1), ("a", "2", 1), ("a", "1", 1)], None, "the ranks of a domain by rack do not follow each other"),
        ([("a", "1", 3)], 2, "a domain has no whole segments of 2 nodes"),
        ([("a", "1", 3)], None, ""),
    ],
)
def test_what_is_wrong_with_a_round(paths: list[tuple[str, str, int]], segment: int | None, wrong: str) -> None:
    domains = tuple(Domain((zone, rack), nodes) for zone, rack, nodes in paths)
    assert topology.why_wrong(Topology(("zone", "rack"), domains), segment) == wrong
