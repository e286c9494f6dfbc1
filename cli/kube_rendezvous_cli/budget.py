"""How much of the restart budget of a run is used, by the clock of this machine."""

from datetime import datetime

from kube_rendezvous_cli import times
from kube_rendezvous_cli.group import Group
from rendezvous_api.rendezvous import Failure
from rendezvous_api.restart_budget import Count, counts, until_when

SHOWN = 3
"""Nodes, or kinds of failures, that are named for a limit: those that have used most of it."""


def used(group: Group, now: datetime) -> tuple[Count, ...]:
    """What each limit counts now, for each node and each kind of failure of which one counts."""
    status, restarts = group.status, group.rendezvous.spec.restarts
    total = status.restarts + sum(failure.round == status.round for failure in status.failures)
    found: dict[tuple[str, tuple[Failure, ...]], Count] = {}
    for failure in reversed(status.failures):
        for count in counts(restarts, status.failures, total, failure, now):
            # Pods that have replaced each other are one node.
            found.setdefault((count.limit, count.failures), count)
    return tuple(count for count in found.values() if count.used)


def cell(group: Group, now: datetime) -> str:
    """RESTARTS: of how many, and if only some of them count, how many do: ``1``, ``1/20``, ``7 (1/3)``."""
    restarts, number = group.rendezvous.spec.restarts, group.status.restarts
    if restarts.max is None:
        return str(number)
    if restarts.window_seconds is None:
        return f"{number}/{restarts.max}"
    counted = next((count.used for count in used(group, now) if count.limit == "max"), 0)
    return f"{number} ({counted}/{restarts.max})"


def sentence(group: Group, now: datetime) -> str | None:
    """What is used of each limit, and when that will be less; None: none is, or ``max`` alone is set, for all time."""
    restarts = group.rendezvous.spec.restarts
    found = used(group, now)
    if not found or not restarts.listed:
        return None
    parts = []
    for limit in dict.fromkeys(count.limit for count in found):
        most = sorted((count for count in found if count.limit == limit), key=lambda count: -count.used)
        parts += [_part(count) for count in most[:SHOWN]]
    within = "" if restarts.window_seconds is None else f" within {times.age(restarts.window_seconds)}"
    text = f"Used of the restart budget{within}: {', '.join(parts)}."
    free = [until for count in found for failure in count.failures if (until := until_when(restarts, failure))]
    if free:
        text += f" The oldest failure counts for {times.age(max(0.0, (min(free) - now).total_seconds()))} more."
    return text


def _part(count: Count) -> str:
    by = f" by {count.of}" if count.limit == "perNode" else ""
    return f"{count.used} of {count.allowed}{by} (restarts.{count.limit})"
