"""Which workload a run stands for."""

from tests.unit.core.worlds import Scenario

from rendezvous_api.rendezvous import Owner, RunReference

JOB = Owner("Job", "digits")
UID = "uid-of-job"


def test_the_owner_of_the_pods_is_that_of_the_run_and_stays_when_they_are_gone() -> None:
    scenario = Scenario(2, 2)
    scenario.pod("a", "b", workload=UID, owner_uid=UID, owner=JOB)
    scenario.join_from_pods("a", "b", run=None)
    assert scenario.status.run == RunReference(UID, JOB)
    scenario.gone("a", "b")
    scenario.pod_gone("a", "b")
    assert scenario.status.run == RunReference(UID, JOB)


def test_an_id_that_was_given_is_nobody_elses() -> None:
    scenario = Scenario(2, 2)
    scenario.pod("a", workload=UID, owner_uid=UID, owner=JOB)
    scenario.join_from_pods("a", run="run-1")
    assert scenario.status.run == RunReference("run-1")
    scenario = Scenario(2, 2)
    scenario.pod("a", workload="by-label", owner_uid=UID, owner=JOB)
    scenario.join_from_pods("a", run=None)
    assert scenario.status.run == RunReference("by-label")


def test_a_bare_pod_has_none() -> None:
    scenario = Scenario(2, 2)
    scenario.pod("a", workload=None, owner_uid=None)
    scenario.join_from_pods("a", run=None)
    assert scenario.status.run == RunReference("none")


def test_the_next_run_has_its_own() -> None:
    scenario = Scenario(2, 2)
    scenario.pod("a", workload=UID, owner_uid=UID, owner=JOB)
    scenario.join_from_pods("a", run=None)
    scenario.gone("a")
    scenario.pod_gone("a")
    scenario.pod("b", workload="other", owner_uid="other", owner=Owner("JobSet", "next"))
    scenario.join_from_pods("b", run=None)
    assert scenario.status.run == RunReference("other", Owner("JobSet", "next"))
