"""What happened, round by round: the history that the Rendezvous itself has, beside the log of optimizer steps."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from demo.step_log import Step, generations
from rendezvous_api.rendezvous import RoundRecord


@dataclass(frozen=True)
class Happening:
    """Something that the demo did and that ended a round."""

    time: float
    """In seconds since 1970."""
    what: str
    sudden: bool
    """Whether training stopped at that very moment: a kill. A new node is first gathered while training goes on."""


@dataclass(frozen=True)
class Row:
    """One round of the timeline."""

    record: RoundRecord
    what: str
    """What ended it, as the demo knows it."""
    first_step: int | None
    """The first and the last optimizer step that were done in it; None if there was none."""
    last_step: int | None
    stood_still: float | None
    """Seconds from what ended the round to the next optimizer step; None for the last round."""


def timeline(history: Sequence[RoundRecord], steps: Sequence[Step], happenings: Sequence[Happening]) -> list[Row]:
    """Put `status.history` of a Rendezvous beside what the workers and the demo did."""
    groups = generations(steps)
    rows = []
    for index, record in enumerate(history):
        begin = seconds(record.formed)
        end = seconds(history[index + 1].formed) if index + 1 < len(history) else float("inf")
        mine = [step for group in groups if begin <= group[0].time < end for step in group]
        later = [group[0].time for group in groups if group[0].time >= end]
        happening = next((found for found in happenings if begin <= found.time < end), None)
        if happening is not None and happening.sudden:
            stopped: float | None = happening.time
        else:
            # The workers were asked to stop after their last step.
            stopped = mine[-1].time if mine else None
        rows.append(
            Row(
                record,
                happening.what if happening is not None else "",
                mine[0].number if mine else None,
                mine[-1].number if mine else None,
                later[0] - stopped if later and stopped is not None else None,
            )
        )
    return rows


def table(rows: Sequence[Row]) -> list[str]:
    """The lines of the timeline as a table."""
    cells = [("round", "nodes", "from (UTC)", "to", "steps", "ended by", "what happened", "stood still")]
    for row in rows:
        record = row.record
        cells.append(
            (
                str(record.round),
                str(record.nodes),
                _clock(record.formed),
                _clock(record.ended) if record.ended else "",
                f"{row.first_step}-{row.last_step}" if row.first_step is not None else "none",
                record.reason or "",
                row.what,
                f"{row.stood_still:.1f} s" if row.stood_still is not None else "",
            )
        )
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]


def seconds(timestamp: str) -> float:
    """A time of the Kubernetes API, with or without microseconds, in seconds since 1970."""
    return datetime.fromisoformat(timestamp.replace("Z", "+00:00")).timestamp()


def _clock(timestamp: str) -> str:
    return timestamp[11:19]
