"""What must stay the same in a group that is to notice nothing of what goes on around it."""

import itertools
import time
from dataclasses import dataclass

from tests.cluster.harness import Group

from rendezvous_api.rendezvous import RendezvousStatus

LONGEST_PAUSE_SECONDS = 10.0
"""Between two steps of one worker. They take 0.2 s; the rest is for a machine whose few cores also start pods."""


@dataclass(frozen=True)
class Training:
    """A group that trains, as it was at some time."""

    at: float
    status: RendezvousStatus
    workers: frozenset[tuple[str, int]]
    """Pod and process of every worker that was ever started."""
    pods: frozenset[tuple[str, str, int]]
    """Name, UID and restarts of each pod."""


def look_at(group: Group) -> Training:
    """The group as it is now."""
    starts = group.journal.records("start")
    return Training(
        at=time.time(),
        status=group.status,
        workers=frozenset((record.node, record.pid) for record in starts),
        pods=frozenset((pod.name, pod.uid, pod.restarts) for pod in group.pods()),
    )


def assert_undisturbed(group: Group, before: Training) -> float:
    """Nobody was restarted, and all members went on making steps; returns the longest pause of one, in seconds."""
    group.wait_for_steps(since=time.time())
    now = look_at(group)
    assert now.status.round == before.status.round
    assert (now.status.participants, now.status.store) == (before.status.participants, before.status.store)
    assert (now.status.restarts, now.status.waiting_nodes) == (before.status.restarts, 0)
    assert now.status.history[-1].running
    assert now.workers == before.workers, "a worker was started"
    assert now.pods == before.pods
    longest = max(_longest_pause(group, member, before.at, now.at) for member in group.ranks(now.status))
    assert longest < LONGEST_PAUSE_SECONDS, f"no step for {longest:.1f} s"
    return longest


def _longest_pause(group: Group, pod: str, began: float, ended: float) -> float:
    steps = [record.time for record in group.journal.records("step", since=began) if record.node == pod]
    times = [began, *(step for step in steps if step <= ended), ended]
    return max(after - before for before, after in itertools.pairwise(times))


def assert_everyone_is_heard(group: Group) -> None:
    """Wait until a heartbeat of every member arrives that is newer than those that are there."""
    before = _heartbeats(group)
    group.wait(
        lambda: all(beat > before[name] for name, beat in _heartbeats(group).items()), "heartbeats of all members", 60
    )


def _heartbeats(group: Group) -> dict[str, str]:
    members = [member.name for member in group.status.participants]
    query = "--output=jsonpath={.status.heartbeatTime}"
    return {name: group.kubectl("get", "rdzvp", name, query) for name in members}
