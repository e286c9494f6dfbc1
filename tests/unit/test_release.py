"""A release is refused when versions differ, and the workflow does what `make release-dry-run` does."""

import hashlib
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hack import provenance, versions
from tests.support.pages import ROOT, read, rows, section

ALL = versions.tracked_files()
VERSION = versions.project_version(ALL)
PLACES = list(versions.places(ALL))
FILES = {path: ALL[path] for path in ("CHANGELOG.md", *dict.fromkeys(place.path for place in PLACES))}
"""Those that have a version: a tenth of all that is to be read."""
OTHER = "9.8.7"
NOTES = f"## [{VERSION}] - 2026-01-02\n\n### Added\n\n- A thing.\n\n## [0.0.1] - 2025-01-02\n\n- An older thing.\n"
WORKFLOW = ".github/workflows/release.yml"
Json = dict[str, Any]


def name_of(place: versions.Place) -> str:
    return f"{place.path}:{place.line}"


def is_own(place: versions.Place) -> bool:
    """Whether it is the one that all others are compared with."""
    return place.path == "pyproject.toml" and FILES[place.path][: place.begin].endswith('\nversion = "')


def replaced(place: versions.Place, version: str) -> dict[str, str]:
    text = FILES[place.path]
    return {**FILES, place.path: text[: place.begin] + version + text[place.end :]}


def of_a_release(changelog: str = NOTES) -> dict[str, str]:
    """The files with this changelog, when no page says any more that there is no release."""
    pages = {path: versions.TO_COME.sub("", text) for path, text in FILES.items()}
    return {**pages, "CHANGELOG.md": changelog}


# ---- versions


def test_all_places_have_the_version_of_the_project() -> None:
    assert versions.problems(ALL) == []


@pytest.mark.parametrize("place", [place for place in PLACES if not is_own(place)], ids=name_of)
def test_a_difference_is_found(place: versions.Place) -> None:
    found = versions.problems(replaced(place, OTHER))
    assert found == [f"{place.path}:{place.line}: {OTHER}, but pyproject.toml has {VERSION}"]


def test_all_others_differ_from_a_new_version_of_the_project() -> None:
    (own,) = filter(is_own, PLACES)
    found = versions.problems(replaced(own, OTHER))
    assert found[:-1] == [
        f"{name_of(other)}: {VERSION}, but pyproject.toml has {OTHER}" for other in PLACES if other != own
    ]
    assert found[-1] == f"CHANGELOG.md: no heading `## [{OTHER}] - DATE`, so it does not say what is new"


def test_the_version_stands_nowhere_else() -> None:
    """A new place must look like one of those that are compared."""
    compared = {(place.path, place.begin) for place in PLACES}
    # The changelog, those who speak of the past and what was measured name it; other projects may have the same.
    history = re.compile(r"(?i)\b(?:before|from) $")
    measured = r"^benchmarks/recovery/results/|^docs/recovery\.md$"
    others = re.compile(rf"^tests/|{measured}|(^|/)(CHANGELOG\.md|go\.mod|go\.sum|uv\.lock|[\w-]+\.svg)$")
    elsewhere = [
        f"{path}:{text.count(chr(10), 0, match.start()) + 1}"
        for path, text in ALL.items()
        if not others.search(path)
        for match in re.finditer(rf"(?<![\w.]){re.escape(VERSION)}(?![\w.])", text)
        if (path, match.start()) not in compared and not history.search(text[: match.start()][-10:])
    ]
    assert elsewhere == []


@pytest.mark.parametrize("path", ["Containerfile", "charts/kube-rendezvous/Chart.yaml", "operator/pyproject.toml"])
def test_a_file_without_its_version_is_found(path: str) -> None:
    assert f"{path}: no version in it" in versions.problems({**FILES, path: ""})


def test_a_version_that_only_pip_understands_is_refused() -> None:
    files = {**FILES, **versions.with_version(FILES, "1.0.0rc1"), "CHANGELOG.md": NOTES.replace(VERSION, "1.0.0rc1")}
    (found,) = versions.problems(files)
    assert found.startswith("pyproject.toml: 1.0.0rc1 must be MAJOR.MINOR.PATCH")


def test_a_new_version_is_written_to_all_places() -> None:
    changed = versions.with_version(FILES, OTHER)
    files = {**FILES, **changed, "CHANGELOG.md": NOTES.replace(VERSION, OTHER)}
    assert changed.keys() == {place.path for place in PLACES}
    assert versions.problems(files) == []
    assert versions.with_version(files, OTHER) == {}


# ---- the changelog, and the tag


@pytest.mark.parametrize(
    ("changelog", "problem"),
    [
        ("# Changelog\n\n## [0.0.9] - 2026-01-02\n\n- A thing.\n", f"no heading `## [{VERSION}] - DATE`"),
        (
            f"## [{VERSION}] - 2026-01-02\n\n## [0.0.1] - 2025-01-02\n\n- A thing.\n",
            f"nothing below the heading of {VERSION}",
        ),
        (NOTES.replace("2026-01-02", "unreleased"), f"{VERSION} has `unreleased` where the day of its release must be"),
    ],
)
def test_a_changelog_that_is_not_ready_is_refused(changelog: str, problem: str) -> None:
    (found,) = versions.problems(of_a_release(changelog), f"v{VERSION}")
    assert found.startswith(f"CHANGELOG.md: {problem}")


def test_the_day_of_the_release_may_be_open_in_a_dry_run() -> None:
    assert versions.problems(of_a_release(NOTES.replace("2026-01-02", "unreleased"))) == []


def test_a_release_has_its_notes_and_its_tag() -> None:
    assert versions.problems(of_a_release(), f"v{VERSION}") == []
    assert versions.notes(of_a_release()) == "### Added\n\n- A thing."
    assert versions.problems(of_a_release(), "v7.0.0") == [
        f"the tag is v7.0.0, but pyproject.toml has {VERSION}: it must be v{VERSION}"
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("There is no\npublished image yet.", "no published"),
        ("It is not released yet.", "not released yet"),
        ("Nothing has been released yet. So the jobs have never run.", "Nothing has been released"),
        ("Each release will have two files.", "release will have"),
    ],
)
def test_no_page_of_a_release_says_that_there_is_none(text: str, said: str) -> None:
    files = {**of_a_release(), "docs/a.md": f"One\n{text}\n"}
    assert versions.problems(files, f"v{VERSION}") == [f"docs/a.md:2: `{said}`, but this is the release"]
    assert versions.problems(files) == []


# ---- where it came from


def test_the_provenance_names_each_file_the_commit_and_the_lock() -> None:
    made = provenance.statement(f"{'a' * 64}  a.tgz\n{'b' * 64}  packages/b.whl\n", "c" * 40, changed=True)
    assert made["subject"] == [
        {"name": "a.tgz", "digest": {"sha256": "a" * 64}},
        {"name": "packages/b.whl", "digest": {"sha256": "b" * 64}},
    ]
    source, lock = made["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert (source["digest"], source["annotations"]) == ({"gitCommit": "c" * 40}, {"uncommittedChanges": True})
    assert lock["digest"] == {"sha256": hashlib.sha256((ROOT / "uv.lock").read_bytes()).hexdigest()}


# ---- the images


def test_every_image_that_the_chart_names_is_published() -> None:
    (listed,) = re.findall(r"^images=\((.*)\)$", read("hack/release"), re.MULTILINE)
    named = re.findall(r"^ +repository: localhost/(\S+)$", read("charts/kube-rendezvous/values.yaml"), re.MULTILINE)
    assert [entry.partition(":")[0] for entry in listed.split()] == named
    stages = re.findall(r"^FROM .* AS (\S+)$", read("Containerfile"), re.MULTILINE)
    assert {entry.partition(":")[2] for entry in listed.split()} <= {"", *stages}


# What publishes cannot be run here. A program of that name writes down how it is called, and does nothing.
ONE_AT_A_TIME = pytest.mark.xdist_group("build/release")
RECORDER = """#!/usr/bin/env bash
printf '%s\\n' "$@" >"$RECORD"
while (($#)); do
    [[ "$1" != --metadata-file ]] || printf '{"containerimage.digest": "sha256:%064d"}' 0 >"$2"
    shift
done
cat >"$RECORD.input"
"""


def called(tmp_path: Path, program: str, *arguments: str) -> list[str]:
    """How a program is called by `hack/release` with these arguments."""
    stub = tmp_path / program
    stub.write_text(RECORDER)
    stub.chmod(0o755)
    (ROOT / "build" / "release").mkdir(parents=True, exist_ok=True)
    (ROOT / "build" / "release" / "empty").touch()
    variables = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "RECORD": str(tmp_path / "record"), "REGISTRY": "r.test/A"}
    command = [str(ROOT / "hack" / "release"), *arguments]
    # The program that stands in reads its input to the end, and a terminal has none.
    subprocess.run(command, env={**os.environ, **variables}, stdin=subprocess.DEVNULL, check=True, timeout=60)
    (ROOT / "build" / "release" / "empty").unlink()
    return (tmp_path / "record").read_text().splitlines()


@ONE_AT_A_TIME
def test_an_image_is_pushed_for_both_architectures_with_what_it_is_made_of(tmp_path: Path) -> None:
    words = called(tmp_path, "docker", "images", "--push")
    assert {"--push", "--sbom=true", "--provenance=mode=max", "linux/amd64,linux/arm64"} <= {*words}
    digests = (ROOT / "build" / "images.sha256").read_text().splitlines()
    for line in digests:
        digest, name = line.split("  ")
        assert len(digest) == 64
        assert name.startswith("r.test/a/kube-rendezvous-")
    assert words[words.index("--tag") + 1] == f"{digests[-1].split()[1]}:{VERSION}"


@ONE_AT_A_TIME
def test_the_chart_is_pushed_as_it_was_packaged(tmp_path: Path) -> None:
    chart = f"build/release/kube-rendezvous-{VERSION}.tgz"
    assert called(tmp_path, "helm", "chart", "--push") == ["push", chart, "oci://r.test/a/charts"]


@ONE_AT_A_TIME
def test_the_files_of_a_release_get_the_notes_of_its_version(tmp_path: Path) -> None:
    words = called(tmp_path, "gh", "files", "--push")
    assert words[:3] == ["release", "create", f"v{VERSION}"]
    assert "--verify-tag" in words
    assert words[words.index("--notes-file") + 1] == "-"
    assert "build/release/empty" in words
    assert (tmp_path / "record.input").read_text().strip() == versions.notes(FILES)


# ---- the workflow


def jobs() -> Json:
    found: Json = yaml.safe_load(read(WORKFLOW))["jobs"]
    return found


def steps() -> Iterator[Json]:
    for job in jobs().values():
        yield from job["steps"]


def test_every_action_is_pinned_to_a_commit_and_names_its_version() -> None:
    lines = [line.strip(" -") for line in read(WORKFLOW).splitlines() if "uses:" in line]
    assert len(lines) == sum("uses" in step for step in steps())
    assert [
        line for line in lines if not re.fullmatch(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)
    ] == []


def commands() -> set[str]:
    """Of hack/release, as its usage and its code have them."""
    text = read("hack/release")
    listed = set(re.findall(r"^#   hack/release (\w+)", text, re.MULTILINE))
    known = re.search(r"^([\w |]+)\) \"\$1\" ;;$", text, re.MULTILINE)
    assert known is not None
    assert listed == {"check", *known[1].split(" | ")}
    return listed


def test_the_workflow_and_the_dry_run_do_the_same() -> None:
    """Each line that the workflow runs is a program of this project, and the dry run makes all that it makes."""
    lines = [step["run"] for step in steps() if "run" in step]
    assert {line.split()[0] for line in lines} == {"hack/release", ".ci/run"}
    assert all((ROOT / line.split()[0]).stat().st_mode & 0o100 for line in lines)
    ours = {line.split()[1] for line in lines if line.startswith("hack/release")}
    recipe = read("Makefile").partition("\nrelease-dry-run:")[2].partition("\n\n")[0]
    assert ours == set(re.findall(r"^\thack/release (\w+)$", recipe, re.MULTILINE)) == commands()


def test_nothing_is_published_before_all_is_tested_and_built() -> None:
    found = jobs()

    def before(name: str) -> set[str]:
        needs = found[name].get("needs", [])
        return {*needs, *(other for need in needs for other in before(need))}

    publishing = {name for name, job in found.items() if "environment" in job}
    assert publishing == {
        name
        for name, job in found.items()
        if any("--push" in step.get("run", "") or "pypi" in step.get("uses", "") for step in job["steps"])
    }
    assert all({"test", "build"} <= before(name) for name in publishing)
    assert all(job["environment"] == "release" for name, job in found.items() if name in publishing)


def test_each_job_has_only_the_rights_that_it_names() -> None:
    assert yaml.safe_load(read(WORKFLOW))["permissions"] == {}
    assert {name for name, job in jobs().items() if job["permissions"].get("contents") == "write"} == {"files"}
    checkouts = [step for step in steps() if step.get("uses", "").startswith("actions/checkout@")]
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_what_a_person_must_set_up_is_in_the_list() -> None:
    said = " ".join(cell for row in rows(section("CONTRIBUTING.md", "## Releases")) for cell in row)
    packages = ("kube-rendezvous", "kube-rendezvous-operator", "kube-rendezvous-controlplane", "kube-rendezvous-cli")
    for name in (
        *(f"`{package}`" for package in packages),
        "release.yml",
        "`release`",
        "rdzv.dev",
    ):
        assert name in said
