"""A pod whose health check fails stays out, and the others train without it, until the check succeeds."""

from tests.cluster.harness import Group
from tests.cluster.manifests import DATA, indexed_job
from tests.support import health_checks as checks
from tests.support.pages import ROOT

from rendezvous_api import names
from rendezvous_api.reasons import ConditionReason

NODES = 3
BROKEN = "7 of 8 GPUs are there"


def test_a_pod_with_a_broken_device_stays_out_until_it_is_repaired(group: Group) -> None:
    group.create_rendezvous(2, NODES, replacementSeconds=60, lastCallSeconds=5)
    sick = checks.sick(group.folder, "2")
    sick.write_text(BROKEN, encoding="utf-8")
    environment = {"PYTHONPATH": str(ROOT), checks.FOLDER: DATA, "RDZV_HEALTH_CHECK": checks.NAME}
    group.create(indexed_job("train", NODES, group.template(f"2:{NODES}", environment=environment)))
    group.wait_for_training(NODES - 1)
    (entry,) = group.wait(lambda: group.status.unhealthy, "a pod that is unhealthy")
    assert entry.name.startswith("train.train-2-")
    assert entry.message == f"{checks.NAME}: {BROKEN}"
    degraded = group.wait(lambda: group.status.condition(names.CONDITION_DEGRADED), "Degraded")
    assert (degraded.status, degraded.reason) == ("True", ConditionReason.NODE_UNHEALTHY)
    assert "NodeUnhealthy" in group.kubectl("events", "--for=rendezvous/train")
    assert BROKEN in group.kubectl("get", "rdzvp", "--output=wide")

    sick.unlink()
    group.kubectl("annotate", "rdzv", "train", f"{names.ANNOTATION_RETRY_AT}=now")
    group.wait_for_training(NODES)
    assert group.status.unhealthy == ()
    group.stop_training()
    group.wait_for_success()
