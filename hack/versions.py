#!/usr/bin/env python3
"""Compare the version in pyproject.toml with every other place where it stands, and with CHANGELOG.md.

    hack/versions.py                 what differs; the exit code is 1 if anything does
    hack/versions.py --tag v1.2.3    the same before a release: the tag, too, and nothing may say that it is to come
    hack/versions.py --set 1.2.3     write this version to all of these places
    hack/versions.py --notes         what CHANGELOG.md says about the version

The places are found in all files that git knows, so a new one needs no line here if it looks like one of the others.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]

_VERSION = r"(?P<version>\d+\.\d+\.\d+\w*)"
_OF_PACKAGE = re.compile(rf'^version = "{_VERSION}"$', re.MULTILINE)
_PLACES = (
    (r"(.*/)?pyproject\.toml", _OF_PACKAGE),
    (r"(.*/)?Chart\.yaml", re.compile(rf"^(?:version|appVersion): {_VERSION}$", re.MULTILINE)),
    (r"(.*/)?Containerfile", re.compile(rf"^ARG VERSION={_VERSION}$", re.MULTILINE)),
    (r"uv\.lock", re.compile(rf'^name = "kube-rendezvous(?:-\w+)*"\nversion = "{_VERSION}"$', re.MULTILINE)),
    (r"README\.md", re.compile(rf"\bVersion {_VERSION}\b")),
    # A page of the version, a package or an image of it, and an image whose name is in a variable.
    (r".*", re.compile(rf"\brdzv\.dev/v{_VERSION}/")),
    (r"cli/krew\.yaml", re.compile(rf"^  version: v{_VERSION}$", re.MULTILINE)),
    (r".*", re.compile(rf"\bkube[-_]rendezvous(?:[-_][a-z]+)*(?:==|:|-){_VERSION}")),
    (r".*", re.compile(rf"(?:\$IMAGE:|\bTAG=){_VERSION}")),
    # What a recording was made with, and is read with.
    (r"docs/kubectl-rdzv\.md", re.compile(rf"\b[Rr]elease {_VERSION}")),
    # What pods and logs show.
    (r"docs/.*", re.compile(rf'(?:\brdzv\.dev/injected: "|\bthe handler is ){_VERSION}')),
)
_MUST_HAVE_ONE = (
    "pyproject.toml",
    "operator/pyproject.toml",
    "controlplane/pyproject.toml",
    "cli/pyproject.toml",
    "charts/kube-rendezvous/Chart.yaml",
    "Containerfile",
)
_CHANGELOG = "CHANGELOG.md"  # it names all versions
#: What a page may say until there is a release.
TO_COME = re.compile(
    r"\bno\s+published|\bnot\s+(?:released|published)\s+yet|\b[Nn]othing\s+has\s+been\s+released|\brelease\s+will\s+have"
)


@dataclass(frozen=True)
class Place:
    """Where a version of the project stands: `text[begin:end]` of a file."""

    path: str
    line: int
    version: str
    begin: int
    end: int


def main() -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tag", help="the tag of the release")
    parser.add_argument("--set", dest="version", help="write this version")
    parser.add_argument("--notes", action="store_true", help="show what is new")
    options = parser.parse_args()
    files = tracked_files()
    if options.notes:
        print(notes(files))
        return 0
    if options.version is not None:
        for path, text in with_version(files, options.version).items():
            (ROOT / path).write_text(text, encoding="utf-8")
        return 0
    found = problems(files, options.tag)
    for problem in found:
        print(f"error: {problem}", file=sys.stderr)
    return int(bool(found))


def tracked_files() -> dict[str, str]:
    """The text of each file of the checkout that git knows, by its path; files that are no text are left out."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    files = {}
    for path in filter(None, listed.split("\0")):
        try:
            files[path] = (ROOT / path).read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError):  # a picture, or deleted and not committed yet
            continue
    return files


def places(files: Mapping[str, str]) -> Iterator[Place]:
    """Every place where the version of the project stands."""
    for path, text in files.items():
        # Tests have other versions, too, to see what becomes of them.
        if path == _CHANGELOG or path.startswith("tests/"):
            continue
        for file, pattern in _PLACES:
            if re.fullmatch(file, path):
                for match in pattern.finditer(text):
                    begin, end = match.span("version")
                    yield Place(path, _line(text, begin), match["version"], begin, end)


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def project_version(files: Mapping[str, str]) -> str:
    """That of the root's pyproject.toml, with which all others are compared."""
    match = _OF_PACKAGE.search(files["pyproject.toml"])
    assert match is not None, "pyproject.toml has no version"
    return match["version"]


def problems(files: Mapping[str, str], tag: str | None = None) -> list[str]:
    """What is in the way of a release, with file and line; nothing if all is well.

    Args:
        files: text of each file, by its path.
        tag: of the release. Without one, the version may be in preparation.
    """
    version = project_version(files)
    found = []
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        found.append(f"pyproject.toml: {version} must be MAJOR.MINOR.PATCH, as Helm wants it")
    known = list(places(files))
    found += [
        f"{place.path}:{place.line}: {place.version}, but pyproject.toml has {version}"
        for place in known
        if place.version != version
    ]
    found += [f"{path}: no version in it" for path in _MUST_HAVE_ONE if path not in {place.path for place in known}]
    found += _problems_of_changelog(files[_CHANGELOG], version, released=tag is not None)
    if tag is not None:
        if tag != f"v{version}":
            found.append(f"the tag is {tag}, but pyproject.toml has {version}: it must be v{version}")
        found += [
            f"{path}:{_line(text, match.start())}: `{' '.join(match[0].split())}`, but this is the release"
            for path, text in files.items()
            if path != _CHANGELOG and path.endswith((".md", "values.yaml"))
            for match in TO_COME.finditer(text)
        ]
    return found


def notes(files: Mapping[str, str]) -> str:
    """What CHANGELOG.md says about the version of the project, without the heading; empty if it says nothing."""
    return _section(files[_CHANGELOG], project_version(files))[1]


def _problems_of_changelog(text: str, version: str, released: bool) -> list[str]:
    heading, said = _section(text, version)
    if not heading:
        return [f"{_CHANGELOG}: no heading `## [{version}] - DATE`, so it does not say what is new"]
    if not said:
        return [f"{_CHANGELOG}: nothing below the heading of {version}"]
    if released and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", heading):
        return [f"{_CHANGELOG}: {version} has `{heading}` where the day of its release must be"]
    return []


def _section(text: str, version: str) -> tuple[str, str]:
    """What follows the version in its heading, and the text below."""
    match = re.search(rf"^## \[{re.escape(version)}\] - (\S+)$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return (match[1], match[2].strip()) if match else ("", "")


def with_version(files: Mapping[str, str], version: str) -> dict[str, str]:
    """The files that change if the project gets another version, with that version in every place."""
    changed: dict[str, str] = {}
    # From the end of each file, so that the places before it stay where they are.
    for place in sorted(places(files), key=lambda place: place.begin, reverse=True):
        if place.version != version:
            text = changed.get(place.path, files[place.path])
            changed[place.path] = text[: place.begin] + version + text[place.end :]
    return changed


if __name__ == "__main__":
    sys.exit(main())
