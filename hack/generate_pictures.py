#!/usr/bin/env python3
"""Draw the parts, the states of a Rendezvous, the life of a round, and losses of a node.

They are Mermaid text, most with a table, between the comments `<!-- begin generated: NAME -->` and
`<!-- end generated -->` of some pages. The parts are drawn from their rights in examples/. For the others scenarios of
the core's own tests are played, and what they show is drawn: which state follows which, and when each moment is, is not
written by hand. Run it after a change of the core or of the rights. With --check nothing is written, and the exit code
is 1 if something would be.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from hack import generated, pictured_losses, pictured_parts, pictured_round, pictured_states
from hack.generated import ROOT

PAGES = (
    ROOT / "docs" / "how-it-works.md",
    ROOT / "docs" / "protocol" / "failures.md",
    ROOT / "docs" / "protocol" / "states.md",
)


def generated_files() -> dict[Path, str]:
    """The pages as they must be."""
    return generated.with_parts({page: page.read_text(encoding="utf-8") for page in PAGES}, generated_parts())


def generated_parts() -> dict[str, str]:
    """Name of each part, and its text."""
    transitions = pictured_states.observed()
    life = pictured_round.Life()
    losses = pictured_losses.losses()
    return {
        "parts": _mermaid(pictured_parts.picture(pictured_parts.rights())),
        "states": _mermaid(pictured_states.picture(transitions)),
        "transitions": pictured_states.table(transitions),
        "life of a round": _mermaid(life.lines),
        "moments": pictured_round.table(life),
        "lost node": _mermaid(pictured_losses.picture(losses)),
        "losses": pictured_losses.table(losses),
    }


def _mermaid(lines: Iterable[str]) -> str:
    return "\n".join(["```mermaid", *lines, "```"])


if __name__ == "__main__":
    sys.exit(generated.main("hack/generate_pictures.py", __doc__, generated_files))
