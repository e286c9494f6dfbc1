"""The files of a recording: decisions in the order in which they were made, whatever ended the operator."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from kube_rendezvous_cli.kubectl import CommandError
from rendezvous_api.codec import DecodeError
from rendezvous_operator.core.recorded import Reader, Recorded, release_of

FILES = "decisions-*.jsonl"


class Decided(NamedTuple):
    """One decision, and where it was found."""

    number: int
    """Of all that are in the folder, from 1."""
    release: str
    """Of the operator that has recorded it."""
    recorded: Recorded

    @property
    def time(self) -> str:
        """By the clock of the operator."""
        return self.recorded.now.micro_time()


@dataclass
class Recording:
    """A folder with the files of one operator or several.

    Attributes:
        left_out: how many decisions were made and not recorded, as far as was read.
        releases: that have written the files.
        cut: what is said of lines that an operator was writing when it ended.
        problems: what cannot be read, and why.
    """

    folder: Path
    left_out: int = 0
    releases: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def decisions(self) -> Iterator[Decided]:
        """Read all of them, one after the other.

        Raises:
            CommandError: the folder cannot be read, or is none of a recording.
        """
        try:
            files = sorted(path for path in self.folder.iterdir() if path.match(FILES))
        except OSError as error:
            raise CommandError(f"{self.folder}: {error.strerror}") from None
        if not files:
            raise CommandError(f"{self.folder} has no recording: no file {FILES}")
        number = 0
        for path in files:
            for release, recorded in self._of_file(path):
                number += 1
                yield Decided(number, release, recorded)

    def _of_file(self, path: Path) -> Iterator[tuple[str, Recorded]]:
        reader, release = Reader(), ""
        for place, line in self._lines(path):
            try:
                if not release:
                    release = release_of(line)
                    self.releases += [release] if release not in self.releases else []
                    continue
                recorded, left_out = reader.read(line)
            except DecodeError as error:
                of = f"written by release {release}, " if release else ""
                self.problems.append(f"{place}, {of}cannot be read: {error}")
                if not release:
                    return
                continue
            self.left_out += left_out
            yield release, recorded

    def _lines(self, path: Path) -> Iterator[tuple[str, Any]]:
        try:
            with path.open("rb") as opened:
                for number, text in enumerate(opened, 1):
                    place = f"{path.name}, line {number}"
                    try:
                        yield place, json.loads(text)
                    except ValueError:
                        if not text.endswith(b"\n"):
                            self.cut.append(f"{place}, is cut: its operator ended while it wrote it")
                        else:
                            self.problems.append(f"{place}, cannot be read: it is no JSON")
        except OSError as error:
            self.problems.append(f"{path.name} cannot be read: {error.strerror}")
