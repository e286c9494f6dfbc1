"""The chart with other values, in a namespace that enforces Pod Security `restricted`: its operator runs, and serves.

The operator of the shared release is away meanwhile, so that the one under test is the one that decides. Whether it
does is found out by `helm test`: two pods, restricted as well, that meet.
"""

import json
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from testcluster import Cluster, ClusterError
from tests.cluster.conftest import TEMPORARY, remove_namespace
from tests.cluster.go_modules import module_files
from tests.cluster.release import CHART, Release
from tests.waiting import wait_until

from rendezvous_api import names

CHECK = "check"
OPERATOR = f"{CHECK}-kube-rendezvous-operator"
PROMETHEUS_OPERATOR = ("github.com/prometheus-operator/prometheus-operator", "v0.85.0")
MONITORING = "monitoring.coreos.com"
MONITORED = ("podmonitors", "prometheusrules")
Values = dict[str, Any]
VALUES: dict[str, Values] = {
    "defaults": {},
    "one replica that is replaced": {
        "replicaCount": 1,
        "strategy": {"type": "Recreate", "rollingUpdate": None},
        "podDisruptionBudget.enabled": False,
        "topologySpreadConstraints": [],
    },
    "network policy and flow control": {"networkPolicy.enabled": True, "flowControl.enabled": True},
    "no policies": {"admissionPolicy.enabled": False, "injection.enabled": False, "rbac.aggregate": False},
    "another port and log": {"http.port": 9090, "log.format": "text", "log.verbose": True},
    "faster election": {
        "leaderElection.leaseDurationSeconds": 6,
        "leaderElection.renewDeadlineSeconds": 4,
        "leaderElection.retryPeriodSeconds": 1,
    },
    "as an administrator wants his pods": {
        "priorityClassName": "system-cluster-critical",
        "nodeSelector": {"kubernetes.io/hostname": "node-b"},
        "tolerations": [{"key": "a", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
        "podLabels": {"team": "a"},
        "podAnnotations": {"note": "b"},
        "commonLabels": {"cost-centre": "1"},
        "extraEnv": [{"name": "NOTE", "value": "c"}],
        "extraArgs": ["--verbose"],
        "imagePullSecrets": [{"name": "registry"}],
        "serviceAccount.name": "rendezvous",
        "terminationGracePeriodSeconds": 10,
        "podSecurityContext.runAsUser": 12345,
        "podSecurityContext.runAsGroup": 12345,
        "resources.limits.memory": "512Mi",
        "monitoring.dashboard.enabled": True,
    },
    "a user of the namespace's range": {
        "podSecurityContext": {
            "runAsNonRoot": True,
            "runAsUser": None,
            "runAsGroup": None,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
    },
}


@pytest.fixture(scope="module")
def shared_release_away(release: Release) -> Iterator[Release]:
    """No operator runs but those that a test installs."""
    release.scale(0)
    yield release
    release.scale(2)


class Installed:
    """A release of its own in a restricted namespace.

    Args:
        cluster: the test cluster.
        namespace: of the release.
        image: of the operator.
    """

    def __init__(self, cluster: Cluster, namespace: str, image: str) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self._image = image

    def install(self, values: Values) -> None:
        """Install it, and wait until all pods are Ready."""
        repository, _, tag = self._image.rpartition(":")
        image = {"image.repository": repository, "image.tag": tag, "image.pullPolicy": "Never"}
        wanted = {**image, "crds.install": False, "test.timeoutSeconds": 60, **values}
        settings = [f"--set-json={path}={json.dumps(value)}" for path, value in wanted.items()]
        self.helm("install", CHECK, str(CHART), *settings, "--wait", "--timeout=3m")

    def helm(self, verb: str, *arguments: str) -> str:
        return self.cluster.helm(verb, *arguments, "--namespace", self.namespace)

    def kubectl(self, *arguments: str) -> str:
        return self.cluster.kubectl("--namespace", self.namespace, *arguments)

    def deployment(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.kubectl("get", "deployment", OPERATOR, "--output=json"))
        return found

    def assert_serves(self) -> None:
        """All its pods are Ready, nothing has been restarted, and a pair meets."""
        deployment = self.deployment()
        assert deployment["status"]["readyReplicas"] == deployment["spec"]["replicas"]
        query = "--output=jsonpath={.items[*].status.containerStatuses[*].restartCount}"
        assert set(self.kubectl("get", "pods", query).split()) == {"0"}
        said = self.helm("test", CHECK, "--timeout=3m")
        assert "Phase:          Succeeded" in said, said


@pytest.fixture
def installed(cluster: Cluster, shared_release_away: Release) -> Iterator[Installed]:
    """A namespace that enforces Pod Security `restricted`, and no release in it yet."""
    name = f"{TEMPORARY}{secrets.token_hex(3)}"
    make_namespace(cluster, name)
    found = Installed(cluster, name, shared_release_away.image)
    yield found
    found.helm("uninstall", CHECK, "--ignore-not-found", "--wait", "--timeout=2m")
    remove_namespace(cluster, name)


def make_namespace(cluster: Cluster, name: str) -> None:
    cluster.kubectl("create", "namespace", name)
    cluster.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    with pytest.raises(ClusterError, match="violates PodSecurity"):
        cluster.kubectl("--namespace", name, "run", "root", "--image=none")


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_it_runs_restricted_with(installed: Installed, values: Values) -> None:
    """Network policies are only accepted here: no part of the test cluster enforces them."""
    installed.install(values)
    installed.assert_serves()


def test_one_namespace(cluster: Cluster, installed: Installed) -> None:
    """Its operator serves another namespace than its own, and no right of it holds for the cluster."""
    served = f"{installed.namespace}-team"
    make_namespace(cluster, served)
    try:
        installed.install({"watchNamespace": served, "workers.namespaces": [served]})
        installed.assert_serves()
        of_cluster = "clusterroles,clusterrolebindings,validatingadmissionpolicies,mutatingadmissionpolicies"
        objects = cluster.kubectl("get", of_cluster, "--output=name")
        assert not [name for name in objects.split() if installed.namespace in name]
        account = f"system:serviceaccount:{installed.namespace}:{OPERATOR}"
        for namespace, allowed in ((served, True), ("team", False), (installed.namespace, False)):
            assert may_list(cluster, account, namespace) is allowed
    finally:
        remove_namespace(cluster, served)


def may_list(cluster: Cluster, account: str, namespace: str) -> bool:
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": account,
            "resourceAttributes": {
                "namespace": namespace,
                "verb": "list",
                "group": names.GROUP,
                "resource": names.RENDEZVOUS_PLURAL,
            },
        },
    }
    answer = json.loads(cluster.kubectl("create", "-f", "-", "--output=json", input=json.dumps(review)))
    return bool(answer["status"]["allowed"])


@pytest.fixture
def monitored_kinds(cluster: Cluster) -> Iterator[None]:
    """The API server knows what the chart makes for the Prometheus operator, which is not there itself."""
    crds = [f"example/prometheus-operator-crd/{MONITORING}_{kind}.yaml" for kind in MONITORED]
    for crd in module_files("prometheus-operator", *PROMETHEUS_OPERATOR, *crds):
        cluster.kubectl("apply", "--server-side", "-f", str(crd))
    served = ("api-resources", f"--api-group={MONITORING}", "--output=name")
    kinds = [f"{kind}.{MONITORING}" for kind in MONITORED]
    wait_until(lambda: set(kinds) <= set(cluster.kubectl(*served).split()), "the API server to know them", 30)
    yield
    cluster.kubectl("delete", "customresourcedefinitions", *kinds, "--timeout=60s")


# The kinds come first, so that they go last: helm cannot remove objects of a kind that is not there.
def test_the_objects_of_the_prometheus_operator(monitored_kinds: None, installed: Installed) -> None:
    installed.install({"monitoring.podMonitor.enabled": True, "monitoring.prometheusRule.enabled": True})
    installed.assert_serves()
    monitor, rule = (json.loads(installed.kubectl("get", kind, "--output=json"))["items"] for kind in MONITORED)
    # A field that a CRD does not have is dropped without a word.
    (endpoint,) = monitor[0]["spec"]["podMetricsEndpoints"]
    assert endpoint.keys() == {"port", "path", "interval", "honorLabels"}
    assert rule[0]["spec"] == yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())
