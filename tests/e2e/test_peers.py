"""What real agents say of each other by their own connections, when one of them is stopped, slow or killed."""

import os
import signal
import time
from collections.abc import Mapping
from typing import Any

import pytest
from tests.e2e.harness import Job, rounds
from tests.support.proxy import Proxy
from tests.support.waiting import wait_until

from rendezvous_api import names
from rendezvous_api.reasons import ConditionReason, RoundEndReason

EVERYONE = {"n0", "n1", "n2"}
WELL = ("", "", "", "")
"""No member is missed, closed, has left or has never come."""


def start(job: Job) -> None:
    """Three nodes whose workers train by themselves; heartbeats by the interval alone would come late."""
    job.create(2, 3, lastCallSeconds=600, heartbeatIntervalSeconds=10, confirmSeconds=60)
    begin(job)


def begin(job: Job, ways: Mapping[str, Proxy] | None = None, *, together: bool = False) -> None:
    """Three nodes, and wait until each has beaten; these have a way of their own to the API server."""
    for node in sorted(EVERYONE):
        way = (ways or {}).get(node)
        own = {"KUBECONFIG": str(job.control_plane.kubeconfig_via(way.port))} if way else None
        job.agent(node, environment=own, together=together)
    job.wait_for_round(EVERYONE)
    assert job.ranks() == {"n0": 0, "n1": 1, "n2": 2}
    wait_until(lambda: report(job) == WELL, "beats of all at rank 0")
    wait_until(lambda: host_of(job, "n1") == host_of(job, "n2") == "Answers", "answers")


def peers(job: Job, node: str) -> Any:
    """What the last heartbeat of a node says of the others."""
    return (job.participant(node).get("status") or {}).get("peers") or {}


def report(job: Job) -> tuple[str, ...] | None:
    """The sets of the host."""
    found = peers(job, "n0").get("report")
    return None if found is None else tuple(found.get(key, "") for key in ("missed", "closed", "left", "notConnected"))


def host_of(job: Job, node: str) -> str | None:
    """What a member says of the host."""
    found: str | None = peers(job, node).get("host")
    return found


def test_a_stopped_agent_is_missed_and_comes_back(job: Job) -> None:
    start(job)
    stopped_at = time.monotonic()
    job.agents["n2"].freeze()
    wait_until(lambda: report(job) == ("2", "", "", ""), "n2 to be missed")
    assert time.monotonic() - stopped_at < 8
    job.agents["n2"].thaw()
    wait_until(lambda: report(job) == WELL, "n2 to be back")
    # The same for the host: its own heartbeats say nothing while it is stopped, and the others do.
    stopped_at = time.monotonic()
    job.agents["n0"].freeze()
    wait_until(lambda: host_of(job, "n1") == host_of(job, "n2") == "Missed", "n0 to be missed")
    assert time.monotonic() - stopped_at < 8
    job.agents["n0"].thaw()
    wait_until(lambda: host_of(job, "n1") == host_of(job, "n2") == "Answers", "n0 to be back")
    assert report(job) == WELL
    assert rounds(job.status) == [(3, None)]


def heartbeats(job: Job, seconds: float) -> dict[str, int]:
    """How many heartbeats of each node are seen in this time."""
    seen: dict[str, set[str]] = {node: set() for node in sorted(EVERYONE)}
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for node, times in seen.items():
            times.add(job.participant(node)["status"]["heartbeatTime"])
        time.sleep(0.2)
    return {node: len(times) - 1 for node, times in seen.items()}


def test_heartbeats_are_rare_while_peers_hear_a_node_and_a_loss_is_noticed_all_the_same(job: Job) -> None:
    job.create(1, 3, lastCallSeconds=600, heartbeatIntervalSeconds=1, heartbeatPeersIntervalSeconds=300)
    begin(job)
    rare = dict.fromkeys(("n1", "n2"), 300)

    def say_so() -> bool:
        found = {node: (job.participant(node).get("status") or {}).get("peersIntervalSeconds") for node in EVERYONE}
        return {node: seconds for node, seconds in found.items() if seconds} == rare

    wait_until(say_so, "n1 and n2 to send few heartbeats")
    sent = heartbeats(job, 12)
    assert (sent["n1"], sent["n2"]) == (0, 0)
    assert sent["n0"] >= 4
    assert not job.status.holds("Degraded")
    assert rounds(job.status) == [(3, None)]
    killed_at = time.monotonic()
    for node in ("n1", "n2"):
        job.agents[node].kill()
    wait_until(lambda: job.status.history[0].reason is not None, "the loss to be noticed")
    assert time.monotonic() - killed_at < 8
    record = job.status.history[0]
    assert record.reason in (RoundEndReason.MEMBER_LOST, RoundEndReason.WORKER_FAILED)


@pytest.mark.slow
def test_a_host_that_is_stopped_again_and_again_accuses_no_member(job: Job) -> None:
    start(job)
    host = job.agents["n0"].popen.pid
    said = set()
    for _ in range(4):
        os.kill(host, signal.SIGSTOP)
        time.sleep(3)
        os.kill(host, signal.SIGCONT)
        until = time.monotonic() + 2
        while time.monotonic() < until:
            said.add(report(job))
            time.sleep(0.1)
    assert said == {WELL}
    assert rounds(job.status) == [(3, None)]


def test_a_killed_agent_is_reported_before_three_seconds_have_passed(job: Job) -> None:
    start(job)
    killed_at = time.monotonic()
    job.agents["n2"].kill()

    def reported() -> bool:
        return report(job) == ("", "2", "", "") or rounds(job.status)[0] == (3, RoundEndReason.MEMBER_LOST)

    wait_until(reported, "n2 to be reported")
    assert time.monotonic() - killed_at < 3


def test_an_agent_that_is_terminated_says_so_itself(job: Job) -> None:
    start(job)
    job.agents["n2"].terminate()
    wait_until(lambda: job.participant("n2")["spec"]["state"] == "Left", "n2 to leave")
    assert job.participant("n2")["spec"]["leaveReason"] == "Terminated"
    second = job.wait_for_round({"n0", "n1"}, after=1)
    assert rounds(second) == [(3, RoundEndReason.MEMBER_TERMINATED), (2, None)]
    # The next round has connections of its own.
    wait_until(lambda: report(job) == WELL, "beats of n1")
    job.stop_training()
    assert [job.agents[node].wait() for node in ("n0", "n1")] == [0, 0]


@pytest.mark.slow
@pytest.mark.parametrize("victim", [pytest.param("n2", id="a member"), pytest.param("n0", id="rank 0")])
def test_a_stopped_node_is_lost_within_fifteen_seconds_and_comes_back(job: Job, victim: str) -> None:
    """With the default times. Its kernel still has its connections, so nothing is closed."""
    job.create(2, 3, lastCallSeconds=600)
    begin(job, together=True)
    stopped_at = time.monotonic()
    job.agents[victim].freeze()
    job.wait_for_round(EVERYONE - {victim}, after=1)
    assert time.monotonic() - stopped_at < 15 + 1  # the others have joined again, too
    job.agents[victim].thaw()
    third = job.wait_for_round(EVERYONE, after=2)
    assert [record.reason for record in third.history] == [RoundEndReason.MEMBER_LOST, RoundEndReason.SCALE_UP, None]
    job.wait_for_training(EVERYONE)
    job.stop_training()
    assert [job.agents[node].wait() for node in sorted(EVERYONE)] == [0, 0, 0]
    job.journal.assert_no_split()


@pytest.mark.slow
@pytest.mark.parametrize("victim", [pytest.param("n2", id="a member"), pytest.param("n0", id="rank 0")])
def test_who_does_not_reach_the_api_server_trains_on_until_its_worker_fails(job: Job, victim: str) -> None:
    times = {"heartbeatIntervalSeconds": 1, "maxMissed": 6, "suspectSeconds": 20, "confirmSeconds": 5}
    job.create(2, 3, lastCallSeconds=600, **times)
    with Proxy(job.control_plane.port) as way:
        begin(job, {victim: way})
        way.swallow()

        def named() -> bool:
            found = job.status.condition(names.CONDITION_DEGRADED)
            return found is not None and found.reason == ConditionReason.PATH_BROKEN and victim in found.message

        wait_until(named, f"{victim} to be named")
        time.sleep(times["suspectSeconds"] + 5)  # by its heartbeats alone it would be lost
        assert named()
        assert rounds(job.status) == [(3, None)]
        assert len(job.journal.records("start")) == 3
        job.crash(victim)
        second = job.wait_for_round(EVERYONE - {victim}, after=1)
        assert rounds(second) == [(3, RoundEndReason.MEMBER_REENTERED), (2, None)]
        way.mend()
        job.wait_for_round(EVERYONE, after=2)
