#!/usr/bin/env python3
"""Write the timelines of examples/scenarios/ to docs/scenarios.md, as `kubectl rdzv simulate` shows them.

Run it after a change in the decisions, or in a scenario. With --check nothing is written, and the exit code is 1 if
something would be.
"""

import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))

from hack import generated
from hack.generated import ROOT

from kube_rendezvous_cli.simulator import scenario, show

PAGE = ROOT / "docs" / "scenarios.md"
FOLDER = ROOT / "examples" / "scenarios"
TITLES = {
    "late-node": "A late node",
    "scale-up": "Nodes join a running round",
    "lost-member": "A member and its machine are lost, and replaced",
    "lost-for-good": "A member is lost, and comes back late",
    "lost-rank-0": "Rank 0 is lost",
    "topology": "Ranks by racks, and whole segments",
    "below-min-nodes": "Fewer nodes than the minimum",
    "drain": "A machine is drained",
    "held-out": "A node does not reach the others",
    "unhealthy": "A node is unhealthy",
    "bad-machine": "A machine is cordoned",
    "operator-away": "No operator for a minute",
    "rack-lost-member": "A rack loses a member",
    "rack-escalates": "A rack waits for one node first",
    "restart": "A restart is requested",
    "suspend": "Suspended, and resumed",
}
"""The scenarios in the order of the page."""


def generated_files() -> dict[Path, str]:
    """The page as it must be."""
    parts = {"contents": _contents(), "scenarios": "\n\n".join(map(_section, TITLES))}
    return generated.with_parts({PAGE: PAGE.read_text(encoding="utf-8")}, parts)


@cache
def timelines() -> Mapping[str, str]:
    """What `kubectl rdzv simulate` prints, by the name of the file without its suffix."""
    found = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.yaml"))}
    return {name: show.text(scenario.play(scenario.read(item))) for name, item in found.items()}


def _contents() -> str:
    return "\n".join(f"- [{title}](#{title.lower().replace(' ', '-').replace(',', '')})" for title in TITLES.values())


def _section(name: str) -> str:
    text = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    lines = text.splitlines()
    said = [line.removeprefix("# ") for line in lines if line.startswith("# ")]
    shown = f"$ kubectl rdzv simulate examples/scenarios/{name}.yaml\n{timelines()[name]}"
    link = f"[{name}.yaml](../examples/scenarios/{name}.yaml)"
    return f"## {TITLES[name]}\n\n{' '.join(said)} {link}\n\n```console\n{shown}\n```"


if __name__ == "__main__":
    sys.exit(generated.main("hack/generate_scenarios.py", __doc__, generated_files))
