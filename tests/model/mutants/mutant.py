"""One guard that is removed."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[3]


class Mutant(NamedTuple):
    """One guard that is removed."""

    what: str
    """What is no longer done."""
    file: str
    """From the root of the repository."""
    before: str
    after: str
    unit_tests: tuple[str, ...]
    """The files of those that are about this code, from the root."""

    @property
    def source(self) -> str:
        """The text of the file."""
        return (ROOT / self.file).read_text(encoding="utf-8")

    @property
    def text(self) -> str:
        """The same without the guard."""
        return self.source.replace(self.before, self.after)

    @property
    def place(self) -> str:
        """The file, for people."""
        return "/".join(Path(self.file).parts[2:])


def of(file: str, unit_tests: Sequence[str], *guards: tuple[str, str, str]) -> list[Mutant]:
    """The guards of one file.

    Args:
        file: from the root of the repository.
        unit_tests: the files of those that are about it, from ``tests/unit/``.
        guards: of each: what is no longer done, the code, and what stands in its place.
    """
    tests = tuple(f"tests/unit/{name}" for name in unit_tests)
    return [Mutant(what, file, before, after, tests) for what, before, after in guards]
