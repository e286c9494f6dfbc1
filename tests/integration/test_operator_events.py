"""Events on a real API server: counted where they repeat, and in order where people read them."""

import json
import re
import socket
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from tests.integration.operator_support import Group, Operators
from tests.support.waiting import wait_until

from rendezvous_controlplane import ControlPlaneError, LocalControlPlane


def events(group: Group, reason: str) -> list[dict[str, Any]]:
    return [event for event in group.events() if event["reason"] == reason]


def test_what_happens_again_is_counted(operators: Operators, group: Group) -> None:
    operators.start(f"--namespace={group.namespace}")
    group.create(closed=True)

    def count() -> int:
        (event,) = events(group, "ParticipantRefused")
        return int(event.get("series", {}).get("count", 1))

    def counted(times: int) -> bool:
        return count() == times

    group.join("a")
    wait_until(lambda: events(group, "ParticipantRefused"), "the event")
    for attempt in (2, 3):
        group.join("a", attempt)
        wait_until(partial(counted, attempt), f"{attempt} in one event")
    (event,) = events(group, "ParticipantRefused")
    assert event["series"]["lastObservedTime"] > event["eventTime"]
    assert "(x3 over" in group.kubectl("describe", "rdzv", "train")

    # Kubernetes deletes events after a while; then there is a new one.
    group.api.delete_all("Event")
    group.join("a", 4)
    wait_until(lambda: events(group, "ParticipantRefused"), "another event")
    assert count() == 1


def test_events_are_shown_in_order_with_their_age(operators: Operators, group: Group) -> None:
    operators.start(f"--namespace={group.namespace}")
    group.create()
    rounds = 8
    for attempt in range(1, rounds + 1):
        for node in ("a", "b"):
            group.join(node, attempt)
        group.wait_for_round(attempt)
    wait_until(lambda: len(events(group, "RoundPublished")) == rounds, "all events")
    told = ["RunClaimed", *(["RoundPublished", "RoundEnded"] * rounds)[:-1]]

    described = group.kubectl("describe", "rdzv", "train").partition("\nEvents:\n")[2]
    lines = [line.split() for line in described.splitlines()[2:] if line.strip()]
    assert [line[1] for line in lines] == told
    assert all(re.fullmatch(r"\d+[smh]", line[2]) for line in lines), "each has an age"

    listed = [line.split() for line in group.kubectl("get", "events", "--no-headers").splitlines()]
    assert [line[2] for line in listed] == told
    assert all(re.fullmatch(r"\d+[smh]", line[0]) for line in listed)
    in_order = [line.split() for line in group.kubectl("events", "--no-headers").splitlines()]
    assert [line[2] for line in in_order] == told


HELD_SECONDS = 30
"""The longest that a webhook may take."""


class SlowEvents:
    """A webhook for the Events of one namespace that takes connections and says nothing: each Event takes 30 s."""

    def __init__(self, control_plane: LocalControlPlane, namespace: str) -> None:
        self._control_plane = control_plane
        self._namespace = namespace
        self._name = f"slow-events-{namespace}"
        self._listener = socket.create_server(("127.0.0.1", 0))
        rule = {
            "apiGroups": ["events.k8s.io"],
            "apiVersions": ["*"],
            "operations": ["CREATE", "UPDATE"],
            "resources": ["events"],
        }
        webhook = {
            "name": "slow.example.com",
            "clientConfig": {"url": f"https://127.0.0.1:{self._listener.getsockname()[1]}/"},
            "rules": [rule],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "failurePolicy": "Ignore",
            "timeoutSeconds": HELD_SECONDS,
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        }
        configuration = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": self._name},
            "webhooks": [webhook],
        }
        control_plane.kubectl("apply", "-f", "-", input=json.dumps(configuration))

    def held(self) -> bool:
        """Whether an Event that is created now is held: a webhook is not in use at once."""
        event = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"generateName": "probe-", "namespace": self._namespace},
            "eventTime": "2030-01-01T00:00:00.000000Z",
            "type": "Normal",
            "reason": "Probe",
            "action": "Probe",
            "reportingController": "test",
            "reportingInstance": "test",
            "regarding": {"kind": "Pod", "name": "probe", "namespace": self._namespace},
        }
        began = time.monotonic()
        try:
            self._control_plane.kubectl("create", "--request-timeout=2s", "-f", "-", input=json.dumps(event))
        except ControlPlaneError:
            return time.monotonic() - began >= 2
        return False

    def end(self) -> None:
        """Let the Events through that are held, and all others."""
        self._control_plane.kubectl("delete", "validatingwebhookconfiguration", self._name, "--ignore-not-found")
        self._listener.close()


@pytest.fixture
def slow_events(control_plane: LocalControlPlane, namespace: str) -> Iterator[SlowEvents]:
    slow = SlowEvents(control_plane, namespace)
    wait_until(slow.held, "events to be slow")
    yield slow
    slow.end()


def test_slow_events_delay_no_round(operators: Operators, group: Group, slow_events: SlowEvents) -> None:
    operator = operators.serve(f"--namespace={group.namespace}")
    group.create()
    began = time.monotonic()
    rounds = 3
    for attempt in range(1, rounds + 1):
        for node in ("a", "b"):
            group.join(node, attempt)
        group.wait_for_round(attempt)
    took = time.monotonic() - began
    assert took < HELD_SECONDS, f"{rounds} rounds took {took:.0f} s"
    assert events(group, "RunClaimed") == [], "the first event is still held"
    assert "[+]events ok" in operator.get("/livez?verbose")[1]

    slow_events.end()
    wait_until(lambda: len(events(group, "RoundPublished")) == rounds, "all events", 2 * HELD_SECONDS)
    assert "was not sent" not in operator.process.log


def test_slow_events_do_not_hold_up_the_end(operators: Operators, group: Group, slow_events: SlowEvents) -> None:
    operator = operators.start(f"--namespace={group.namespace}")
    group.create(closed=True)
    for number in range(5):
        group.join(f"n{number}")
    wait_until(lambda: "ParticipantRefused" in operator.log, "something to tell")
    operator.terminate()
    assert operator.wait(20) == 0
    assert "events were not sent" in operator.log
    assert "Traceback" not in operator.log
    assert "Unclosed" not in operator.log
