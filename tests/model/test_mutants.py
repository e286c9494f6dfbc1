"""Each guard that `python -m tests.model.mutants` takes out is in the present source, and its row can be told apart."""

import re
from collections import Counter
from functools import cache
from pathlib import Path

from tests.model.mutants.lists import MUTANTS
from tests.model.mutants.mutant import ROOT, Mutant


@cache
def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def with_place(mutant: Mutant) -> str:
    return f"{mutant.what} ({mutant.place})"


def test_the_code_of_each_guard_occurs_once_in_its_file() -> None:
    found = {with_place(mutant): text_of(ROOT / mutant.file).count(mutant.before) for mutant in MUTANTS}
    assert {place: times for place, times in found.items() if times != 1} == {}


def test_each_guard_is_taken_out() -> None:
    assert [with_place(mutant) for mutant in MUTANTS if mutant.after == mutant.before] == []


def test_what_stands_in_its_place_can_be_compiled() -> None:
    for mutant in MUTANTS:
        compile(text_of(ROOT / mutant.file).replace(mutant.before, mutant.after), with_place(mutant), "exec")


def test_no_guard_is_listed_twice() -> None:
    names = Counter(map(with_place, MUTANTS))
    changes = Counter((mutant.file, mutant.before, mutant.after) for mutant in MUTANTS)
    assert [twice for twice, times in [*names.items(), *changes.items()] if times > 1] == []


def test_the_unit_tests_of_each_guard_exist() -> None:
    assert {file for mutant in MUTANTS for file in mutant.unit_tests if not (ROOT / file).exists()} == set()


def test_the_page_names_tests_that_exist() -> None:
    """A row whose test has another name now is of a run that nobody can repeat: its guards are to be tried again."""
    named = set(re.findall(r"\| `(test_\w+)` \|$", text_of(ROOT / "docs/mutants.md"), flags=re.MULTILINE))
    files = (ROOT / "tests/unit").rglob("test_*.py")
    there = {test for file in files for test in re.findall(r"^ *def (test_\w+)\(", text_of(file), flags=re.MULTILINE)}
    assert len(named) > 100
    assert named - there == set()
