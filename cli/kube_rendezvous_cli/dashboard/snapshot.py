"""What the page shows, as JSON: all groups, or one of them. The page draws it, and computes nothing.

Here as elsewhere an age or a state is computed in one place for all views: what a node does is in `rows`, why a group
waits in `why`, where the time went in `timeline`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kube_rendezvous_cli import times
from kube_rendezvous_cli.follow import Broken
from kube_rendezvous_cli.get import head_json, in_order, line, row_json
from kube_rendezvous_cli.group import Group, group_of, groups_of
from kube_rendezvous_cli.history import goodput
from kube_rendezvous_cli.peers import peer_words
from kube_rendezvous_cli.rows import MEMBER, MISSING, REFUSED, SPARE, Row, rows
from kube_rendezvous_cli.text import tone
from kube_rendezvous_cli.timeline import Kind, Round, time_lost, timeline
from kube_rendezvous_cli.why import explained
from rendezvous_api import names

Json = dict[str, Any]
Name = tuple[str, str]
"""Of a group: namespace and name."""

_UNNOTICED_SECONDS = 3.0
"""A watch that ends, and begins again within this time, is not worth a word."""


@dataclass(frozen=True)
class Objects:
    """All objects at one moment, sorted by the group that they belong to."""

    rendezvous: Mapping[Name, Json]
    participants: Mapping[Name, Sequence[Json]]
    pods: Mapping[Name, Sequence[Json]]
    problems: tuple[str, ...]
    """What cannot be read, for want of a right."""
    stale: Json | None
    """Since when, and why, what is here is not the newest; None: it is."""
    moment: datetime
    """When it was so."""

    def group(self, name: Name) -> Group | None:
        """One group; None: it is not there."""
        found = self.rendezvous.get(name)
        if found is None:
            return None
        return group_of(found, self.participants.get(name, ()), self.pods.get(name, ()), self.problems)


def sorted_objects(
    objects: Mapping[str, Mapping[str, Json]], broken: Iterable[Broken], now: datetime, what: Mapping[str, str]
) -> Objects:
    """The objects of the watches.

    Args:
        objects: by kind and UID.
        broken: the watches that are.
        now: the moment, by the clock of this machine.
        what: how each kind is called.
    """
    participants: dict[Name, list[Json]] = {}
    for item in objects["participants"].values():
        of = (item.get("spec") or {}).get("rendezvousName")
        participants.setdefault((item["metadata"]["namespace"], str(of)), []).append(item)
    pods: dict[Name, list[Json]] = {}
    for item in objects["pods"].values():
        of = (item["metadata"].get("labels") or {}).get(names.LABEL_RENDEZVOUS)
        pods.setdefault((item["metadata"]["namespace"], str(of)), []).append(item)
    problems, late = [], []
    for each in broken:
        if each.forbidden and each.kind != "rendezvous":
            problems.append(f"{what[each.kind]} cannot be listed: {each.reason}")
        elif each.reason or (now - each.since).total_seconds() > _UNNOTICED_SECONDS:
            late.append(each)
    first = min(late, key=lambda each: each.since, default=None)
    return Objects(
        {(item["metadata"]["namespace"], item["metadata"]["name"]): item for item in objects["rendezvous"].values()},
        participants,
        pods,
        tuple(sorted(problems)),
        None if first is None else _stale(first, now, what),
        # What is stale is shown as of the last moment at which it was known: its ages would count what no one has seen.
        now if first is None else first.since,
    )


def _stale(broken: Broken, now: datetime, what: Mapping[str, str]) -> Json:
    return {
        "since": times.clock(broken.since),
        "age": times.age((now - broken.since).total_seconds()),
        "reason": broken.reason or f"kubectl's watch of {what[broken.kind]} has ended, and no other one has begun yet",
    }


def all_groups(objects: Objects) -> Json:
    """The list of groups."""
    groups = in_order(groups_of(objects.rendezvous.values()))
    return {
        "stale": objects.stale,
        "clock": times.clock(objects.moment),
        "problems": list(objects.problems),
        "groups": [{**line(group, objects.moment), "tone": tone(group.state)} for group in groups],
    }


def one_group(objects: Objects, name: Name) -> Json:
    """One group with all its nodes, its rounds, and what is said of it."""
    now, group = objects.moment, objects.group(name)
    shown: Json = {"stale": objects.stale, "clock": times.clock(now), "group": None}
    if group is None:
        return shown
    found = rows(group, now)
    said = explained(group, now, found)
    peers = peer_words(group)
    rounds = timeline(group, now)
    shown["group"] = {
        **head_json(group, now),
        **{"line": line(group, now), "tone": tone(group.state)},
        "why": {"paragraph": said.paragraph, "toDo": said.to_do, "page": said.page},
        "nodes": [_node(row, peers.get(row.name, "")) for row in found],
        "problems": list(group.problems),
        "counts": _counts(found),
        "rounds": [_round(each, rounds) for each in reversed(rounds)],
        "axis": _axis(rounds),
        "goodput": goodput(rounds) if rounds else "",
    }
    return shown


def node_tone(row: Row) -> str:
    """How a node is: ``good``, ``waits`` or ``bad``; ``idle``: it takes no part, and need not."""
    if row.kind == SPARE or row.state.startswith(("has left: Succeeded", "run has ended")):
        return "idle"
    if row.kind == REFUSED:
        return "bad"
    if row.kind == MISSING:
        # One that is only not there yet is waited for.
        return "bad" if tone(row.state) == "bad" else "waits"
    return tone(row.state) or "waits"


def _node(row: Row, peers: str) -> Json:
    return {
        **row_json(row),
        "key": row.name,
        "mark": row.mark,
        "tone": node_tone(row),
        "heartbeat": times.age(row.heartbeat) if row.heartbeat is not None else "",
        "peers": peers,
    }


def _counts(found: Sequence[Row]) -> list[Json]:
    """How many nodes are in each state; the time in it does not count."""
    counted = Counter((_word(row), node_tone(row)) for row in found)
    return [{"what": what, "tone": how, "count": number} for (what, how), number in counted.items()]


def _word(row: Row) -> str:
    """The state without time and reason."""
    if row.kind == MEMBER:
        return row.state.partition(":")[0].partition(" ")[0] if tone(row.state) else row.state.partition(":")[0]
    return {"heldOut": "held out", "waiting": "waits"}.get(row.kind, row.kind)


def _round(each: Round, rounds: Sequence[Round]) -> Json:
    record = each.record
    lost = time_lost(rounds, record.round)
    begin = rounds[0].begin
    return {
        "round": record.round,
        "began": times.clock(each.begin),
        "nodes": record.nodes,
        "trained": times.duration(each.seconds(Kind.TRAINING)),
        "lost": times.duration(lost) if lost is not None else "-",
        "reason": record.reason or "(it runs)",
        "message": record.message or "",
        "spans": [
            {
                "kind": span.kind.value,
                "from": (span.begin - begin).total_seconds(),
                "seconds": span.seconds,
                "duration": times.duration(span.seconds),
            }
            for span in each.spans
        ],
    }


def _axis(rounds: Sequence[Round]) -> Json | None:
    """From the first round that is still known to the end of the last one."""
    if not rounds or rounds[-1].end <= rounds[0].begin:
        return None
    begin, end = rounds[0].begin, rounds[-1].end
    return {
        "seconds": (end - begin).total_seconds(),
        "begin": times.clock(begin),
        "end": "now" if rounds[-1].going_on else times.clock(end),
        "kinds": [kind.value for kind in Kind],
    }
