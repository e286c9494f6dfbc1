"""What the workers of a test write, and what must hold for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.json_lines import JsonLines


@dataclass(frozen=True)
class Record:
    """One line of a worker's journal."""

    event: str
    time: float
    node: str
    pid: int
    fields: Mapping[str, Any]

    def __getattr__(self, name: str) -> Any:
        return self.fields[name]


class Journal:
    """What all workers of a test have written."""

    def __init__(self, folder: Path) -> None:
        self._lines = JsonLines(folder, "journal-*.jsonl")
        self._records: list[Record] = []

    def records(self, event: str | None = None, *, since: float = 0.0) -> list[Record]:
        """All records of an event, in the order of time (``time.time()``)."""
        for fields in self._lines.new():
            what, at, node, pid = (fields.pop(key) for key in ("event", "time", "node", "pid"))
            self._records.append(Record(what, at, node, pid, fields))
        wanted = [record for record in self._records if event in (None, record.event) and record.time >= since]
        return sorted(wanted, key=lambda record: record.time)

    def stepping(self, nodes: set[str], *, since: float) -> list[Record] | None:
        """The last step of each of these nodes, if since then they all made one in one group of exactly these nodes."""
        steps = [record for record in self.records("step", since=since) if record.nodes == len(nodes)]
        masters = {record.master for record in steps}
        for master in masters:
            of_group = [record for record in steps if record.master == master]
            if {record.node for record in of_group} == nodes:
                return of_group
        return None

    def assert_no_split(self) -> None:
        """No group stepped after a newer one had stepped; all members of a group had the same list.

        A group is told by its master address: each round has a store of its own.
        """
        seen: dict[str, int] = {}
        for record in self.records("step"):
            order = seen.setdefault(record.master, len(seen))
            assert order == len(seen) - 1, f"a group of an older round made a step: {record}"
        for master in seen:
            worlds = {record.world for record in self.records("start") if record.master == master}
            assert len(worlds) == 1, f"members of the group at {master} disagree about its size: {worlds}"
