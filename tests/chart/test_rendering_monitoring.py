"""Monitors, alerts and network rules as the values want them."""

from pathlib import Path

import pytest
import yaml
from tests.chart.support import CHART, SYSTEM, Json, only, render
from tests.support.pages import blocks, read


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
