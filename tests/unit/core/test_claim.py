"""Rule "runs": who gets a free Rendezvous."""

import pytest
from tests.unit.core.started import two
from tests.unit.core.worlds import Scenario

from rendezvous_api.reasons import AttemptReason, LeaveReason, RefusalReason

WORKER_FAILURE = AttemptReason.WORKER_FAILURE
SUCCEEDED = LeaveReason.SUCCEEDED


def test_the_earliest_participant_claims_a_free_object() -> None:
    scenario = Scenario(2, 2)
    scenario.complete = False
    scenario.join("z", run="one")
    scenario.after(1)
    scenario.join("a", run="two")
    scenario.complete = True
    scenario.settle()
    assert scenario.status.run_id == "one"
    assert scenario.refused == {"a": RefusalReason.OTHER_RUN_ACTIVE}


def test_the_name_decides_between_those_of_one_second() -> None:
    scenario = Scenario(2, 2)
    scenario.complete = False
    scenario.join("z", run="one")
    scenario.join("a", run="two")
    scenario.complete = True
    scenario.settle()
    assert scenario.status.run_id == "two"


def test_agents_without_a_run_id_and_without_known_pods_are_one_unnamed_run() -> None:
    scenario = two(run=None)
    assert scenario.status.run_id == "none"


def test_the_run_of_a_known_pod_is_that_of_its_label_or_workload() -> None:
    scenario = Scenario(2, 2)
    scenario.pod("a", "b", workload="uid-of-job")
    scenario.join_from_pods("a", "b", run=None)
    assert scenario.status.run_id == "uid-of-job"


@pytest.mark.parametrize("left", ["an agent", "a known pod"])
def test_a_run_of_which_a_node_is_left_keeps_the_object(left: str) -> None:
    scenario = Scenario(2, 2)
    scenario.pod("a", "b", workload="job-1", owner_uid="job-1")
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


def test_a_run_of_which_no_node_is_left_is_abandoned_when_another_asks() -> None:
    scenario = two("one")
    scenario.gone("a", "b")
    scenario.after(10_000)
    assert scenario.status.run_id == "one"
    scenario.join("c", "d", run="two")
    assert scenario.closed_runs == {"one": "Abandoned"}
    assert scenario.group == ["c", "d"]
    assert scenario.status.round == 2


@pytest.mark.parametrize("the_other", ["has trained", "has never trained"])
def test_an_abandoned_run_comes_back_when_the_rendezvous_is_free(the_other: str) -> None:
    scenario = two("one")
    scenario.gone("a", "b")
    others = ("c", "d") if the_other == "has trained" else ("c",)
    scenario.join(*others, run="two")
    assert scenario.closed_runs == {"one": "Abandoned"}
    scenario.gone(*others)
    scenario.join("a", "b", run="one", incarnation="second")
    assert scenario.closed_runs == {"two": "Abandoned"}
    assert (scenario.status.run_id, scenario.group) == ("one", ["a", "b"])
    assert scenario.status.round == (3 if the_other == "has trained" else 2)
    assert scenario.status.restarts == 0, "its last round ended when it was abandoned, and not by a failure"


def test_what_has_failed_or_succeeded_does_not_come_back() -> None:
    scenario = two("one", join_seconds=60)
    scenario.leave("a", "b")
    scenario.after(60)
    scenario.join("c", "d", run="two")
    scenario.gone("c", "d")
    scenario.join("e", "f", run="one")
    assert scenario.refused == {"e": RefusalReason.RUN_CLOSED, "f": RefusalReason.RUN_CLOSED}


def test_pods_of_another_workload_do_not_keep_a_run() -> None:
    scenario = two("one")
    scenario.gone("a", "b")
    scenario.pod("c", "d", "e", workload="uid-of-job", owner_uid="uid-of-job")
    scenario.join_from_pods("c", "d", run="two")
    assert scenario.closed_runs == {"one": "Abandoned"}
    assert scenario.group == ["c", "d"]


def test_a_pod_that_never_speaks_keeps_an_abandoned_run_no_longer_than_a_node_would_wait() -> None:
    """Nobody can tell its run: a board of the training, a launcher."""
    scenario = Scenario(2, 2, join_seconds=600)
    scenario.pod("board", owner_uid="deployment")
    scenario.join("a", "b", run="one")
    scenario.gone("a", "b")
    scenario.after(100)
    scenario.join("c", "d", run="two")
    scenario.after(499)
    assert scenario.refused == {"c": RefusalReason.OTHER_RUN_ACTIVE, "d": RefusalReason.OTHER_RUN_ACTIVE}
    scenario.after(1)
    assert scenario.closed_runs == {"one": "Abandoned"}
    assert (scenario.status.run_id, scenario.group) == ("two", ["c", "d"])


def test_pending_pods_of_the_run_itself_keep_it() -> None:
    scenario = Scenario(2, 2, join_seconds=600)
    scenario.pod("a", "b", workload="job-1", owner_uid="job-1")
    scenario.join_from_pods("a", "b", run=None)
    scenario.gone("a", "b")
    scenario.pod("a", "b", workload="job-1", owner_uid="job-1", phase="Pending")
    scenario.join("c", "d", run="two")
    scenario.after(10_000)
    assert (scenario.status.run_id, scenario.closed_runs) == ("job-1", {})


def test_an_id_that_looks_like_a_launch_is_another_run_than_that_launch() -> None:
    scenario = Scenario(2, 2)
    scenario.join("a", "b", run="exp/2")
    scenario.leave("a", "b", reason=SUCCEEDED)
    scenario.pod("c", "d", workload="exp", owner_uid="job")
    scenario.join_from_pods("c", "d", run=None)
    assert (scenario.status.run_id, scenario.group) == ("exp", ["c", "d"]), "not taken for a launch before exp/2"
    assert scenario.closed_runs == {"exp/2/": "RunSucceeded"}


def test_the_spec_may_name_an_id_that_looks_like_a_launch() -> None:
    scenario = Scenario(2, 2, run_id="exp/2")
    scenario.join("a", "b", run="exp/2")
    assert (scenario.group, scenario.refused) == (["a", "b"], {})


def test_a_new_run_uses_the_object_again_and_rounds_go_on() -> None:
    scenario = two("one", max_restarts=5)
    scenario.reenter("a", "b", reason=WORKER_FAILURE)
    assert scenario.status.restarts == 1
    scenario.leave("a", "b", reason=SUCCEEDED)
    scenario.join("c", "d", run="two")
    assert scenario.group == ["c", "d"]
    assert scenario.status.round == 3
    assert scenario.status.restarts == 0
    assert [record.run_id for record in scenario.status.history] == ["one", "one", "two"]


@pytest.mark.parametrize(("phase", "held"), [("Running", False), ("Pending", True)])
def test_a_pod_of_the_workload_that_runs_and_never_speaks_does_not_keep_an_abandoned_run_for_ever(
    phase: str, held: bool
) -> None:
    """A board in the JobSet of the training, a wrapper that sleeps after torchrun."""
    scenario = Scenario(2, 2, join_seconds=600)
    scenario.pod("a", "b", owner_uid="jobset", workload="jobset")
    scenario.pod("board", owner_uid="jobset", workload="jobset", phase=phase)
    scenario.join_from_pods("a", "b", run=None)
    scenario.gone("a", "b")
    scenario.pod_gone("a", "b")
    scenario.join("c", "d", run="two")
    scenario.after(599)
    assert scenario.refused == {"c": RefusalReason.OTHER_RUN_ACTIVE, "d": RefusalReason.OTHER_RUN_ACTIVE}
    scenario.after(1)
    assert (scenario.status.run_id == "jobset") is held


def test_nobody_claims_what_the_user_has_closed_or_keeps_for_another_run() -> None:
    scenario = Scenario(1, 1, closed=True)
    scenario.join("a")
    assert scenario.status.run_id is None
    scenario.edit(closed=False, run_id="one")
    assert scenario.status.run_id is None
    assert scenario.refused == {"a": RefusalReason.OTHER_RUN_ACTIVE}


def test_a_run_that_may_still_train_keeps_the_object_although_it_is_silent() -> None:
    scenario = Scenario(1, 1)
    scenario.join("a")
    assert scenario.group == ["a"]
    scenario.silent("a")
    scenario.after(100)
    scenario.join("b", run="other")
    assert scenario.status.run_id == "run"
    assert scenario.refused == {"b": RefusalReason.OTHER_RUN_ACTIVE}


def test_a_request_for_a_round_ends_no_round_of_the_next_run() -> None:
    scenario = two("one")
    scenario.leave("a", "b", reason=SUCCEEDED)
    scenario.request_restart("now")
    scenario.join("c", "d", run="two")
    assert scenario.group == ["c", "d"]
    assert scenario.status.round == 2
    assert not scenario.asks


def test_a_run_begins_without_the_failures_of_the_run_before() -> None:
    scenario = two("one")
    scenario.leave("a", reason=LeaveReason.FAILED)
    assert scenario.status.failures
    scenario.gone("a", "b")
    scenario.join("c", run="two")
    assert scenario.status.run_id == "two"
    assert scenario.status.failures == ()
