"""How long it takes from an event until a group trains again, in parts; the rows are kept for the documentation."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Timing:
    """One event. All times are in seconds since it; None: that did not happen, as where no member was lost."""

    scenario: str
    event: str
    told: float | None
    """The Rendezvous asks the members to come back (`waitingNodes` above 0): they read it at once."""
    published: float | None
    """The new round is there."""
    first_step: float
    """First optimizer step of the new round, on the last of its members."""
    nodes: str
    """Members before and after, such as `3 -> 2`."""
    ranks: str
    """Who had to find its rank again, such as `train-0-x7x9d: 0 -> train-0-k2kkp: 0`."""

    def cells(self) -> tuple[str, ...]:
        """The row of a table."""
        times = (self.told, self.published, self.first_step)
        return (self.scenario, self.event, *(_seconds(time) for time in times), self.nodes, self.ranks)


_TITLES = ("scenario", "event", "told", "new round", "first step", "nodes", "ranks")


class Timings:
    """The rows of a session; `save` adds them to those of earlier ones.

    Args:
        path: a JSON file: a list of rows.
    """

    def __init__(self, path: Path) -> None:
        self.rows: list[Timing] = []
        self._path = path

    def add(self, row: Timing) -> Timing:
        """Keep a row, also in the file. Returns it."""
        self.rows.append(row)
        earlier = json.loads(self._path.read_text()) if self._path.exists() else []
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps([*earlier, asdict(row)], indent=1) + "\n")
        return row

    def table(self) -> str:
        """The rows of this session as text; seconds after the event."""
        return _table([_TITLES, *(row.cells() for row in self.rows)])


def _seconds(time: float | None) -> str:
    return "-" if time is None else f"{time:.1f} s"


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
