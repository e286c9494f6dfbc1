"""The files of a recording: decisions in the order in which they were made, whatever ended the operator."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from kube_rendezvous_cli.kubectl import CommandError
from rendezvous_api.codec import DecodeError
from rendezvous_operator.core.recorded import FILES, Reader, Recorded, release_of

_DAMAGED = object()
"""A line that is no JSON."""


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
    """

    folder: Path
    left_out: int = 0
    releases: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    _unread: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    """The numbers of the lines that cannot be read, by file and cause."""

    @property
    def problems(self) -> list[str]:
        """What cannot be read, and why."""
        found = []
        for (name, why), lines in self._unread.items():
            others = f" and {len(lines) - 1} more" if len(lines) > 1 else ""
            found.append(f"{name}, line {lines[0]}{others}, cannot be read: {why}" if lines[0] else f"{name}: {why}")
        return found

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
        for number, line in self._lines(path):
            try:
                if line is _DAMAGED:
                    reader = Reader()  # whatever it has said, no line that builds on it can be read
                elif release:
                    recorded, left_out = reader.read(line)
                    self.left_out += left_out
                    yield release, recorded
                else:
                    release = release_of(line)
                    self.releases += [release] if release not in self.releases else []
            except RecursionError:
                reader = Reader()
                self._note(path, number, "it has too many values in each other")
            except DecodeError as error:
                self._note(path, number, f"{error}, written by release {release}" if release else str(error))
                if not release:
                    return

    def _lines(self, path: Path) -> Iterator[tuple[int, Any]]:
        """The lines with their numbers; `_DAMAGED` for one that is no JSON."""
        try:
            if not path.is_file():  # a pipe would never end
                self._note(path, 0, "it is no file")
                return
            with path.open("rb") as opened:
                for number, text in enumerate(opened, 1):
                    try:
                        line = json.loads(text)
                    except (ValueError, RecursionError):  # the latter for lists in lists without end
                        if not text.endswith(b"\n"):
                            self.cut.append(f"{path.name}, line {number}, is cut: its operator ended while it wrote it")
                            return
                        self._note(path, number, "it is no JSON")
                        line = _DAMAGED
                    yield number, line
        except OSError as error:
            self._note(path, 0, str(error.strerror))

    def _note(self, path: Path, line: int, why: str) -> None:
        self._unread.setdefault((path.name, why), []).append(line)
