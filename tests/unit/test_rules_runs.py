"""Rule 11 and the restart budget: which run has the Rendezvous, how it ends, and who is refused."""

import pytest
from tests.unit.worlds import Scenario

from rendezvous_api.reasons import AttemptReason, LeaveReason, RefusalReason
from rendezvous_operator.core.world import Pod, Target

MEMBERSHIP_CHANGE, WORKER_FAILURE = AttemptReason.MEMBERSHIP_CHANGE, AttemptReason.WORKER_FAILURE
SUCCEEDED = LeaveReason.SUCCEEDED


def two(run: str | None = "one", **spec: int | str | bool) -> Scenario:
    """A round of a and b runs."""
    scenario = Scenario(2, 2, **spec)
    scenario.join("a", "b", run=run)
    assert scenario.group == ["a", "b"]
    return scenario


# Claiming


def test_rule_11_the_earliest_participant_claims_a_free_object() -> None:
    scenario = Scenario(2, 2)
    scenario.complete = False
    scenario.join("z", run="one")
    scenario.after(1)
    scenario.join("a", run="two")
    scenario.complete = True
    scenario.settle()
    assert scenario.status.run_id == "one"
    assert scenario.refused == {"a": RefusalReason.OTHER_RUN_ACTIVE}


def test_rule_11_the_name_decides_between_those_of_one_second() -> None:
    scenario = Scenario(2, 2)
    scenario.complete = False
    scenario.join("z", run="one")
    scenario.join("a", run="two")
    scenario.complete = True
    scenario.settle()
    assert scenario.status.run_id == "two"


def test_rule_11_another_run_is_refused_naming_both() -> None:
    scenario = two("one")
    scenario.join("c", run="two")
    assert scenario.refused == {"c": RefusalReason.OTHER_RUN_ACTIVE}
    message = scenario.status.refused[0].message
    assert "'one'" in message
    assert "'two'" in message


def test_rule_11_the_spec_may_name_the_only_run() -> None:
    scenario = Scenario(2, 2, run_id="two")
    scenario.join("a", run="one")
    assert scenario.status.run_id is None
    assert scenario.refused == {"a": RefusalReason.OTHER_RUN_ACTIVE}
    scenario.join("b", "c", run="two")
    assert scenario.group == ["b", "c"]


def test_rule_11_agents_without_a_run_id_and_without_known_pods_are_one_unnamed_run() -> None:
    scenario = two(run=None)
    assert scenario.status.run_id == "none"


def test_rule_11_the_run_of_a_known_pod_is_that_of_its_label_or_workload() -> None:
    scenario = Scenario(2, 2)
    scenario.pod("a", "b", run_id="uid-of-job")
    scenario.join_from_pods("a", "b", run=None)
    assert scenario.status.run_id == "uid-of-job"


def test_rule_11_the_pod_is_read_before_anybody_is_refused_or_claims() -> None:
    scenario = Scenario(2, 2)
    scenario.unlabelled["uid-of-a"] = Pod("uid-of-a", "a")
    scenario.join_from_pods("a", run=None)
    assert scenario.reads == [Target("Pod", "a", "uid-of-a")]
    assert scenario.status.run_id == "none"
    scenario.pod("b", run_id="uid-of-job")
    scenario.unlabelled["uid-of-c"] = Pod("uid-of-c", "c")
    scenario.join_from_pods("b", "c", run=None)
    assert scenario.refused == {"b": RefusalReason.OTHER_RUN_ACTIVE}
    assert scenario.group == ["a", "c"]


@pytest.mark.parametrize("left", ["an agent", "a known pod"])
def test_rule_11_a_run_of_which_somebody_is_left_keeps_the_object(left: str) -> None:
    scenario = Scenario(2, 2)
    scenario.pod("a", "b", run_id="job-1", workload="job-1")
    scenario.join_from_pods("a", "b", run=None)
    scenario.gone("a", "b")
    if left == "an agent":
        scenario.pod_gone("a", "b")
        scenario.join("b2", run="job-1")
    else:
        scenario.pod_gone("a")
    scenario.join("c", run="job-2")
    assert scenario.status.run_id == "job-1"
    assert scenario.refused == {"c": RefusalReason.OTHER_RUN_ACTIVE}


def test_rule_11_a_run_of_which_nobody_is_left_is_abandoned_when_another_asks() -> None:
    scenario = two("one")
    scenario.gone("a", "b")
    scenario.after(10_000)
    assert scenario.status.run_id == "one"
    scenario.join("c", "d", run="two")
    assert scenario.closed_runs == {"one": "Abandoned"}
    assert scenario.group == ["c", "d"]
    assert scenario.status.round == 2


def test_rule_11_pods_of_another_workload_do_not_keep_a_run() -> None:
    scenario = two("one")
    scenario.gone("a", "b")
    scenario.pod("c", "d", "e", run_id="uid-of-job", workload="uid-of-job")
    scenario.join_from_pods("c", "d", run="two")
    assert scenario.closed_runs == {"one": "Abandoned"}
    assert scenario.group == ["c", "d"]


def test_rule_11_a_new_run_uses_the_object_again_and_rounds_go_on() -> None:
    scenario = two("one", max_restarts=5)
    scenario.reenter("a", "b", reason=WORKER_FAILURE)
    assert scenario.status.restarts == 1
    scenario.leave("a", "b", reason=SUCCEEDED)
    scenario.join("c", "d", run="two")
    assert scenario.group == ["c", "d"]
    assert scenario.status.round == 3
    assert scenario.status.restarts == 0
    assert [record.run_id for record in scenario.status.history] == ["one", "one", "two"]


def test_rule_11_a_new_run_waits_for_members_of_the_old_one_that_still_run_and_does_not_ask_them() -> None:
    scenario = two("one")
    scenario.leave("a", reason=SUCCEEDED)
    scenario.join("c", "d", run="two")
    assert scenario.status.run_id == "two"
    assert scenario.status.round == 1
    assert not scenario.asks
    assert "b still runs round 1 of another run" in scenario.explanation
    scenario.leave("b", reason=SUCCEEDED)
    assert scenario.group == ["c", "d"]


# Closing


def test_rule_11_a_member_that_succeeds_closes_the_run_and_the_others_go_on() -> None:
    scenario = two("one")
    scenario.leave("b", reason=SUCCEEDED)
    assert scenario.closed_runs == {"one": "RunSucceeded"}
    assert scenario.condition("Closed").status == "True"
    assert scenario.group == ["a", "b"]
    assert not scenario.asks


def test_rule_11_a_spare_that_leaves_with_success_closes_nothing() -> None:
    scenario = two("one")
    scenario.join("s", run="one")
    scenario.leave("s", reason=SUCCEEDED)
    assert scenario.closed_runs == {}


def test_rule_11_an_agent_may_close_its_run() -> None:
    scenario = two("one")
    scenario.request_close("b")
    assert scenario.closed_runs == {"one": "CloseRequested"}
    assert not scenario.asks
    scenario.join("c", run="one")
    assert scenario.refused == {"c": RefusalReason.RUN_CLOSED}


def test_rule_11_a_run_has_failed_when_nobody_is_left_and_one_has_failed() -> None:
    scenario = two("one", join_timeout_seconds=600)
    scenario.leave("a", "b", reason=LeaveReason.FAILED)
    scenario.after(599)
    assert scenario.closed_runs == {}
    scenario.after(1)
    assert scenario.closed_runs == {"one": "RunFailed"}


def test_rule_11_a_closed_spec_refuses_all_ends_nobody_and_is_reversible() -> None:
    scenario = two("one")
    scenario.edit(closed=True)
    assert scenario.condition("Closed").reason == "ClosedBySpec"
    assert scenario.condition("Ready").status == "True"
    scenario.join("c", run="one")
    scenario.reenter("a", reason=WORKER_FAILURE)
    assert scenario.refused == {"a": RefusalReason.RUN_CLOSED, "c": RefusalReason.RUN_CLOSED}
    assert not scenario.asks
    scenario.edit(closed=False)
    assert scenario.refused == {}
    scenario.everyone_comes_back()
    assert scenario.group == ["a", "b"]


# Who is refused how


@pytest.mark.parametrize(
    ("who", "reason"),
    [
        ("a spare", RefusalReason.RUN_SUCCEEDED),
        ("a newcomer that was gathered", RefusalReason.RUN_SUCCEEDED),
        ("a member that re-enters because the membership changed", RefusalReason.RUN_SUCCEEDED),
        ("a member whose workers failed", RefusalReason.RUN_CLOSED),
        ("a fresh start with the same id", RefusalReason.RUN_CLOSED),
    ],
)
def test_rule_11_after_success(who: str, reason: RefusalReason) -> None:
    scenario = Scenario(2, 3, scale_up_interval_seconds=1000)
    scenario.edit(max_nodes=2)
    scenario.join("a", "b", run="one")
    if who == "a spare":
        scenario.join("c", run="one")
    if who == "a newcomer that was gathered":
        scenario.edit(max_nodes=4)
        scenario.join("c", run="one")
        assert not scenario.asks
    scenario.leave("a", reason=SUCCEEDED)
    if who.startswith("a member"):
        scenario.reenter("b", reason=WORKER_FAILURE if "failed" in who else MEMBERSHIP_CHANGE)
        assert scenario.refused == {"b": reason}
        return
    if who == "a fresh start with the same id":
        scenario.join("c", run="one")
        assert "another --rdzv-id" in scenario.status.refused[0].message
    assert scenario.refused == {"c": reason}


def test_rule_11_after_success_a_start_of_the_same_workload_has_nothing_left_to_do() -> None:
    scenario = Scenario(2, 2)
    scenario.pod("a", "b", run_id="job", workload="job")
    scenario.join_from_pods("a", "b", run=None)
    scenario.leave("a", "b", reason=SUCCEEDED)
    scenario.pod("a2", run_id="job", workload="job")
    scenario.join_from_pods("a2", run=None)
    assert scenario.refused == {"a2": RefusalReason.RUN_SUCCEEDED}


def test_rule_11_a_spare_that_has_ended_with_its_run_is_a_fresh_start_when_it_comes_again() -> None:
    scenario = two("one")
    scenario.join("c", run="one")
    scenario.leave("a", reason=SUCCEEDED)
    assert scenario.refused == {"c": RefusalReason.RUN_SUCCEEDED}
    scenario.leave("c", reason=SUCCEEDED)
    assert scenario.status.spares == ()
    scenario.restart("c")
    assert scenario.refused == {"c": RefusalReason.RUN_CLOSED}


def test_rule_11_an_answer_stays_until_its_agent_has_left() -> None:
    scenario = two("one")
    scenario.join("c", run="two")
    scenario.after(1000)
    assert scenario.refused == {"c": RefusalReason.OTHER_RUN_ACTIVE}
    scenario.leave("c")
    assert scenario.refused == {}


def test_rule_11_the_list_of_answers_is_bounded_and_everyone_gets_one() -> None:
    scenario = two("one")
    crowd = [f"c{number:03}" for number in range(150)]
    scenario.join(*crowd, run="two")
    assert len(scenario.refused) == 100
    answered = [*scenario.refused]
    scenario.leave(*answered)
    assert set(scenario.refused) == {*crowd} - {*answered}


# The restart budget


@pytest.mark.parametrize("allowed", [0, 2])
def test_max_restarts_closes_the_run_and_calls_all_members_to_tell_them(allowed: int) -> None:
    scenario = two("one", max_restarts=allowed)
    for _ in range(allowed):
        scenario.reenter("a", "b", reason=WORKER_FAILURE)
    assert scenario.status.restarts == allowed
    scenario.reenter("a", reason=WORKER_FAILURE)
    assert scenario.closed_runs == {"one": "RestartBudgetExhausted"}
    assert scenario.refused == {"a": RefusalReason.RUN_CLOSED}
    assert scenario.asks, "b has lost its group and must hear of it"
    scenario.reenter("b")
    assert scenario.refused == {"a": RefusalReason.RUN_CLOSED, "b": RefusalReason.RUN_CLOSED}
    assert "RestartBudgetExhausted" in scenario.status.refused[1].message
    assert not scenario.asks


def test_what_is_no_failure_does_not_count_against_max_restarts() -> None:
    scenario = Scenario(2, 3, max_restarts=0, scale_up_interval_seconds=0, last_call_timeout_seconds=0)
    scenario.pod("a", "b", "c", run_id="run")
    scenario.join_from_pods("a", "b")
    scenario.join_from_pods("c")  # scale-up
    scenario.everyone_comes_back()
    scenario.request_restart("now")
    scenario.everyone_comes_back()
    scenario.edit(max_nodes=2)  # too many
    scenario.everyone_comes_back()
    scenario.pod("a", run_id="run", leaving="its pod is being deleted")  # eviction
    assert [record.reason for record in scenario.status.history] == [
        "ScaleUp",
        "RestartRequested",
        "TooManyNodes",
        "MemberEvicted",
    ]
    assert scenario.status.restarts == 0
    assert scenario.closed_runs == {}
