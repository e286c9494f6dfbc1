"""The alert rules, by Prometheus' own tool: each fires on what it is for, and none when all is well."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.chart.support import CHART, only, render
from tests.support.prometheus import Programs, find_programs

RULES = CHART / "files" / "alerts.yaml"
Series = dict[str, str]
"""Series, and their values each minute, as `promtool test rules` reads them."""

POD = 'job="operator", instance="a:8080"'
TRAIN = 'namespace="team", rendezvous="train"'
WELL: Series = {
    f"kube_rendezvous_build_info{{{POD}}}": "1x90",
    f"kube_rendezvous_leader{{{POD}}}": "1x90",
    'kube_rendezvous_leader{job="operator", instance="b:8080"}': "0x90",
    f"kube_rendezvous_queue_depth{{{POD}}}": "0 1 0 0 1 0x85",
    f"kube_rendezvous_decision_duration_seconds_count{{{POD}}}": "0+5x90",
    f'kube_rendezvous_api_requests_total{{{POD}, verb="PUT", resource="rendezvous", code="200"}}': "0+60x90",
    f'kube_rendezvous_api_requests_total{{{POD}, verb="PUT", resource="rendezvous", code="409"}}': "0+20x90",
    f'kube_rendezvous_watch_events_total{{{POD}, kind="RendezvousParticipant"}}': "0+60x90",
    f"kube_rendezvous_queue_retries_total{{{POD}}}": "0+0.2x90",
    f"kube_rendezvous_members{{{TRAIN}}}": "4x90",
    f"kube_rendezvous_running{{{TRAIN}}}": "1x20 0 0 1x67",
    f"kube_rendezvous_waiting_seconds{{{TRAIN}}}": "0x20 60 120 0x67",
    f"kube_rendezvous_suspects{{{TRAIN}}}": "0x20 1 1 0x67",
    f'kube_rendezvous_held_out{{{TRAIN}, reason="CrashLoop"}}': "0x20 1 0 1 1 0x65",
    f"kube_rendezvous_heartbeat_age_seconds{{{TRAIN}}}": "5x20 65 125 5x67",
    f'kube_rendezvous_rounds_ended_total{{{TRAIN}, reason="ScaleUp"}}': "0+1x90",
    f'kube_rendezvous_rounds_ended_total{{{TRAIN}, reason="MemberLost"}}': "0x30 1x60",
}
BAD: dict[str, Series] = {
    "KubeRendezvousOperatorAbsent": {f"kube_rendezvous_build_info{{{POD}}}": "1x10 _x79"},
    "KubeRendezvousNoLeader": {f"kube_rendezvous_leader{{{POD}}}": "0x90"},
    "KubeRendezvousTwoLeaders": {
        f"kube_rendezvous_round{{{POD}, {TRAIN}}}": "1x90",
        f'kube_rendezvous_round{{job="another", instance="b:8080", {TRAIN}}}': "1x90",
    },
    "KubeRendezvousForbidden": {
        f'kube_rendezvous_api_requests_total{{{POD}, verb="GET", resource="pods", code="403"}}': "0+1x90"
    },
    "KubeRendezvousApiErrors": {
        f'kube_rendezvous_api_requests_total{{{POD}, verb="PUT", resource="rendezvous", code="504"}}': "0+20x90"
    },
    "KubeRendezvousWatchSilent": {
        f'kube_rendezvous_watch_events_total{{{POD}, kind="RendezvousParticipant"}}': "0+60x10 600x80"
    },
    "KubeRendezvousQueueStuck": {
        f"kube_rendezvous_queue_depth{{{POD}}}": "3x90",
        f"kube_rendezvous_decision_duration_seconds_count{{{POD}}}": "100x90",
    },
    "KubeRendezvousDecisionsFail": {f"kube_rendezvous_queue_retries_total{{{POD}}}": "0+5x90"},
    "KubeRendezvousWaiting": {
        f"kube_rendezvous_waiting_seconds{{{TRAIN}}}": "0+60x90",
        f"kube_rendezvous_running{{{TRAIN}}}": "0x90",
    },
    "KubeRendezvousRestartLoop": {
        f'kube_rendezvous_rounds_ended_total{{{TRAIN}, reason="WorkerFailed"}}': "0+0.2x90",
        f'kube_rendezvous_rounds_ended_total{{{TRAIN}, reason="MemberLost"}}': "0+0.1x90",
    },
    "KubeRendezvousCheckInFails": {
        f'kube_rendezvous_rounds_ended_total{{{TRAIN}, reason="CheckInFailed"}}': "0x60 1 2 3 4x27"
    },
    "KubeRendezvousNodeHeldOut": {
        f'kube_rendezvous_held_out{{{TRAIN}, reason="StoreNotReached"}}': "0x30 1 0 1 1 0 1x4 0 1x8 0 1x10 0 1x28"
    },
    "KubeRendezvousMembersSuspected": {f"kube_rendezvous_suspects{{{TRAIN}}}": "4x90"},
    "KubeRendezvousNoHeartbeats": {f"kube_rendezvous_heartbeat_age_seconds{{{TRAIN}}}": "0+60x90"},
}


@pytest.fixture(scope="module")
def programs() -> Programs:
    found = find_programs()
    if found is None:
        pytest.skip("no Prometheus on the PATH, and no apt-get to fetch it with")
    return found


def case(series: Series, *expected: tuple[str, str, int]) -> dict[str, Any]:
    """A test of promtool: these series, and after so much time (`72m`) so many alerts that an expression counts."""
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {
                "expr": f"count(ALERTS{{{selector}}}) or vector(0)",
                "eval_time": time,
                "exp_samples": [{"labels": "{}", "value": count}],
            }
            for time, selector, count in expected
        ],
    }


def check(programs: Programs, folder: Path, *cases: dict[str, Any], rules: Path = RULES) -> None:
    file = folder / "rules.test.json"
    tests = {"rule_files": [str(rules)], "evaluation_interval": "1m", "tests": list(cases)}
    file.write_text(json.dumps(tests))
    done = subprocess.run([programs.promtool, "test", "rules", file], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_are_rules(programs: Programs) -> None:
    done = subprocess.run([programs.promtool, "check", "rules", "--lint-fatal", RULES], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"{len(BAD)} rules found" in done.stdout


def test_the_rules_are_rules_with_other_numbers_too(programs: Programs, tmp_path: Path) -> None:
    alerts = {"KubeRendezvousWaiting": {"threshold": 1800, "for": "5m"}, "KubeRendezvousApiErrors": {"threshold": 0.5}}
    values = {"enabled": True, "alerts": alerts, "ruleLabels": {"team": "a"}}
    rule = only(
        render({f"monitoring.prometheusRule.{name}": value for name, value in values.items()}), "PrometheusRule"
    )
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps(rule["spec"]))
    waits = 'alertstate="firing", alertname="KubeRendezvousWaiting"'
    # It waits a minute longer each minute, and the alert fires 5 minutes after it has waited for half an hour.
    waiting = case({**WELL, **BAD["KubeRendezvousWaiting"]}, ("34m", waits, 0), ("40m", waits, 1))
    check(programs, tmp_path, waiting, rules=rules)


def test_no_alert_fires_when_all_is_well(programs: Programs, tmp_path: Path) -> None:
    check(programs, tmp_path, case(WELL, *((f"{minute}m", 'alertstate="firing"', 0) for minute in range(0, 90, 3))))


@pytest.mark.parametrize("name", BAD)
def test_an_alert_fires_on_what_it_is_for(programs: Programs, tmp_path: Path, name: str) -> None:
    fires = f'alertstate="firing", alertname="{name}"'
    # So that it is this change which makes it fire, it must be quiet without it.
    check(programs, tmp_path, case({**WELL, **BAD[name]}, ("70m", fires, 1)), case(WELL, ("70m", fires, 0)))


def test_every_alert_is_tried() -> None:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    assert [rule["alert"] for rule in group["rules"]] == list(BAD)
