"""Rule "bad machines" on a real cluster: the machine of one pod is cordoned, and later it is not."""

from collections.abc import Iterator

import pytest
from testcluster.layout import NODES
from tests.cluster.harness import Group
from tests.cluster.manifests import bare_pod
from tests.cluster.release import Release

GOOD, BAD = NODES


@pytest.fixture
def reads_machines(release: Release) -> Iterator[None]:
    """The operator may read machines."""
    release.install("--set", "machines.enabled=true")
    yield
    release.install("--set", "machines.enabled=false")


@pytest.mark.usefixtures("reads_machines")
def test_a_pod_on_a_cordoned_machine_is_taken_in_when_it_is_uncordoned(group: Group) -> None:
    group.create_rendezvous(2, 3)
    group.cluster.kubectl("cordon", BAD)
    for name, machine in (("train-0", GOOD), ("train-1", GOOD), ("train-2", BAD)):
        group.create(bare_pod(name, group.template("2:3", node=machine)))
    group.wait(lambda: [entry.name for entry in group.status.passed_over] == ["train.train-2"], "the cordon")
    assert sorted(group.wait_for_training(2)) == ["train-0", "train-1"]
    (entry,) = group.status.passed_over
    assert (entry.message, entry.machine) == (f"its machine {BAD} is cordoned", BAD)
    assert group.status.spares == ()
    before = group.status.round

    group.cluster.kubectl("uncordon", BAD)
    assert sorted(group.wait_for_training(3)) == ["train-0", "train-1", "train-2"]
    status = group.status
    assert (status.round, status.history[-2].reason) == (before + 1, "ScaleUp")
    assert status.passed_over == ()
    group.stop_training()
    group.wait_for_success()
