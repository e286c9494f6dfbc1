"""What the chart makes of its values, and which values it refuses."""

import tarfile
from pathlib import Path

import pytest
import yaml
from tests.chart.support import CHART, MUTATING, RELEASE, SYSTEM, HelmError, Json, helm, is_hook, kinds, only, render

from rendezvous_controlplane import KUBERNETES_VERSION

CLUSTER_WIDE = {
    "ClusterRole",
    "ClusterRoleBinding",
    "FlowSchema",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionPolicyBinding",
    "PriorityLevelConfiguration",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
}


def test_the_chart_is_clean() -> None:
    said = helm("lint", "--strict", "--kube-version", KUBERNETES_VERSION, str(CHART))
    assert "1 chart(s) linted, 0 chart(s) failed" in said
    assert "[WARNING]" not in said


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"replicas": 3}, "replicas"),
        ({"image.tags": "1"}, "tags"),
        ({"monitoring.podMonitor.enable": True}, "enable"),
        ({"image.digest": "latest"}, "digest"),
        ({"image.registry": 5}, "registry"),
        ({"imagePullSecrets": [{"secret": "registry"}]}, "imagePullSecrets"),
        ({"global.imageRegistry": 5}, "imageRegistry"),
        ({"global.imagePullSecrets": [5]}, "imagePullSecrets"),
        ({"nameOverride": "Mine"}, "nameOverride"),
        ({"monitoring.service.annotations": {"prometheus.io/scrape": True}}, "scrape"),
        ({"monitoring.podMonitor.namespace": "Monitoring"}, "namespace"),
        ({"monitoring.podMonitor.scrapeTimeout": "5"}, "scrapeTimeout"),
        ({"monitoring.serviceMonitor.interval": ""}, "interval"),
        ({"monitoring.serviceMonitor.relabelings": {"action": "drop"}}, "relabelings"),
        ({"monitoring.serviceMonitor.path": "/"}, "path"),
        ({"monitoring.podMonitor.enabled": True, "monitoring.serviceMonitor.enabled": True}, "exclude each other"),
        ({"monitoring.prometheusRule.ruleLabels": {"a": 1}}, "ruleLabels"),
        ({"monitoring.prometheusRule.alerts": {"Waiting": {}}}, "Waiting"),
        ({"monitoring.prometheusRule.alerts": {"KubeRendezvousNoLeader": {"threshold": 1}}}, "threshold"),
        ({"monitoring.prometheusRule.alerts": {"KubeRendezvousWaiting": {"threshold": "1 or 2"}}}, "threshold"),
        ({"monitoring.prometheusRule.alerts": {"KubeRendezvousWaiting": {"for": 60}}}, "for"),
        ({"networkPolicy.ingress": [{"to": []}]}, "ingress"),
        ({"networkPolicy.egress": {}}, "egress"),
        ({"envFrom": [{"secret": {"name": "a"}}]}, "envFrom"),
        ({"volumes": [{"name": "tmp", "emptyDir": {}}]}, "volumes"),
        ({"volumeMounts": [{"name": "a"}]}, "mountPath"),
        ({"extraContainers": [{"name": "operator", "image": "a"}]}, "extraContainers"),
        ({"extraObjects": [{"kind": "ConfigMap"}]}, "extraObjects"),
        ({"startupProbe.periodSeconds": 0}, "periodSeconds"),
        ({"livenessProbe.httpGet": {"path": "/"}}, "httpGet"),
        ({"readinessProbe.terminationGracePeriodSeconds": 1}, "terminationGracePeriodSeconds"),
        ({"deploymentAnnotations": {"a": 1}}, "deploymentAnnotations"),
        ({"revisionHistoryLimit": "2"}, "revisionHistoryLimit"),
        ({"runtimeClassName": 1}, "runtimeClassName"),
        ({"hostUsers": "no"}, "hostUsers"),
        ({"hostAliases": [{"ip": "192.0.2.1"}]}, "hostnames"),
        ({"dnsPolicy": "ClusterLast"}, "dnsPolicy"),
        ({"dnsConfig.nameserver": "192.0.2.1"}, "nameserver"),
        ({"serviceAccount.labels": {"a": 1}}, "labels"),
        ({"serviceAccount.automount": "no"}, "automount"),
        ({"workers.serviceAccount.annotations": {"a": True}}, "annotations"),
        ({"workers.serviceAccount.labels": ["a"]}, "labels"),
        ({"workers.clusterRole": True}, "clusterRole"),
        ({"crds.install": False}, "install"),
        ({"http.port": 0}, "port"),
        ({"injection.enabled": "maybe"}, "enabled"),
        ({"injection.handler.method": "sidecar"}, "method"),
        ({"injection.handler.image.digest": "latest"}, "digest"),
        ({"injection.handler.resources.limits": {"cpu": 1}}, "cpu"),
        ({"injection.parts.handler": False}, "handler"),
        ({"injection.parts.token": "no"}, "token"),
        ({"injection.tolerationSeconds": -1}, "tolerationSeconds"),
        ({"workers.bindTo": "cluster"}, "bindTo"),
        ({"workers.namespaces": "team"}, "namespaces"),
        ({"flowControl.matchingPrecedence": 9000}, "matchingPrecedence"),
        ({"commonLabels.team": 1}, "team"),
        ({"leaderElection.renewDeadlineSeconds": 15}, "leaseDurationSeconds must be more than renewDeadlineSeconds"),
    ],
)
def test_a_wrong_value_is_refused_by_name(values: Json, complaint: str) -> None:
    with pytest.raises(HelmError, match=complaint):
        render(values)


def test_an_old_kubernetes_is_refused() -> None:
    with pytest.raises(HelmError, match=r"requires kubeVersion: >=1\.32"):
        helm("template", RELEASE, str(CHART), "--kube-version=1.31.9")


def test_a_packaged_chart_needs_nothing_else(tmp_path: Path) -> None:
    helm("package", str(CHART), f"--destination={tmp_path}")
    (package,) = tmp_path.glob("*.tgz")
    with tarfile.open(package) as archive:
        assert not [member.name for member in archive if not member.isfile()]
    arguments = [f"--namespace={SYSTEM}", f"--kube-version={KUBERNETES_VERSION}"]
    assert helm("template", RELEASE, str(package), *arguments) == helm("template", RELEASE, str(CHART), *arguments)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({"crds.enabled": False}, "CustomResourceDefinition"),
        ({"admissionPolicy.enabled": False}, "ValidatingAdmissionPolicy"),
        ({"podDisruptionBudget.enabled": False}, "PodDisruptionBudget"),
    ],
)
def test_on_until_switched_off(values: Json, kind: str) -> None:
    assert kind in kinds(render())
    assert kind not in kinds(render(values))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({"injection.enabled": True}, "MutatingAdmissionPolicy"),
        ({"injection.enabled": "true"}, "MutatingAdmissionPolicy"),
        ({"flowControl.enabled": True}, "FlowSchema"),
        ({"networkPolicy.enabled": True}, "NetworkPolicy"),
        ({"monitoring.podMonitor.enabled": True}, "PodMonitor"),
        ({"monitoring.serviceMonitor.enabled": True}, "ServiceMonitor"),
        ({"monitoring.serviceMonitor.enabled": True}, "Service"),
        ({"monitoring.service.enabled": True}, "Service"),
        ({"monitoring.prometheusRule.enabled": True}, "PrometheusRule"),
        ({"monitoring.dashboard.enabled": True}, "ConfigMap"),
    ],
)
def test_off_until_switched_on(values: Json, kind: str) -> None:
    assert kind not in kinds(render())
    assert kind in kinds(render(values))


def test_injection_follows_the_api_server() -> None:
    assert "MutatingAdmissionPolicy" in kinds(render({}, f"--api-versions={MUTATING}"))
    assert "MutatingAdmissionPolicy" not in kinds(render({}))
    assert "MutatingAdmissionPolicy" not in kinds(render({"injection.enabled": False}, f"--api-versions={MUTATING}"))


def test_crds_are_kept_unless_told_otherwise() -> None:
    def policies(values: Json) -> set[str | None]:
        return {
            item["metadata"].get("annotations", {}).get("helm.sh/resource-policy")
            for item in render(values)
            if item["kind"] == "CustomResourceDefinition"
        }

    assert policies({}) == {"keep"}
    assert policies({"crds.keep": False}) == {None}


def test_crds_are_those_of_the_project() -> None:
    rendered = {
        item["metadata"]["name"]: item["spec"] for item in render() if item["kind"] == "CustomResourceDefinition"
    }
    sources = [yaml.safe_load(path.read_text()) for path in (CHART.parents[1] / "crds").glob("*.yaml")]
    assert rendered == {item["metadata"]["name"]: item["spec"] for item in sources}


def test_one_namespace_needs_nothing_of_the_cluster_but_the_crds() -> None:
    everything = {
        "injection.enabled": True,
        "flowControl.enabled": True,
        "networkPolicy.enabled": True,
        "monitoring.dashboard.enabled": True,
        "workers.namespaces": ["team"],
    }
    assert kinds(render(everything)) >= CLUSTER_WIDE
    documents = render({**everything, "watchNamespace": "team"})
    assert kinds(documents) & CLUSTER_WIDE == set()
    assert all("namespace" in item["metadata"] for item in documents if item["kind"] != "CustomResourceDefinition")
    assert {item["metadata"]["namespace"] for item in documents if is_hook(item)} == {"team"}


def test_two_releases_share_no_name() -> None:
    values: Json = {"injection.enabled": True, "flowControl.enabled": True, "workers.namespaces": ["team"]}
    second = {"crds.enabled": False, "workers.clusterRole.create": False}

    def identities(release: str, *more: str) -> set[tuple[str, str, str]]:
        found = render({**values, **second}, *more, release=release)
        return {(item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"]) for item in found}

    shared = identities("one") & identities("two")
    # The account of the workers is the same on purpose; who installs twice for one namespace creates it once.
    assert shared == {("ServiceAccount", "team", "rendezvous-agent")}
    elsewhere = identities("one", "--namespace=other")
    assert {kind for kind, namespace, _ in identities("one") & elsewhere if not namespace} == set()


def test_the_name_of_the_chart_can_be_another_one() -> None:
    documents = render({"nameOverride": "rdzv", "monitoring.podMonitor.enabled": True}, release="one")
    deployment = only(documents, "Deployment", "one-rdzv-operator")
    label = {"app.kubernetes.io/name": "rdzv"}
    assert label.items() <= deployment["spec"]["selector"]["matchLabels"].items()
    for item in (
        deployment["spec"]["template"],
        only(documents, "Deployment"),
        only(documents, "ServiceAccount", "one-rdzv-operator"),
    ):
        assert label.items() <= item["metadata"]["labels"].items()
    selected = only(documents, "PodMonitor")["spec"]["selector"]["matchLabels"]
    assert selected == deployment["spec"]["selector"]["matchLabels"]
    assert only(documents, "Job")["metadata"]["labels"]["app.kubernetes.io/name"] == "rdzv-test"
    assert only(render({"nameOverride": "rdzv"}, release="my-rdzv"), "Deployment", "my-rdzv-operator")
    assert only(render({"nameOverride": "rdzv", "fullnameOverride": "x"}), "Deployment", "x-operator")


def test_names_fit_however_long_the_release_is_called() -> None:
    documents = render({"injection.enabled": True, "workers.namespaces": ["team"]}, release="r" * 53)
    assert max(len(item["metadata"]["name"]) for item in documents if item["metadata"].get("namespace")) <= 63


def test_names_that_look_like_numbers_are_names() -> None:
    values = {"watchNamespace": "1", "workers.namespaces": ["2"], "serviceAccount.name": "3", "podLabels": {"a": "4"}}
    values["nameOverride"] = "7"
    documents = render(values, "--namespace=5", release="6")
    assert {item["metadata"].get("namespace") for item in documents} == {None, "1", "2", "5"}
    pods = only(documents, "Deployment")["spec"]["template"]
    assert pods["spec"]["serviceAccountName"] == "3"
    assert all(isinstance(value, str) for value in pods["metadata"]["labels"].values())
