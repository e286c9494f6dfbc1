"""How long it takes from an event until a group trains again, in parts; the rows are kept for the documentation."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.cluster.rows import Rows


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


class Timings(Rows[Timing]):
    """The rows of a session, which can be shown as a table."""

    def table(self) -> str:
        """The rows of this session as text; seconds after the event."""
        return _table([_TITLES, *(row.cells() for row in self.rows)])


def _seconds(time: float | None) -> str:
    return "-" if time is None else f"{time:.1f} s"


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
