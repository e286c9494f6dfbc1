"""The command ``replay``: all decisions again, or one of them explained."""

import argparse
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from kube_rendezvous_cli.kubectl import CommandError
from kube_rendezvous_cli.replay.compare import decided_again, differences
from kube_rendezvous_cli.replay.explain import difference_lines, explained, heading, text_of
from kube_rendezvous_cli.replay.files import Decided, Recording
from kube_rendezvous_cli.text import count, safe
from kube_rendezvous_cli.version import VERSION

Json = dict[str, Any]

EQUAL, UNREADABLE, OTHERWISE = 0, 1, 3
_SHOWN = 10
"""Fields that are shown of one decision."""


def run(options: argparse.Namespace, show: Callable[[str], None], show_value: Callable[[Any, str], None]) -> int:
    """Replay a folder; returns the exit code.

    Raises:
        CommandError: there is no recording, or it has no such decision.
    """
    recording = Recording(Path(options.folder))
    try:
        if options.decision is not None or options.at is not None:
            told = explained(_chosen(recording, options))
            show_value(told, options.output) if options.output else show(text_of(told))
            return OTHERWISE if told["differences"] else EQUAL
        return _all(recording, options, show, show_value)
    finally:
        for text in (*recording.cut, *recording.problems):
            print(f"note: {safe(text)}", file=sys.stderr)


def _all(
    recording: Recording, options: argparse.Namespace, show: Callable[[str], None],
    show_value: Callable[[Any, str], None],
) -> int:  # fmt: skip
    different: list[Json] = []
    first = last = None
    number, of = 0, set()
    for decided in _of(recording, options.rendezvous):
        number, last = number + 1, decided
        first = first or decided
        of.add(decided.recorded.rendezvous)
        found = differences(decided.recorded.outcome, decided_again(decided.recorded))
        if found:
            about: Json = {
                "decision": decided.number, "time": decided.time, "rendezvous": decided.recorded.rendezvous,
                "release": decided.release, "fields": [difference._asdict() for difference in found],
            }  # fmt: skip
            different.append(about)
            if not options.output:
                show(f"{heading(about)}:")
                show("\n".join(difference_lines(about["fields"], _SHOWN)))
    if first is None or last is None:
        raise CommandError(f"{recording.folder} has no decision that can be read")
    if options.output:
        told = {
            "decisions": number, "different": different, "from": first.time, "to": last.time,
            "leftOut": recording.left_out, "releases": recording.releases, "program": VERSION,
            "problems": recording.problems,
        }  # fmt: skip
        show_value(told, options.output)
    else:
        show(_summary(recording, number, len(of), len(different), first.time, last.time))
    if different:
        return OTHERWISE
    return UNREADABLE if recording.problems else EQUAL


def _summary(recording: Recording, number: int, of: int, different: int, begin: str, end: str) -> str:
    releases = ", ".join(recording.releases)
    left_out = f"; {recording.left_out} more were not recorded" if recording.left_out else ""
    result = f"{count(different, 'decision')} would be another one" if different else "all would be the same"
    groups = "1 Rendezvous" if of == 1 else f"{of} Rendezvous"
    return (
        f"{count(number, 'decision')} about {groups}, from {begin} to {end}, release {releases}{left_out}. "
        f"With release {VERSION}, {result}."
    )


def _of(recording: Recording, rendezvous: str | None) -> Iterator[Decided]:
    """The decisions about one Rendezvous; None: about all."""
    others = set()
    found = False
    for decided in recording.decisions():
        if rendezvous in (None, decided.recorded.rendezvous):
            found = True
            yield decided
        else:
            others.add(decided.recorded.rendezvous)
    if others and not found:
        raise CommandError(f"no decision about {rendezvous!r} is recorded; there are: {', '.join(sorted(others))}")


def _chosen(recording: Recording, options: argparse.Namespace) -> Decided:
    """The decision with that number, or the last one up to that time."""
    moment: datetime | None = options.at
    chosen, first, number = None, None, 0
    for decided in _of(recording, options.rendezvous):
        first, number = first or decided, decided.number
        if moment is None:
            if decided.number == options.decision:
                return decided
        elif decided.recorded.now.wall <= moment and (
            chosen is None or decided.recorded.now.wall >= chosen.recorded.now.wall
        ):
            chosen = decided
    if chosen is not None:
        return chosen
    if first is None:
        raise CommandError(f"{recording.folder} has no decision that can be read")
    if moment is None:
        raise CommandError(f"--decision={options.decision}: there are those from {first.number} to {number}")
    raise CommandError(f"--at: the first decision was made at {first.time}, after that time")
