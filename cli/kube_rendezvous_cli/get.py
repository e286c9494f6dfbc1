"""``kubectl rdzv get``: all groups in a table, or one with all its nodes."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from kube_rendezvous_cli import budget, times
from kube_rendezvous_cli.group import Group
from kube_rendezvous_cli.peers import peer_words
from kube_rendezvous_cli.rows import MEMBER, Row, rows
from kube_rendezvous_cli.text import table
from kube_rendezvous_cli.timeline import time_lost, timeline

Json = dict[str, Any]

NOTHING = "-"


def groups_table(groups: Sequence[Group], now: datetime, *, wide: bool = False, all_namespaces: bool = False) -> str:
    """A line for each group: its state, and for whom it waits or what has happened last."""
    lines = [line(group, now) for group in in_order(groups)]
    header = ["NAME", "STATE", "RUN", "ROUND", "NODES", "SPARES", "RESTARTS", "SINCE"]
    if all_namespaces:
        header.insert(0, "NAMESPACE")
    if wide:
        header += ["LAST", "MESSAGE"]
    return "\n".join(table(header, [[each[name.lower()] for name in header] for each in lines]))


def in_order(groups: Iterable[Group]) -> list[Group]:
    """By namespace and name."""
    return sorted(groups, key=lambda group: (group.namespace, group.name))


def line(group: Group, now: datetime) -> dict[str, str]:
    """What is shown of a group among others, each by the heading of its column in small letters."""
    summary, status = group.status.summary, group.status
    return {
        "namespace": group.namespace,
        "name": group.name,
        "state": group.state,
        "run": group.run or NOTHING,
        "round": str(status.round),
        "nodes": summary.nodes if summary is not None else NOTHING,
        "spares": str(summary.spares) if summary is not None else NOTHING,
        "restarts": budget.cell(group, now),
        "since": (times.ago(summary.since, now) if summary is not None else None) or NOTHING,
        "last": last_end(group, now) or NOTHING,
        "message": message(group),
    }


def tree(group: Group, now: datetime, *, wide: bool = False) -> str:
    """One group: its run, its round, and each node with rank, pod, machine, heartbeat and what is known of it."""
    head = [group.name, group.state]
    status, summary = group.status, group.status.summary
    if status.round:
        head.append(f"round {status.round}")
    if summary is not None:
        now_there, _, allowed = summary.nodes.partition("/")
        head.append(f"{now_there} of {allowed} nodes")
    if group.run:
        head.append(f"run {group.run}")
    head.append(f"restarts {budget.cell(group, now)}")
    if (last := last_end(group, now)) is not None:
        head.append(f"last: {last}")
    lines = ["   ".join(head)]
    if (said := message(group)) and not _says_nothing_new(group):
        lines.append(said)
    found = rows(group, now)
    if found:
        placed = any(row.domain is not None for row in found)
        header = ["RANK", "POD", "MACHINE", *(["DOMAIN"] if placed else []), "STATE", "HEARTBEAT", "EVIDENCE"]
        cells = [_cells(row, wide, placed) for row in found]
        lines += ["", *table([*header, "PARTICIPANT"] if wide else header, cells)]
    lines += [f"note: {problem}" for problem in group.problems]
    return "\n".join(lines)


def _cells(row: Row, wide: bool, placed: bool) -> list[str]:
    heartbeat = times.age(row.heartbeat) if row.heartbeat is not None else ""
    domain = [row.domain or ""] if placed else []
    cells = [row.mark, row.pod or row.name, row.machine or NOTHING, *domain, row.state, heartbeat, row.evidence]
    return [*cells, row.name] if wide else cells


def message(group: Group) -> str:
    """What the group does or waits for, in the operator's words."""
    condition = group.condition
    return "" if condition is None else condition.message


def last_end(group: Group, now: datetime) -> str | None:
    """Why the last round that has ended did so, when, and how long the group stood still; None: none has."""
    ended = [record for record in group.status.history if record.reason is not None]
    if not ended:
        return None
    last = ended[-1]
    when = times.ago(last.asked or last.ended or last.formed, now)
    lost = time_lost(timeline(group, now), last.round)
    cost = "" if lost is None else f", {times.duration(lost)} lost{'' if group.running else ' so far'}"
    return f"{last.reason} {when} ago{cost}"


def group_json(group: Group, now: datetime) -> Json:
    """One group for programs."""
    peers = peer_words(group)
    nodes = [{**row_json(row), "peers": peers.get(row.name)} for row in rows(group, now)]
    return {**head_json(group, now), "nodes": nodes, "problems": list(group.problems)}


def head_json(group: Group, now: datetime) -> Json:
    """The group without its nodes."""
    condition, summary = group.condition, group.status.summary
    return {
        "namespace": group.namespace,
        "name": group.name,
        "state": group.state,
        "message": condition.message if condition is not None else None,
        "since": summary.since if summary is not None else None,
        "run": group.status.run_id,
        "runName": group.run or None,
        "round": group.status.round,
        "running": group.running,
        "minNodes": group.rendezvous.spec.min_nodes,
        "maxNodes": group.rendezvous.spec.max_nodes,
        "restarts": group.status.restarts,
        "maxRestarts": group.rendezvous.spec.restarts.max,
        "restartLimits": [
            {"limit": count.limit, "of": count.of or None, "used": count.used, "allowed": count.allowed}
            for count in budget.used(group, now)
        ],
    }


def row_json(row: Row) -> Json:
    """One node for programs."""
    return {
        "kind": row.kind,
        "participant": row.name if row.kind == MEMBER or row.name != row.pod else None,
        "rank": row.rank,
        "pod": row.pod,
        "machine": row.machine,
        "domain": row.domain,
        "state": row.state,
        "heartbeatSeconds": row.heartbeat,
        "evidence": row.evidence or None,
    }


def _says_nothing_new(group: Group) -> bool:
    """Whether the message is only that a round runs, which the line above says."""
    return message(group) == f"round {group.status.round} runs with {group.status.nodes} nodes"
