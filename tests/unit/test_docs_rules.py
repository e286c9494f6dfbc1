"""The rules of the protocol have the same names in pages, code and tests."""

import inspect
import re
from functools import cache
from pathlib import Path

import pytest
from tests.support.pages import HEADING, LINK, ROOT, anchors, name_of, read, rows, section

from rendezvous_api import reasons
from rendezvous_operator.core.end.rules import END_RULES

PRODUCT = [ROOT / "api", ROOT / "operator", ROOT / "handler"]


CORE = ROOT / "operator" / "rendezvous_operator" / "core"
RULE_NAME = re.compile(r'[Rr]ules? (?:are )?"[^"]+"(?:(?:, | and )"[^"]+")*')


@cache
def rule_sections() -> dict[str, tuple[Path, str]]:
    """The rules that the overview lists: the name of each one, its page, and its text there."""
    found = {}
    for row in rows(section("docs/how-it-works.md", "## The rules")):
        (link,) = re.findall(r"\[([^\]]+)\]\(([^)#]+)#([^)]+)\)", row[0])
        name, page, anchor = link
        (heading,) = (text for text in HEADING.findall(read(f"docs/{page}")) if {*anchors(f"# {text}")} == {anchor})
        assert heading.lower() == name
        found[name] = (ROOT / "docs" / page, section(f"docs/{page}", f"## {heading}"))
    return found


def code_of(page: Path, text: str) -> list[Path]:
    """The source files that a text of a page has links to."""
    targets = [match["target"] for match in LINK.finditer(text) if match["target"].endswith(".py")]
    return [(page.parent / target).resolve() for target in targets]


def its_test(path: Path) -> Path:
    """The test file that belongs to a source file."""
    if not path.is_relative_to(CORE):
        if path.is_relative_to(ROOT / "api"):
            return ROOT / "tests" / "unit" / f"test_{path.stem}.py"
        if path.stem == "participant":
            return ROOT / "tests" / "integration" / "test_handler_errors.py"  # requests, to a real API server
        if path.is_relative_to(ROOT / "operator"):
            return ROOT / "tests" / "unit" / f"test_{path.stem}.py"
        name = {"round_store": "store", "wait": "waiting", "rendezvous_watch": "watch"}.get(path.stem, path.stem)
        return ROOT / "tests" / "unit" / f"test_handler_{name}.py"
    name = f"{path.parent.name}_rules" if path.stem == "rules" else {"facts": "timers"}.get(path.stem, path.stem)
    return ROOT / "tests" / "unit" / "core" / f"test_{name}.py"


def test_the_overview_lists_every_rule() -> None:
    pages = (ROOT / "docs" / "protocol").glob("*.md")
    of_rules = sum(path.read_text(encoding="utf-8").count("\nCode: ") for path in pages)
    assert of_rules == len(rule_sections())


@pytest.mark.parametrize("rule", rule_sections())
def test_a_rule_has_its_files_and_tests(rule: str) -> None:
    files = code_of(*rule_sections()[rule])
    assert files
    assert [name_of(path) for path in files if not path.is_file()] == []
    assert [name_of(its_test(path)) for path in files if not its_test(path).is_file()] == []


@pytest.mark.parametrize("rule", sorted({*rule_sections()} - {"the end of a round", "check-in", "outages", "scale-up"}))
def test_a_file_names_the_rule_that_it_is_for(rule: str) -> None:
    files = code_of(*rule_sections()[rule])
    packages = {path.with_name("__init__.py") for path in files}
    assert any(f'"{rule}"' in path.read_text(encoding="utf-8") for path in [*files, *packages])


def test_code_and_tests_name_no_rule_that_the_page_does_not_have() -> None:
    found = set()
    for folder in [*PRODUCT, ROOT / "tests"]:
        for path in folder.rglob("*.py"):
            for phrase in RULE_NAME.findall(path.read_text(encoding="utf-8")):
                found |= set(re.findall(r'"([^"]+)"', phrase))
    assert {"exclusivity", "last call"} < found
    assert found <= {*rule_sections()}


def test_the_ends_of_a_round_are_those_of_the_code_in_their_order() -> None:
    page, text = rule_sections()["the end of a round"]
    said = [(row[0].strip("`"), row[2] == "yes", code_of(page, row[3])) for row in rows(text)]
    known = []
    for rule in END_RULES:
        (name,) = re.findall(r"RoundEndReason\.([A-Z_]+)", inspect.getsource(rule))
        reason = reasons.RoundEndReason[name]
        known.append((str(reason), reason in reasons.FAILURES, [Path(inspect.getfile(rule)).resolve()]))
    assert said == known


def test_the_reference_has_them_in_the_same_order() -> None:
    listed = [row[0].strip("`") for row in rows(section("docs/reference.md", "### Why a round ended"))]
    in_table = [row[0].strip("`") for row in rows(rule_sections()["the end of a round"][1])]
    assert listed[: len(in_table)] == in_table
