"""What users read keeps to the project's words: docs/glossary.md, and no word that hides who acts or what is meant."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.pages import DOCS, ROOT, name_of, read, rows

PAGES = [*DOCS, *ROOT.glob("examples/*.md"), *ROOT.glob("charts/*/*.md"), *ROOT.glob(".github/*.md")]
TEXTS = [
    *PAGES,
    *ROOT.glob("crds/*.yaml"),
    *ROOT.glob("examples/**/*.yaml"),
    *ROOT.glob(".github/**/*.yml"),
    *(path for path in ROOT.glob("charts/**/*") if path.suffix in {".yaml", ".tpl", ".txt", ".json"}),
]
PRODUCT = [ROOT / "api", ROOT / "operator", ROOT / "handler", ROOT / "cli"]

INSTEAD = {
    "all the same": "nevertheless, still",
    "anew": "again, recreated, restarted",
    "anybody": "the actor: any client, any agent",
    "beforehand": "before, and before what",
    "everybody": "the actor: each member, all agents",
    "for ever": "permanently, without a time limit",
    "for good": "permanently",
    "in vain": "what did not come, or did not happen",
    "mostly": "usually",
    "nobody": "the actor: no node, no client",
    "somebody": "the actor: another agent, a user",
    "whoever": "the actor: the user who, a node that",
    "no one": "the actor: no node, no client",
    "told": "asked, informed, reported, answered",
    "heard": "received a heartbeat, received",
    "is over": "has ended, has expired, has passed",
    "are over": "have ended",
    "so many": "the number",
    "has the rendezvous": "has claimed the Rendezvous",
}
UNWANTED = re.compile(rf"\b(?:{'|'.join(INSTEAD)})\b", re.IGNORECASE)

_TERM = re.compile(r"\*\*([^*]+)\*\*")


def unwanted(text: str) -> list[str]:
    """Each unwanted word with what is around it, and what to write instead."""
    found = []
    for match in UNWANTED.finditer(text):
        around = text[max(0, match.start() - 40) : match.end() + 40].replace("\n", " ")
        found.append(f"{around!r}: write {INSTEAD[match[0].lower()]}")
    return found


@pytest.mark.parametrize("path", TEXTS, ids=name_of)
def test_texts_use_the_words_of_the_project(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert unwanted(" ".join(text.split())) == []


def messages(tree: ast.AST) -> Iterator[str]:
    """Every string of a module that is no docstring; an f-string without what is filled in."""
    inside: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            inside.add(node.value)
        if isinstance(node, ast.JoinedStr):
            inside |= {*node.values}
            parts = (part.value for part in node.values if isinstance(part, ast.Constant))
            yield "_".join(str(part) for part in parts)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in inside:
            yield node.value


@pytest.mark.parametrize("folder", PRODUCT, ids=name_of)
def test_messages_use_the_words_of_the_project(folder: Path) -> None:
    found = {
        f"{name_of(path)}: {found}"
        for path in folder.rglob("*.py")
        for message in messages(ast.parse(path.read_text(encoding="utf-8")))
        for found in unwanted(message)
    }
    assert found == set()


def test_an_unwanted_word_is_noticed() -> None:
    assert unwanted("Nobody knows it") == ["'Nobody knows it': write the actor: no node, no client"]
    assert list(messages(ast.parse('"""A docstring."""\nprint(f"{a} is told {b}", "heard")'))) == [" is told ", "heard"]
    assert unwanted("The operator is overloaded, and a handbook") == []


# ---- the glossary


def meanings() -> list[tuple[str, str]]:
    """Each term of the glossary and its meaning; a meaning may explain a second term."""
    return [(term, meaning) for cell, meaning in rows(read("docs/glossary.md")) for term in _TERM.findall(cell)]


TERMS = [term for term, _ in meanings()]


def test_every_term_has_one_meaning_with_a_link() -> None:
    assert len(TERMS) > 40
    assert len(TERMS) == len(set(TERMS))
    assert [term for term, meaning in meanings() if not re.search(r"\. \[[^\]]+\]\([^)]+\)$", meaning)] == []


def test_the_terms_of_each_table_are_in_order() -> None:
    for table in read("docs/glossary.md").split("\n## ")[1:]:
        terms = [cells[0].strip("*") for cells in rows(table)]
        assert terms
        assert terms == sorted(terms)


@pytest.mark.parametrize("term", TERMS)
def test_every_term_is_used_on_another_page(term: str) -> None:
    # The end of a verb or a plural may differ.
    word = re.compile(rf"\b{re.escape(term.rstrip('e'))}\w*", re.IGNORECASE)
    assert any(word.search(path.read_text(encoding="utf-8")) for path in PAGES if path.name != "glossary.md")
