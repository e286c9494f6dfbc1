"""What is written: the status of one decision, and what a decision says beside it."""

import pytest
from tests.unit.core.started import running
from tests.unit.core.worlds import Scenario

from rendezvous_api import names
from rendezvous_api.reasons import AttemptReason, LeaveReason

WORKER_FAILURE = AttemptReason.WORKER_FAILURE


def three_from_pods() -> Scenario:
    """A round of a, b and c runs, and what is lost is not replaced at once."""
    scenario = Scenario(2, 3, replacement_seconds=30)
    scenario.pod("a", "b", "c")
    scenario.join_from_pods("a", "b", "c")
    scenario.after(6)
    assert scenario.status.round == 1
    return scenario


def lost(scenario: Scenario) -> dict[str, str]:
    return {name: reason.value for name, reason in scenario.decide().lost.items()}


def test_one_write_publishes_members_ranks_and_store() -> None:
    scenario = Scenario(2, 2)
    scenario.join("a")
    writes = scenario.writes
    scenario.join("b")
    assert scenario.writes == writes + 1
    store = scenario.status.store
    assert store is not None
    assert (store.host, store.port) == ("a.local", 20001)
    assert scenario.status.round_start_time


def test_all_members_are_asked_until_the_next_round_is_published() -> None:
    scenario = running("a", "b", "c", "d")
    scenario.reenter("a", reason=WORKER_FAILURE)
    for waiting, node in enumerate(["b", "c"], start=2):
        scenario.after(50)
        scenario.reenter(node)
        assert scenario.status.waiting_nodes == waiting
    scenario.reenter("d")
    assert not scenario.asks


def test_a_long_word_from_outside_does_not_make_the_status_unwritable() -> None:
    scenario = Scenario(2, 2)
    scenario.pod("a", phase="Pending", problem="Pending (" + "x" * 5000 + ")")
    scenario.join("b", run="r" * 253)
    assert scenario.status.formation is not None
    assert [len(node.message) for node in scenario.status.formation.missing] == [1024]
    assert len(scenario.condition("Running").message) == 1024


def test_each_way_to_be_lost_has_its_reason() -> None:
    scenario = three_from_pods()
    assert lost(scenario) == {}
    scenario.pod_gone("a")
    scenario.leave("b", reason=LeaveReason.FAILED)
    scenario.pod("c", leaving="its pod is being deleted")
    assert lost(scenario) == {"a": "MemberLost", "b": "MemberFailed", "c": "MemberEvicted"}
    scenario.leave("b", reason=LeaveReason.TERMINATED)
    assert lost(scenario)["b"] == "MemberTerminated"


def test_a_member_that_restarted_is_lost() -> None:
    scenario = three_from_pods()
    scenario.restart("a")
    assert lost(scenario) == {"a": "MemberLost"}


def test_who_asks_to_join_again_or_is_only_silent_is_not_lost() -> None:
    scenario = three_from_pods()
    scenario.silent("a")
    scenario.after(20)
    assert lost(scenario) == {}
    scenario.beat("a")
    scenario.reenter("b", reason=AttemptReason.WORKER_FAILURE)
    assert lost(scenario) == {}


def test_the_next_round_has_lost_no_member() -> None:
    scenario = three_from_pods()
    scenario.pod_gone("a")
    scenario.all_join_again()
    scenario.after(31)
    assert set(scenario.group) == {"b", "c"}
    assert lost(scenario) == {}


def test_no_member_is_lost_when_the_run_has_ended() -> None:
    scenario = three_from_pods()
    scenario.leave("a", reason=LeaveReason.SUCCEEDED)
    assert scenario.closed_runs == {"run": "RunSucceeded"}
    scenario.pod_gone("b", "c")
    assert lost(scenario) == {}
    scenario.join("d", run="another")
    assert scenario.status.run_id == "another"
    assert lost(scenario) == {}, "these were members of another run"


def test_the_user_takes_back_no_request_to_join_again_by_closing_the_rendezvous() -> None:
    """Those that have joined again have stopped their workers, so the others cannot go on."""
    scenario = running("a", "b", "c")
    scenario.reenter("a", reason=AttemptReason.WORKER_FAILURE)
    scenario.edit(closed=True)
    assert scenario.asks
    scenario.after(100)
    assert scenario.asks


def test_while_all_are_silent_there_is_nothing_to_wake_for() -> None:
    """No time counts then, so each wait would only begin again."""
    scenario = Scenario(2, 3, last_call_seconds=30)
    scenario.join("a", "b")
    scenario.silent("a", "b")
    scenario.at(200)
    assert scenario.wake_at is None


def test_the_lists_of_a_status_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "MAX_NODES", 3)
    scenario = Scenario(1, 1)
    scenario.join("a")
    scenario.join("b", "c", "d", "e")
    assert scenario.status.spares == ("b", "c", "d")
    scenario = Scenario(2, 50)
    scenario.pod(*(f"p{number:02}" for number in range(names.MAX_MISSING + 5)), workload="job", owner_uid="job")
    scenario.join_from_pods("p00", run=None)
    assert scenario.status.formation is not None
    assert len(scenario.status.formation.missing) == names.MAX_MISSING
