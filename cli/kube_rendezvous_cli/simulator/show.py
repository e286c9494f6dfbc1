"""A simulation as text and as a value for programs."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from kube_rendezvous_cli import times
from kube_rendezvous_cli.group import Group
from kube_rendezvous_cli.history import goodput
from kube_rendezvous_cli.simulator.play import Play, state_of
from kube_rendezvous_cli.simulator.record import Entry, Who
from kube_rendezvous_cli.text import count, listing, table
from kube_rendezvous_cli.timeline import time_lost, timeline
from rendezvous_api.meta import parse_time

Json = dict[str, Any]

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
_MOST_RANKS = 8


def clock(seconds: float) -> str:
    """``0:05``, ``12:30`` or ``1:00:05`` after the beginning; parts of a second only where there are some."""
    sign, tenths = "-" if seconds < 0 else "", round(abs(seconds) * 10)
    whole, part = divmod(tenths, 10)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    text = f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
    return f"{sign}{text}.{part}" if part else f"{sign}{text}"


def group_of(play: Play) -> Group:
    """The group as it is at the end, for what is computed from its rounds."""
    return Group(play.operator.rendezvous, {}, {})


def text(play: Play) -> str:
    """The timeline, and how it ends."""
    return "\n".join([*_lines(play, "AT"), "", *end(play)])


def forecast(play: Play) -> str:
    """The timeline from now on, and what it costs."""
    lines = _lines(play, "AFTER")
    if len(lines) == 1:
        return f"Nothing changes: the group is {_state(play)}."
    rounds = timeline(group_of(play), play.operator.wall(play.changed_at))
    ended_now = [each for each in rounds if not each.record.running and each.end > play.operator.epoch]
    lost = sum(time_lost(rounds, each.record.round) or 0.0 for each in ended_now)
    costs = f" Until then it stands still for {times.duration(lost)}." if lost else ""
    return "\n".join([*lines, "", f"Then nothing more changes: the group is {_state(play)}.{costs}"])


def _lines(play: Play, heading: str) -> list[str]:
    rows = []
    before = None
    for entry in play.record:
        at, who = clock(entry.at), entry.who.value
        rows.append(["" if before == at else at, "" if entry.who is Who.GIVEN else who, _line(play, entry)])
        before = at
    return table((heading, "WHO", "WHAT"), rows)


def _state(play: Play) -> str:
    if play.operator.finished:
        return "deleted"
    status = play.operator.status
    state, _ = state_of(status)
    return f"{state}, in round {status.round} with {count(status.nodes, 'node')}" if status.round else state


def end(play: Play) -> Iterator[str]:
    """How the group is at the end, and what of the time it has trained."""
    operator = play.operator
    at = clock(play.now)
    if operator.finished:
        yield f"At {at} the operator has deleted the Rendezvous."
        return
    status = operator.status
    if status.summary is None:
        yield f"At {at}: no operator has decided anything about the group yet."
        return
    state, _ = state_of(status)
    yield f"At {at}: {state}, round {status.round}, {count(status.nodes, 'node')}."
    rounds = timeline(group_of(play), operator.wall(play.now))
    if rounds:
        yield goodput(rounds)


def value(play: Play) -> Json:
    """The same for programs; all times are seconds from the beginning."""
    status = play.operator.status
    return {
        "timeline": [_entry(play, entry) for entry in play.record],
        "end": {
            "at": play.now,
            "state": None if status.summary is None else str(status.summary.state),
            "round": status.round,
            "ranks": {member.name: member.rank for member in status.participants},
            "spares": [*status.spares],
            "conditions": {each.type: each.status for each in status.conditions},
        },
    }


def _entry(play: Play, entry: Entry) -> Json:
    found: Json = {"at": entry.at, "who": entry.who.value, "what": entry.what, "message": _said(play, entry)}
    if entry.nodes:
        found["nodes"] = [*entry.nodes]
    if entry.members:
        found["ranks"] = {member.name: member.rank for member in entry.members}
    return found


def _line(play: Play, entry: Entry) -> str:
    if entry.who is not Who.OPERATOR:
        return entry.message
    said = f"{entry.what}: {_said(play, entry)}"
    if entry.members:
        ranks = [f"{member.rank} {member.name}" for member in entry.members]
        said += f"; ranks: {listing(ranks, _MOST_RANKS)}"
    return said


def _said(play: Play, entry: Entry) -> str:
    """A message of the operator, with its moments on the clock of the timeline."""

    def relative(match: "re.Match[str]") -> str:
        moment = parse_time(match[0])
        if moment is None or moment < play.operator.epoch - timedelta(seconds=1):
            return match[0]
        return clock((moment - play.operator.epoch) // timedelta(seconds=1))

    return _MOMENT.sub(relative, entry.message)
