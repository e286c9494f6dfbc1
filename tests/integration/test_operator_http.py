"""Probes and metrics of a real operator over real HTTP, while a Rendezvous goes through rounds."""

import math
import socket
import time

from tests.integration.operator_support import Group, Operators
from tests.support.waiting import wait_until

from rendezvous_controlplane import LocalControlPlane

KINDS = ("Rendezvous", "RendezvousParticipant", "Pod")


def test_metrics_tell_the_story_of_a_rendezvous(operators: Operators, group: Group) -> None:
    operator = operators.serve(f"--namespace={group.namespace}")
    wait_until(lambda: operator.get("/readyz")[0] == 200, "it to be ready")
    assert operator.get("/livez") == (200, "ok")
    verbose = operator.get("/readyz?verbose")[1].splitlines()
    assert {f"[+]watch-{kind} ok" for kind in KINDS} <= set(verbose)
    assert verbose[-1] == "readyz check passed"
    assert operator.get("/")[0] == 404

    def value(name: str, reason: str | None = None) -> float:
        """NaN, which equals nothing, until the operator has seen the Rendezvous."""
        cause = f'reason="{reason}",' if reason else ""
        labels = f'namespace="{group.namespace}",{cause}rendezvous="train"'
        return operator.metrics().get(f"kube_rendezvous_{name}{{{labels}}}", math.nan)

    group.create()
    group.join("a")
    wait_until(lambda: value("waiting") == 1, "one to wait")
    waited = value("waiting_seconds")
    time.sleep(0.5)
    assert value("waiting_seconds") >= waited + 0.5
    assert (value("running"), value("rounds_published_total")) == (0, 0)
    group.join("b")
    group.wait_for_round(1)
    wait_until(lambda: value("running") == 1, "the round in the metrics")
    # A watch may show the round before the operator has read that its write was accepted, and counts it.
    expected = {"round": 1, "members": 2, "waiting": 0, "waiting_seconds": 0, "rounds_published_total": 1}
    wait_until(lambda: {name: value(name) for name in expected} == expected, f"{expected} in the metrics")
    assert 0 < value("heartbeat_age_seconds") < 30

    group.join("a", state="Left", leaveReason="Failed")
    wait_until(lambda: value("rounds_ended_total", "MemberFailed") == 1, "the end of the round")
    assert value("members_lost_total", "MemberFailed") == 1
    assert value("heartbeat_age_seconds") == 0
    group.join("a", 2)
    group.join("b", 2)
    group.wait_for_round(2)
    wait_until(lambda: value("rounds_published_total") == 2, "round 2 in the metrics")
    assert value("members_lost_total", "MemberFailed") == 1

    metrics = operator.metrics()
    assert metrics['kube_rendezvous_round_duration_seconds_count{reason="MemberFailed"}'] == 1
    assert metrics['kube_rendezvous_formation_duration_seconds_count{reason="Start"}'] == 1
    assert metrics['kube_rendezvous_formation_duration_seconds_count{reason="MemberFailed"}'] == 1
    assert metrics["kube_rendezvous_decision_duration_seconds_count"] >= 4
    writes = 'kube_rendezvous_api_requests_total{code="200",resource="rendezvous/status",verb="update"}'
    assert metrics[writes] >= 3
    assert metrics['kube_rendezvous_api_requests_total{code="200",resource="pods",verb="watch"}'] >= 1
    assert metrics['kube_rendezvous_watch_events_total{kind="RendezvousParticipant"}'] >= 4
    assert metrics["kube_rendezvous_leader"] == 1
    assert metrics["process_resident_memory_bytes"] > 0
    assert operator.process.popen.poll() is None

    group.delete()
    wait_until(lambda: not [name for name in operator.metrics() if "rendezvous=" in name], "its series to go")


def test_prometheus_can_ask_for_openmetrics(operators: Operators, group: Group) -> None:
    operator = operators.serve(f"--namespace={group.namespace}")
    _, text = operator.get("/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert text.endswith("# EOF\n")


def test_an_operator_that_cannot_reach_the_api_server_is_alive_and_says_why_it_is_not_ready(
    operators: Operators, control_plane: LocalControlPlane
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        operator = operators.serve(kubeconfig=control_plane.kubeconfig_via(unused.getsockname()[1]))
        assert operator.get("/livez")[0] == 200
        status, text = operator.get("/readyz")
        assert status == 503
        assert "[-]list-Pod failed: not listed yet, see the log" in text
        operator.process.terminate()
        assert operator.process.wait() == 0, "it ends in good order also while it waits"


def test_a_port_that_is_taken_is_an_error_that_names_it(operators: Operators) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = operators.start(f"--http-port={port}")
        assert process.wait() == 1
    assert f"--http-port {port}: " in process.log


def test_sigterm_ends_the_operator_quickly_while_it_is_probed(operators: Operators, group: Group) -> None:
    operator = operators.serve(f"--namespace={group.namespace}")
    group.create(minNodes=1, maxNodes=20)
    for number in range(10):
        group.join(f"n{number}")
    group.wait_for_round(1)
    with socket.create_connection(("127.0.0.1", operator.port)) as kept_open:
        kept_open.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert kept_open.recv(20).startswith(b"HTTP/1.1 200")
        operator.process.terminate()
        assert operator.process.wait(20) == 0, "its watches would last 60 s"
    assert "Traceback" not in operator.process.log
    assert "Unclosed" not in operator.process.log


def test_the_log_has_whole_names(operators: Operators, group: Group) -> None:
    process = operators.start(f"--namespace={group.namespace}")
    group.create(closed=True)
    wait_until(lambda: "ClosedBySpec" in process.log, "a decision")
    assert " rendezvous_operator [INFO] all kinds are listed" in process.log
    assert f" rendezvous_operator.reconcile.reconciler [INFO] {group.namespace}/train: ClosedBySpec" in process.log
