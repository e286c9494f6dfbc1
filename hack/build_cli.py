#!/usr/bin/env python3
"""Make `kubectl-rdzv`, one file that needs Python 3.10 or later and kubectl, and what krew needs to install it.

    hack/build_cli.py [FOLDER]     writes kubectl-rdzv, kubectl-rdzv.tar.gz and rdzv.yaml to FOLDER (build/ without it)

The same sources give the same files. Beside them is kubectl_complete-rdzv, a link to the program: under this name it
says what a shell offers.
"""

import gzip
import hashlib
import io
import os
import re
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = (ROOT / "cli" / "kube_rendezvous_cli", ROOT / "api" / "rendezvous_api")
OPERATOR = ROOT / "operator" / "rendezvous_operator"
OF_OPERATOR = (OPERATOR / "core", OPERATOR / "watch" / "__init__.py", OPERATOR / "watch" / "pods.py")
"""What the simulator needs of the operator: pure functions, which run on Python 3.10, too."""
NAME = "kubectl-rdzv"
COMPLETES = "kubectl_complete-rdzv"
OLDEST_PYTHON = (3, 10)

_SHEBANG = b"#!/usr/bin/env python3\n"
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the first that a zip file can have
_MAIN = f"""\
import sys

if sys.version_info < {OLDEST_PYTHON}:
    sys.exit(
        "kubectl rdzv needs Python {OLDEST_PYTHON[0]}.{OLDEST_PYTHON[1]} or later; this is Python "
        + sys.version.split()[0]
    )

from kube_rendezvous_cli.__main__ import main

sys.exit(main())
"""


def main() -> int:
    """Run the command line; returns the exit code."""
    if len(sys.argv) > 2 or sys.argv[1:2] in (["-h"], ["--help"]):
        print(__doc__)
        return 2
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build"
    folder.mkdir(parents=True, exist_ok=True)
    program = zipapp()
    (folder / NAME).write_bytes(program)
    (folder / NAME).chmod(0o755)
    (folder / COMPLETES).unlink(missing_ok=True)
    (folder / COMPLETES).symlink_to(NAME)
    packed = archive(program)
    (folder / f"{NAME}.tar.gz").write_bytes(packed)
    manifest = (ROOT / "cli" / "krew.yaml").read_text(encoding="utf-8")
    (folder / "rdzv.yaml").write_text(with_hash(manifest, packed), encoding="utf-8")
    print(f"{folder / NAME}: {len(program) // 1024} KiB")
    return 0


def zipapp() -> bytes:
    """The program: a zip file that Python runs, with a line in front of it that says so."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in (("__main__.py", _MAIN.encode()), *_sources()):
            entry = zipfile.ZipInfo(name, _LONG_AGO)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            made.writestr(entry, content)
    return _SHEBANG + buffer.getvalue()


def _sources() -> Iterator[tuple[str, bytes]]:
    for package in PACKAGES:
        yield from _files(package, package.parent)
    # That of the operator ends the process on a Python that is too old for the rest of it.
    yield "rendezvous_operator/__init__.py", b""
    for part in OF_OPERATOR:
        yield from _files(part, OPERATOR.parent)


def _files(part: Path, above: Path) -> Iterator[tuple[str, bytes]]:
    for path in [part] if part.is_file() else sorted(part.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield str(path.relative_to(above)), path.read_bytes()


def archive(program: bytes) -> bytes:
    """What krew downloads: the program and the licence."""
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as made:
        for name, content, mode in ((NAME, program, 0o755), ("LICENSE", (ROOT / "LICENSE").read_bytes(), 0o644)):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            made.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def with_hash(manifest: str, packed: bytes) -> str:
    """The manifest for krew, with the hash of this archive."""
    made, count = re.subn(r'(?<=sha256: ")[0-9a-f]*(?=")', hashlib.sha256(packed).hexdigest(), manifest)
    if count != 1:
        raise SystemExit(f"cli/krew.yaml has {count} hashes, and not one")
    return made


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main())
