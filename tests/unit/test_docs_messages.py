"""Messages that the pages quote come from the code."""

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import pytest
from tests.support.pages import CODE, ROOT, fences, read, rows, section

PRODUCT = [ROOT / "api", ROOT / "operator", ROOT / "handler"]
_PLACEHOLDER = re.compile(r"\.\.\.|\b[A-Z][A-Z/]*\b(?::PORT)?|\b\d+\b")
_PUNCTUATION = " :().,"
_PERCENT = re.compile(r"%(?:\.\d+)?[sdfrg]")


def pieces(node: ast.expr) -> list[str] | None:
    """The constant parts of a string in the source, between what is filled in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return _PERCENT.split(node.value)
    if isinstance(node, ast.JoinedStr):
        found = [""]
        for value in node.values:
            inner = pieces(value) if isinstance(value, ast.Constant) else ["", ""]
            assert inner is not None
            found[-1] += inner[0]
            found += inner[1:]
        return found
    return None


@cache
def said_by_the_code() -> tuple[tuple[str, ...], ...]:
    """Every string of the product, as its constant parts."""
    found = set()
    for folder in PRODUCT:
        for path in folder.rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            inside = {value for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for value in node.values}
            for node in ast.walk(tree):
                if isinstance(node, ast.expr) and node not in inside and (parts := pieces(node)):
                    found.add(tuple(parts))
    return tuple(found)


def filled(parts: Iterable[str]) -> str:
    """A pattern: the constant parts with anything in the gaps."""
    return ".*?".join(map(re.escape, parts))


def is_a_part(text: str) -> bool:
    """Whether it is a name, or a whole string of the code that another one begins with."""
    strings = (parts for parts in said_by_the_code() if len("".join(parts)) >= 8)
    return bool(re.fullmatch(r"\S+", text)) or any(re.fullmatch(filled(parts), text) for parts in strings)


def comes_from_the_code(message: str) -> bool:
    """Whether the message begins with a string of the code, of at least 16 characters, with its gaps filled.

    Before it there may be what fills a gap at its beginning, or another string and a colon.
    """
    for first, *others in said_by_the_code():
        if len("".join([first, *others])) < 16:
            continue
        found = re.search(filled([first, *others] if first else others), message)
        if found is None:
            continue
        before = message[: found.start()]
        if (first and not before) or is_a_part(before.removesuffix(": ") if first else before):
            return True
    return False


def is_said(fragment: str) -> bool:
    """Whether it is in a string of the code, or goes from the end of one into the beginning of another."""
    strings = {part.strip(_PUNCTUATION) for parts in said_by_the_code() for part in parts}
    if any(fragment in string for string in strings):
        return True
    words = fragment.split(" ")
    for count in range(1, len(words)):
        head, tail = (" ".join(some).strip(_PUNCTUATION) for some in (words[:count], words[count:]))
        ends = any(string.endswith(head) for string in strings)
        if ends and any(string.startswith(tail) for string in strings):
            return True
    return False


def quoted_messages() -> Iterator[Any]:
    for number, block in enumerate(fences(read("docs/troubleshooting.md"), "text")):
        yield pytest.param(block.strip(), id=f"{number}-{block[:40].strip()}")


@pytest.mark.parametrize("message", list(quoted_messages()))
def test_a_message_in_troubleshooting_comes_from_the_code(message: str) -> None:
    assert "\n" not in message
    assert comes_from_the_code(message)
    _, refused, answer = message.partition(" does not accept this node: ")
    assert not refused or comes_from_the_code(answer), "that is what the operator says"


@pytest.mark.parametrize("heading", ["### Of an agent", "### Of the operator"])
def test_log_lines_come_from_the_code(heading: str) -> None:
    lines = [line for row in rows(section("docs/reference.md", heading)) for line in CODE.findall(row[0])]
    fragments = [part.strip(_PUNCTUATION) for line in lines for part in _PLACEHOLDER.split(line)]
    said = [fragment for fragment in fragments if len(fragment) >= 8]
    assert len(said) >= 6
    assert [fragment for fragment in said if not is_said(fragment)] == []


def test_a_message_that_nobody_says_is_noticed() -> None:
    assert comes_from_the_code("--rdzv-conf join_timeout=0: must be a positive integer")
    assert not comes_from_the_code("--rdzv-conf join_timeout=0: must be a negative integer")
    assert not comes_from_the_code("--rdzv-option join_timeout=0: must be a positive integer")
    assert is_said("check-in at round")
    assert not is_said("check-in at place")
