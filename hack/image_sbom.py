#!/usr/bin/env python3
"""Write the bill of materials of the Python environment that runs this: the part of uv.lock that is installed in it.

    uv export --format cyclonedx1.5 ... | .venv/bin/python hack/image_sbom.py > kube-rendezvous.cdx.json

uv lists what would be installed on any machine and any Python; this keeps what is installed on this one. It fails if
anything is installed that is not in the list. Packages of the base image are not in it: their own list is in
/var/lib/dpkg, where scanners find it.
"""

import json
import re
import sys
from importlib import metadata
from typing import Any


def main() -> None:
    """Read uv's list from standard input, and write the shorter one to standard output."""
    bill = json.load(sys.stdin)
    project = bill["metadata"]["component"]
    installed = {(normalised(found.name), found.version) for found in metadata.distributions()}
    listed = {_key(component) for component in [project, *bill["components"]]}
    if unknown := installed - listed:
        sys.exit(f"error: installed, but not in uv.lock: {sorted(unknown)}")
    if _key(project) not in installed:
        sys.exit(f"error: {project['name']} {project['version']} is not installed here")
    json.dump(_only(bill, installed), sys.stdout, indent=1)
    print()


def normalised(name: str) -> str:
    """The name of a package as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _key(component: dict[str, Any]) -> tuple[str, str]:
    return normalised(component["name"]), component["version"]


def _only(bill: dict[str, Any], installed: set[tuple[str, str]]) -> dict[str, Any]:
    kept = [component for component in bill["components"] if _key(component) in installed]
    references = {component["bom-ref"] for component in [bill["metadata"]["component"], *kept]}
    dependencies = [
        {**entry, "dependsOn": [other for other in entry.get("dependsOn", []) if other in references]}
        for entry in bill.get("dependencies", [])
        if entry["ref"] in references
    ]
    # When it was made, and a number drawn by lot, would be the only difference between two bills of the same image.
    shown = {key: value for key, value in bill.items() if key != "serialNumber"}
    about = {key: value for key, value in bill["metadata"].items() if key != "timestamp"}
    return {**shown, "metadata": about, "components": kept, "dependencies": dependencies}


if __name__ == "__main__":
    main()
