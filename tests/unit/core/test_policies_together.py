"""What two policies for the same nodes do together."""

from dataclasses import replace
from typing import Any

from tests.unit.core.healths import stays_out
from tests.unit.core.machine_worlds import MachineScenario
from tests.unit.core.placed_worlds import in_segments
from tests.unit.core.racks import message, training

from rendezvous_api.participant import Participant
from rendezvous_api.reasons import AttemptReason, PassedOverReason, RanksPolicy
from rendezvous_api.rendezvous_spec import Exclude, NodePolicies, Ranks
from rendezvous_operator.core.world import Machine, Pod

BY_RACKS = Ranks(RanksPolicy.TOPOLOGY, ("rack",))


class _Placed(MachineScenario):
    """The first letter of a node is the rack of its machine, the second one its replacement group."""

    def __init__(self, *arguments: Any, **spec: Any) -> None:
        super().__init__(*arguments, **{"last_call_seconds": 0, "replacement_seconds": 0, **spec})

    def machine(self, name: str) -> Machine:
        rack = name.removeprefix("machine-of-")[0]
        return Machine(labels={"rack": rack})

    def _put(self, written: Participant) -> None:
        name = written.metadata.name
        self.show_pod(Pod(f"uid-of-{name}", name, workload="job", owner_uid="job", labels={"group": name[1]}))
        super()._put(replace(written, spec=replace(written.spec, pod_name=name, pod_uid=f"uid-of-{name}")))

    @property
    def members(self) -> set[str]:
        return {member.name for member in self.status.participants}


def test_a_replacement_group_over_two_racks_is_not_divided() -> None:
    scenario = _Placed(2, 4, ranks=BY_RACKS, nodes=NodePolicies("group", 2))
    scenario.join("rx1", "sx2", "ry1", "sy2", "rz1", "sz2")
    assert [{name[1] for name in scenario.members}, len(scenario.members)] == [{"x", "y"}, 4]


def test_a_replacement_group_is_not_divided_to_fill_the_places_of_another_one() -> None:
    scenario = _Placed(2, 4, ranks=BY_RACKS, nodes=NodePolicies("group", 2))
    scenario.join("rx1", "sx2", "ry1", "sy2")
    scenario.join("rz1", "rz2", "sw1", "sw2")
    scenario.leave("sx2")
    scenario.all_join_again()
    assert [{name[1] for name in scenario.members}, len(scenario.members)] in ([{"y", "z"}, 4], [{"y", "w"}, 4])


def test_another_label_of_a_pod_says_nothing_of_its_machine() -> None:
    scenario = _Placed(2, 2, ranks=Ranks(RanksPolicy.TOPOLOGY, ("group",)))
    scenario.may_read = False
    scenario.join("rx1", "ry1")
    assert "not in the order of machines: rx1" in scenario.condition("Running").message


def test_machines_are_read_for_ranks_also_if_no_mark_counts() -> None:
    nodes = NodePolicies(exclude=Exclude(cordoned=False, known_marks=False))
    scenario = _Placed(4, 4, ranks=BY_RACKS, nodes=nodes)
    scenario.join("rx1", "sx2", "ry1", "sy2")
    assert scenario.condition("Running").message == "round 1 runs with 4 nodes", (
        "all have a place in the order of machines"
    )


def _with_one_that_fails(*spare: str) -> _Placed:
    scenario = _Placed(3, 3, ranks=BY_RACKS, nodes=NodePolicies(max_failures_per_node=0))
    scenario.join("rx1", "rx2", "sx1")
    if spare:
        scenario.join(*spare)
    scenario.reenter("rx2", reason=AttemptReason.WORKER_FAILURE)
    scenario.reenter("rx1", "sx1")
    assert scenario.status.round == 2
    return scenario


def test_others_go_before_who_has_failed_too_often_whatever_its_rack() -> None:
    scenario = _with_one_that_fails("sx2")
    assert scenario.members == {"rx1", "sx1", "sx2"}
    assert [entry.reason for entry in scenario.status.passed_over] == [PassedOverReason.FAILED_TOO_OFTEN]


def test_who_has_failed_too_often_is_chosen_if_the_others_are_too_few() -> None:
    assert _with_one_that_fails().members == {"rx1", "rx2", "sx1"}


def test_a_replacement_group_would_be_whole_with_the_unhealthy_node() -> None:
    scenario = training("a1", "a2")
    stays_out(scenario, "a1")
    scenario.all_join_again()
    assert message(scenario).startswith(
        "0 of at least 2 nodes may become members, which would be enough with the unhealthy one; a1 is unhealthy"
    )


def test_an_unhealthy_node_of_another_domain_would_not_be_enough() -> None:
    scenario = in_segments("a1", "b1", "b2", max_nodes=2)
    scenario.leave("b1")
    stays_out(scenario, "b2")
    scenario.all_join_again()
    assert "1 of at least 2 nodes, 0 of them in whole segments of 2; " in scenario.message
    assert "b2 is unhealthy" in scenario.message


def test_one_other_node_takes_the_place_of_one_of_two_that_have_failed_too_often() -> None:
    scenario = _Placed(2, 4, ranks=BY_RACKS, nodes=NodePolicies(max_failures_per_node=0))
    scenario.join("rx1", "rx2", "rx3", "rx4")
    for name in ("rx4", "rx3"):
        scenario.reenter(name, reason=AttemptReason.WORKER_FAILURE)
        scenario.reenter(*({"rx1", "rx2", "rx3", "rx4"} - {name}))
    assert scenario.status.round == 3
    scenario.join("sx5")
    scenario.reenter("rx1", reason=AttemptReason.MEMBERSHIP_CHANGE)
    scenario.reenter("rx2", "rx3", "rx4")
    assert "sx5" in scenario.members
    assert {"rx1", "rx2"} < scenario.members
    assert len(scenario.members) == 4
