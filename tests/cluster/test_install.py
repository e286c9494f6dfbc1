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
from tests.cluster.go_modules import module_files
from tests.cluster.order import TEMPORARY, remove_namespace
from tests.cluster.release import CHART, DEPLOYMENT, NAMESPACE, Release
from tests.support.chart_values import (
    BESIDE_ANOTHER,
    COMBINATIONS,
    OWN_RIGHTS,
    PROMETHEUS_OPERATOR,
    SERVICE_MONITOR,
    Values,
    by_digest,
    of_image,
    one_namespace,
)
from tests.support.waiting import wait_until

from rendezvous_api import names

CHECK = "check"
OPERATOR = f"{CHECK}-kube-rendezvous-operator"
SHARED_ROLE = f"{DEPLOYMENT}.{NAMESPACE}"
"""The ClusterRole of the shared release's operator."""
PROMETHEUS_OPERATOR_MODULE = ("github.com/prometheus-operator/prometheus-operator", "v0.85.0")
MONITORING = "monitoring.coreos.com"
MONITORED = ("podmonitors", "servicemonitors", "prometheusrules")


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

    def install(self, values: Values, *options: str) -> None:
        """Install it, and wait until all pods are Ready."""
        wanted = {**of_image(self._image), **BESIDE_ANOTHER, **values}
        settings = [f"--set-json={path}={json.dumps(value)}" for path, value in wanted.items()]
        self.helm("install", CHECK, str(CHART), *settings, *options, "--wait", "--timeout=3m")

    def helm(self, verb: str, *arguments: str) -> str:
        return self.cluster.helm(verb, *arguments, "--namespace", self.namespace)

    def kubectl(self, *arguments: str) -> str:
        return self.cluster.kubectl("--namespace", self.namespace, *arguments)

    def deployment(self) -> dict[str, Any]:
        (found,) = json.loads(self.kubectl("get", "deployments", "--output=json"))["items"]
        return dict(found)

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


@pytest.mark.parametrize("values", COMBINATIONS.values(), ids=COMBINATIONS)
def test_it_runs_restricted_with(installed: Installed, values: Values) -> None:
    """Network policies are only accepted here: no part of the test cluster enforces them."""
    installed.install(values)
    installed.assert_serves()


def test_its_image_is_named_by_its_digest(cluster: Cluster, installed: Installed, operator_image: str) -> None:
    digest = cluster.node("node-a").image_digest(operator_image)
    for node in cluster.nodes.values():
        node.ctr("images", "tag", "--force", operator_image, f"{operator_image.rpartition(':')[0]}@{digest}")
    installed.install(by_digest(digest))
    installed.assert_serves()


def test_an_account_and_rights_of_ones_own(cluster: Cluster, installed: Installed) -> None:
    """Those that examples/operator-rbac.yaml has, and a Lease."""
    name, account = installed.namespace, f"--serviceaccount={installed.namespace}:{OWN_RIGHTS['serviceAccount.name']}"
    installed.kubectl("create", "serviceaccount", OWN_RIGHTS["serviceAccount.name"])
    installed.kubectl("create", "role", "leads", "--verb=get,create,update", "--resource=leases")
    installed.kubectl("create", "rolebinding", "leads", "--role=leads", account)
    cluster.kubectl("create", "clusterrolebinding", name, f"--clusterrole={SHARED_ROLE}", account)
    try:
        installed.install(OWN_RIGHTS)
        installed.assert_serves()
    finally:
        cluster.kubectl("delete", "clusterrolebinding", name)


def test_one_namespace(cluster: Cluster, installed: Installed) -> None:
    """Its operator serves another namespace than its own, and no right of it holds for the cluster.

    There, whatever pod has no account of its own may join.
    """
    served = f"{installed.namespace}-team"
    make_namespace(cluster, served)
    try:
        installed.install(one_namespace(served))
        installed.assert_serves()
        of_cluster = "clusterroles,clusterrolebindings,validatingadmissionpolicies,mutatingadmissionpolicies"
        objects = cluster.kubectl("get", of_cluster, "--output=name")
        assert not [name for name in objects.split() if installed.namespace in name]
        account = f"system:serviceaccount:{installed.namespace}:{OPERATOR}"
        for namespace, allowed in ((served, True), ("team", False), (installed.namespace, False)):
            assert may(cluster, account, namespace, "list", names.RENDEZVOUS_PLURAL) is allowed
        worker = f"system:serviceaccount:{served}:default"
        assert may(cluster, worker, served, "create", names.PARTICIPANT_PLURAL)
    finally:
        remove_namespace(cluster, served)


def test_who_administers_a_namespace_installs_it_there(cluster: Cluster, installed: Installed) -> None:
    """As docs/install.md says: with the namespace's role `admin`, one right more, and no other of the cluster's."""
    user, namespace = "ann", installed.namespace
    installed.kubectl("create", "rolebinding", "admin", "--clusterrole=admin", f"--user={user}")
    settings = {"watchNamespace": namespace, "workers.namespaces": [namespace]}
    with pytest.raises(ClusterError, match="rendezvous/status"):
        installed.install(settings, f"--kube-as-user={user}")
    installed.helm("uninstall", CHECK, "--ignore-not-found", "--wait")
    right = ("--verb=update", f"--resource={names.RENDEZVOUS_PLURAL}.{names.GROUP}/status")
    installed.kubectl("create", "role", "rendezvous-installer", *right)
    installed.kubectl("create", "rolebinding", "rendezvous-installer", "--role=rendezvous-installer", f"--user={user}")
    installed.install(settings, f"--kube-as-user={user}")
    installed.assert_serves()


@pytest.mark.parametrize("role", ["view", "edit", "admin"])
def test_the_clusters_roles_hold_for_rendezvous(cluster: Cluster, release: Release, namespace: str, role: str) -> None:
    """Those that every cluster has, which a controller adds the chart's to (`rbac.aggregate`)."""
    cluster.kubectl("--namespace", namespace, "create", "rolebinding", "eve", f"--clusterrole={role}", "--user=eve")
    holders = {
        ("list", names.RENDEZVOUS_PLURAL): {"view", "edit", "admin"},
        ("get", names.PARTICIPANT_PLURAL): {"view", "edit", "admin"},
        ("create", names.RENDEZVOUS_PLURAL): {"edit", "admin"},
        ("delete", names.RENDEZVOUS_PLURAL): {"edit", "admin"},
        ("delete", names.PARTICIPANT_PLURAL): {"admin"},
        ("administer", names.PARTICIPANT_PLURAL): {"admin"},
    }
    expected = {right for right, roles in holders.items() if role in roles}

    def as_expected() -> bool:
        return {right for right in holders if may(cluster, "eve", namespace, *right)} == expected

    wait_until(as_expected, f"{role} to have {expected}", 30)


def may(cluster: Cluster, user: str, namespace: str, verb: str, resource: str) -> bool:
    """Whether somebody has a right on a resource of ours."""
    attributes = {"namespace": namespace, "verb": verb, "group": names.GROUP, "resource": resource}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": user, "resourceAttributes": attributes},
    }
    answer = json.loads(cluster.kubectl("create", "-f", "-", "--output=json", input=json.dumps(review)))
    return bool(answer["status"]["allowed"])


@pytest.fixture
def monitored_kinds(cluster: Cluster) -> Iterator[None]:
    """The API server knows what the chart makes for the Prometheus operator, which is not there itself."""
    crds = [f"example/prometheus-operator-crd/{MONITORING}_{kind}.yaml" for kind in MONITORED]
    for crd in module_files("prometheus-operator", *PROMETHEUS_OPERATOR_MODULE, *crds):
        cluster.kubectl("apply", "--server-side", "-f", str(crd))
    served = ("api-resources", f"--api-group={MONITORING}", "--output=name")
    kinds = [f"{kind}.{MONITORING}" for kind in MONITORED]
    wait_until(lambda: set(kinds) <= set(cluster.kubectl(*served).split()), "the API server to know them", 30)
    yield
    cluster.kubectl("delete", "customresourcedefinitions", *kinds, "--timeout=60s")


# The kinds come first, so that they go last: helm cannot remove objects of a kind that is not there.
@pytest.mark.parametrize(
    ("values", "monitors", "endpoints"),
    [
        (PROMETHEUS_OPERATOR, "podmonitors", "podMetricsEndpoints"),
        (SERVICE_MONITOR, "servicemonitors", "endpoints"),
    ],
)
def test_the_objects_of_the_prometheus_operator(
    monitored_kinds: None, installed: Installed, values: Values, monitors: str, endpoints: str
) -> None:
    installed.install(values)
    installed.assert_serves()
    (monitor,) = json.loads(installed.kubectl("get", monitors, "--output=json"))["items"]
    # A field that a CRD does not have is dropped without a word.
    (endpoint,) = monitor["spec"][endpoints]
    fields = {"port", "path", "interval", "scrapeTimeout", "honorLabels", "relabelings", "metricRelabelings"}
    assert endpoint.keys() == fields
    (rule,) = json.loads(installed.kubectl("get", "prometheusrules", "--output=json"))["items"]
    in_file = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())
    assert (rule["spec"] == in_file) is (values is PROMETHEUS_OPERATOR)
