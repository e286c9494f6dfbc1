"""``kubectl rdzv history``: the last rounds, why each ended, and how much of the time the group trained."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from kube_rendezvous_cli import times
from kube_rendezvous_cli.group import Group
from kube_rendezvous_cli.text import count, table
from kube_rendezvous_cli.timeline import Kind, Round, columns, last_run, time_lost, timeline, totals

Json = dict[str, Any]

WIDTH = 60
LETTERS = {Kind.STARTING: ">", Kind.TRAINING: "=", Kind.DETECTING: "?", Kind.STOPPING: "x", Kind.FORMING: "."}
KEPT = 10
"""Rounds that a status keeps."""


def history(group: Group, now: datetime, *, width: int = WIDTH) -> str:
    """The rounds in a table and on one axis of time."""
    rounds = timeline(group, now)
    if not rounds:
        return f"{group.name} has had no round yet."
    lines = [*table(HEADER, (_cells(each, rounds) for each in rounds)), ""]
    lines += _axis(rounds, now, width)
    lines += ["", goodput(rounds)]
    if len(rounds) == KEPT and rounds[0].record.round > 1:
        lines.append(
            f"The object keeps the last {KEPT} rounds; rounds 1 to {rounds[0].record.round - 1} are not in these times."
        )
    return "\n".join(lines)


HEADER = ("ROUND", "BEGAN", "NODES", "TRAINED", "LOST", "ENDED BY", "MESSAGE")


def _cells(each: Round, rounds: Sequence[Round]) -> list[str]:
    record = each.record
    lost = time_lost(rounds, record.round)
    return [
        str(record.round),
        times.clock(each.begin),
        str(record.nodes),
        times.duration(each.seconds(Kind.TRAINING)),
        times.duration(lost) if lost is not None else "-",
        record.reason or "(it runs)",
        record.message or "",
    ]


def _axis(rounds: Sequence[Round], now: datetime, width: int) -> list[str]:
    """One line with the numbers of the rounds, one with what the group did, and what the letters mean."""
    begin, end = rounds[0].begin, rounds[-1].end
    if end <= begin:
        return []
    numbers = [" "] * (width + 4)
    free = 0
    for each in rounds:
        at = int((each.begin - begin) / (end - begin) * width)
        name = str(each.record.round)
        if at >= free and at + len(name) <= len(numbers):
            numbers[at : at + len(name)] = name
            free = at + len(name) + 1
    first, last = times.clock(begin), "now" if rounds[-1].going_on else times.clock(end)
    drawn = "".join(LETTERS[kind] if kind is not None else " " for kind in columns(rounds, width))
    margin = " " * len(first)
    meaning = "   ".join(f"{letter} {kind.value}" for kind, letter in LETTERS.items())
    return [f"{margin}  {''.join(numbers)}".rstrip(), f"{first}  {drawn}  {last}", f"{margin}  {meaning}"]


def goodput(rounds: Sequence[Round]) -> str:
    """How much of its time the run has trained, and where the rest went."""
    mine = last_run(rounds)
    sums = totals(mine)
    whole = sum(sums.values())
    if whole <= 0:
        return "No time has passed."
    parts = [
        f"{kind.value} {times.duration(seconds)} ({seconds / whole:.1%})" for kind, seconds in sums.items() if seconds
    ]
    return f"Of {times.duration(whole)} in {count(len(mine), 'round')} of this run: {', '.join(parts)}.{_lost(mine)}"


def _lost(rounds: Sequence[Round]) -> str:
    """What the ends of rounds have cost, by their reasons."""
    sums = defaultdict[str, float](float)
    for each in rounds:
        sums[each.record.reason or ""] += time_lost(rounds, each.record.round) or 0.0
    most_first = sorted(sums.items(), key=lambda item: -item[1])
    parts = [f"{reason} {times.duration(seconds)}" for reason, seconds in most_first if seconds]
    if not parts:
        return ""
    whole = times.duration(sum(sums.values()))
    return f"\nLost, beside the steps since the last checkpoint: {whole} ({', '.join(parts)})."


def history_json(group: Group, now: datetime) -> Json:
    """The same for programs; all times in seconds."""
    rounds = timeline(group, now)
    mine = totals(last_run(rounds))
    whole = sum(mine.values())
    return {
        "namespace": group.namespace,
        "name": group.name,
        "rounds": [
            {
                "round": each.record.round,
                "run": each.record.run_id,
                "nodes": each.record.nodes,
                "begin": each.begin.isoformat(),
                "end": None if each.going_on else each.end.isoformat(),
                "reason": each.record.reason,
                "message": each.record.message,
                "lostSeconds": time_lost(rounds, each.record.round),
                **{f"{kind.value}Seconds": each.seconds(kind) for kind in Kind},
            }
            for each in rounds
        ],
        "totals": {
            **{f"{kind.value}Seconds": seconds for kind, seconds in mine.items()},
            "goodput": mine[Kind.TRAINING] / whole if whole > 0 else None,
        },
    }
