"""What a schedule comes to, in numbers: a pure function from a journal, to be kept as JSON."""

import itertools
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from chaos.checker import Violation, recoveries, round_ends, together
from chaos.journal import Event, Journal

Summary = Mapping[str, Any]


def summarize(journal: Journal, violations: Sequence[Violation]) -> dict[str, Any]:
    """The numbers of one schedule."""
    (setting,) = journal.all("setting")
    faults = list(journal.all("fault"))
    end = next(journal.all("end"), None)
    return {
        "seed": setting["seed"],
        "nodes": setting["nodes"],
        "max_nodes": setting["max_nodes"],
        "operators": setting["operators"],
        "leader_elect": setting["leader_elect"],
        "seconds": round(_played(journal), 1),
        "steps": len(together(journal.steps)),
        "faults": dict(Counter(fault["kind"] for fault in faults)),
        "rounds": dict(Counter(end.reason for end in round_ends(journal))),
        "recoveries": [
            {"kinds": kinds, "seconds": None if seconds is None else round(seconds, 1), "rounds": rounds}
            for kinds, seconds, rounds in _recoveries(journal, faults)
        ],
        "requests": end["requests"] if end is not None else 0,
        "failed_requests": end["failed"] if end is not None else 0,
        "starved": round(max((event["seconds"] for event in journal.all("starved")), default=0.0), 1),
        "slowness": _slowness(journal),
        "violations": [{"rule": violation.rule, "message": violation.message} for violation in violations],
    }


def _slowness(journal: Journal) -> list[float]:
    """By which factor the machine let this program wait: median and most."""
    factors = [event["factor"] for event in journal.all("slowness")] or [1.0]
    return [round(statistics.median(factors), 1), round(max(factors), 1)]


def _played(journal: Journal) -> float:
    """From the first round to the last time of calm."""
    moments = [event.at for event in journal.events if event.what in ("recovered", "stuck")]
    return moments[-1] - moments[0] if moments else 0.0


def _recoveries(journal: Journal, faults: Sequence[Event]) -> list[tuple[list[str], float | None, int]]:
    """For each time of calm but the first: the faults before it, how long it took, and how many rounds had ended."""
    found = recoveries(journal)
    ends = round_ends(journal)
    answers = []
    for (before, took), (calm, seconds) in itertools.pairwise(found):
        since = before.at + (took or 0.0)
        until = calm.at + (seconds or 0.0)
        kinds = [fault["kind"] for fault in faults if since <= fault.at <= calm.at]
        if kinds:
            answers.append((kinds, seconds, len([end for end in ends if since < end.at <= until])))
    return answers
