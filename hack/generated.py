"""What the generators share: files that are written or compared, and parts of pages between two comments."""

import argparse
import difflib
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]

_PART = re.compile(r"<!-- begin generated: (?P<name>[a-z ]+) -->\n.*?<!-- end generated -->", re.DOTALL)


def main(program: str, description: str | None, files: Callable[[], Mapping[Path, str]]) -> int:
    """Run the command line of a generator; returns the exit code.

    Args:
        program: its path in the checkout, which a person runs to bring the files up to date.
        description: for ``--help``.
        files: makes the text of each file that is generated, whole or in part.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a file is not up to date")
    check = parser.parse_args().check
    outdated = False
    for path, wanted in files().items():
        found = path.read_text(encoding="utf-8") if path.exists() else ""
        if found == wanted:
            continue
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted, encoding="utf-8")
            continue
        outdated = True
        name = str(path.relative_to(ROOT))
        lines = difflib.unified_diff(found.splitlines(True), wanted.splitlines(True), name, f"{name}, generated")
        sys.stdout.writelines(lines)
        print(f"error: {name} is not up to date: run {program}", file=sys.stderr)
    return int(outdated)


def with_parts(pages: Mapping[Path, str], parts: Mapping[str, str]) -> dict[Path, str]:
    """The pages with each part between ``<!-- begin generated: NAME -->`` and ``<!-- end generated -->`` made again.

    Raises:
        ValueError: a part is missing, unknown, or there twice.
    """
    found = sorted(match["name"] for text in pages.values() for match in _PART.finditer(text))
    if found != sorted(parts):
        names = " and ".join(path.name for path in pages)
        raise ValueError(f"the generated parts of {names} are {found}; they must be {sorted(parts)}")
    return {path: _PART.sub(lambda match: _part(match["name"], parts), text) for path, text in pages.items()}


def _part(name: str, parts: Mapping[str, str]) -> str:
    return f"<!-- begin generated: {name} -->\n\n{parts[name]}\n\n<!-- end generated -->"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [header, ["---" for _ in header], *([_cell(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def table_of(rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; the first of the rows is its header."""
    header, *others = rows
    return table(header, others)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
