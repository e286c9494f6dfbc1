"""Pods in the network of their node (hostNetwork), where more addresses are than that at which others reach them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from testcluster import Cluster
from testcluster.layout import API_SERVICE_ADDRESS, NODE_ADDRESSES
from tests.cluster.harness import Group
from tests.cluster.manifests import bare_pod

DEVICE = "kube-ipvs0"
IPV6_ADDRESSES = {"node-a": "fd00:198:18::11", "node-b": "fd00:198:18::12"}
SOURCE = f"""
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
    probe.connect(({API_SERVICE_ADDRESS!r}, 443))
    print(probe.getsockname()[0])
"""


@pytest.fixture
def ipvs(cluster: Cluster) -> Iterator[None]:
    """The addresses of all Services are addresses of each node, as kube-proxy in IPVS mode makes them.

    The device stays down, as there. Its type, dummy there, is one that every kernel has.
    """
    query = "--output=jsonpath={.items[*].spec.clusterIP}"
    services = set(cluster.kubectl("get", "services", "--all-namespaces", query).split()) - {"None"}
    assert API_SERVICE_ADDRESS in services
    remove_device(cluster)
    for node in cluster.nodes.values():
        node.machine.run("ip", "link", "add", DEVICE, "type", "bridge")
        for address in services:
            node.machine.run("ip", "address", "add", f"{address}/32", "dev", DEVICE)
    yield
    remove_device(cluster)


def remove_device(cluster: Cluster) -> None:
    """Also that of a session that was killed."""
    for node in cluster.nodes.values():
        node.machine.run("sh", "-c", f"ip link delete {DEVICE} 2>/dev/null || true")


@pytest.fixture
def ipv6(cluster: Cluster) -> Iterator[None]:
    """Each node has an IPv6 address on the cable that connects it to the other one."""
    for name, address in IPV6_ADDRESSES.items():
        cluster.node(name).machine.run("ip", "address", "replace", f"{address}/64", "dev", "eth0", "nodad")
    yield
    for name, address in IPV6_ADDRESSES.items():
        cluster.node(name).machine.run("ip", "address", "delete", f"{address}/64", "dev", "eth0")


def train(group: Group, addresses: dict[str, str], *options: str) -> None:
    """Train with a pod on each node, to the end, and see that each has the address of its node.

    Args:
        group: without a Rendezvous yet.
        addresses: that each pod is to have, by the node; ADDRESS in an option stands for it.
        options: further ones of torchrun.
    """
    group.create_rendezvous(2, 2)
    expected = {}
    for node, address in addresses.items():
        own = [option.replace("ADDRESS", address) for option in options]
        group.create(bare_pod(f"on-{node}", group.template("2", *own, node=node, host_network=True)))
        expected[f"on-{node}"] = address
    group.wait_for_training(2)
    assert {pod: group.participant(pod).spec.address for pod in expected} == expected
    store = group.status.store
    assert store is not None
    assert store.host == expected[group.pod_of_rank(0).name]
    assert {record.master.rpartition(":")[0] for record in group.journal.records("start")} == {store.host}
    group.stop_training()
    group.wait_for_success()


@pytest.mark.usefixtures("ipvs")
def test_no_pod_announces_the_address_of_a_service(cluster: Cluster, group: Group) -> None:
    """Else every node would look for the store of rank 0 on itself."""
    for node in cluster.nodes.values():  # the route to the API server names the wrong address
        assert node.machine.run("python3", "-c", SOURCE).strip() == API_SERVICE_ADDRESS
    train(group, NODE_ADDRESSES)


@pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="this kernel has no IPv6")
@pytest.mark.usefixtures("ipv6")
def test_a_group_meets_by_ipv6(group: Group) -> None:
    train(group, IPV6_ADDRESSES, "--local-addr=ADDRESS")
