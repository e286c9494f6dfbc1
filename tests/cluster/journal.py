"""What all workers of a group have written, read only once: a test of minutes has tens of thousands of lines."""

import json
from pathlib import Path

from tests.e2e.harness import Journal as WholeJournal
from tests.e2e.harness import Record


class Journal(WholeJournal):
    """The lines of all journals in a folder, as train.py writes them."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._read: dict[Path, int] = {}
        self._records: list[Record] = []

    def records(self, event: str | None = None, *, since: float = 0.0) -> list[Record]:
        """All records of an event, in the order of time (``time.time()``)."""
        for path in self._folder.glob("journal-*.jsonl"):
            self._read_on(path)
        wanted = [record for record in self._records if (event in (None, record.event)) and record.time >= since]
        return sorted(wanted, key=lambda record: record.time)

    def _read_on(self, path: Path) -> None:
        with path.open("rb") as file:
            file.seek(self._read.get(path, 0))
            text = file.read()
        complete = text[: text.rfind(b"\n") + 1]  # a killed worker may leave half a line
        self._read[path] = self._read.get(path, 0) + len(complete)
        for line in complete.splitlines():
            fields = json.loads(line)
            event, at, node, pid = (fields.pop(key) for key in ("event", "time", "node", "pid"))
            self._records.append(Record(event, at, node, pid, fields))
