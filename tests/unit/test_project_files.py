"""What the hosting site and pre-commit read."""

import re
from pathlib import Path
from typing import Any

import pytest
import tomllib
import yaml
from tests.support.pages import LINK, ROOT, name_of, read

FORMS = sorted(ROOT.glob(".github/ISSUE_TEMPLATE/*.yml"))


def hooks() -> list[dict[str, Any]]:
    return [hook for repo in yaml.safe_load(read(".pre-commit-config.yaml"))["repos"] for hook in repo["hooks"]]


def test_pre_commit_uses_the_versions_of_the_lock() -> None:
    locked = {package["name"]: package.get("version") for package in tomllib.loads(read("uv.lock"))["package"]}
    pins = [pin.split("==") for hook in hooks() for pin in hook.get("additional_dependencies", [])]
    assert {name for name, _ in pins} == {"ruff"}
    assert [(name, version) for name, version in pins if locked[name] != version] == []


def test_pre_commit_runs_what_make_check_runs() -> None:
    recipe = read("Makefile").partition("\ncheck:")[2].partition("\n\n")[0]
    ruff = set(re.findall(r"^\t\$\(BIN\)/(ruff \w+)", recipe, flags=re.MULTILINE))
    assert {" ".join(hook["entry"].split()[:2]) for hook in hooks()} == {*ruff, "make check"}


@pytest.mark.parametrize("path", [path for path in FORMS if path.stem != "config"], ids=name_of)
def test_an_issue_form_is_one(path: Path) -> None:
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= set(form)
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    assert all(field["type"] in {"input", "textarea"} and field["attributes"]["label"] for field in fields)
    assert len({field["id"] for field in fields}) == len(fields)
    assert any(field.get("validations", {}).get("required") for field in fields)
    pages = re.findall(r"[\w/]+\.md", path.read_text(encoding="utf-8"))
    assert [page for page in pages if not (ROOT / page).is_file()] == []


def test_a_pull_request_has_the_parts_of_a_commit_message() -> None:
    parts = re.findall(r"^(\w+): ", read("CONTRIBUTING.md").partition("```text\n")[2].partition("```")[0], re.MULTILINE)
    assert parts == ["Problem", "Cause", "Solution", "Alternatives"]
    assert re.findall(r"^\*\*(\w+):\*\*", read(".github/pull_request_template.md"), re.MULTILINE) == parts


def test_what_is_left_open_is_in_the_list_for_a_person() -> None:
    left_open = read("CONTRIBUTING.md").partition("## What a person must decide")[2]
    linked = {match["target"] for match in LINK.finditer(left_open)}
    assert {"MAINTAINERS.md", "SECURITY.md", "CODE_OF_CONDUCT.md"} <= linked
