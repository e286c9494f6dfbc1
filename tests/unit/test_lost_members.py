"""What a decision says about lost members; it is counted, and nothing else follows from it."""

from tests.unit.worlds import Scenario

from rendezvous_api.reasons import AttemptReason, LeaveReason


def three() -> Scenario:
    """A round of a, b and c runs, and what is lost is not replaced at once."""
    scenario = Scenario(2, 3, replacement_timeout_seconds=30)
    scenario.pod("a", "b", "c")
    scenario.join_from_pods("a", "b", "c")
    scenario.after(6)
    assert scenario.status.round == 1
    return scenario


def lost(scenario: Scenario) -> dict[str, str]:
    return {name: reason.value for name, reason in scenario.decide().lost.items()}


def test_each_way_to_be_lost_has_its_reason() -> None:
    scenario = three()
    assert lost(scenario) == {}
    scenario.pod_gone("a")
    scenario.leave("b", reason=LeaveReason.FAILED)
    scenario.pod("c", leaving="its pod is being deleted")
    assert lost(scenario) == {"a": "MemberLost", "b": "MemberFailed", "c": "MemberEvicted"}


def test_who_was_started_anew_was_lost() -> None:
    scenario = three()
    scenario.restart("a")
    assert lost(scenario) == {"a": "MemberLost"}


def test_who_asks_to_join_again_or_is_only_silent_is_not_lost() -> None:
    scenario = three()
    scenario.silent("a")
    scenario.after(20)
    assert lost(scenario) == {}
    scenario.heard("a")
    scenario.reenter("b", reason=AttemptReason.WORKER_FAILURE)
    assert lost(scenario) == {}


def test_the_next_round_has_lost_nobody() -> None:
    scenario = three()
    scenario.pod_gone("a")
    scenario.everyone_comes_back()
    scenario.after(31)
    assert set(scenario.group) == {"b", "c"}
    assert lost(scenario) == {}


def test_nobody_is_lost_when_the_run_is_over() -> None:
    scenario = three()
    scenario.leave("a", reason=LeaveReason.SUCCEEDED)
    assert scenario.closed_runs == {"run": "RunSucceeded"}
    scenario.pod_gone("b", "c")
    assert lost(scenario) == {}
    scenario.join("d", run="another")
    assert scenario.status.run_id == "another"
    assert lost(scenario) == {}, "these were members of another run"
