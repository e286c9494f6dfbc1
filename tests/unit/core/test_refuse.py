"""Rule "runs": which nodes may not join, and their answers."""

import pytest
from tests.unit.core.started import two
from tests.unit.core.worlds import Scenario

from rendezvous_api import names
from rendezvous_api.reasons import AttemptReason, LeaveReason, RefusalReason
from rendezvous_api.rendezvous import Owner
from rendezvous_operator.core.runs.refuse import ANSWER_SECONDS

MEMBERSHIP_CHANGE = AttemptReason.MEMBERSHIP_CHANGE
WORKER_FAILURE = AttemptReason.WORKER_FAILURE
SUCCEEDED = LeaveReason.SUCCEEDED


def test_another_run_is_refused_naming_both() -> None:
    scenario = two("one")
    scenario.join("c", run="two")
    assert scenario.refused == {"c": RefusalReason.OTHER_RUN_ACTIVE}
    message = scenario.status.refused[0].message
    assert "'one'" in message
    assert "'two'" in message


def test_the_spec_may_name_the_only_run() -> None:
    scenario = Scenario(2, 2, run_id="two")
    scenario.join("a", run="one")
    assert scenario.status.run_id is None
    assert scenario.refused == {"a": RefusalReason.OTHER_RUN_ACTIVE}
    scenario.join("b", "c", run="two")
    assert scenario.group == ["b", "c"]


@pytest.mark.parametrize(
    ("who", "reason"),
    [
        ("a spare", RefusalReason.RUN_SUCCEEDED),
        ("a newcomer that was gathered", RefusalReason.RUN_SUCCEEDED),
        ("a member that re-enters because the membership changed", RefusalReason.RUN_SUCCEEDED),
        ("a member whose workers failed", RefusalReason.RUN_CLOSED),
        ("a member whose workers failed at the same time", RefusalReason.RUN_CLOSED),
        ("a member whose check-in failed", RefusalReason.RUN_CLOSED),
        ("a fresh start with the same id", RefusalReason.RUN_CLOSED),
    ],
)
def test_after_success(who: str, reason: RefusalReason) -> None:
    scenario = Scenario(2, 3, scale_up_interval_seconds=1000)
    scenario.edit(max_nodes=2)
    scenario.join("a", "b", run="one")
    if who == "a spare":
        scenario.join("c", run="one")
    if who == "a newcomer that was gathered":
        scenario.edit(max_nodes=4)
        scenario.join("c", run="one")
        assert not scenario.asks
    if who.endswith("at the same time"):
        scenario.complete = False
    scenario.leave("a", reason=SUCCEEDED)
    if who.startswith("a member"):
        reason_of = {"workers failed": WORKER_FAILURE, "check-in": AttemptReason.CHECK_IN_FAILED}
        asks = next((found for words, found in reason_of.items() if words in who), MEMBERSHIP_CHANGE)
        scenario.reenter("b", reason=asks)
        scenario.complete = True
        scenario.settle()
        assert scenario.refused == {"b": reason}
        return
    if who == "a fresh start with the same id":
        scenario.join("c", run="one")
        assert "another --rdzv-id" in scenario.status.refused[0].message
    assert scenario.refused == {"c": reason}


def test_after_success_a_start_of_the_same_workload_has_nothing_left_to_do() -> None:
    scenario = Scenario(2, 2)
    scenario.pod("a", "b", workload="job", owner_uid="job")
    scenario.join_from_pods("a", "b", run=None)
    scenario.leave("a", "b", reason=SUCCEEDED)
    scenario.pod("a2", workload="job", owner_uid="job")
    scenario.join_from_pods("a2", run=None)
    assert scenario.refused == {"a2": RefusalReason.RUN_SUCCEEDED}


@pytest.mark.parametrize(
    ("others", "reason"), [("are there", RefusalReason.RUN_SUCCEEDED), ("are deleted", RefusalReason.RUN_CLOSED)]
)
def test_after_success_a_bare_pod_with_the_label_is_late_if_others_are_there(
    others: str, reason: RefusalReason
) -> None:
    scenario = Scenario(2, 2)
    scenario.pod("a", "b", workload="exp", owner_uid=None)
    scenario.join_from_pods("a", "b", run=None)
    scenario.leave("a", "b", reason=SUCCEEDED)
    if others == "are deleted":
        scenario.gone("a", "b")
        scenario.pod_gone("a", "b")
    scenario.pod("c", workload="exp", owner_uid=None)
    scenario.join_from_pods("c", run=None)
    assert scenario.refused == {"c": reason}


def test_a_pod_of_the_job_is_late_for_its_run_as_long_as_a_member_is_there() -> None:
    scenario = Scenario(2, 2)
    scenario.pod("a", "b", workload="exp", owner_uid="job-1")
    scenario.join_from_pods("a", "b", run=None)
    scenario.leave("a", reason=SUCCEEDED)
    scenario.gone("a")
    scenario.pod_gone("a")
    scenario.pod("late", workload="exp", owner_uid="job-1")
    scenario.join_from_pods("late", run=None)
    assert scenario.refused == {"late": RefusalReason.RUN_SUCCEEDED}


@pytest.mark.parametrize("first_job", ["is there", "is deleted"])
def test_after_success_another_job_with_the_same_label_is_no_late_start_of_the_first_one(first_job: str) -> None:
    """Exit code 0 is never the answer to a launch of which nothing is done."""
    scenario = Scenario(2, 2)
    scenario.pod("a", "b", workload="exp", owner_uid="job-1")
    scenario.join_from_pods("a", "b", run=None)
    scenario.leave("a", "b", reason=SUCCEEDED)
    scenario.pod("a", "b", workload="exp", owner_uid="job-1", phase="Succeeded")
    scenario.pod("late", workload="exp", owner_uid="job-1")
    scenario.join_from_pods("late", run=None)
    assert scenario.refused == {"late": RefusalReason.RUN_SUCCEEDED}
    scenario.leave("late", reason=SUCCEEDED)
    if first_job == "is deleted":
        scenario.gone("a", "b", "late")
        scenario.pod_gone("a", "b", "late")
    scenario.pod("c", "d", workload="exp", owner_uid="job-2")
    scenario.join_from_pods("c", "d", run=None)
    assert scenario.refused == {"c": RefusalReason.RUN_CLOSED, "d": RefusalReason.RUN_CLOSED}
    assert "another --rdzv-id or label rdzv.dev/run-id" in scenario.status.refused[0].message


@pytest.mark.parametrize(("label", "again"), [("uid", "create Job 'train' again, or start"), ("exp", "start")])
def test_a_pod_of_a_job_is_refused_with_what_starts_another_run(label: str, again: str) -> None:
    """A Job that is created again is another run, except if a label names the run."""
    scenario = Scenario(2, 2, max_restarts=0)
    scenario.pod("a", "b", workload=label, owner_uid="uid", owner=Owner("Job", "train"))
    scenario.join_from_pods("a", "b", run=None)
    scenario.reenter("a", reason=WORKER_FAILURE)
    assert scenario.refused == {"a": RefusalReason.RUN_CLOSED}
    assert scenario.status.refused[0].message.endswith(f"; {again} with another --rdzv-id or label rdzv.dev/run-id")
    scenario.pod(
        "c", "d", workload="uid-2" if label == "uid" else label, owner_uid="uid-2", owner=Owner("Job", "train")
    )
    scenario.join_from_pods("c", "d", run=None)
    assert ("c" in scenario.refused) is (label == "exp")


@pytest.mark.parametrize("together", [False, True])
def test_after_success_workers_of_the_same_workload_that_failed_are_no_success(together: bool) -> None:
    scenario = Scenario(2, 2)
    scenario.pod("a", "b", workload="job", owner_uid="job")
    scenario.join_from_pods("a", "b", run=None)
    scenario.complete = not together
    scenario.leave("a", reason=SUCCEEDED)
    scenario.reenter("b", reason=WORKER_FAILURE)
    scenario.complete = True
    scenario.settle()
    assert scenario.refused == {"b": RefusalReason.RUN_CLOSED}
    assert "with success on another node" in scenario.status.refused[0].message


def test_a_failure_before_the_round_that_succeeded_makes_a_spare_no_failure() -> None:
    scenario = Scenario(1, 2, last_call_seconds=1)
    scenario.join("a", "b")
    scenario.after(2)
    assert scenario.group == ["a", "b"]
    scenario.edit(max_nodes=1)
    scenario.reenter("b", reason=WORKER_FAILURE)
    scenario.all_join_again()
    assert (scenario.group, scenario.status.spares) == (["a"], ("b",))
    scenario.leave("a", reason=SUCCEEDED)
    assert scenario.refused == {"b": RefusalReason.RUN_SUCCEEDED}


def test_an_abandoned_run_is_refused_only_as_long_as_another_one_has_the_rendezvous() -> None:
    scenario = two("one")
    scenario.gone("a", "b")
    scenario.join("c", "d", run="two")
    scenario.join("a", "b", run="one")
    assert set(scenario.refused.values()) == {RefusalReason.OTHER_RUN_ACTIVE}


@pytest.mark.parametrize("leaves", [True, False])
def test_a_spare_that_has_ended_with_its_run_is_a_fresh_start_when_it_comes_again(leaves: bool) -> None:
    scenario = two("one")
    scenario.join("c", run="one")
    scenario.leave("a", reason=SUCCEEDED)
    assert scenario.refused == {"c": RefusalReason.RUN_SUCCEEDED}
    if leaves:  # else its last word was lost
        scenario.leave("c", reason=SUCCEEDED)
        assert scenario.status.spares == ()
    scenario.restart("c")
    assert scenario.refused == {"c": RefusalReason.RUN_CLOSED}
    assert scenario.status.spares == ()


def test_an_answer_stays_until_its_agent_has_left() -> None:
    scenario = two("one")
    scenario.join("c", run="two")
    scenario.after(1000)
    assert scenario.refused == {"c": RefusalReason.OTHER_RUN_ACTIVE}
    scenario.leave("c")
    assert scenario.refused == {}


@pytest.mark.parametrize(
    ("address", "refused"),
    [
        ("10.1.0.5", False),
        ("192.168.0.7", False),
        ("fd00:0:0::5", False),
        ("::ffff:10.1.0.5", False),
        ("node-5.train.svc", False),
        ("10.1.0.6", True),
        ("169.254.169.254", True),
        ("fd00::6", True),
    ],
)
def test_an_address_of_a_third_party_is_refused(address: str, refused: bool) -> None:
    """If it became rank 0, all others would connect to that third party."""
    scenario = Scenario(1, 2, last_call_seconds=0)
    addresses = frozenset({"10.1.0.5", "fd00::5", "192.168.0.7"})
    scenario.pod("a", addresses=addresses)
    scenario.join_from_pods("a", address=address)
    assert (scenario.group, scenario.status.run_id) == (([], None) if refused else (["a"], "run"))
    if refused:
        assert scenario.refused == {"a": RefusalReason.WRONG_ADDRESS}
        assert f"spec.address is '{address}', and pod a has 10.1.0.5, 192.168.0.7, fd00::5" in (
            scenario.status.refused[0].message
        )


@pytest.mark.parametrize("known", [True, False])
def test_no_address_is_refused_of_a_pod_whose_own_ones_are_not_known(known: bool) -> None:
    scenario = Scenario(1, 2, last_call_seconds=0)
    scenario.pod("a", known=known, addresses=frozenset() if known else frozenset({"10.1.0.5"}))
    scenario.join_from_pods("a", address="10.1.0.6")
    assert scenario.group == ["a"]


def test_the_list_of_answers_is_bounded_and_every_node_gets_one() -> None:
    scenario = two("one")
    crowd = [f"c{number:03}" for number in range(150)]
    scenario.join(*crowd, run="two")
    assert len(scenario.refused) == 100
    answered = [*scenario.refused]
    scenario.leave(*answered)
    assert set(scenario.refused) == {*crowd} - {*answered}


def test_all_spares_are_answered_before_another_run_claims() -> None:
    """In several writes: the list of answers is bounded."""
    scenario = two("one")
    spares = [f"s{number:03}" for number in range(150)]
    scenario.join(*spares, run="one")
    scenario.complete = False
    scenario.leave("a", "b", reason=SUCCEEDED)
    scenario.join("c", "d", run="two")
    scenario.complete = True
    scenario.settle()
    assert (len(scenario.refused), scenario.status.run_id) == (100, "one")
    answered = {*scenario.refused}
    scenario.leave(*answered, reason=SUCCEEDED)
    assert {*scenario.refused} == {*spares} - answered
    assert set(scenario.refused.values()) == {RefusalReason.RUN_SUCCEEDED}
    assert (scenario.status.run_id, scenario.group) == ("two", ["c", "d"])


def test_spares_that_stay_after_their_answers_do_not_keep_the_rendezvous() -> None:
    scenario = two("one")
    scenario.join(*(f"s{number:03}" for number in range(250)), run="one")
    scenario.leave("a", "b", reason=SUCCEEDED)
    scenario.join("c", "d", run="two")
    scenario.after(ANSWER_SECONDS - 1)
    assert scenario.status.run_id == "one"
    scenario.after(1)
    assert (scenario.status.run_id, scenario.group) == ("two", ["c", "d"])


def test_one_pod_with_many_names_does_not_keep_others_from_their_answers() -> None:
    scenario = two("one")
    scenario.join(*(f"a{number:03}" for number in range(200)), run="two", pod="greedy")
    scenario.join("v", "w", run="two")
    assert len(scenario.refused) == 100
    assert {"v", "w"} < {*scenario.refused}


def test_who_is_refused_forms_no_round_also_where_the_list_of_answers_is_full() -> None:
    crowd = [f"c{number:03}" for number in range(150)]
    scenario = Scenario(2, 200, last_call_seconds=30)
    scenario.join(*crowd, run="one")
    scenario.edit(run_id="two")
    scenario.after(60)
    assert len(scenario.refused) == 100
    assert scenario.status.round == 0


def test_an_answer_is_not_taken_back_for_the_sake_of_another_node() -> None:
    """Its agent may not have read it."""
    scenario = two("one")
    scenario.join(*(f"c{number:03}" for number in range(names.MAX_REFUSED)), run="two")
    answered = scenario.refused
    scenario.join("a-node-whose-name-comes-first", run="two")
    assert scenario.refused == answered
