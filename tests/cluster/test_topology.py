"""Ranks by the labels of machines, in real pods: each of the two machines is a rack, and a zone."""

from collections.abc import Iterator
from itertools import pairwise

import pytest
from testcluster import Cluster
from testcluster.layout import NODES
from tests.cluster.harness import Group
from tests.cluster.manifests import indexed_job
from tests.cluster.release import Release

from rendezvous_api import names

RACK = "example.com/rack"


@pytest.fixture
def labelled(cluster: Cluster) -> Iterator[None]:
    """The machines say where they are."""
    for number, node in enumerate(NODES):
        cluster.kubectl("label", "node", node, f"{RACK}=r{number}", f"{names.LABEL_ZONE}=zone-{number}")
    yield
    for node in NODES:
        cluster.kubectl("label", "node", node, f"{RACK}-", f"{names.LABEL_ZONE}-")


def machines_by_rank(group: Group) -> list[str]:
    """The machine of each member, as its pod says."""
    on = {pod.name: pod.node for pod in group.pods()}
    return [on[name] for name, _ in sorted(group.ranks().items(), key=lambda item: item[1])]


def follow_each_other(machines: list[str]) -> bool:
    changes = sum(one != other for one, other in pairwise(machines))
    return changes == len({*machines}) - 1


def test_ranks_of_one_machine_follow_each_other(labelled: None, release: Release, group: Group) -> None:
    release.install("--set", "machines.enabled=true")
    try:
        group.create_rendezvous(4, 4, ranks={"policy": "Topology", "keys": [RACK]})
        group.create(indexed_job("train", 4, group.template("4:4")))
        group.wait_for_training(4)
        before = machines_by_rank(group)
        assert {*before} == {*NODES}
        assert follow_each_other(before)
        topology = group.status.topology
        assert topology is not None
        assert sum(domain.nodes for domain in topology.domains) == 4
        assert len(topology.domains) == 2

        group.delete_pod(group.pod_of_rank(0))
        group.wait_for_training(4, after=1)
        assert follow_each_other(machines_by_rank(group))
        group.stop_training()
        group.wait_for_success()
    finally:
        release.install("--set", "machines.enabled=false")


def test_zones_are_those_of_pods_where_machines_may_not_be_read(labelled: None, group: Group) -> None:
    group.create_rendezvous(4, 4, ranks={"policy": "Topology", "keys": ["zone"]})
    group.create(indexed_job("train", 4, group.template("4:4")))
    group.wait_for_training(4)
    machines = machines_by_rank(group)
    assert follow_each_other(machines)
    topology = group.status.topology
    assert topology is not None
    assert {domain.values[0] for domain in topology.domains} == {f"zone-{NODES.index(each)}" for each in machines}
    group.stop_training()
    group.wait_for_success()
