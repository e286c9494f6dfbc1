"""What the chart makes of its values, and which values it refuses."""

import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.chart.support import CHART, MUTATING, RELEASE, SYSTEM, HelmError, Json, helm, is_hook, kinds, only, render
from tests.support.pages import blocks, read

from rendezvous_controlplane import KUBERNETES_VERSION
from rendezvous_operator.options import Options, parse

AGENT = "kube-rendezvous-agent"
DIGEST = "sha256:" + "0" * 64
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


# ---- the operator


def container(documents: list[Json]) -> Any:
    return only(documents, "Deployment")["spec"]["template"]["spec"]["containers"][0]


def test_arguments_of_the_operator() -> None:
    told = parse(container(render())["args"], {})
    assert told == Options(
        namespace=None,
        train_jobs=False,
        log_format="json",
        verbose=False,
        leader_elect=True,
        leader_elect_lease_name=f"{RELEASE}-operator",
        leader_elect_lease_namespace=SYSTEM,
        leader_elect_lease_duration_seconds=15,
        leader_elect_renew_deadline_seconds=10,
        leader_elect_retry_period_seconds=2,
        http_address="0.0.0.0",
        http_port=8080,
    )
    more = container(
        render(
            {
                "watchNamespace": "team",
                "trainJobs.enabled": True,
                "log": {"format": "text", "verbose": True},
                "http": {"address": "::", "port": 9000},
                "leaderElection.leaseDurationSeconds": 60,
                "leaderElection.renewDeadlineSeconds": 40,
                "extraArgs": ["--log-format=json"],
                "extraEnv": [{"name": "HTTPS_PROXY", "value": "proxy:3128"}],
            }
        )
    )
    told = parse(more["args"], {})
    assert (told.namespace, told.verbose, told.http_address, told.http_port) == ("team", True, "::", 9000)
    assert (told.timing.lease_duration, told.timing.renew_deadline) == (60, 40)
    assert told.train_jobs
    assert told.log_format == "json", "what is given last wins"
    assert more["ports"][0]["containerPort"] == 9000
    assert more["env"] == [{"name": "HTTPS_PROXY", "value": "proxy:3128"}]


@pytest.mark.parametrize(
    ("values", "image"),
    [
        ({}, "localhost/kube-rendezvous-operator:0.1.0"),
        ({"image.repository": "r.example.com/op", "image.tag": "7"}, "r.example.com/op:7"),
        ({"image.tag": "7", "image.digest": DIGEST}, f"localhost/kube-rendezvous-operator@{DIGEST}"),
        ({"image.registry": "r.example.com", "image.repository": "op"}, "r.example.com/op:0.1.0"),
        ({"image.registry": "a", "image.repository": "op", "global.imageRegistry": "b/mirror"}, "b/mirror/op:0.1.0"),
    ],
)
def test_image(values: Json, image: str) -> None:
    documents = render(values)
    assert container(documents)["image"] == image
    assert only(documents, "Job")["spec"]["template"]["spec"]["containers"][0]["image"] == image


def test_secrets_of_a_parent_chart_come_first() -> None:
    documents = render({"global.imagePullSecrets": ["a", {"name": "b"}], "imagePullSecrets": [{"name": "c"}]})
    for kind in ("Deployment", "Job"):
        spec = only(documents, kind)["spec"]["template"]["spec"]
        assert spec["imagePullSecrets"] == [{"name": "a"}, {"name": "b"}, {"name": "c"}]
        assert "imagePullSecrets" not in only(render(), kind)["spec"]["template"]["spec"]


def test_values_for_the_other_charts_of_a_parent_are_no_mistake() -> None:
    assert render({"global.storageClass": "fast", "enabled": True}) == render()


def test_the_selector_is_of_labels_that_never_change() -> None:
    for values in ({}, {"podLabels": {"a": "b"}, "commonLabels": {"c": "d"}}):
        deployment = only(render(values), "Deployment")
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        selector = deployment["spec"]["selector"]["matchLabels"]
        assert selector == {
            "app.kubernetes.io/name": "kube-rendezvous",
            "app.kubernetes.io/instance": RELEASE,
            "app.kubernetes.io/component": "operator",
        }
        assert selector.items() <= labels.items()
        assert values.get("podLabels", {}).items() <= labels.items()


def test_what_is_selected_by_label_is_the_operator_alone() -> None:
    """Logs are looked at with `-l app.kubernetes.io/name=kube-rendezvous`."""
    template = only(render(), "Job")["spec"]["template"]
    assert template["metadata"]["labels"]["app.kubernetes.io/name"] != "kube-rendezvous"


def test_pods_are_placed_as_told() -> None:
    told: Json = {
        "nodeSelector": {"pool": "system"},
        "tolerations": [{"operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "priorityClassName": "high",
        "imagePullSecrets": [{"name": "registry"}],
        "terminationGracePeriodSeconds": 7,
        "runtimeClassName": "gvisor",
        "hostUsers": False,
        "hostAliases": [{"ip": "192.0.2.1", "hostnames": ["proxy.example.com"]}],
        "dnsPolicy": "None",
        "dnsConfig": {"nameservers": ["192.0.2.2"]},
    }
    spec = only(render(told), "Deployment")["spec"]["template"]["spec"]
    assert {key: spec[key] for key in told} == {**told, "nodeSelector": {"pool": "system", "kubernetes.io/os": "linux"}}


def test_the_deployment_is_as_told() -> None:
    deployment = only(render({"deploymentAnnotations": {"a": "b"}, "revisionHistoryLimit": 0}), "Deployment")
    assert deployment["metadata"]["annotations"] == {"a": "b"}
    assert deployment["spec"]["revisionHistoryLimit"] == 0
    assert "revisionHistoryLimit" not in only(render(), "Deployment")["spec"]


def test_what_is_added_to_the_pods_stands_beside_what_is_theirs() -> None:
    told: Json = {
        "envFrom": [{"secretRef": {"name": "proxy"}}],
        "volumes": [{"name": "authority", "configMap": {"name": "proxy"}}],
        "volumeMounts": [{"name": "authority", "mountPath": "/etc/authority", "readOnly": True}],
        "extraContainers": [{"name": "proxy", "image": "proxy:1"}],
    }
    spec = only(render(told), "Deployment")["spec"]["template"]["spec"]
    plain = only(render(), "Deployment")["spec"]["template"]["spec"]
    operator, *others = spec["containers"]
    assert spec["volumes"] == [*plain["volumes"], *told["volumes"]]
    assert others == told["extraContainers"]
    mounts = [*plain["containers"][0]["volumeMounts"], *told["volumeMounts"]]
    assert operator == {**plain["containers"][0], "envFrom": told["envFrom"], "volumeMounts": mounts}


@pytest.mark.parametrize(("name", "path"), [("startup", "/livez"), ("liveness", "/livez"), ("readiness", "/readyz")])
def test_a_probe_has_other_numbers_or_is_not_there(name: str, path: str) -> None:
    probe = f"{name}Probe"
    found = container(render({f"{probe}.failureThreshold": 7, f"{probe}.initialDelaySeconds": 3}))[probe]
    assert found == {**container(render())[probe], "failureThreshold": 7, "initialDelaySeconds": 3}
    assert found["httpGet"] == {"path": path, "port": "http"}
    assert probe not in container(render({probe: None}))


def test_further_objects_are_made_of_texts_and_of_yaml() -> None:
    note = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-note"}}
    text = 'apiVersion: v1\nkind: Secret\nmetadata:\n  name: {{ include "kube-rendezvous.fullname" . }}-key\n'
    documents = render({"extraObjects": [note, text]}, release="one")
    assert only(documents, "ConfigMap") == {**note, "metadata": {"name": "one-note"}}
    assert only(documents, "Secret")["metadata"]["name"] == "one-kube-rendezvous-key"


@pytest.mark.parametrize("kind", ["Deployment", "Job"])
def test_no_pod_names_its_user(kind: str) -> None:
    """OpenShift's `restricted-v2` refuses a user that is not of the namespace's range."""
    spec = only(render(), kind)["spec"]["template"]["spec"]
    contexts = [spec["securityContext"], *(container["securityContext"] for container in spec["containers"])]
    assert contexts[0]["runAsNonRoot"] is True
    named = {"runAsUser", "runAsGroup", "fsGroup", "supplementalGroups", "seLinuxOptions"}
    assert [context for context in contexts if named & set(context)] == []


def test_a_spread_constraint_gets_the_selector_unless_it_has_one() -> None:
    own: Json = {"topologyKey": "zone", "maxSkew": 2, "whenUnsatisfiable": "DoNotSchedule"}
    own["labelSelector"] = {"matchLabels": {"a": "b"}}
    default = {"topologyKey": "host", "maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway"}
    deployment = only(render({"topologySpreadConstraints": [own, default]}), "Deployment")
    first, second = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert first == own
    assert second == {**default, "labelSelector": deployment["spec"]["selector"]}


# ---- what is there, and what is not


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


# ---- monitoring


@pytest.mark.parametrize(
    ("value", "kind", "endpoints"),
    [("podMonitor", "PodMonitor", "podMetricsEndpoints"), ("serviceMonitor", "ServiceMonitor", "endpoints")],
)
def test_a_monitor_is_as_told(value: str, kind: str, endpoints: str) -> None:
    plain = only(render({f"monitoring.{value}.enabled": True}), kind)
    assert plain["metadata"]["namespace"] == SYSTEM
    assert plain["spec"][endpoints] == [{"port": "http", "path": "/metrics", "interval": "30s", "honorLabels": True}]
    scrape = {
        "interval": "1m",
        "scrapeTimeout": "5s",
        "relabelings": [{"action": "labeldrop", "regex": "a"}],
        "metricRelabelings": [{"action": "labeldrop", "regex": "b"}],
    }
    of_object = {"namespace": "monitoring", "labels": {"a": "b"}, "annotations": {"c": "d"}}
    values = {"enabled": True, **of_object, **scrape}
    found = only(render({f"monitoring.{value}.{name}": told for name, told in values.items()}), kind)
    assert found["spec"] == {**plain["spec"], endpoints: [{**plain["spec"][endpoints][0], **scrape}]}
    assert found["metadata"]["namespace"] == "monitoring"
    assert found["metadata"]["annotations"] == {"c": "d"}
    assert found["metadata"]["labels"] == {**plain["metadata"]["labels"], "a": "b"}
    assert found["spec"]["namespaceSelector"] == {"matchNames": [SYSTEM]}


def test_a_service_monitor_selects_the_service_of_the_operators() -> None:
    values = {"service.labels": {"a": "b"}, "service.annotations": {"c": "d"}, "serviceMonitor.enabled": True}
    documents = render({f"monitoring.{name}": value for name, value in values.items()} | {"http.port": 9090})
    service = only(documents, "Service")
    assert service["metadata"]["annotations"] == {"c": "d"}
    assert service["metadata"]["labels"]["a"] == "b"
    assert (
        only(documents, "ServiceMonitor")["spec"]["selector"]["matchLabels"].items()
        <= service["metadata"]["labels"].items()
    )
    assert service["spec"]["selector"] == only(documents, "Deployment")["spec"]["selector"]["matchLabels"]
    (port,) = service["spec"]["ports"]
    assert port == {"name": "http", "port": 9090, "targetPort": "http", "protocol": "TCP"}


def alert_rules(values: Json) -> dict[str, Json]:
    """The alerts of the PrometheusRule, by their names."""
    told = {f"monitoring.prometheusRule.{name}": value for name, value in values.items()}
    rule = only(render({"monitoring.prometheusRule.enabled": True, **told}), "PrometheusRule")
    (group,) = rule["spec"]["groups"]
    return {item["alert"]: item for item in group["rules"]}


def test_the_alerts_are_those_of_the_file_unless_told_otherwise() -> None:
    (group,) = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())["groups"]
    assert list(alert_rules({}).values()) == group["rules"]


def test_an_alert_can_be_left_out_or_be_another_one() -> None:
    before = alert_rules({})
    changes: Json = {
        "KubeRendezvousForbidden": {"enabled": False},
        "KubeRendezvousNoHeartbeats": {"enabled": True, "threshold": 60, "severity": "page"},
        "KubeRendezvousApiErrors": {"threshold": "0.5", "for": "1h"},
    }
    after = alert_rules({"alerts": changes, "ruleLabels": {"team": "a", "severity": "none"}})
    assert after.keys() == before.keys() - {"KubeRendezvousForbidden"}
    for name, rule in after.items():
        change = changes.get(name, {})
        severity = change.get("severity", before[name]["labels"]["severity"])
        assert rule["labels"] == {"team": "a", "severity": severity}, "its own severity wins"
        assert rule.get("for") == change.get("for", before[name].get("for"))
        assert rule["annotations"] == before[name]["annotations"]
        if "threshold" not in change:
            assert rule["expr"] == before[name]["expr"]
    silent = "max by (namespace, rendezvous) (kube_rendezvous_heartbeat_age_seconds) > 60 and max by"
    assert after["KubeRendezvousNoHeartbeats"]["expr"].startswith(silent)
    assert after["KubeRendezvousApiErrors"]["expr"].endswith("[5m])) > 0.5")


def test_the_values_on_the_page_do_what_it_says(tmp_path: Path) -> None:
    (block,) = [text for text in blocks(read("docs/operations.md"), "What to watch", "text") if "alerts:" in text]
    (tmp_path / "values.yaml").write_text(block)
    (group,) = only(render({}, f"--values={tmp_path / 'values.yaml'}"), "PrometheusRule")["spec"]["groups"]
    alerts = {rule["alert"]: rule for rule in group["rules"]}
    assert "KubeRendezvousTwoLeaders" not in alerts
    assert "> 1800 " in alerts["KubeRendezvousWaiting"]["expr"]
    assert {rule["labels"]["team"] for rule in alerts.values()} == {"training"}


def test_the_rule_is_where_it_is_looked_for() -> None:
    told = {"enabled": True, "namespace": "monitoring", "labels": {"a": "b"}, "annotations": {"c": "d"}}
    rule = only(render({f"monitoring.prometheusRule.{name}": value for name, value in told.items()}), "PrometheusRule")
    assert rule["metadata"]["namespace"] == "monitoring"
    assert rule["metadata"]["labels"]["a"] == "b"
    assert rule["metadata"]["annotations"] == {"c": "d"}


# ---- the network


def test_rules_of_ones_own_take_the_place_of_the_charts() -> None:
    plain = only(render({"networkPolicy.enabled": True}), "NetworkPolicy")["spec"]
    assert plain["ingress"] == [{"ports": [{"port": "http", "protocol": "TCP"}]}]
    assert [port["port"] for rule in plain["egress"] for port in rule["ports"]] == [443, 6443, 53, 53]
    own: Json = {
        "ingress": [{"from": [{"namespaceSelector": {}}], "ports": [{"port": "http"}]}],
        "egress": [{"to": [{"ipBlock": {"cidr": "192.0.2.1/32"}}], "ports": [{"port": 6443}]}, {}],
    }
    for name, rules_of_own in own.items():
        found = only(render({"networkPolicy.enabled": True, f"networkPolicy.{name}": rules_of_own}), "NetworkPolicy")
        assert found["spec"] == {**plain, name: rules_of_own}


# ---- rights


def rules(role: Json) -> set[tuple[str, str, str]]:
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_no_role_has_a_wildcard_or_more_than_it_needs() -> None:
    documents = [*render({"workers.namespaces": ["team"]}), *render({"watchNamespace": "team"})]
    granted = set().union(*(rules(item) for item in documents if item["kind"] in ("Role", "ClusterRole")))
    assert not [right for right in granted if "*" in right]
    assert {group for group, _, _ in granted} == {"", "rdzv.dev", "events.k8s.io", "coordination.k8s.io"}
    assert {right for right in granted if right[0] == ""} == {("", "pods", verb) for verb in ("get", "list", "watch")}


@pytest.mark.parametrize("values", [{}, {"watchNamespace": "team"}])
def test_the_operator_may_get_jobsets_only_where_it_names_runs_by_train_jobs(values: Json) -> None:
    def granted(more: Json) -> set[tuple[str, str, str]]:
        roles = [item for item in render({**values, **more}) if item["kind"] in ("Role", "ClusterRole")]
        return set().union(*map(rules, roles))

    assert granted({"trainJobs.enabled": True}) - granted({}) == {("jobset.x-k8s.io", "jobsets", "get")}


def test_a_namespaced_operator_has_the_same_rules() -> None:
    everywhere = only(render(), "ClusterRole", f"{RELEASE}-operator.{SYSTEM}")
    here = only(render({"watchNamespace": "team"}), "Role", f"{RELEASE}-operator")
    assert rules(everywhere) == rules(here)
    assert here["metadata"]["namespace"] == "team"


def test_each_namespace_of_workers_gets_the_role_of_an_agent() -> None:
    example = {
        item["kind"]: item for item in yaml.safe_load_all((CHART.parents[1] / "examples/agent-rbac.yaml").read_text())
    }
    documents = render({"workers.namespaces": ["a", "b"], "workers.serviceAccount.name": "trainer"})
    for namespace in ("a", "b"):
        mine = [item for item in documents if item["metadata"].get("namespace") == namespace]
        assert kinds(mine) == {"Role", "RoleBinding", "ServiceAccount"}
        assert rules(only(mine, "Role")) == rules(example["Role"])
        assert only(mine, "RoleBinding")["subjects"] == [
            {"kind": "ServiceAccount", "name": "trainer", "namespace": namespace}
        ]
        account = only(mine, "ServiceAccount")["metadata"]
        assert account["name"] == "trainer"
        assert account["annotations"] == {"helm.sh/resource-policy": "keep"}, "running pods have its tokens"
    without = render({"workers.namespaces": ["a"], "workers.serviceAccount.create": False})
    assert kinds([item for item in without if item["metadata"].get("namespace") == "a"]) == {"Role", "RoleBinding"}


def test_the_account_of_the_workers_can_have_an_identity_of_the_cloud() -> None:
    wanted = {"annotations": {"iam.gke.io/gcp-service-account": "a@b.iam.gserviceaccount.com"}, "labels": {"a": "b"}}
    values = {f"workers.serviceAccount.{name}": value for name, value in wanted.items()}
    documents = render({"workers.namespaces": ["team", "eval"], **values})
    for namespace in ("team", "eval"):
        (account,) = [
            item["metadata"]
            for item in documents
            if item["kind"] == "ServiceAccount" and item["metadata"]["namespace"] == namespace
        ]
        assert account["annotations"] == {"helm.sh/resource-policy": "keep", **wanted["annotations"]}
        assert wanted["labels"].items() <= account["labels"].items()


def test_the_account_of_the_operator_is_as_told_and_its_pods_have_its_token() -> None:
    values = {"annotations": {"a": "b"}, "labels": {"c": "d"}, "automount": False}
    documents = render({f"serviceAccount.{name}": value for name, value in values.items()})
    account = only(documents, "ServiceAccount", f"{RELEASE}-operator")
    assert account["metadata"]["annotations"] == {"a": "b"}
    assert account["metadata"]["labels"]["c"] == "d"
    assert account["automountServiceAccountToken"] is False
    assert only(documents, "Deployment")["spec"]["template"]["spec"]["automountServiceAccountToken"] is True


def test_the_cluster_role_of_an_agent_has_its_rights_and_never_more() -> None:
    """The admission policy trusts who has `administer`, so nothing may add it to what every pod can have."""
    example = yaml.safe_load_all((CHART.parents[1] / "examples/agent-rbac.yaml").read_text())
    (role,) = [item for item in example if item["kind"] == "Role"]
    found = only(render({"commonLabels": {"team": "a"}}), "ClusterRole", AGENT)
    assert rules(found) == rules(role)
    assert "administer" not in {verb for _, _, verb in rules(found)}
    assert "aggregationRule" not in found
    assert not [label for label in found["metadata"]["labels"] if label.startswith("rbac.authorization.k8s.io/")]
    for values in ({"workers.clusterRole.create": False}, {"watchNamespace": "team"}):
        assert AGENT not in {item["metadata"]["name"] for item in render(values)}


def test_the_self_test_has_the_rights_of_an_agent_and_no_more() -> None:
    documents = render({"workers.namespaces": ["team"]})
    agent = only(documents, "Role", f"{RELEASE}-worker")
    hook = only(documents, "Role", f"{RELEASE}-test")
    assert rules(hook) == rules(agent)
    hooks = [item for item in documents if is_hook(item)]
    assert kinds(hooks) == {"Job", "Rendezvous", "Role", "RoleBinding", "ServiceAccount"}
    assert {item["metadata"]["annotations"]["helm.sh/hook"] for item in hooks} == {"test"}
