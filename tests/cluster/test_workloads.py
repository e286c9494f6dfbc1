"""The examples really train: each as it is, with the image, the script and the GPUs replaced by what is here."""

from pathlib import Path
from typing import Any

import pytest
from testcluster import Cluster
from testcluster.layout import HOST_ADDRESS
from tests.cluster.controllers import JobSetController
from tests.cluster.examples import EXAMPLES, adapt, documents, trains
from tests.cluster.harness import Group
from tests.cluster.manifests import DATA, TRAIN

from rendezvous_api.reasons import ClosedReason

INDICES = {"job": [0, 1, 2, 3], "jobset": [0, 1, 0, 1], "pods": [0, 1], "statefulset": [0, 1, 2, 3]}
"""The indices of the pods of an example, by rank: each Job of a JobSet has its own, a bare pod's is in its name."""
OWN_KINDS = [path for path in sorted(EXAMPLES.glob("*.yaml")) if any(map(trains, documents(path)))]


@pytest.mark.parametrize("path", [path for path in OWN_KINDS if path.stem != "jobset"], ids=lambda path: path.stem)
def test_an_example_trains(group: Group, path: Path) -> None:
    train(group, path)


def test_a_jobset_trains(cluster: Cluster, group: Group, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Two Jobs of one JobSet are one run; its controller is the real one."""
    folder = tmp_path_factory.mktemp("controller")
    with JobSetController(cluster.kubectl, cluster.kubeconfig, folder, address=HOST_ADDRESS):
        train(group, EXAMPLES / "jobset.yaml")
        group.kubectl("wait", "--for=condition=Completed", "jobset", "--all", "--timeout=60s")
        group.kubectl("delete", "jobset", "--all")


def train(group: Group, path: Path) -> None:
    """Apply a file, and train with all pods in one round, with ranks in the order of their places; then end."""
    objects: list[dict[str, Any]] = documents(path)
    if not any(document["kind"] == "Rendezvous" for document in objects):
        objects = documents(EXAMPLES / "rendezvous.yaml") + objects
    for document in objects:
        group.create(adapt(document, group.folder, script=[str(TRAIN), DATA]))
    wanted = group.rendezvous.spec.max_nodes
    members = group.wait_for_training(wanted)
    if path.stem != "deployment":  # its pods have no places; their names end at random, with digits alone now and then
        assert [group.participant(name).spec.pod_index for name in members] == INDICES[path.stem]
    group.stop_training()
    group.wait(lambda: group.status.closed_runs, "the run to be closed")
    assert [run.reason for run in group.status.closed_runs] == [ClosedReason.RUN_SUCCEEDED]
    group.wait(lambda: len({record.node for record in group.journal.records("end")}) == wanted, "all to have ended")
