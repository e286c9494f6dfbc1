"""Rule "retention": a Rendezvous that an agent has made is made again for the next launch with another ``--nnodes``."""

from dataclasses import replace

import pytest
from tests.unit.core.worlds import Scenario

from rendezvous_api import names
from rendezvous_api.meta import ManagedFields
from rendezvous_api.reasons import AttemptReason, LeaveReason

OLD, NEW = (2, 2), (3, 3)


def launched_with_two(reason: LeaveReason = LeaveReason.SUCCEEDED) -> Scenario:
    """An agent has made the Rendezvous for two nodes, and their launch has ended."""
    scenario = Scenario(*OLD)
    scenario.made_by_agent()
    scenario.join("a", "b", run=None, nodes=OLD)
    assert scenario.group == ["a", "b"]
    scenario.leave("a", "b", reason=reason)
    assert deleted(scenario) == []
    return scenario


def deleted(scenario: Scenario) -> list[str]:
    return [deletion.why for deletion in scenario.deletions if deletion.kind == names.RENDEZVOUS_KIND]


@pytest.mark.parametrize("ended", [LeaveReason.SUCCEEDED, LeaveReason.FAILED, LeaveReason.TERMINATED])
def test_the_next_launch_with_other_nodes_gets_another_one(ended: LeaveReason) -> None:
    scenario = launched_with_two(ended)
    writes = scenario.writes
    scenario.join("c", run=None, nodes=NEW)
    assert set(deleted(scenario)) == {"an agent has made it for 2 to 2 nodes, no launch uses it, and c asks for 3 to 3"}
    assert scenario.writes == writes, "what were written would be lost"


def test_with_the_same_nodes_or_none_given_it_stays() -> None:
    scenario = launched_with_two()
    scenario.join("c", run=None, nodes=OLD)
    scenario.join("d", run=None)
    assert deleted(scenario) == []
    assert scenario.group == ["c", "d"]


def test_a_launch_that_has_never_formed_a_round_may_be_corrected() -> None:
    scenario = Scenario(*OLD)
    scenario.made_by_agent()
    scenario.join("a", run=None, nodes=OLD)
    scenario.leave("a", reason=LeaveReason.TIMED_OUT)
    scenario.join("b", run=None, nodes=NEW)
    assert len({*deleted(scenario)}) == 1


def test_nodes_that_disagree_among_themselves_keep_it() -> None:
    scenario = launched_with_two()
    scenario.complete = False
    scenario.join("c", run=None, nodes=NEW)
    scenario.join("d", run=None)
    scenario.complete = True
    scenario.settle()
    assert deleted(scenario) == []


def test_two_nodes_of_a_launch_that_ask_for_different_numbers_keep_it() -> None:
    scenario = launched_with_two()
    scenario.complete = False
    scenario.join("c", run=None, nodes=NEW)
    scenario.join("d", run=None, nodes=(4, 4))
    scenario.complete = True
    scenario.settle()
    assert deleted(scenario) == []


def test_while_all_are_silent_it_is_kept() -> None:
    scenario = Scenario(4, 4)
    scenario.made_by_agent()
    scenario.complete = False
    scenario.join("c", "d", run=None, nodes=NEW)
    scenario.join("e", run=None)
    scenario.complete = True
    scenario.settle()
    scenario.silent("c", "d", "e")
    scenario.after(60)
    scenario.gone("e")
    assert deleted(scenario) == [], "maybe only their path to the API server is broken"
    scenario.beat("c", "d")
    assert len({*deleted(scenario)}) == 1


@pytest.mark.parametrize("who", ["a member", "a silent member", "a member of a closed run", "a known pod"])
def test_what_a_node_still_holds_stays(who: str) -> None:
    scenario = Scenario(*OLD)
    scenario.made_by_agent()
    if who == "a known pod":
        scenario.pod("a", "b", workload="job", owner_uid="job")
        scenario.join_from_pods("a", "b", run=None, nodes=OLD)
        scenario.gone("a", "b")
    else:
        scenario.join("a", "b", run=None, nodes=OLD)
        if who == "a silent member":
            scenario.request_close("a")
            scenario.silent("a", "b")
            scenario.after(60)
        else:
            scenario.leave("a", reason=LeaveReason.SUCCEEDED if "closed" in who else LeaveReason.TERMINATED)
    scenario.join("c", run="other" if who == "a known pod" else None, nodes=NEW)
    scenario.after(20)  # so that who is silent has been so since c was heard
    assert deleted(scenario) == []


@pytest.mark.parametrize("by", ["kubectl apply", "kubectl apply --server-side", "kubectl edit", "a person"])
def test_what_a_person_has_applied_or_changed_stays(by: str) -> None:
    scenario = launched_with_two()
    metadata = scenario.metadata
    match by:
        case "kubectl apply":
            metadata = replace(metadata, annotations={names.ANNOTATION_LAST_APPLIED: "{}"})
        case "kubectl apply --server-side":
            metadata = replace(metadata, managed_fields=(ManagedFields("kubectl", "Apply"),))
        case "kubectl edit":
            metadata = replace(metadata, generation=2)
        case "a person":
            metadata = replace(metadata, labels={})
    scenario.metadata = metadata
    scenario.join("c", run=None, nodes=NEW)
    assert deleted(scenario) == []


def test_a_member_that_joins_again_is_no_launch() -> None:
    scenario = Scenario(1, 1)
    scenario.join("a", run=None, nodes=NEW)
    assert scenario.group == ["a"]
    scenario.made_by_agent()
    scenario.reenter("a", reason=AttemptReason.WORKER_FAILURE)
    assert deleted(scenario) == []
    assert scenario.status.round == 2


def test_who_comes_late_for_what_has_ended_gets_an_answer_and_no_other_rendezvous() -> None:
    scenario = Scenario(*OLD)
    scenario.made_by_agent()
    scenario.join("a", "b", run="one", nodes=OLD)
    scenario.leave("a", "b", reason=LeaveReason.SUCCEEDED)
    scenario.join("c", run="one", nodes=NEW)
    assert deleted(scenario) == []
    assert "c" in scenario.refused
