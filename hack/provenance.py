#!/usr/bin/env python3
"""Write what the files of a list of checksums were made from: an in-toto statement with SLSA's provenance, version 1.

    hack/provenance.py build/release/SHA256SUMS > build/release/provenance.json

It is not signed, so it proves nothing to who does not trust the machine that has made it. The workflow of a release has
GitHub sign a statement of its own about the same files.
"""

import hashlib
import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
Json = dict[str, Any]

_LOCKS = ("uv.lock",)
"""The exact versions of what goes into the images, with their hashes."""


def main() -> None:
    """Read the list that the first argument names, and write the statement to standard output."""
    changed = bool(_git("status", "--porcelain"))
    json.dump(statement(Path(sys.argv[1]).read_text(encoding="utf-8"), _git("rev-parse", "HEAD"), changed), sys.stdout)
    print()


def statement(checksums: str, commit: str, changed: bool) -> Json:
    """The statement.

    Args:
        checksums: the output of sha256sum.
        commit: the checked-out commit, 40 hexadecimal digits.
        changed: whether the checkout has changes that are not committed.
    """
    lines = (line.split(maxsplit=1) for line in checksums.splitlines())
    locks = [{"name": name, "digest": {"sha256": _sha256(ROOT / name)}} for name in _LOCKS]
    source: Json = {"name": "source", "digest": {"gitCommit": commit}}
    if changed:
        source["annotations"] = {"uncommittedChanges": True}
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": {"sha256": digest}} for digest, name in lines],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "https://rdzv.dev/release",
                "externalParameters": {"command": "hack/release", "architecture": platform.machine()},
                "resolvedDependencies": [source, *locks],
            },
            "runDetails": {"builder": {"id": "https://rdzv.dev/release/unsigned"}},
        },
    }


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main()
