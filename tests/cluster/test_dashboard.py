"""The dashboard shows what happens to a group: a real Prometheus scrapes both operators while it is disturbed."""

import signal
import time
from pathlib import Path

import pytest
from testcluster import Cluster
from tests.cluster.harness import Group
from tests.cluster.manifests import indexed_job
from tests.cluster.plots import Panel, ask, draw
from tests.cluster.release import Release
from tests.cluster.take_over import Operators
from tests.support.dashboard import ALERTS, DASHBOARD
from tests.support.prometheus import Prometheus, find_programs, running

from rendezvous_api.reasons import ClosedReason, RoundEndReason

PORT = 8080
QUIET_SECONDS = 20
CUT_OFF_SECONDS = 40


class Story:
    """What happens to a group of three, and when.

    Args:
        cluster: the test cluster.
        group: has no object yet.
        operators: both are there.
    """

    def __init__(self, cluster: Cluster, group: Group, operators: Operators) -> None:
        self.began = time.time()
        self.events: list[tuple[float, str]] = []
        self._cluster = cluster
        self._group = group
        self._operators = operators

    def tell(self) -> None:
        """Let it happen; returns when the Job is complete."""
        group = self._group
        self._happens("a Rendezvous for two to three nodes and a Job of three pods are created")
        group.create_rendezvous(2, 3, replacementSeconds=60)
        group.create(indexed_job("train", 3, group.template("2:3")))
        self._trains(round_=1)

        self._happens("the worker of rank 1 crashes")
        group.crash(group.pod_of_rank(1))
        self._trains(round_=2)

        self._happens("the pod of rank 0 is deleted; the Job makes another one")
        group.delete_pod(group.pod_of_rank(0))
        self._trains(round_=3)

        self._happens("the container of rank 1 is killed; the Job makes another pod")
        group.kill_container(group.pod_of_rank(1))
        self._trains(round_=4)

        cut_off = [group.pod_of_rank(2).name]
        self._happens("a member cannot reach the API server")
        self._cluster.cut_off(cut_off, group.namespace)
        time.sleep(CUT_OFF_SECONDS)
        self._happens("it can reach it again")
        self._cluster.reconnect(cut_off, group.namespace)
        time.sleep(QUIET_SECONDS)

        self._happens("the process of the leader is killed")
        self._operators.signal_leader(signal.SIGKILL)
        time.sleep(2 * QUIET_SECONDS)

        self._happens("training ends")
        group.stop_training()
        group.wait(lambda: group.status.closed_runs, "the run to be closed")
        time.sleep(QUIET_SECONDS)

    def _happens(self, what: str) -> None:
        self.events.append((time.time() - self.began, what))

    def _trains(self, round_: int) -> None:
        self._group.wait_for_training(3, after=round_ - 1)
        assert self._group.status.round == round_
        time.sleep(QUIET_SECONDS)


def test_every_panel_shows_what_happens(
    cluster: Cluster, release: Release, group: Group, tmp_path: Path, output: Path
) -> None:
    programs = find_programs()
    if programs is None:
        pytest.skip("no Prometheus on the PATH, and no apt-get to fetch it with")
    operators = Operators(release, group)
    operators.wait_until_complete()
    pods = [
        {"targets": [f"{pod.address}:{PORT}"], "labels": {"instance": pod.name.rpartition("-")[2]}}
        for pod in operators.pods()
    ]
    folder = tmp_path / "prometheus"
    folder.mkdir()
    with running(programs, folder, {"static_configs": pods}, ALERTS) as prometheus:
        story = Story(cluster, group, operators)
        story.tell()
        panels = {panel.title: panel for panel in ask(prometheus, story.began, time.time())}
        firing = firing_alerts(prometheus)
    (output / "dashboard.svg").write_text(draw(list(panels.values()), story.events))
    told = "".join(f"{number}. {at:.0f} s: {what}\n" for number, (at, what) in enumerate(story.events, start=1))
    (output / "dashboard.txt").write_text(told)
    print(told)

    assert len(panels) == sum(panel["type"] == "timeseries" for panel in DASHBOARD["panels"])
    assert [title for title, panel in panels.items() if not panel.lines] == []
    assert highest(panels["Members"]) == 3
    assert highest(panels["Time to find a loss"]) < 20
    assert highest(panels["Oldest heartbeat"]) > CUT_OFF_SECONDS / 2
    ended = {line.name for line in panels["Rounds that ended, by reason"].lines}
    assert {RoundEndReason.WORKER_FAILED, RoundEndReason.MEMBER_EVICTED, ClosedReason.RUN_SUCCEEDED} <= ended
    assert RoundEndReason.MEMBER_EVICTED in {line.name for line in panels["Members lost, by reason"].lines}
    assert len(panels["Leader"].lines) == len(pods), "each has led"
    assert highest(panels["Time without a round"]) > 1
    assert highest(panels["Nodes that wait for the next round"]) == 2
    assert firing == []


def highest(panel: Panel) -> float:
    return max(value for line in panel.lines for _, value in line.points)


def firing_alerts(prometheus: Prometheus) -> list[str]:
    return [alert["labels"]["alertname"] for alert in prometheus.get("alerts")["alerts"] if alert["state"] == "firing"]
