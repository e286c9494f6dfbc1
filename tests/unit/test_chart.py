"""The chart's files fit the rest of the project and each other, as far as that can be told without helm."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tomllib
import yaml
from hack import generate_chart
from tests.support import chart_values as combinations

from rendezvous_api import names, reasons
from rendezvous_operator.options import OPTIONS
from rendezvous_operator.reconcile.work_queue import WorkQueue
from rendezvous_operator.serve.metrics import Metrics
from rendezvous_operator.watch.cache import Cache

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "kube-rendezvous"
Json = dict[str, Any]

_METRIC = re.compile(r"\bkube_rendezvous_\w+\b")
_SUFFIX = re.compile(r"_(total|bucket|count|sum)$")


def read(path: str) -> str:
    return (CHART / path).read_text(encoding="utf-8")


def values() -> Json:
    found: Json = yaml.safe_load(read("values.yaml"))
    return found


def schema() -> Json:
    found: Json = json.loads(read("values.schema.json"))
    return found


# ---- generated files


def test_generated_files_are_up_to_date() -> None:
    outdated = [path.name for path, text in generate_chart.generated_files().items() if path.read_text() != text]
    assert outdated == [], "run hack/generate_chart.py"


def test_every_crd_is_in_the_chart_and_no_other() -> None:
    sources = {path.name for path in (ROOT / "crds").glob("*.yaml")}
    assert {path.name for path in (CHART / "templates" / "crds").iterdir()} == sources
    listed = {item["name"] for item in yaml.safe_load(metadata()["annotations"]["artifacthub.io/crds"])}
    assert listed == {yaml.safe_load((ROOT / "crds" / name).read_text())["metadata"]["name"] for name in sources}


def test_braces_in_a_crd_are_no_template() -> None:
    crd = 'kind: CustomResourceDefinition\nmetadata:\n  name: a.example.com\nspec: "{{ .Values.x }}"\n'
    made = generate_chart.crd_template("a.yaml", crd)
    assert """spec: "{{ "{{" }} .Values.x }}"\n""" in made
    with pytest.raises(ValueError, match=r"a\.yaml"):
        generate_chart.crd_template("a.yaml", "metadata:\n  labels: {}\n  name: a\n")


# ---- values and schema

# Of values that are documented as a whole.
_PROBE = ["initialDelaySeconds", "periodSeconds", "timeoutSeconds", "failureThreshold"]
FIXED_KEYS = {
    "dnsConfig": ["nameservers", "searches", "options"],
    "monitoring.prometheusRule.alerts": [
        rule["alert"] for rule in yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())["groups"][0]["rules"]
    ],
    "injection.handler.resources": ["requests", "limits"],
    "livenessProbe": [*_PROBE, "terminationGracePeriodSeconds"],
    "readinessProbe": [*_PROBE, "successThreshold"],
    "resources": ["requests", "limits", "claims"],
    "startupProbe": [*_PROBE, "terminationGracePeriodSeconds"],
    "strategy": ["type", "rollingUpdate"],
}


def paths(node: Json, prefix: str = "") -> Iterator[str]:
    for key, child in node.items():
        yield prefix + key
        if isinstance(child, dict):
            yield from paths(child, f"{prefix}{key}.")


def nodes(node: Json, path: str = "") -> Iterator[tuple[str, Json]]:
    yield path, node
    for key, child in node.get("properties", {}).items():
        yield from nodes(child, f"{path}.{key}".lstrip("."))
    if isinstance(node.get("items"), dict):
        yield from nodes(node["items"], f"{path}[]")


def test_every_value_is_documented() -> None:
    documented = {value.path for value in generate_chart.documented_values(read("values.yaml"))}
    for path in paths(values()):
        inside = any(path.startswith(f"{other}.") for other in documented)
        group = any(other.startswith(f"{path}.") for other in documented)
        assert path in documented or inside or group, path


def test_values_and_schema_know_the_same() -> None:
    documented = {value.path for value in generate_chart.documented_values(read("values.yaml"))}
    known = {path for path, _ in nodes(schema()) if path and "[]" not in path}
    groups = {path.rpartition(".")[0] for path in documented} | {"monitoring"}
    # Parents use `enabled` for their condition.
    within = {f"{path}.{key}" for path, keys in FIXED_KEYS.items() for key in keys}
    assert known - documented - groups == {"enabled"} | within
    assert documented <= known


def test_the_chart_is_installed_with_each_value() -> None:
    tried = {path for each in combinations.ALL for path in each}
    documented = {value.path for value in generate_chart.documented_values(read("values.yaml"))}
    missing = {path for path in documented if not any(other == path or other.startswith(f"{path}.") for other in tried)}
    assert missing == combinations.NOT_HERE.keys()
    assert {path for path in tried if not any(path == p or path.startswith(f"{p}.") for p in documented)} == set()


def test_the_schema_lets_nothing_unknown_through() -> None:
    document = schema()
    assert document["$schema"] == "http://json-schema.org/draft-07/schema#"
    open_ended = {path for path, node in nodes(document) if "properties" in node and node["additionalProperties"]}
    # Helm hands `global` to every chart of a parent chart; of the others the chart knows what must not clash.
    assert open_ended == {"extraContainers[]", "global", "volumes[]"}
    # What is handed to Kubernetes as it is, and checked there.
    free = {
        path for path, node in nodes(document) if node.get("type") == "object" and "additionalProperties" not in node
    }
    assert free == {
        "admissionPolicy.namespaceSelector",
        "affinity",
        "extraEnv[].valueFrom",
        "injection.namespaceSelector",
        "monitoring.podMonitor.metricRelabelings[]",
        "monitoring.podMonitor.relabelings[]",
        "monitoring.serviceMonitor.metricRelabelings[]",
        "monitoring.serviceMonitor.relabelings[]",
        "networkPolicy.egress[].ports[]",
        "networkPolicy.egress[].to[]",
        "networkPolicy.ingress[].from[]",
        "networkPolicy.ingress[].ports[]",
        "networkPolicy.metricsFrom[]",
        "podSecurityContext",
        "recording.volume",
        "resources.claims[]",
        "resources.limits",
        "resources.requests",
        "securityContext",
        "tolerations[]",
        "topologySpreadConstraints[]",
    }


# ---- the rest of the project


def metadata() -> Json:
    found: Json = yaml.safe_load(read("Chart.yaml"))
    return found


def test_what_is_said_of_the_chart_fits_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    about = metadata()
    assert about["home"] == project["urls"]["Homepage"]
    assert [maintainer["name"] for maintainer in about["maintainers"]] == [each["name"] for each in project["authors"]]
    (change,) = yaml.safe_load(about["annotations"]["artifacthub.io/changes"])
    assert change["kind"] in ("added", "changed", "deprecated", "removed", "fixed", "security")
    images = yaml.safe_load(about["annotations"]["artifacthub.io/images"])
    ours = [values()["image"], values()["injection"]["handler"]["image"]]
    assert [image["image"] for image in images] == [f"{each['repository']}:{about['appVersion']}" for each in ours]
    assert [image["name"] for image in images] == [each["repository"].rpartition("/")[2] for each in ours]
    # As in the packages, every page is that of the version.
    site = f"{about['home']}/v{about['version']}/"
    pages = [
        url for text in ("Chart.yaml", "README.md") for url in re.findall(r"https://rdzv\.dev/[^)\s]+", read(text))
    ]
    assert len(pages) > 5
    assert [url for url in pages if not (url.startswith(site) and (ROOT / url.removeprefix(site)).is_file())] == []


def test_the_operator_knows_its_options() -> None:
    used = set(re.findall(r"^ +- (--[a-z-]+)", read("templates/deployment.yaml"), flags=re.MULTILINE))
    assert "--leader-elect" in used
    assert used <= {option.flag for option in OPTIONS}


def test_the_self_test_is_a_program_of_the_project_and_knows_its_options() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    text = read("templates/tests/selftest.yaml")
    program, *flags = re.findall(r"^            - (?:--)?([a-z-]+)", text, flags=re.MULTILINE)[:3]
    assert program in scripts
    module = scripts[program].partition(":")[0].replace(".", "/")
    source = (ROOT / "handler" / f"{module}.py").read_text()
    assert len(flags) == 2
    assert [flag for flag in flags if f'"--{flag}"' not in source] == []


def test_labels_are_those_of_the_api() -> None:
    text = "\n".join(path.read_text() for path in (CHART / "templates").glob("*.yaml"))
    used = set(re.findall(r"rdzv\.dev/[a-z-]+\b", text))
    parts = ("inject", "injected", "inject-handler", "container", "health-check", "nnodes")
    injection = {f"rdzv.dev/{name}" for name in parts}
    assert used - {"rdzv.dev/inject-"} == {names.LABEL_RENDEZVOUS, *injection}


def rules(role: list[Json]) -> set[tuple[str, str, str]]:
    return {
        (group, resource, verb)
        for rule in role
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def rules_of_chart(name: str) -> set[tuple[str, str, str]]:
    text = read("templates/_helpers.tpl").partition(f'{{{{- define "kube-rendezvous.{name}" -}}}}')[2]
    return rules(yaml.safe_load(text.partition("{{- end -}}")[0]))


@pytest.mark.parametrize(
    ("name", "example", "kind"),
    [("workerRules", "agent-rbac.yaml", "Role"), ("operatorRules", "operator-rbac.yaml", "ClusterRole")],
)
def test_roles_allow_what_those_of_the_examples_do(name: str, example: str, kind: str) -> None:
    documents = yaml.safe_load_all((ROOT / "examples" / example).read_text())
    (role,) = [item for item in documents if item["kind"] == kind]
    more = {("rdzv.dev", "rendezvousparticipants", "administer"), ("events.k8s.io", "events", "patch")}
    assert rules_of_chart(name) - more == rules(role["rules"]) - more


# ---- alerts and dashboard


def alerts() -> list[Json]:
    (group,) = yaml.safe_load(read("files/alerts.yaml"))["groups"]
    found: list[Json] = group["rules"]
    return found


def dashboard() -> Json:
    found: Json = json.loads(read("files/dashboard.json"))
    return found


def dashboard_queries() -> Iterator[str]:
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", []):
            yield target["expr"]
    for variable in dashboard()["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["definition"]


def metrics_of_the_operator() -> set[str]:
    """Without the endings that follow from a metric's kind."""
    metrics = Metrics(Cache(time.monotonic), WorkQueue(time.monotonic), time.monotonic, lambda: True)
    return {family.name for family in metrics.registry.collect()}


def metrics_of(queries: list[str]) -> set[str]:
    return {_SUFFIX.sub("", name) for query in queries for name in _METRIC.findall(query)}


def test_alerts_and_dashboard_ask_for_metrics_that_there_are() -> None:
    known = {name for name in metrics_of_the_operator() if name.startswith("kube_rendezvous_")}
    assert metrics_of([rule["expr"] for rule in alerts()]) <= known
    assert metrics_of(list(dashboard_queries())) <= known
    assert known == metrics_of([*dashboard_queries(), *(rule["expr"] for rule in alerts())]), "none is for nothing"


def test_every_alert_has_a_runbook() -> None:
    headings = re.findall(r"^### (KubeRendezvous\w+)$", (ROOT / "docs/operations.md").read_text(), flags=re.MULTILINE)
    assert headings == [rule["alert"] for rule in alerts()]
    for rule in alerts():
        page = f"https://rdzv.dev/v{metadata()['version']}/docs/operations.md"
        assert rule["annotations"]["runbook_url"] == f"{page}#{rule['alert'].lower()}"
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert {"summary", "description"} <= set(rule["annotations"])


THRESHOLDS = {
    "KubeRendezvousApiErrors": "0.1",
    "KubeRendezvousDecisionsFail": "30",
    "KubeRendezvousWaiting": "600",
    "KubeRendezvousRestartLoop": "5",
    "KubeRendezvousCheckInFails": "2",
    "KubeRendezvousNodeHeldOut": "0.5",
    "KubeRendezvousNoHeartbeats": "600",
}


def test_an_alert_with_a_threshold_has_it_as_its_first_number() -> None:
    """So that the chart finds it, to put another one there."""
    document = schema()
    known = document["properties"]["monitoring"]["properties"]["prometheusRule"]["properties"]["alerts"]["properties"]
    assert list(known) == [rule["alert"] for rule in alerts()]
    changeable = {name for name, node in known.items() if node["$ref"] == "#/definitions/alertWithThreshold"}
    assert changeable == THRESHOLDS.keys()
    for definition in document["definitions"].values():
        assert definition["additionalProperties"] is False
    found = {rule["alert"]: re.findall(r"> [0-9.]+", rule["expr"]) for rule in alerts()}
    for name, threshold in THRESHOLDS.items():
        assert found[name][0] == f"> {threshold}"
        assert found[name].count(found[name][0]) == 1


def test_no_text_of_an_alert_says_what_a_value_changes() -> None:
    for rule in alerts():
        text = " ".join(rule["annotations"][key] for key in ("summary", "description"))
        windows = {int(minutes) for minutes in re.findall(r"\[(\d+)m\]", rule["expr"])}
        assert {int(minutes) for minutes in re.findall(r"(\d+) minutes", text)} <= windows, rule["alert"]


def test_the_restart_alert_counts_all_failures_and_nothing_else() -> None:
    (rule,) = [rule for rule in alerts() if rule["alert"] == "KubeRendezvousRestartLoop"]
    (listed,) = re.findall(r'reason=~"([^"]+)"', rule["expr"])
    assert set(listed.split("|")) == {str(reason) for reason in reasons.FAILURES}
    known = {str(reason) for reason in reasons.RoundEndReason}
    assert {name for each in alerts() for name in re.findall(r'reason="(\w+)"', each["expr"])} <= known


def test_panels_of_the_dashboard_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    identities = [panel["id"] for panel in dashboard()["panels"]]
    assert len(set(identities)) == len(identities)
    for panel in dashboard()["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken
        taken |= cells
