"""The Deployment of the operator as the values want it."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from tests.chart.support import CHART, RELEASE, SYSTEM, Json, only, render

from rendezvous_operator.options import Options, parse

VERSION = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
DIGEST = "sha256:" + "0" * 64


def container(documents: list[Json]) -> Any:
    return only(documents, "Deployment")["spec"]["template"]["spec"]["containers"][0]


def test_arguments_of_the_operator() -> None:
    told = parse(container(render())["args"], {})
    assert told == Options(
        namespace=None,
        train_jobs=False,
        machines=False,
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
        record=None,
        record_megabytes=64,
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
    assert parse(container(render({"machines.enabled": True}))["args"], {}).machines
    assert more["ports"][0]["containerPort"] == 9000
    assert more["env"] == [{"name": "HTTPS_PROXY", "value": "proxy:3128"}]


@pytest.mark.parametrize(
    ("values", "image"),
    [
        ({}, f"localhost/kube-rendezvous-operator:{VERSION}"),
        ({"image.repository": "r.example.com/op", "image.tag": "7"}, "r.example.com/op:7"),
        ({"image.tag": "7", "image.digest": DIGEST}, f"localhost/kube-rendezvous-operator@{DIGEST}"),
        ({"image.registry": "r.example.com", "image.repository": "op"}, f"r.example.com/op:{VERSION}"),
        (
            {"image.registry": "a", "image.repository": "op", "global.imageRegistry": "b/mirror"},
            f"b/mirror/op:{VERSION}",
        ),
    ],
)
def test_image(values: Json, image: str) -> None:
    documents = render(values)
    assert container(documents)["image"] == image
    assert only(documents, "Job")["spec"]["template"]["spec"]["containers"][0]["image"] == image


def test_decisions_are_recorded_in_a_volume_of_their_own() -> None:
    def recorded(values: Json) -> tuple[Options, Json, Json]:
        spec = only(render({"recording.enabled": True, **values}), "Deployment")["spec"]["template"]["spec"]
        (mount,) = (item for item in spec["containers"][0]["volumeMounts"] if item["name"] == "recording")
        (volume,) = (item for item in spec["volumes"] if item["name"] == "recording")
        return parse(spec["containers"][0]["args"], {}), mount, volume

    options, mount, volume = recorded({})
    assert (str(options.record), options.record_megabytes) == (f"{mount['mountPath']}/decisions", 64)
    assert volume == {"name": "recording", "emptyDir": {"sizeLimit": "80Mi"}}, "a larger one would be no bound"
    claim: Json = {"persistentVolumeClaim": {"claimName": "decisions"}}
    options, _, volume = recorded({"recording.megabytes": 1000, "recording.volume": claim})
    assert options.record_megabytes == 1000
    assert volume == {"name": "recording", **claim}


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
    """Pages select by the name of the chart. Agents do not know which name that is, so they say what it is part of."""
    by_name = ("app.kubernetes.io/name", "kube-rendezvous")
    by_part = ("app.kubernetes.io/part-of", "kube-rendezvous")
    for values, label in (({}, by_name), ({}, by_part), ({"nameOverride": "other"}, by_part)):
        documents = render(values)
        assert label in only(documents, "Deployment")["spec"]["template"]["metadata"]["labels"].items()
        assert label not in only(documents, "Job")["spec"]["template"]["metadata"]["labels"].items()


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


def test_no_large_number_loses_its_digits() -> None:
    """Helm reads each number as a float, and writes those from a million on with an exponent."""
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    large = {path: most for path, most in largest(schema) if most >= 1_000_000}
    assert "recording.megabytes" in large
    for document in render({**large, "recording.enabled": True}):
        assert not re.search(r"\d(\.\d+)?e\+\d", json.dumps(document)), document["kind"]
        assert not [number for number in numbers(document) if isinstance(number, float)], document["kind"]


def largest(schema: Json, path: str = "") -> Iterator[tuple[str, int]]:
    """The whole numbers among the values, with the largest that each may be."""
    for name, inner in schema.get("properties", {}).items():
        if "integer" in (inner["type"] if isinstance(inner.get("type"), list) else [inner.get("type")]):
            yield path + name, inner.get("maximum", 10_000_000)
        yield from largest(inner, f"{path}{name}.")


def numbers(value: Any) -> Iterator[float]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if isinstance(value, (int, float)):
        yield value
    for each in inner:
        yield from numbers(each)
