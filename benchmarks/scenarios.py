"""What happens to a group, and what is measured of it. All times are seconds."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from benchmarks.backends import Backend, Shape
from benchmarks.group import Group, NotFinishedError, Seen

SETTLE_SECONDS = 1.0
"""Between the moment that a group is complete, or that members wait, and what happens next."""


@dataclass
class Measurement:
    """One run of one scenario."""

    seconds: dict[str, float] = field(default_factory=dict)
    """What took how long; `ALL` is there in each scenario that has come to its end."""
    failure: str | None = None
    """Why it has not."""


ALL = "all"
"""From what happened until next_rendezvous has returned at all members."""

TOLD = "told"
"""From what happened until num_nodes_waiting was above 0 at all members."""

Scenario = Callable[[Backend, Group, int, float], dict[str, float]]


def join(backend: Backend, group: Group, nodes: int, limit: float) -> dict[str, float]:
    """All members join at once."""
    backend.open(group, Shape(nodes, nodes, nodes))
    members = range(nodes)
    began = group.join(members)
    return {ALL: _complete(group, members, began, limit) - began}


def join_and_restart(backend: Backend, group: Group, nodes: int, limit: float) -> dict[str, float]:
    """All members join at once, and once they are a group they all join again."""
    found = {f"join {name}": seconds for name, seconds in join(backend, group, nodes, limit).items()}
    time.sleep(SETTLE_SECONDS)
    members = range(nodes)
    began = group.join(members)
    return {**found, ALL: _complete(group, members, began, limit) - began}


def last_comer(backend: Backend, group: Group, nodes: int, limit: float) -> dict[str, float]:
    """All but one wait, and the last one joins."""
    last = nodes - 1
    backend.open(group, Shape(nodes, nodes, nodes, alone=frozenset({last})))
    group.join(range(last))
    time.sleep(SETTLE_SECONDS)
    began = group.join([last])
    return {ALL: _complete(group, range(nodes), began - 60, limit + 60) - began}


def pod_lost(backend: Backend, group: Group, nodes: int, limit: float) -> dict[str, float]:
    """The pod of a member is gone: the others are told, join again, and go on without it."""
    victim = nodes - 1
    backend.open(group, Shape(max(1, nodes - 1), nodes, nodes, alone=frozenset({victim}), pods=True))
    _first_round(group, range(nodes), limit)
    others = range(victim)
    group.run(others, rejoin=True)
    time.sleep(SETTLE_SECONDS)
    group.kill_the_lonely()
    began = backend.lose_pod(victim)
    return _told_and_complete(group, others, began, limit)


def silence(backend: Backend, group: Group, nodes: int, limit: float) -> dict[str, float]:
    """A member is killed, and nothing but its silence tells; the others join again at once, as their workers fail."""
    victim = nodes - 1
    backend.open(group, Shape(max(1, nodes - 1), nodes, nodes, alone=frozenset({victim})))
    _first_round(group, range(nodes), limit)
    time.sleep(SETTLE_SECONDS)
    group.kill_the_lonely()
    began = group.join(range(victim))
    return {ALL: _complete(group, range(victim), began, limit) - began}


def scale_up(backend: Backend, group: Group, nodes: int, limit: float) -> dict[str, float]:
    """A group of one less runs; one more node joins, and the group takes it in."""
    newcomer = nodes - 1
    backend.open(group, Shape(max(1, nodes - 1), nodes, nodes, alone=frozenset({newcomer})))
    others = range(newcomer)
    _first_round(group, others, limit)
    group.run(others, rejoin=True)
    time.sleep(SETTLE_SECONDS)
    began = group.join([newcomer])
    found = _told(group, others, began, limit)
    return {**found, ALL: _complete(group, range(nodes), began, limit) - began}


def replacement(backend: Backend, group: Group, nodes: int, limit: float) -> dict[str, float]:
    """A spare waits beside a full group; a member is lost, and the spare takes its place.

    Where members are not told, the others join again at the moment of the loss, as their workers fail.
    """
    spare, victim = nodes, nodes - 1
    shape = Shape(nodes, nodes, nodes + 1, alone=frozenset({victim}), pods=backend.told)
    backend.open(group, shape)
    _first_round(group, range(nodes), limit)
    group.join([spare])
    others = range(victim)
    if backend.told:
        group.run(others, rejoin=True)
    time.sleep(SETTLE_SECONDS)
    group.kill_the_lonely()
    if backend.told:
        began = backend.lose_pod(victim)
        found = _told(group, others, began, limit)
    else:
        began, found = group.join(others), {}
    return {**found, ALL: _complete(group, [*others, spare], began, limit) - began}


SCENARIOS: dict[str, Scenario] = {
    "join": join,
    "restart": join_and_restart,
    "last comer": last_comer,
    "pod lost": pod_lost,
    "silence": silence,
    "scale-up": scale_up,
    "replacement": replacement,
}


def measure(name: str, backend: Backend, group: Group, nodes: int, limit: float) -> Measurement:
    """Run one scenario; leaves the group without members, and the backend closed."""
    result = Measurement()
    try:
        result.seconds = SCENARIOS[name](backend, group, nodes, limit)
    except NotFinishedError as error:
        result.failure = str(error)
        group.close()
    group.shut_down(limit=60)
    backend.close()
    return result


def _first_round(group: Group, members: Sequence[int], limit: float) -> None:
    began = group.join(members)
    _complete(group, members, began, limit)


def _told_and_complete(group: Group, members: Sequence[int], began: float, limit: float) -> dict[str, float]:
    found = _told(group, members, began, limit)
    return {**found, ALL: _complete(group, members, began, limit) - began}


def _told(group: Group, members: Sequence[int], began: float, limit: float) -> dict[str, float]:
    told = group.await_all("told", members, began, limit)
    return {TOLD: _last(told.values()) - began}


def _complete(group: Group, members: Sequence[int], began: float, limit: float) -> float:
    """When the last of them was in a round of exactly these; checks that all agree on it."""
    joined = group.await_all("joined", members, began, limit)
    ranks = sorted(seen.fields["rank"] for seen in joined.values() if "rank" in seen.fields)
    sizes = {seen.fields["nodes"] for seen in joined.values() if "nodes" in seen.fields}
    if ranks and (ranks != list(range(len(members))) or sizes != {len(members)}):
        raise AssertionError(f"{len(members)} members disagree: ranks {ranks}, sizes {sizes}")
    return _last(joined.values())


def _last(seen: Iterable[Seen]) -> float:
    return max(one.at for one in seen)
