#!/usr/bin/env python3
"""Draw the states of a Rendezvous and the life of a round, from what the decision core really does.

Both are Mermaid text, with a table for each, between the comments `<!-- begin generated: NAME -->` and
`<!-- end generated -->` of two pages. Scenarios of the core's own tests are played, and what they show is drawn: which
state follows which, and when each moment is, is not written by hand. Run it after a change of the core. With --check
nothing is written, and the exit code is 1 if something would be.
"""

import argparse
import difflib
import re
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from hack import pictured_round, pictured_states  # noqa: E402

PAGES = (ROOT / "docs" / "how-it-works.md", ROOT / "docs" / "protocol" / "states.md")

_PART = re.compile(r"<!-- begin generated: (?P<name>[a-z ]+) -->\n.*?<!-- end generated -->", re.DOTALL)


def main() -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=sys.modules[__name__].__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a page is not up to date")
    check = parser.parse_args().check
    parts = generated_parts()
    before = {path: path.read_text(encoding="utf-8") for path in PAGES}
    found = sorted(match["name"] for text in before.values() for match in _PART.finditer(text))
    if found != sorted(parts):
        raise ValueError(f"the pages have the generated parts {found}; they must have {sorted(parts)}")
    outdated = False
    for path, text in before.items():
        wanted = _PART.sub(lambda match: _part(match["name"], parts[match["name"]]), text)
        if text == wanted:
            continue
        if not check:
            path.write_text(wanted, encoding="utf-8")
            continue
        outdated = True
        name = str(path.relative_to(ROOT))
        lines = difflib.unified_diff(text.splitlines(True), wanted.splitlines(True), name, f"{name}, generated")
        sys.stdout.writelines(lines)
        print(f"error: {name} is not up to date: run hack/generate_pictures.py", file=sys.stderr)
    return int(outdated)


def _part(name: str, text: str) -> str:
    return f"<!-- begin generated: {name} -->\n\n{text}\n\n<!-- end generated -->"


def generated_parts() -> dict[str, str]:
    """Name of each part, and its text."""
    transitions = pictured_states.observed()
    life = pictured_round.Life()
    return {
        "states": _mermaid(pictured_states.picture(transitions)),
        "transitions": "\n".join(pictured_states.table(transitions)),
        "life of a round": _mermaid(life.lines),
        "moments": "\n".join(pictured_round.table(life)),
    }


def _mermaid(lines: Iterable[str]) -> str:
    return "\n".join(["```mermaid", *lines, "```"])


if __name__ == "__main__":
    sys.exit(main())
