"""Files of JSON lines that processes append to while they are read."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class JsonLines:
    """The lines of all files of a folder that fit a pattern, each read only once: minutes have tens of thousands."""

    def __init__(self, folder: Path, pattern: str) -> None:
        self._folder = folder
        self._pattern = pattern
        self._read: dict[Path, int] = {}
        """How many bytes of each file."""

    def new(self) -> Iterator[Any]:
        """What has been written since the last call, file by file. A killed process may leave half a line."""
        for path in self._folder.glob(self._pattern):
            done = self._read.get(path, 0)
            with path.open("rb") as file:
                file.seek(done)
                text = file.read()
            complete = text[: text.rfind(b"\n") + 1]
            self._read[path] = done + len(complete)
            yield from map(json.loads, complete.splitlines())
