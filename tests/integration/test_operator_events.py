"""Events on a real API server: counted where they repeat, and in order where people read them."""

import json
import re
from functools import partial
from typing import Any

from tests.integration.operator_support import Group, Operators
from tests.waiting import wait_until


def events(group: Group, reason: str) -> list[dict[str, Any]]:
    items = json.loads(group.kubectl("get", "events.events.k8s.io", "-o", "json"))["items"]
    return [item for item in items if item["reason"] == reason and item["regarding"]["uid"] == group.uid]


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
    group.kubectl("delete", "events", "--all")
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
