"""Runs of JobSets that a TrainJob owns (rule "launches")."""

from tests.unit.core.worlds import Scenario

from rendezvous_api.reasons import LeaveReason, RefusalReason
from rendezvous_api.rendezvous import Owner, RunReference
from rendezvous_operator.core.train_jobs import TrainJob, jobsets_to_know, with_train_jobs
from rendezvous_operator.core.world import World

JOB = TrainJob("uid-of-trainjob", "digits")
OF_JOB = Owner("TrainJob", "digits")


class Trainer(Scenario):
    """A scenario in which TrainJobs own JobSets.

    Attributes:
        owners: the TrainJob of a JobSet, by the JobSet's UID, as far as it was read.
    """

    def __init__(
        self, min_nodes: int = 2, max_nodes: int = 2, owners: dict[str, TrainJob | None] | None = None
    ) -> None:
        super().__init__(min_nodes, max_nodes)
        self.owners = owners or {}

    def world(self) -> World:
        return with_train_jobs(super().world(), self.owners)

    def start(self, jobset: str, *who: str, run_id: str | None = None) -> None:
        """Pods of a JobSet start, and their agents join without an id."""
        self.pod(*who, workload=run_id or jobset, owner_uid=jobset, owner=Owner("JobSet", "digits"))
        self.join_from_pods(*who, run=None)

    def remove(self, *who: str) -> None:
        """These pods and their participants are deleted."""
        self.gone(*who)
        self.pod_gone(*who)


def test_a_jobset_that_is_recreated_is_the_same_run() -> None:
    scenario = Trainer(owners={"jobset-1": JOB, "jobset-2": JOB})
    scenario.start("jobset-1", "a", "b")
    assert scenario.status.run == RunReference(JOB.uid, OF_JOB)
    scenario.remove("a", "b")
    scenario.start("jobset-2", "c", "d")
    assert (scenario.status.round, scenario.status.run) == (2, RunReference(JOB.uid, OF_JOB))
    assert scenario.closed_runs == {}
    scenario.leave("c", reason=LeaveReason.SUCCEEDED)
    scenario.leave("d", reason=LeaveReason.SUCCEEDED)
    scenario.remove("c", "d")
    scenario.start("jobset-2", "e")
    assert scenario.refused == {"e": RefusalReason.RUN_SUCCEEDED}, "what is done is not done twice"


def test_a_trainjob_that_is_recreated_is_another_run() -> None:
    scenario = Trainer(owners={"jobset-1": JOB, "jobset-2": TrainJob("uid-of-the-next", "digits")})
    scenario.start("jobset-1", "a", "b")
    scenario.remove("a", "b")
    scenario.start("jobset-2", "c", "d")
    assert scenario.status.run == RunReference("uid-of-the-next", OF_JOB)
    assert scenario.closed_runs == {JOB.uid: "Abandoned"}


def test_without_an_owner_that_is_known_the_jobset_is_the_workload() -> None:
    scenario = Trainer(owners={"jobset-1": None})
    scenario.start("jobset-1", "a")
    assert scenario.status.run == RunReference("jobset-1", Owner("JobSet", "digits"))


def test_a_run_that_has_the_name_of_its_jobset_keeps_it() -> None:
    scenario = Trainer()
    scenario.start("jobset-1", "a")
    scenario.owners = {"jobset-1": JOB}  # another operator can read it
    assert jobsets_to_know(scenario.world()) == {}
    scenario.start("jobset-1", "b")
    assert (scenario.status.round, scenario.status.run_id, scenario.refused) == (1, "jobset-1", {})
    scenario.leave("a", reason=LeaveReason.SUCCEEDED)
    scenario.leave("b", reason=LeaveReason.SUCCEEDED)
    scenario.remove("a", "b")
    scenario.start("jobset-1", "c")
    assert scenario.refused == {"c": RefusalReason.RUN_SUCCEEDED}
    scenario.remove("c")
    scenario.start("another", "d", "e")
    assert scenario.status.run_id == "another"
    scenario.start("jobset-1", "f")
    assert scenario.refused == {"f": RefusalReason.RUN_SUCCEEDED}, "also when it is only among the closed ones"


def test_a_label_of_the_user_counts_more() -> None:
    scenario = Trainer(owners={"jobset-1": JOB})
    scenario.start("jobset-1", "a", run_id="mine")
    assert scenario.status.run_id == "mine"
    (pod,) = scenario.world().pods.values()
    assert pod.owner_uid == JOB.uid


def test_only_jobsets_of_known_pods_are_asked_about() -> None:
    scenario = Trainer()
    scenario.pod("a", workload="jobset-1", owner_uid="jobset-1", owner=Owner("JobSet", "digits"))
    scenario.pod("b", workload="job-1", owner_uid="job-1", owner=Owner("Job", "digits"))
    scenario.pod("c", workload="jobset-2", owner_uid="jobset-2", owner=None)  # without the label with its name
    scenario.pod("d", workload="jobset-3", owner_uid="jobset-3", owner=Owner("JobSet", "other"), known=False)
    assert jobsets_to_know(scenario.world()) == {"jobset-1": "digits"}
    scenario.owners = dict.fromkeys(("jobset-1", "job-1", "jobset-2", "jobset-3"), JOB)
    changed = {pod.name for pod in scenario.world().pods.values() if pod.owner_uid == JOB.uid}
    assert changed == {"a"}
