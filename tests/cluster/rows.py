"""What tests have measured, kept in a file for the documentation."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Row = TypeVar("Row", bound="DataclassInstance")


class Rows(Generic[Row]):
    """The rows of a session; each is added at once to those of earlier ones.

    Args:
        path: a JSON file: a list of rows.
    """

    def __init__(self, path: Path) -> None:
        self.rows: list[Row] = []
        self._path = path

    def add(self, row: Row) -> Row:
        """Keep a row, also in the file. Returns it."""
        self.rows.append(row)
        earlier = json.loads(self._path.read_text()) if self._path.exists() else []
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps([*earlier, asdict(row)], indent=1) + "\n")
        return row
