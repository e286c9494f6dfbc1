"""The parts and what they read and write, as a flowchart: each arrow to or from an object is a right in examples/."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from hack.generated import ROOT

RIGHTS = {"agents": ROOT / "examples" / "agent-rbac.yaml", "operator": ROOT / "examples" / "operator-rbac.yaml"}
"""The rights of each part."""
OBJECTS = {
    "rendezvousparticipants": "RendezvousParticipant<br/>one for each node",
    "rendezvous": "Rendezvous<br/>one for each group",
    "pods": "Pods",
    "events": "Events",
    "leases": "Lease",
}
"""Each resource, and what it is in the picture."""
_READS = ("get", "list", "watch")

Rights = dict[tuple[str, str], dict[str, set[str]]]
"""The verbs of a part on a resource, by its subresource, which is empty for the object itself."""


def rights() -> Rights:
    """What each part may do.

    Raises:
        KeyError: a part has a right on a resource that the picture does not know.
    """
    found: Rights = {}
    for part, path in RIGHTS.items():
        for rule in _rules(path):
            for resource in rule["resources"]:
                name, _, subresource = resource.partition("/")
                found.setdefault((part, name), {}).setdefault(subresource, set()).update(rule["verbs"])
    unknown = {resource for _, resource in found} - {*OBJECTS}
    if unknown:
        raise KeyError(f"no picture of {sorted(unknown)}, which are in {[str(path) for path in RIGHTS.values()]}")
    return found


def _rules(path: Path) -> Iterator[dict[str, Any]]:
    for item in yaml.safe_load_all(path.read_text(encoding="utf-8")):
        if item["kind"] in ("Role", "ClusterRole"):
            yield from item["rules"]


def picture(found: Rights) -> Iterator[str]:
    """Arrows into an object are writes, and arrows out of it are reads."""
    yield "flowchart LR"
    yield '    subgraph agents ["agents: torchrun with the handler, one for each node"]'
    yield '        other["agent of any other rank"] -->|"meets the others in the TCPStore"| first["agent of rank 0"]'
    yield "    end"
    yield '    subgraph server ["API server"]'
    yield from (f'        {resource}["{title}"]' for resource, title in OBJECTS.items())
    yield "    end"
    yield '    operator["operator<br/>decide(now, world, memory)"]'
    for (part, resource), verbs in found.items():
        writes = "<br/>".join(_writes(verbs))
        reads = ", ".join(verb for verb in _READS if verb in verbs.get("", ()))
        if writes:
            yield f'    {part} -->|"{writes}"| {resource}'
        if reads:
            yield f'    {resource} -->|"{reads}"| {part}'


def _writes(verbs: dict[str, set[str]]) -> Iterator[str]:
    for subresource, allowed in sorted(verbs.items()):
        writes = ", ".join(sorted(allowed - {*_READS}))
        if writes:
            yield f"{subresource}: {writes}" if subresource else writes
