"""The life of a release under a job that trains, and that notices nothing of it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from testcluster import Cluster, ClusterError
from tests.cluster.earlier_chart import LATER_FIELD, VERSION, make_earlier_chart, tag_image
from tests.cluster.harness import Group
from tests.cluster.manifests import SERVICE_ACCOUNT, indexed_job
from tests.cluster.release import CHART, NAME, NAMESPACE, Release
from tests.cluster.take_over import Operators
from tests.cluster.undisturbed import assert_everyone_is_heard, assert_undisturbed, look_at

CRDS = "customresourcedefinitions"
OUR_CRDS = ("rendezvous.rdzv.dev", "rendezvousparticipants.rdzv.dev")
MINE = ("--namespace", NAMESPACE)


@pytest.fixture
def namespace(team: str) -> str:
    """Account and role of the agents are the chart's, too."""
    return team


@pytest.fixture
def earlier_release(cluster: Cluster, release: Release, tmp_path: Path) -> Iterator[Release]:
    """Nothing of ours but the earlier chart, installed in a cluster that has not seen another one."""
    release.uninstall()
    cluster.kubectl("delete", CRDS, *OUR_CRDS, "--timeout=60s")
    earlier = Release(cluster, tag_image(cluster, release.image))
    earlier.install("--set", "log.format=text", chart=make_earlier_chart(tmp_path))
    yield earlier
    release.install()


def staying(release: Release) -> list[dict[str, Any]]:
    """The operator pods that are not about to end, as JSON."""
    return [pod for pod in release.pods() if "deletionTimestamp" not in pod["metadata"]]


def images(release: Release) -> set[str]:
    return {pod["spec"]["containers"][0]["image"] for pod in staying(release)}


def account(group: Group) -> str:
    """The UID of the agents' service account."""
    return group.kubectl("get", "serviceaccount", SERVICE_ACCOUNT, "--output=jsonpath={.metadata.uid}")


def may_join(group: Group) -> bool:
    """Whether the chart lets that account write participants."""
    return f"{NAME}-worker" in group.kubectl("get", "rolebindings", "--output=name")


def assert_works(group: Group, operators: Operators) -> None:
    """The operators decide, and every member is heard."""
    operators.wait_until_complete()
    operators.decide()
    assert_everyone_is_heard(group)


def history(cluster: Cluster) -> list[tuple[str, str]]:
    """Status and chart of each revision of the release."""
    found = json.loads(cluster.helm("history", NAME, *MINE, "--output=json"))
    return [(revision["status"], revision["chart"]) for revision in found]


def set_later_field(group: Group) -> str:
    patch = json.dumps({"spec": {LATER_FIELD: 3600}})
    return group.kubectl("patch", "rendezvous", group.name, "--type=merge", "-p", patch)


def later_field(group: Group) -> str:
    return group.kubectl("get", "rendezvous", group.name, f"--output=jsonpath={{.spec.{LATER_FIELD}}}")


def test_upgraded_rolled_back_removed_and_installed_again(
    cluster: Cluster, release: Release, earlier_release: Release, group: Group
) -> None:
    operators = Operators(release, group)
    assert images(release) == {earlier_release.image}
    group.create_rendezvous(2, 2)
    group.create(indexed_job("train", 2, group.template("2:2")))
    group.wait_for_training(2)
    before = look_at(group)
    set_later_field(group)
    assert not later_field(group), "the earlier CRD knows no such field"

    release.install()  # helm upgrade
    assert images(release) == {release.image}
    assert {pod["spec"]["nodeName"] for pod in staying(release)} == set(cluster.nodes), "not both on one node"
    assert_works(group, operators)
    set_later_field(group)
    assert later_field(group) == "3600"
    print(f"upgrade: longest pause {assert_undisturbed(group, before):.2f} s")

    cluster.helm("rollback", NAME, "1", *MINE, "--wait", "--timeout=4m")
    assert images(release) == {earlier_release.image}
    assert_works(group, operators)
    print(f"rollback: longest pause {assert_undisturbed(group, before):.2f} s")

    release.install()
    assert_works(group, operators)
    set_later_field(group)
    assert later_field(group) == "3600"
    charts = [f"{NAME}-{VERSION}", f"{NAME}-{chart_version()}"]
    assert [chart for _, chart in history(cluster)] == [charts[0], charts[1], charts[0], charts[1]]
    assert [status for status, _ in history(cluster)][-1] == "deployed"

    theirs = account(group)
    assert may_join(group)
    release.uninstall()
    group.wait(lambda: not operators.pods(), "no operator pod to be left", 60)
    for crd in OUR_CRDS:
        cluster.kubectl("get", CRDS, crd)
    assert group.status.round == before.status.round
    assert group.status.participants == before.status.participants
    assert account(group) == theirs, "the tokens of running pods stay valid"
    assert not may_join(group)
    print(f"uninstall: longest pause {assert_undisturbed(group, before):.2f} s")

    release.install()
    assert_works(group, operators)
    print(f"install: longest pause {assert_undisturbed(group, before):.2f} s")

    said = cluster.helm("test", NAME, *MINE, "--timeout=3m")
    assert "Phase:          Succeeded" in said
    print(f"helm test: longest pause {assert_undisturbed(group, before):.2f} s")
    group.stop_training()
    group.wait_for_success()


def chart_version() -> str:
    lines = (CHART / "Chart.yaml").read_text().splitlines()
    return next(line.partition(": ")[2] for line in lines if line.startswith("version: "))


def test_helm_test_says_what_is_wrong(cluster: Cluster, release: Release) -> None:
    """Without an operator nobody meets, and the test fails instead of waiting for ever."""
    release.scale(0)
    try:
        release.install("--set", "test.timeoutSeconds=15", "--set", "replicaCount=0")
        with pytest.raises(ClusterError):
            cluster.helm("test", NAME, *MINE, "--timeout=90s")
        logs = release.kubectl("logs", "--selector=app.kubernetes.io/name=kube-rendezvous-test", "--tail=-1")
        assert "The operator has not reacted to this node" in logs
        print(logs)
    finally:
        release.install()
