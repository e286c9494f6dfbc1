#!/usr/bin/env python3
"""Draw the states of a Rendezvous and the life of a round, from what the decision core really does.

Both are Mermaid text, with a table for each, between the comments `<!-- begin generated: NAME -->` and
`<!-- end generated -->` of two pages. Scenarios of the core's own tests are played, and what they show is drawn: which
state follows which, and when each moment is, is not written by hand. Run it after a change of the core. With --check
nothing is written, and the exit code is 1 if something would be.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from hack import generated, pictured_round, pictured_states
from hack.generated import ROOT

PAGES = (ROOT / "docs" / "how-it-works.md", ROOT / "docs" / "protocol" / "states.md")


def generated_files() -> dict[Path, str]:
    """The pages as they must be."""
    return generated.with_parts({page: page.read_text(encoding="utf-8") for page in PAGES}, generated_parts())


def generated_parts() -> dict[str, str]:
    """Name of each part, and its text."""
    transitions = pictured_states.observed()
    life = pictured_round.Life()
    return {
        "states": _mermaid(pictured_states.picture(transitions)),
        "transitions": pictured_states.table(transitions),
        "life of a round": _mermaid(life.lines),
        "moments": pictured_round.table(life),
    }


def _mermaid(lines: Iterable[str]) -> str:
    return "\n".join(["```mermaid", *lines, "```"])


if __name__ == "__main__":
    sys.exit(generated.main("hack/generate_pictures.py", __doc__, generated_files))
