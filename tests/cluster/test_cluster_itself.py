"""The test cluster is what the other tests take it for: two nodes, a network, pods that reach the API server."""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from testcluster import HOST_IMAGE, Cluster, ClusterError, host_volume_mounts, host_volumes
from testcluster.cluster import leftovers
from testcluster.layout import NODE_GRACE_SECONDS, NODES, POD_SUBNETS
from testcluster.machine import find_machine
from tests.cluster.order import TEMPORARY

from rendezvous_controlplane import KUBERNETES_VERSION

NAMESPACE = f"{TEMPORARY}cluster-itself"
TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"

# What a pod of these tests does: serve its own name, at port 8000.
SERVER = """
import http.server, socket
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(socket.gethostname().encode())

    def log_message(self, *arguments):
        pass

print("serving", flush=True)
http.server.ThreadingHTTPServer(("", 8000), Handler).serve_forever()
"""

# Prints the status with which the API server answers the token of a pod, or the kind of the error.
ASK = """
import ssl, sys, urllib.error, urllib.request
folder = "/var/run/secrets/kubernetes.io/serviceaccount/"
token = sys.argv[1] if len(sys.argv) > 1 else open(folder + "token").read()
context = ssl.create_default_context(cafile=folder + "ca.crt")
context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # no certificate of the cluster names a key
request = urllib.request.Request(
    "https://10.96.0.1/api/v1/namespaces/default", headers={"Authorization": "Bearer " + token}
)
try:
    with urllib.request.urlopen(request, context=context, timeout=3) as a:
        print(a.status)
except urllib.error.HTTPError as error:
    print(error.code)
except OSError as error:
    print("no answer")
"""


@pytest.fixture(scope="module")
def pods(cluster: Cluster) -> Iterator[dict[str, str]]:
    """A pod on each node that may read namespaces: the node's name, and its pod's."""
    kubectl(cluster, "create", "namespace", NAMESPACE)
    # Two controllers make them a moment later; a kubelet that misses the second warns of it (FailedMount), and waits.
    needed = ("serviceaccount/default", "configmap/kube-root-ca.crt")
    kubectl(cluster, "wait", "--for=create", *needed, "--timeout=30s")
    binding = [f"--serviceaccount={NAMESPACE}:default", "--clusterrole=view"]
    kubectl(cluster, "delete", "clusterrolebinding", NAMESPACE, "--ignore-not-found")  # of a session that was killed
    kubectl(cluster, "create", "clusterrolebinding", NAMESPACE, *binding)
    names = {node: f"on-{node}" for node in NODES}
    for node, name in names.items():
        create(cluster, pod(name, node))
    kubectl(cluster, "wait", "--for=condition=Ready", "pod", "--all", "--timeout=90s", timeout=100)
    yield names
    # A test may have made the cluster anew.
    kubectl(cluster, "delete", "clusterrolebinding", NAMESPACE, "--ignore-not-found")
    kubectl(cluster, "delete", "namespace", NAMESPACE, "--ignore-not-found", timeout=200)


def pod(name: str, node: str) -> dict[str, Any]:
    container = {
        "name": "server",
        "image": HOST_IMAGE,
        "imagePullPolicy": "Never",
        "command": ["python", "-c", SERVER],
        "ports": [{"containerPort": 8000}],
        "volumeMounts": host_volume_mounts(),
        "readinessProbe": {"httpGet": {"port": 8000}, "periodSeconds": 1},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"app": name}},
        "spec": {
            "nodeName": node,
            "containers": [container],
            "volumes": host_volumes(),
            "terminationGracePeriodSeconds": 1,
            "tolerations": [{"operator": "Exists", "effect": "NoExecute"}],
        },
    }


def kubectl(cluster: Cluster, *arguments: str, input: str | None = None, timeout: float = 60.0) -> str:
    return cluster.kubectl(f"--namespace={NAMESPACE}", *arguments, input=input, timeout=timeout)


def create(cluster: Cluster, manifest: dict[str, Any]) -> None:
    kubectl(cluster, "create", "--filename=-", input=json.dumps(manifest))


def python(cluster: Cluster, name: str, script: str, *arguments: str) -> str:
    """What a script prints in a pod."""
    return kubectl(cluster, "exec", name, "--", "python", "-c", script, *arguments).strip()


def answer(cluster: Cluster, name: str, *token: str) -> str:
    """What the API server answers to a pod's token, or the given one; nothing if that could not be asked."""
    try:
        return python(cluster, name, ASK, *token)
    except ClusterError:
        return ""


def fetch(cluster: Cluster, name: str, url: str) -> str:
    script = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode())"
    return python(cluster, name, script, url)


def ready(cluster: Cluster, node: str) -> str:
    query = '--output=jsonpath={.status.conditions[?(@.type=="Ready")].status}'
    return cluster.kubectl("get", "node", node, query)


def wait_for(what: str, check: Callable[[], bool], timeout: float) -> float:
    """Wait until it is so; returns how long it took, in seconds."""
    started = time.monotonic()
    while not check():
        assert time.monotonic() - started < timeout, f"waited {timeout:g} s in vain for {what}"
        time.sleep(0.5)
    return time.monotonic() - started


def test_both_nodes_are_ready_and_have_the_version_of_the_control_plane(cluster: Cluster) -> None:
    found = json.loads(cluster.kubectl("get", "nodes", "--output=json"))["items"]
    versions = {node["metadata"]["name"]: node["status"]["nodeInfo"]["kubeletVersion"] for node in found}
    assert versions == dict.fromkeys(NODES, KUBERNETES_VERSION)
    assert [ready(cluster, node) for node in NODES] == ["True", "True"]
    version = json.loads(cluster.kubectl("version", "--output=json"))["serverVersion"]["gitVersion"]
    assert version == KUBERNETES_VERSION


def test_pods_have_addresses_of_their_nodes_and_reach_each_other(cluster: Cluster, pods: dict[str, str]) -> None:
    addresses = dict(zip(pods, cluster.pod_addresses(pods.values(), NAMESPACE), strict=True))
    for node, address in addresses.items():
        assert address.rpartition(".")[0] == POD_SUBNETS[node].rpartition(".")[0]
    for name in pods.values():
        for node, address in addresses.items():
            assert fetch(cluster, name, f"http://{address}:8000/") == pods[node]


def test_pods_reach_each_other_through_services(cluster: Cluster, pods: dict[str, str]) -> None:
    for name in pods.values():
        kubectl(cluster, "expose", "pod", name, "--port=80", "--target-port=8000")
    addresses = {
        name: kubectl(cluster, "get", "service", name, "--output=jsonpath={.spec.clusterIP}") for name in pods.values()
    }
    time.sleep(3)  # kube-proxy
    for client in pods.values():
        for server, address in addresses.items():
            assert fetch(cluster, client, f"http://{address}/") == server


def test_pods_on_both_nodes_reach_the_api_server_with_their_tokens(cluster: Cluster, pods: dict[str, str]) -> None:
    for name in pods.values():
        assert python(cluster, name, ASK) == "200"
        assert python(cluster, name, ASK, "no-token") == "401"


def test_a_name_that_cannot_be_looked_up_fails_at_once(cluster: Cluster, pods: dict[str, str]) -> None:
    script = """
import contextlib, socket, time
started = time.monotonic()
for name in ("nobody", "nobody.example.com"):
    try:
        socket.getaddrinfo(name, 80)
    except OSError:
        continue
    raise SystemExit("found")
with contextlib.suppress(OSError):
    socket.getnameinfo(("::ffff:198.18.129.9", 80), 0)  # what torch's TCPStore asks
print(time.monotonic() - started)
"""
    for name in pods.values():
        assert float(python(cluster, name, script)) < 0.5


def test_kubectl_logs_and_events(cluster: Cluster, pods: dict[str, str]) -> None:
    for name in pods.values():
        assert kubectl(cluster, "logs", name) == "serving\n"
        events = json.loads(kubectl(cluster, "get", "events", "--output=json"))["items"]
        of_pod = [event for event in events if event["involvedObject"]["name"] == name]
        # The readiness probe may ask before Python serves.
        assert {event["reason"] for event in of_pod} - {"Unhealthy"} >= {"Started"}
        warnings = [(event["reason"], event["message"]) for event in of_pod if event["type"] == "Warning"]
        assert {reason for reason, _ in warnings} <= {"Unhealthy"}, warnings


def test_torch_runs_in_a_pod(cluster: Cluster, pods: dict[str, str]) -> None:
    script = "import torch, torch.distributed.run as run; print(torch.ones(2).sum().item(), run.__name__)"
    assert python(cluster, pods["node-b"], script) == "2.0 torch.distributed.run"


def test_a_pod_can_be_cut_off_from_the_api_server_alone(cluster: Cluster, pods: dict[str, str]) -> None:
    cut, other = pods.values()
    address = cluster.pod_addresses([other], NAMESPACE)[0]
    cluster.cut_off([cut], NAMESPACE)
    try:
        assert python(cluster, cut, ASK) == "no answer"
        assert python(cluster, other, ASK) == "200"
        assert fetch(cluster, cut, f"http://{address}:8000/") == other
    finally:
        cluster.reconnect([cut], NAMESPACE)
    assert python(cluster, cut, ASK) == "200"


def test_pods_survive_the_api_server_and_etcd(cluster: Cluster, pods: dict[str, str]) -> None:
    def containers() -> str:
        query = "--output=jsonpath={.items[*].status.containerStatuses[*].containerID}"
        return kubectl(cluster, "get", "pods", query)

    before = containers()
    cluster.restart_api_server()
    cluster.restart_etcd()
    for name in pods.values():
        assert python(cluster, name, ASK) == "200"
    assert containers() == before


def test_another_serving_certificate(cluster: Cluster, pods: dict[str, str]) -> None:
    cluster.replace_serving_certificate()
    assert python(cluster, pods["node-a"], ASK) == "200"


def test_another_key_for_tokens(cluster: Cluster, pods: dict[str, str]) -> None:
    name = pods["node-a"]
    old = python(cluster, name, f"print(open({TOKEN!r}).read())")
    cluster.rotate_service_account_key(keep_previous=False)
    # A kubelet that has just been started refuses `exec` for some moments.
    wait_for("the old token to be refused", lambda: answer(cluster, name, old) == "401", timeout=20)
    wait_for("a new token in the pod", lambda: answer(cluster, name) == "200", timeout=90)
    assert python(cluster, name, f"print(open({TOKEN!r}).read())") != old


def test_a_node_is_lost_and_comes_back(cluster: Cluster, pods: dict[str, str]) -> None:
    cluster.wait_until_ready()  # their kubelets may have been started just now
    lost = cluster.node("node-b")
    name = pods["node-b"]
    lost.lose()
    took = wait_for("node-b to be NotReady", lambda: ready(cluster, "node-b") == "Unknown", timeout=60)
    assert took > NODE_GRACE_SECONDS / 2
    # On a machine that stalls it may have been silent for a while, too; gone it is not.
    wait_for("node-a to be Ready", lambda: ready(cluster, "node-a") == "True", timeout=60)
    lost.start()
    wait_for("node-b to be Ready", lambda: ready(cluster, "node-b") == "True", timeout=60)

    def restarted() -> bool:
        query = '--output=jsonpath={.status.conditions[?(@.type=="Ready")].status}{.status.podIP}'
        with contextlib.suppress(ClusterError):  # its logs cannot be had at once
            status = kubectl(cluster, "get", "pod", name, query)
            return status.startswith("True") and kubectl(cluster, "logs", name) == "serving\n"
        return False

    wait_for("the pod to be restarted", restarted, timeout=60)
    assert python(cluster, name, ASK) == "200"


def test_a_kubelet_stops_and_its_pods_go_on(cluster: Cluster, pods: dict[str, str]) -> None:
    node = cluster.node("node-a")
    address = cluster.pod_addresses([pods["node-a"]], NAMESPACE)[0]
    node.stop_kubelet()
    try:
        wait_for("node-a to be NotReady", lambda: ready(cluster, "node-a") == "Unknown", timeout=60)
        assert fetch(cluster, pods["node-b"], f"http://{address}:8000/") == pods["node-a"]
    finally:
        node.start()
    wait_for("node-a to be Ready", lambda: ready(cluster, "node-a") == "True", timeout=60)


def test_the_tests_have_left_the_cluster_as_it_was(cluster: Cluster) -> None:
    cluster.wait_until_ready()
    assert all(not node.missing_programs() for node in cluster.nodes.values())


def traces() -> dict[str, object]:
    """What a cluster may leave on a machine outside its own folder."""
    folders = ("/etc", "/opt", "/run", "/run/netns", "/usr/libexec", "/var/lib", "/var/log")
    settings = ("vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops", "net/ipv4/ip_forward")
    groups = Path("/sys/fs/cgroup")  # of version 2; of version 1 each hierarchy is a folder in it
    links = subprocess.run(["ip", "-oneline", "link"], capture_output=True, text=True, check=True).stdout
    return {
        "files": {name: sorted(path.name for path in Path(name).glob("*")) for name in folders},
        "settings": {name: Path("/proc/sys", name).read_text() for name in settings},
        "mounts": Path("/proc/mounts").read_text(),
        "interfaces": sorted(line.split(": ")[1] for line in links.splitlines()),
        "groups": sorted(map(str, [*groups.glob("kube*"), *groups.glob("*/kube*")])),
    }


@pytest.mark.skipif("CLUSTER_MAY_END" not in os.environ, reason="the cluster loses what is in it: CLUSTER_MAY_END=1")
def test_up_after_all_was_killed(cluster: Cluster) -> None:
    cluster.kubectl("delete", "configmap", "kept", "--ignore-not-found")  # of an earlier session
    cluster.kubectl("create", "configmap", "kept")
    for machine in ("control", *NODES):
        pid = find_machine(machine)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
    again = Cluster.up()
    assert "kept" in again.kubectl("get", "configmaps", "--output=name")
    pid = find_machine("control")
    assert Cluster.up().control_plane.machine.pid == pid  # once more: nothing to do
    again.stop_api_server()
    again.node("node-a").stop()
    Cluster.up()
    assert find_machine("control") == pid
    assert [ready(again, node) for node in NODES] == ["True", "True"]


@pytest.mark.skipif("CLUSTER_MAY_END" not in os.environ, reason="the cluster loses what is in it: CLUSTER_MAY_END=1")
def test_down_leaves_nothing() -> None:
    Cluster.down()
    assert leftovers() == []
    before = traces()
    cluster = Cluster.up()
    cluster.kubectl("create", "namespace", NAMESPACE)
    create(cluster, pod("left-over", "node-a"))
    kubectl(cluster, "wait", "--for=condition=Ready", "pod", "left-over", "--timeout=90s", timeout=100)
    assert leftovers() != []
    Cluster.down()
    assert leftovers() == []
    assert traces() == before
    Cluster.up()
