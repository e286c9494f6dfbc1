"""The whole way of a user: the chart, examples/digits, its end. What kubectl prints on the way is kept for docs/."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from testcluster import Cluster
from tests.cluster.examples import EXAMPLES, adapt, documents, host_volume, only
from tests.cluster.harness import Group
from tests.cluster.manifests import DATA
from tests.cluster.order import clear_team
from tests.cluster.release import TEAM

from rendezvous_api.reasons import ClosedReason, EventReason

DIGITS = EXAMPLES / "digits"
VOLUME = "digits-checkpoints"


@pytest.fixture
def namespace(cluster: Cluster, team: str) -> Iterator[str]:
    """As a user's, whose agents have the role that the chart makes."""
    remove_rest(cluster)  # a session that was killed has not
    yield team
    clear_team(cluster)  # a volume goes after its claim
    remove_rest(cluster)


def remove_rest(cluster: Cluster) -> None:
    """Remove what `apply` makes and the fixture `team` does not know."""
    cluster.kubectl("--namespace", TEAM, "delete", "configmap", "digits", "--ignore-not-found")
    cluster.kubectl("delete", "pv", VOLUME, "--ignore-not-found", "--timeout=60s")


def test_a_job_trains_to_its_end_and_so_does_its_spare(group: Group, output: Path) -> None:
    """examples/digits for three nodes: three of its four pods train, one waits, all succeed, the Job is Complete."""
    group.name = "digits"
    hold = group.folder / "hold"
    hold.touch()
    apply(group)

    group.wait(lambda: group.status.spares, "a fourth pod to be the spare")
    members = set(group.ranks())
    group.wait(lambda: stepping(group.folder) == members, "all three members to make steps")
    status = group.status
    assert (status.round, status.nodes, len(status.spares)) == (1, 3, 1)
    by_rank = [group.pod_of_rank(rank).index for rank in range(3)]
    assert by_rank == sorted(set(range(4)) & set(by_rank)), "ranks follow the indices of the Job"
    save(group, output, "while-it-trains")

    hold.unlink()
    group.kubectl("wait", "--for=condition=Complete", "job/digits", "--timeout=110s")
    pods = group.pods()
    assert [pod.phase for pod in pods] == ["Succeeded"] * 4
    spare = next(pod.name for pod in pods if pod.name not in members)
    assert "this node ends without having trained" in group.log(spare)
    first = next(pod for pod, rank in group.ranks().items() if rank == 0)
    said = group.log(first)
    (output / "log-of-rank-0.txt").write_text(said)
    accuracy = next(line for line in said.splitlines() if "accuracy on" in line)
    assert float(accuracy.rpartition(" ")[2].rstrip("%")) > 95
    assert [run.reason for run in group.status.closed_runs] == [ClosedReason.RUN_SUCCEEDED]
    events = json.loads(group.kubectl("get", "events", "--field-selector=involvedObject.name=digits", "--output=json"))
    reasons = [event["reason"] for event in events["items"] if event["involvedObject"]["kind"] == "Rendezvous"]
    assert {EventReason.RUN_CLAIMED, EventReason.ROUND_PUBLISHED, EventReason.RUN_CLOSED} <= set(reasons)
    save(group, output, "when-it-is-complete")


def apply(group: Group) -> None:
    """Create what examples/digits consists of, for three nodes. Steps are slow while /data/hold exists."""
    (rendezvous,) = documents(DIGITS / "rendezvous.yaml")
    rendezvous["spec"]["maxNodes"] = 3
    group.create(rendezvous)
    group.kubectl("create", "configmap", "digits", f"--from-file={DIGITS / 'train.py'}")
    objects = documents(DIGITS / "job.yaml")
    claim = only(objects, "PersistentVolumeClaim")
    (group.folder / "volume").mkdir()
    group.cluster.kubectl(
        "create", "-f", "-", input=json.dumps(host_volume(VOLUME, claim, group.namespace, group.folder / "volume"))
    )
    slow = ["--step-seconds=0.2", f"--slow-while={DATA}/hold", f"--log-steps={DATA}/steps-$(POD_NAME)"]
    for document in objects:
        group.create(adapt(document, group.folder, more=slow))


def stepping(folder: Path) -> set[str]:
    """The pods whose worker has made a step."""
    return {path.name.removeprefix("steps-") for path in folder.glob("steps-*")}


def save(group: Group, output: Path, when: str) -> None:
    """Keep what a user sees with kubectl."""
    for command in (
        "get rdzv",
        "get rdzv -o wide",
        "get rdzvp",
        "get rdzv,rdzvp",
        "describe rdzv digits",
        "get events --sort-by=.lastTimestamp",
        "events --for rendezvous/digits",
        "get jobs,pods -o wide",
    ):
        name = command.replace("/", "-").replace(" ", "_")
        (output / f"{when}.{name}.txt").write_text(f"$ kubectl {command}\n{group.kubectl(*command.split())}")
