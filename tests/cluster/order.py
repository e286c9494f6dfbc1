"""The cluster is put in order again after a test, and what is known of a failed one is shown."""

import contextlib
from collections.abc import Callable

from testcluster import Cluster, ClusterError
from tests.cluster.release import TEAM, Release

TEMPORARY = "test-"
"""How the names of namespaces begin that are there for one test."""
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
"""The taint that says that a node is off for sure."""

_LOG_LINES = "60"


def make_whole(cluster: Cluster) -> None:
    """Bring back what a test has disturbed: nodes, the API server, the network."""
    cluster.reconnect_all()
    Cluster.up()  # starts what does not run
    for node in cluster.nodes:
        cluster.kubectl("uncordon", node)
        taints = cluster.kubectl("get", "node", node, "--output=jsonpath={.spec.taints[*].key}")
        if OUT_OF_SERVICE in taints.split():
            cluster.kubectl("taint", "node", node, f"{OUT_OF_SERVICE}-")


def remove_namespace(cluster: Cluster, namespace: str) -> None:
    """Delete a namespace and all that is in it, and wait until it is gone."""
    remove_pods(cluster, namespace)
    cluster.kubectl("delete", "namespace", namespace, "--timeout=120s", timeout=150)


def clear_team(cluster: Cluster) -> None:
    """Remove what tests have made in that namespace."""
    remove_pods(cluster, TEAM)
    cluster.kubectl("--namespace", TEAM, "delete", "rendezvous,pvc,events", "--all", "--timeout=60s")


def remove_pods(cluster: Cluster, namespace: str) -> None:
    """Delete all workloads and pods of a namespace, and wait until nothing of them runs."""
    for kinds, options in (("jobs,statefulsets,deployments", ["--cascade=background"]), ("pods", ["--grace-period=1"])):
        options = ["--all", "--timeout=120s", *options]
        cluster.kubectl("--namespace", namespace, "delete", kinds, *options, timeout=150)


def show(cluster: Cluster, release: Release, namespace: str) -> None:
    """Print all that is known of a namespace, and the operator's log."""
    _try("operator", release.logs)
    for what in ("rdzv -o yaml", "rdzvp -o wide", "pods -o wide", "events --sort-by=.lastTimestamp"):
        _try(f"kubectl get {what}", cluster.kubectl, "--namespace", namespace, "get", *what.split())
    _try("operator pods", release.kubectl, "get", "pods", "-o", "wide")
    with contextlib.suppress(ClusterError):
        for pod in cluster.kubectl("--namespace", namespace, "get", "pods", "--output=name").split():
            _try(pod, cluster.kubectl, "--namespace", namespace, "logs", pod, f"--tail={_LOG_LINES}")


def _try(title: str, ask: Callable[..., str], *arguments: str) -> None:
    try:
        _print(title, ask(*arguments))
    except ClusterError as error:
        _print(title, str(error))


def _print(title: str, text: str) -> None:
    print(f"---- {title} ".ljust(100, "-"), text, sep="\n")
