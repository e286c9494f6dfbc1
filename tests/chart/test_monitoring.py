"""A real Prometheus scrapes the real operator, and answers every query of the dashboard and of the alerts."""

import math
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import yaml
from tests.chart.support import RELEASE, SYSTEM, Json, make_pod, participant, token_of
from tests.support.api import Api
from tests.support.dashboard import ALERTS, DASHBOARD, filled
from tests.support.objects import rendezvous
from tests.support.ports import free_port
from tests.support.processes import start_operator
from tests.support.prometheus import Prometheus, find_programs, running
from tests.support.waiting import wait_until

from rendezvous_api import names
from rendezvous_controlplane import LocalControlPlane

QUERIES = {
    f"{panel['title']}-{target['refId']}": target["expr"]
    for panel in DASHBOARD["panels"]
    for target in panel.get("targets", [])
}
NEEDS_A_LOSS = {"Time to find a loss-A"}
"""The members of the story say themselves that they leave."""
VARIABLES = [item["definition"] for item in DASHBOARD["templating"]["list"] if item["type"] == "query"]
_METRIC = re.compile(r"\bkube_rendezvous_\w+")


class Group:
    """Agents that the test plays: their objects are all that the operator sees of them."""

    def __init__(self, plane: LocalControlPlane) -> None:
        self._api = Api(plane, "agents")
        self._pods = {name: make_pod(plane, "agents", name, "rendezvous-agent") for name in ("played-0", "played-1")}
        # They do not go on to beat, and yet none shall be missed.
        silence = {"heartbeatIntervalSeconds": 1000, "suspectSeconds": 3600}
        body = rendezvous("played", minNodes=1, maxNodes=2, replacementSeconds=0, **silence)
        self._uid = self._api.create(body)["metadata"]["uid"]

    def join(self, name: str) -> None:
        body = participant(self._pods[name], rendezvous="played", rendezvousUID=self._uid)
        self._api.create(body)

    def patch(self, name: str, patch: Json, subresource: str = "") -> None:
        self._api.patch(names.PARTICIPANT_KIND, f"played.{name}", patch, subresource)

    def beat(self, name: str, **status: Any) -> None:
        self.patch(name, {"status": {"incarnation": "abcd1234", **status}}, "status")

    def leave(self, name: str) -> None:
        self._api.delete(names.PARTICIPANT_KIND, f"played.{name}")

    def status(self) -> Json:
        status: Json = self._api.read(names.RENDEZVOUS_KIND, "played").get("status", {})
        return status

    def wait_for_round(self, number: int) -> Json:
        def published() -> Json | None:
            status = self.status()
            return status if status.get("round") == number else None

        return wait_until(published, f"round {number}")


pytestmark = pytest.mark.xdist_group("prometheus")
"""One Prometheus, and one story that it has scraped, for all."""


@pytest.fixture(scope="module")
def prometheus(control_plane: LocalControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """One that has scraped an operator through two rounds, between which a member was lost."""
    programs = find_programs()
    if programs is None:
        pytest.skip("no Prometheus on the PATH, and no apt-get to fetch it with")
    folder, port = tmp_path_factory.mktemp("prometheus"), free_port()
    operator = start_operator(
        token_of(control_plane, SYSTEM, f"{RELEASE}-operator"),
        folder / "operator.log",
        *("--leader-elect", f"--leader-elect-lease-name={RELEASE}-operator"),
        *(f"--leader-elect-lease-namespace={SYSTEM}", "--http-address=127.0.0.1", f"--http-port={port}"),
    )
    try:
        targets = {"static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
        with running(programs, folder, targets, ALERTS) as found:
            wait_until(partial(found.query, "kube_rendezvous_build_info"), "the operator is scraped")
            play(Group(control_plane))
            metrics = _METRIC.findall(" ".join([*QUERIES.values(), ALERTS.read_text()]))
            for metric in sorted(set(metrics)):
                wait_until(partial(found.query, f"count({metric})"), f"{metric} is scraped")
            yield found
    except AssertionError:
        sys.stdout.write(operator.log[-4000:])
        raise
    finally:
        operator.kill()


def play(group: Group) -> None:
    for name in ("played-0", "played-1"):
        group.join(name)
    ranks = {member["name"]: member["rank"] for member in group.wait_for_round(1)["participants"]}
    for name, rank in ranks.items():
        group.beat(name.removeprefix("played."), attempt=1, round=1, rank=rank)
    group.leave("played-1")
    wait_until(lambda: group.status()["waitingNodes"], "the other one is asked to join again")
    group.patch("played-0", {"spec": {"attempt": 2, "attemptReason": "MembershipChange"}})
    group.wait_for_round(2)
    group.beat("played-0", attempt=2, round=2, rank=0)


def test_names_of_metrics_keep_to_the_conventions(prometheus: Prometheus) -> None:
    """Those of Prometheus, as its own linter knows them."""
    programs = find_programs()
    assert programs is not None
    (target,) = prometheus.get("targets")["activeTargets"]
    with urllib.request.urlopen(target["scrapeUrl"], timeout=10) as answer:
        exposed = answer.read()
    done = subprocess.run([programs.promtool, "check", "metrics"], input=exposed, capture_output=True, check=False)
    complaints = (done.stdout + done.stderr).decode().splitlines()
    # Those of Python's own collector of garbage are what they are.
    assert [line for line in complaints if not line.startswith("python_gc_")] == []


@pytest.mark.parametrize("name", [name for name in QUERIES if name not in NEEDS_A_LOSS])
def test_a_panel_has_something_to_show(prometheus: Prometheus, name: str) -> None:
    def shows() -> bool:
        samples = prometheus.query(filled(QUERIES[name]))
        return any(not math.isnan(float(sample["value"][1])) for sample in samples)

    wait_until(shows, f"something to show: {QUERIES[name]}")


@pytest.mark.parametrize("definition", VARIABLES)
def test_a_variable_has_values(prometheus: Prometheus, definition: str) -> None:
    match = re.fullmatch(r"label_values\((?P<selector>.*), (?P<label>\w+)\)", definition)
    assert match is not None
    found = prometheus.get(f"label/{match['label']}/values", **{"match[]": filled(match["selector"])})
    assert {"namespace": "agents", "rendezvous": "played"}[match["label"]] in found


def test_every_alert_rule_is_evaluated_and_none_fires(prometheus: Prometheus) -> None:
    def evaluated() -> list[Json] | None:
        (group,) = prometheus.get("rules")["groups"]
        return None if any(rule["health"] == "unknown" for rule in group["rules"]) else group["rules"]

    rules = wait_until(evaluated, "all rules are evaluated")
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    assert [rule["name"] for rule in rules] == [rule["alert"] for rule in group["rules"]]
    assert {rule["name"]: rule.get("lastError") for rule in rules if rule["health"] != "ok"} == {}
    assert [rule["name"] for rule in rules if rule["state"] == "firing"] == []


def test_what_happened_is_what_is_shown(prometheus: Prometheus) -> None:
    of_group = '{namespace="agents", rendezvous="played"}'

    expected = {
        f"kube_rendezvous_round{of_group}": 2,
        f"kube_rendezvous_members{of_group}": 1,
        f"kube_rendezvous_running{of_group}": 1,
        f"kube_rendezvous_rounds_published_total{of_group}": 2,
        'kube_rendezvous_rounds_ended_total{rendezvous="played", reason="MemberLost"}': 1,
        "kube_rendezvous_leader": 1,
    }

    def shown(query: str) -> bool:
        # A scrape that takes too long leaves no sample.
        return [float(sample["value"][1]) for sample in prometheus.query(query)] == [expected[query]]

    for query in expected:
        wait_until(partial(shown, query), f"{query} to be {expected[query]}")
