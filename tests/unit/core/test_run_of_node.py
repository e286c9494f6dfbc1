"""Rule "launches": to which run an agent without ``--rdzv-id`` belongs."""

import pytest
from tests.unit.core.started import two
from tests.unit.core.worlds import Scenario

from rendezvous_api.reasons import AttemptReason, LeaveReason, RefusalReason
from rendezvous_operator.core.world import Pod

WORKER_FAILURE = AttemptReason.WORKER_FAILURE
MEMBERSHIP_CHANGE = AttemptReason.MEMBERSHIP_CHANGE
SUCCEEDED = LeaveReason.SUCCEEDED
JOB = "5f0c2f9e-6d0b-4c8c-8f4e-0d7f3b1c2a10"


def job_of_two(**spec: int) -> Scenario:
    """Two pods of a Job, whose first launch trains."""
    scenario = Scenario(2, 2, **spec)
    scenario.pod("a", "b", workload=JOB, owner_uid=JOB)
    scenario.join_from_pods("a", "b", run=None)
    assert scenario.status.run_id == JOB
    assert scenario.group == ["a", "b"]
    return scenario


def test_the_next_torchrun_in_the_same_pods_is_a_run_of_its_own() -> None:
    scenario = job_of_two()
    for launch in (1, 2, 3):
        scenario.leave("a", "b", reason=SUCCEEDED)
        scenario.restart("a", launch=launch)
        scenario.restart("b", launch=launch)
        assert scenario.status.run_id == f"{JOB}/{launch + 1}"
        assert scenario.refused == {}
        assert (scenario.group, scenario.status.round) == (["a", "b"], launch + 1)
    assert scenario.closed_runs == {f"{JOB}/3": "RunSucceeded"}, "earlier launches need no place in the list"


def test_who_is_at_the_next_torchrun_waits_for_the_others_to_end_this_one() -> None:
    scenario = job_of_two()
    scenario.leave("a", reason=SUCCEEDED)
    scenario.restart("a", launch=1)
    assert scenario.status.run_id == f"{JOB}/2"
    assert (scenario.refused, scenario.status.round) == ({}, 1), "b may still train in the first one"
    scenario.leave("b", reason=SUCCEEDED)
    scenario.restart("b", launch=1)
    assert (scenario.group, scenario.status.round) == (["a", "b"], 2)


def test_who_is_ahead_of_an_open_run_of_its_workload_waits_for_its_end() -> None:
    scenario = Scenario(1, 2, join_seconds=600)
    scenario.pod("a", "b", workload=JOB, owner_uid=JOB)
    scenario.join_from_pods("b", run=None)
    scenario.join_from_pods("a", run=None, launch=1)
    scenario.after(60)
    assert (scenario.status.run_id, scenario.group, scenario.refused) == (JOB, ["b"], {})
    scenario.gone("b")
    assert scenario.status.run_id == f"{JOB}/2"
    scenario.after(60)
    assert scenario.group == ["a"]


@pytest.mark.parametrize("made_anew", ["the container", "the pod"])
def test_who_starts_anew_passes_through_what_has_ended(made_anew: str) -> None:
    scenario = job_of_two()
    scenario.leave("a", "b", reason=SUCCEEDED)
    scenario.restart("a", launch=1)
    scenario.restart("b", launch=1)
    who = "b"
    if made_anew == "the pod":
        who = "b2"
        scenario.pod_gone("b")
        scenario.gone("b")
        scenario.pod("b2", workload=JOB, owner_uid=JOB)
        scenario.join_from_pods("b2", run=None, launch=0)
    else:
        scenario.restart("b", launch=0)
    assert scenario.refused == {who: RefusalReason.RUN_SUCCEEDED}
    scenario.leave(who, reason=SUCCEEDED)
    scenario.restart(who, launch=1)
    scenario.all_join_again()
    assert (scenario.status.run_id, sorted(scenario.group)) == (f"{JOB}/2", ["a", who])


def test_pods_that_restart_after_success_do_not_train_again() -> None:
    scenario = job_of_two()
    scenario.leave("a", "b", reason=SUCCEEDED)
    for _ in range(3):
        for name in ("a", "b"):
            scenario.restart(name, launch=0)
            assert scenario.refused == {name: RefusalReason.RUN_SUCCEEDED}
            scenario.leave(name, reason=SUCCEEDED)
    assert scenario.status.round == 1


def test_a_pod_is_expected_in_the_next_launch_although_its_agent_has_left_the_last_one() -> None:
    scenario = Scenario(1, 2, last_call_seconds=30)
    scenario.pod("a", "b", workload=JOB, owner_uid=JOB)
    scenario.join_from_pods("a", "b", run=None)
    scenario.leave("a", "b", reason=SUCCEEDED)
    scenario.restart("a", launch=1)
    scenario.after(5)
    assert scenario.status.round == 1, "it would train alone"
    scenario.restart("b", launch=1)
    scenario.after(5)
    assert (scenario.group, scenario.status.round) == (["a", "b"], 2)


def test_another_job_may_have_the_rendezvous_between_two_launches() -> None:
    scenario = job_of_two()
    scenario.leave("a", "b", reason=SUCCEEDED)
    scenario.join("x", "y", run="other")
    assert scenario.group == ["x", "y"]
    scenario.restart("a", launch=1)
    assert scenario.refused == {"a": RefusalReason.OTHER_RUN_ACTIVE}


def test_the_label_names_the_workload_and_the_spec_may_name_it_as_the_only_one() -> None:
    scenario = Scenario(1, 1, run_id="exp")
    scenario.pod("a", workload="exp", owner_uid=JOB)
    scenario.join_from_pods("a", run=None)
    scenario.leave("a", reason=SUCCEEDED)
    scenario.restart("a", launch=1)
    assert (scenario.status.run_id, scenario.refused) == ("exp/2", {})


def test_an_id_of_the_user_is_no_launch() -> None:
    scenario = two("exp/2")
    scenario.leave("a", "b", reason=SUCCEEDED)
    scenario.join("c", "d", run="exp")
    assert (scenario.status.run_id, scenario.group) == ("exp", ["c", "d"])
    scenario.leave("c", "d", reason=SUCCEEDED)
    assert scenario.closed_runs == {"exp/2/": "RunSucceeded", "exp": "RunSucceeded"}


def test_a_participant_of_a_live_pod_is_kept_for_the_next_launch() -> None:
    scenario = job_of_two()
    scenario.leave("a", "b", reason=SUCCEEDED)
    scenario.pod("a", phase="Succeeded", workload=JOB, owner_uid=JOB)
    scenario.after(2 * 3600)
    assert [*scenario.seen] == ["b"]


def test_a_claim_of_a_later_launch_ends_no_agent_of_an_earlier_one_with_success() -> None:
    scenario = Scenario(2, 3, last_call_seconds=0)
    scenario.pod("liar", "a", "b", workload=JOB, owner_uid=JOB)
    scenario.join_from_pods("liar", run=None, launch=7)
    scenario.join_from_pods("a", "b", run=None, launch=0)
    assert (scenario.status.run_id, scenario.status.round, scenario.refused) == (f"{JOB}/8", 0, {})
    scenario.leave("liar", reason=LeaveReason.TIMED_OUT)
    assert (scenario.status.run_id, scenario.group, scenario.refused) == (JOB, ["a", "b"], {})
    for launch in (1, 2):
        scenario.leave("a", "b", reason=SUCCEEDED)
        scenario.restart("a", launch=launch)
        scenario.restart("b", launch=launch)
        assert (scenario.group, scenario.refused) == (["a", "b"], {}), "the abandoned one says nothing"
        assert scenario.status.run_id == f"{JOB}/{launch + 1}"


def test_a_later_launch_that_has_failed_ends_no_agent_of_an_earlier_one_with_success() -> None:
    scenario = Scenario(1, 2, last_call_seconds=0)
    scenario.pod("liar", "a", workload=JOB, owner_uid=JOB)
    scenario.join_from_pods("liar", run=None, launch=7)
    scenario.request_close("liar")
    scenario.leave("liar")
    assert scenario.closed_runs == {f"{JOB}/8": "CloseRequested"}
    scenario.join_from_pods("a", run=None, launch=0)
    assert (scenario.status.run_id, scenario.group, scenario.refused) == (JOB, ["a"], {})


def test_who_starts_anew_after_a_later_launch_has_failed_passes_through_the_one_that_has_succeeded() -> None:
    scenario = job_of_two(max_restarts=0)
    scenario.leave("a", "b", reason=SUCCEEDED)
    scenario.restart("a", launch=1)
    scenario.restart("b", launch=1)
    scenario.reenter("a", reason=WORKER_FAILURE)
    assert scenario.closed_runs == {JOB: "RunSucceeded", f"{JOB}/2": "RestartBudgetExhausted"}
    scenario.restart("b", launch=0)
    assert scenario.refused["b"] is RefusalReason.RUN_SUCCEEDED


@pytest.mark.parametrize("claimed", [f"{JOB}/8", JOB, "other", f"none/{10**9 - 1}"])
def test_the_last_run_of_an_agent_counts_only_if_it_is_known_or_of_its_own_workload(claimed: str) -> None:
    scenario = Scenario(1, 1)
    scenario.pod("stranger", workload="theirs", owner_uid="theirs")
    scenario.complete = False
    scenario.join_from_pods("stranger", run=None)
    scenario.restart("stranger", last_run_id=claimed)
    scenario.complete = True
    scenario.settle()
    assert scenario.status.run_id == "theirs"


def test_a_suspended_job_comes_back_although_a_stranger_has_spoken_for_a_later_launch() -> None:
    scenario = job_of_two()
    scenario.leave("a", "b", reason=LeaveReason.TERMINATED)
    scenario.pod_gone("a", "b")
    scenario.gone("a", "b")
    scenario.pod("stranger", workload="theirs", owner_uid="theirs")
    scenario.complete = False
    scenario.join_from_pods("stranger", run=None)
    scenario.restart("stranger", last_run_id=f"{JOB}/8")
    scenario.complete = True
    scenario.settle()
    scenario.leave("stranger", reason=SUCCEEDED)
    scenario.pod_gone("stranger")
    scenario.pod("c", "d", workload=JOB, owner_uid=JOB)
    scenario.join_from_pods("c", "d", run=None, launch=0)
    assert (scenario.status.run_id, scenario.group, scenario.refused) == (JOB, ["c", "d"], {})


def test_an_abandoned_launch_has_not_ended_well_although_a_later_one_has_succeeded() -> None:
    """The first agent of a resumed Job counts one launch too many, and is enough for a round."""
    scenario = Scenario(1, 2, last_call_seconds=0)
    scenario.pod("a", "b", owner_uid="job", workload="job")
    scenario.join_from_pods("a", "b", run=None)
    scenario.pod_gone("a", "b")
    scenario.gone("a", "b")
    scenario.pod("c", owner_uid="job", workload="job")
    scenario.join_from_pods("c", run=None, launch=1)
    scenario.leave("c", reason=LeaveReason.SUCCEEDED)
    assert scenario.closed_runs == {"job": "Abandoned", "job/2": "RunSucceeded"}
    scenario.pod("d", owner_uid="job", workload="job")
    scenario.join_from_pods("d", run=None)
    assert scenario.refused == {}
    assert (scenario.status.run_id, scenario.group) == ("job", ["d"])


def test_members_find_each_other_in_a_rendezvous_that_was_made_anew_whatever_launch_they_were_in() -> None:
    scenario = Scenario(2, 2)
    scenario.pod("a", "b", workload=JOB, owner_uid=JOB)
    scenario.complete = False
    scenario.join_from_pods("a", "b", run=None, launch=1)
    for name in ("a", "b"):
        scenario.restart(name, attempt_reason=MEMBERSHIP_CHANGE, last_run_id=f"{JOB}/2")
    scenario.complete = True
    scenario.settle()
    assert (scenario.status.run_id, scenario.group) == (f"{JOB}/2", ["a", "b"])


def test_a_failure_of_one_launch_is_none_of_the_next_one() -> None:
    scenario = two(run=None, join_seconds=60)
    scenario.leave("a", reason=SUCCEEDED)
    scenario.leave("b", reason=LeaveReason.FAILED)
    scenario.join("c", "d", run=None)
    scenario.gone("c", "d")
    scenario.after(1000)
    assert (scenario.status.run_id, scenario.closed_runs) == ("none/2", {"none": "RunSucceeded"})


def test_who_is_answered_ends_and_is_not_taken_into_the_next_launch() -> None:
    scenario = Scenario(2, 2)
    scenario.join("a", "b", run=None)
    scenario.join("s", run=None)
    scenario.leave("a", "b", reason=LeaveReason.SUCCEEDED)
    scenario.join("c", run=None)
    assert scenario.refused == {"s": RefusalReason.RUN_SUCCEEDED}
    assert scenario.status.round == 1
    scenario.leave("s", reason=LeaveReason.SUCCEEDED)
    scenario.join("d", run=None)
    assert scenario.group == ["c", "d"]
    assert scenario.closed_runs == {"none": "RunSucceeded"}


def test_a_member_whose_pod_loses_its_label_stays_in_its_run() -> None:
    scenario = two(run=None)
    scenario.leave("a", "b", reason=LeaveReason.SUCCEEDED)
    scenario.restart("a")
    scenario.restart("b")
    scenario.leave("a", "b", reason=SUCCEEDED)  # none/2 is closed
    scenario.pod("c", "d", workload=JOB, owner_uid=JOB)
    scenario.join_from_pods("c", "d", run=None)
    scenario.pod_vanishes("d", runs_on=True)
    scenario.reenter("c", "d", reason=WORKER_FAILURE)
    assert (scenario.group, scenario.refused) == (["c", "d"], {})


def test_a_pod_without_the_label_of_the_rendezvous_gives_its_agents_no_workload() -> None:
    scenario = Scenario(2, 2)
    for name in "ab":
        scenario.unlabelled[f"uid-of-{name}"] = Pod(f"uid-of-{name}", name, workload=JOB, owner_uid=JOB)
    scenario.join_from_pods("a", "b", run=None)
    assert (scenario.status.run_id, scenario.group) == ("none", ["a", "b"])


def test_a_member_whose_pod_has_lost_its_label_may_close_its_run() -> None:
    scenario = job_of_two()
    scenario.pod_vanishes("a", runs_on=True)
    scenario.request_close("a")
    assert scenario.closed_runs == {JOB: "CloseRequested"}


def test_who_is_late_for_a_launch_that_is_not_listed_any_more_passes_through_it() -> None:
    scenario = job_of_two()
    scenario.leave("a", "b", reason=SUCCEEDED)
    scenario.restart("a", launch=1)
    scenario.restart("b", launch=1)
    scenario.leave("a", "b", reason=SUCCEEDED)
    assert scenario.closed_runs == {f"{JOB}/2": "RunSucceeded"}
    scenario.pod("c", workload=JOB, owner_uid=JOB)
    scenario.join_from_pods("c", run=None)
    assert scenario.refused == {"c": RefusalReason.RUN_SUCCEEDED}
