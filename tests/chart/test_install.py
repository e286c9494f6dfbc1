"""The chart on a real API server: installed, upgraded, removed, twice, and with every value that changes something."""

import json
import os
import shlex
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.chart.support import (
    CHART,
    RELEASE,
    ROOT,
    SYSTEM,
    HelmError,
    Json,
    helm,
    is_hook,
    mutates,
    only,
    options,
    render,
)
from tests.support.groups import OWN_CONTROL_PLANE
from tests.support.pages import fences, section
from tests.support.waiting import wait_until

from rendezvous_controlplane import ControlPlaneError, LocalControlPlane

# Of the Prometheus operator; the API server does not know them.
FOREIGN = {"PodMonitor", "PrometheusRule", "ServiceMonitor"}
MUTATING_KINDS = {"MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"}
RENDERINGS: dict[str, Json] = {
    "defaults": {},
    "everything": {
        "workers.namespaces": ["agents"],
        "injection.enabled": True,
        "injection.handler.method": "imageVolume",
        "flowControl.enabled": True,
        "networkPolicy.enabled": True,
        "networkPolicy.metricsFrom": [{"namespaceSelector": {"matchLabels": {"a": "b"}}}],
        "networkPolicy.egress": [{"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}], "ports": [{"port": 6443}]}],
        "monitoring.service.enabled": True,
        "monitoring.service.annotations": {"prometheus.io/scrape": "true"},
        "monitoring.service.labels": {"a": "b"},
        "monitoring.dashboard.enabled": True,
        "monitoring.dashboard.annotations": {"folder": "Training"},
        "admissionPolicy.validationActions": ["Warn", "Audit"],
        "admissionPolicy.namespaceSelector": {"matchLabels": {"team": "a"}},
        "injection.namespaceSelector": {"matchLabels": {"team": "a"}},
        "commonLabels": {"team": "a"},
        "podLabels": {"a": "b"},
        "podAnnotations": {"c": "d"},
        "serviceAccount.annotations": {"e": "f"},
        "serviceAccount.labels": {"g": "h"},
        "serviceAccount.automount": False,
        "workers.serviceAccount.annotations": {"i": "j"},
        "workers.serviceAccount.labels": {"k": "l"},
        "priorityClassName": "system-cluster-critical",
        "tolerations": [{"key": "a", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
        "imagePullSecrets": [{"name": "registry"}],
        "extraEnv": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        "extraArgs": ["--verbose"],
        "envFrom": [{"prefix": "A_", "configMapRef": {"name": "a", "optional": True}}, {"secretRef": {"name": "b"}}],
        "volumes": [{"name": "authority", "configMap": {"name": "kube-root-ca.crt"}}],
        "volumeMounts": [{"name": "authority", "mountPath": "/etc/authority", "readOnly": True, "subPath": "ca.crt"}],
        "extraContainers": [{"name": "proxy", "image": "proxy:1"}],
        "extraObjects": [
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "note", "namespace": "{{ .Release.Namespace }}"},
            }
        ],
        "startupProbe": {"initialDelaySeconds": 1, "terminationGracePeriodSeconds": 5},
        "livenessProbe": None,
        "readinessProbe.successThreshold": 2,
        "deploymentAnnotations": {"a": "b"},
        "revisionHistoryLimit": 0,
        "runtimeClassName": "gvisor",
        "hostUsers": False,
        "hostAliases": [{"ip": "192.0.2.1", "hostnames": ["proxy.example.com"]}],
        "dnsPolicy": "None",
        "dnsConfig": {"nameservers": ["192.0.2.2"], "searches": ["a"], "options": [{"name": "ndots", "value": "2"}]},
        "podDisruptionBudget.maxUnavailable": "50%",
    },
    "one namespace": {"watchNamespace": "agents", "workers.namespaces": ["agents"], "networkPolicy.enabled": True},
    "as little as possible": {
        "crds.keep": False,
        "workers.clusterRole.create": False,
        "rbac.create": False,
        "rbac.aggregate": False,
        "serviceAccount.create": False,
        "serviceAccount.name": "other",
        "admissionPolicy.enabled": False,
        "podDisruptionBudget.enabled": False,
        "topologySpreadConstraints": [],
        "strategy.type": "Recreate",
    },
}


@pytest.mark.parametrize("values", RENDERINGS.values(), ids=RENDERINGS)
def test_the_api_server_takes_every_object(control_plane: LocalControlPlane, values: Json) -> None:
    """Hooks, too; `--validate=strict` refuses fields that it does not know."""
    unknown = FOREIGN if mutates(control_plane) else FOREIGN | MUTATING_KINDS
    documents = [item for item in render(values) if item["kind"] not in unknown]
    if not mutates(control_plane):  # the policy of the warnings comes with the injection, and is of its time
        documents = [item for item in documents if "injection-warnings" not in item["metadata"]["name"]]
    everything = json.dumps({"apiVersion": "v1", "kind": "List", "items": documents})
    said = control_plane.kubectl(
        *("apply", "--server-side", "--dry-run=server", "--validate=strict", "--force-conflicts", "-f", "-"),
        input=everything,
    )
    assert len(said.splitlines()) == len(documents)
    assert "Warning" not in said


def test_the_api_server_takes_the_manifests_of_a_release(control_plane: LocalControlPlane) -> None:
    """For who has no Helm: one file for each of the two kinds of API server, with the images of the release."""
    environment = {**os.environ, "REGISTRY": "ghcr.io/Owner"}
    subprocess.run([str(ROOT / "hack" / "release"), "manifests"], env=environment, check=True, timeout=120)
    file = ROOT / "build" / "release" / ("install.yaml" if mutates(control_plane) else "install-before-1.36.yaml")
    options = ("--server-side", "--dry-run=server", "--validate=strict", "--force-conflicts")
    control_plane.kubectl("apply", *options, "-f", str(file))
    first, *documents = filter(None, yaml.safe_load_all(file.read_text(encoding="utf-8")))
    assert (first["kind"], first["metadata"]["name"]) == ("Namespace", SYSTEM), "the others are in it"
    assert {item["kind"] for item in documents} >= {"CustomResourceDefinition", "Deployment"}
    assert ({item["kind"] for item in documents} >= MUTATING_KINDS) == mutates(control_plane)
    (container,) = only(documents, "Deployment")["spec"]["template"]["spec"]["containers"]
    version = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))["appVersion"]
    assert container["image"] == f"ghcr.io/owner/kube-rendezvous-operator:{version}"
    assert not [item for item in documents if is_hook(item)]


def test_operator_and_self_test_pass_pod_security_restricted(control_plane: LocalControlPlane, namespace: str) -> None:
    control_plane.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")

    def create(name: str, spec: Json) -> None:
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
        control_plane.kubectl("create", "-n", namespace, "-f", "-", input=json.dumps(body))

    documents = render()
    for kind in ("Deployment", "Job"):
        create(kind.lower(), only(documents, kind)["spec"]["template"]["spec"])
    with pytest.raises(ControlPlaneError, match="violates PodSecurity"):
        create("other", {"containers": [{"name": "main", "image": "none"}]})


# ---- the life of a release


@pytest.fixture
def bare_plane() -> Iterator[LocalControlPlane]:
    with LocalControlPlane() as plane:
        yield plane


def install(plane: LocalControlPlane, release: str, namespace: str, values: Json, verb: str = "install") -> str:
    return helm(
        *(verb, release, str(CHART), f"--namespace={namespace}", "--create-namespace"),
        *options(values),
        kubeconfig=plane.kubeconfig,
    )


def injection_is_installed(plane: LocalControlPlane) -> bool:
    return f"{RELEASE}-injection.{SYSTEM}" in helm(
        *("get", "manifest", RELEASE, f"--namespace={SYSTEM}"), kubeconfig=plane.kubeconfig
    )


def is_served(plane: LocalControlPlane) -> bool:
    try:
        plane.kubectl("get", "rdzv")
    except ControlPlaneError:
        return False
    return True


@OWN_CONTROL_PLANE
def test_installed_upgraded_and_removed(bare_plane: LocalControlPlane, tmp_path: Path) -> None:
    plane = bare_plane
    notes = install(plane, RELEASE, SYSTEM, {}).partition("NOTES:")[2]
    assert f"helm test {RELEASE} -n {SYSTEM}" in notes
    assert "examples/agent-rbac.yaml" in notes
    assert "--clusterrole=kube-rendezvous-agent" in notes
    # `auto`, the default, looks at what the API server has.
    assert injection_is_installed(plane) == mutates(plane)
    plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd/rendezvous.rdzv.dev")
    # The condition is set a little before the API server answers for the new kind.
    wait_until(lambda: is_served(plane), "the new kind to be served")

    # What the notes say is complete: a group and its pods, with flags where no policy sets the variables.
    first_group = notes[notes.index("  apiVersion:") : notes.index("Follow it with")]
    assert ("--rdzv-endpoint=train" in first_group) != mutates(plane)
    plane.kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", input=textwrap.dedent(first_group))

    plane.kubectl("create", "-f", str(ROOT / "examples" / "rendezvous.yaml"))
    install(plane, RELEASE, SYSTEM, {"replicaCount": 3, "injection.enabled": False}, verb="upgrade")
    deployment = json.loads(plane.kubectl("get", "deployment", "-n", SYSTEM, f"{RELEASE}-operator", "-o", "json"))
    assert deployment["spec"]["replicas"] == 3
    assert not injection_is_installed(plane)
    assert "train" in plane.kubectl("get", "rdzv", "-o", "name")

    helm("uninstall", RELEASE, f"--namespace={SYSTEM}", kubeconfig=plane.kubeconfig)
    assert "train" in plane.kubectl("get", "rdzv", "-o", "name"), "CRDs and objects are kept"
    left = plane.kubectl("get", "clusterroles,clusterrolebindings,validatingadmissionpolicies", "-o", "name")
    assert SYSTEM not in left
    install(plane, RELEASE, SYSTEM, {})  # and it takes over the CRDs that it left
    install(plane, RELEASE, SYSTEM, {"crds.keep": False}, verb="upgrade")
    helm("uninstall", RELEASE, f"--namespace={SYSTEM}", "--wait", kubeconfig=plane.kubeconfig)
    assert plane.kubectl("get", "customresourcedefinitions", "-o", "name") == ""


@OWN_CONTROL_PLANE
def test_the_three_commands_of_the_readme(bare_plane: LocalControlPlane) -> None:
    """As they are. No pod runs here, so nothing is waited for, and the pod of the Job is made by hand."""
    plane = bare_plane
    if not mutates(plane):
        pytest.skip("the label needs Kubernetes 1.36")
    (commands,) = fences(section("README.md", "## Three commands"), "sh")
    first, second, third = commands.replace("\\\n", "").splitlines()
    words = [word for word in shlex.split(first) if word != "--wait"]
    words[words.index("charts/kube-rendezvous")] = str(CHART)
    helm(*words[1:], kubeconfig=plane.kubeconfig)
    wait_until(lambda: is_served(plane), "the new kind to be served")
    *apply, path = shlex.split(second)[1:]
    assert "Warning" not in plane.kubectl(*apply, str(ROOT / path))
    assert plane.kubectl(*shlex.split(third)[1:-1]) == "", "and the kind is there"

    template = yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))["spec"]["template"]
    metadata = {**template["metadata"], "name": "train-0"}
    pod = json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})

    def injected() -> str:
        made = plane.kubectl("create", "--dry-run=server", "-f", "-", "-o", "json", input=pod)
        return str(json.loads(made)["metadata"]["annotations"].get("rdzv.dev/injected", ""))

    wait_until(lambda: "environment, handler" in injected(), "the label to have its effect")
    (binding,) = (
        item
        for item in json.loads(plane.kubectl("get", "rolebindings", "-o", "json"))["items"]
        if item["roleRef"]["name"] == "kube-rendezvous-agent"
    )
    assert [subject["name"] for subject in binding["subjects"]] == ["system:serviceaccounts:default"]


@OWN_CONTROL_PLANE
def test_twice_in_one_cluster(bare_plane: LocalControlPlane) -> None:
    plane = bare_plane
    plane.kubectl("create", "namespace", "team")
    install(plane, "one", "system-one", {"flowControl.enabled": True})
    with pytest.raises(HelmError, match="CustomResourceDefinition"):
        install(plane, "two", "system-two", {})
    second = {"crds.enabled": False, "workers.clusterRole.create": False}
    install(plane, "two", "system-two", {**second, "flowControl.enabled": True})
    install(plane, "one", "team", {"crds.enabled": False, "watchNamespace": "team"})
    policies = plane.kubectl("get", "validatingadmissionpolicies", "-o", "name").split()
    each = 2 if mutates(plane) else 1
    assert len({*policies}) == 2 * each, "of each release, that of the participants and that of the warnings"
