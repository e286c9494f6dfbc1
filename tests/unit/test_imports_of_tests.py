"""Who may import which test code: that of another folder of tests, and any from outside, only by tests/support."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
FILES = sorted(TESTS.rglob("*.py"))
PROGRAMS = ("benchmarks", "chaos", "demo", "hack", "testcluster")
ALLOWED = {"hack": "tests.unit.core."}
"""Beside tests/support: the pictures of the documentation show what a scenario of the core's tests goes through."""


def imported(source: str) -> Iterator[str]:
    """The modules below `tests` that a source imports."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("tests."))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "tests":
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                is_module = (TESTS.parent / name.replace(".", "/")).with_suffix(".py").is_file()
                yield name if is_module else str(node.module)


def forbidden(folder: str, modules: Iterator[str]) -> list[str]:
    """Those that a file of this folder of tests may not import."""
    allowed = ("tests.support.", ALLOWED.get(folder, f"tests.{folder}."))
    return [
        module
        for module in modules
        if not module.startswith(allowed) or module.rpartition(".")[2].startswith(("test_", "conftest"))
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(TESTS)))
def test_a_folder_imports_its_own_helpers_and_those_of_all(path: Path) -> None:
    folder = path.relative_to(TESTS).parts[0]
    assert forbidden(folder, imported(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("folder", PROGRAMS)
def test_a_program_imports_only_the_helpers_of_all(folder: str) -> None:
    paths = [*(TESTS.parent / folder).rglob("*.py")]
    assert paths
    for path in paths:
        assert forbidden(folder, imported(path.read_text(encoding="utf-8"))) == [], path


@pytest.mark.parametrize(
    "line",
    [
        "from tests.e2e.harness import Job",
        "from tests.e2e import harness",
        "import tests.e2e.harness",
        "from tests.unit.test_docs import EXAMPLES",
        "from tests.integration.conftest import client",
    ],
)
def test_an_import_that_is_not_allowed_is_found(line: str) -> None:
    assert len(forbidden("unit", imported(line))) == 1
    assert len(forbidden("chaos", imported(line))) == 1


def test_an_import_that_is_allowed_is_not_found() -> None:
    source = "from tests.support import objects\nfrom tests.unit.core.worlds import two\nimport json"
    assert forbidden("unit", imported(source)) == []
