"""The YAML in which tools write kubeconfigs. The standard library has no YAML.

Mappings and lists in block style, plain and quoted scalars, also over several lines, literal blocks (``|``), comments,
and flow style as far as it is JSON. All else is refused, never guessed: anchors, tags, folded blocks, more documents.
Scalars are strings, except plain ``true``, ``false`` and ``null``: a kubeconfig has no numbers.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

_CONSTANTS: dict[str, bool | None] = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
_CONSTANTS |= dict.fromkeys(("true", "True", "TRUE"), True) | dict.fromkeys(("false", "False", "FALSE"), False)

_PLAIN_KEY = re.compile(r"((?:[^\s\-?:,\[\]{}#&*!|>'\"%@`]|[-?:](?=[^\s#]))[^#]*?)\s*:(?=\s|$)")
_QUOTED = {'"': re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL), "'": re.compile(r"'((?:[^']|'')*)'(?!')", re.DOTALL)}
_QUOTED_KEY = re.compile(r"""("[^"\\]*"|'[^']*')\s*:(?=\s|$)""")
_LITERAL = re.compile(r"\|([+-]?)(?:\s+#.*|\s*)$")
_STRANGE = re.compile(r"[^\S \t\n\r]|\r(?!\n)|[\x00-\x08\x0e-\x1b\x7f-\x9f\ufeff]")
"""White space and controls that YAML takes for line ends, for text, or for errors; tools write none of them."""
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", re.DOTALL)
_ESCAPED = {
    "0": "\0", "a": "\a", "b": "\b", "t": "\t", "\t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r", "e": "\x1b",
    " ": " ", '"': '"', "/": "/", "\\": "\\", "N": "\x85", "_": "\xa0", "L": "\u2028", "P": "\u2029",
}  # fmt: skip


class YamlError(ValueError):
    """The text is no YAML, or has something in it that is not read here."""


def read_yaml(text: str) -> Any:
    """The value of a document: a mapping, a list or a scalar.

    Raises:
        YamlError: see there.
    """
    reader = _Reader(text)
    value = reader.node(-1)
    if reader.next_line() is not None:
        reader.fail("this does not belong to what is above it")
    return value


class _Reader:
    """Goes through the lines from top to bottom; `_at` is the next one."""

    def __init__(self, text: str):
        text = text.removeprefix("\ufeff")
        self._lines = [line.removesuffix("\r") for line in text.split("\n")]
        self._at = 0
        self._begun = False
        if strange := _STRANGE.search(text):
            self._at = text.count("\n", 0, strange.start())
            self.fail(f"the character {strange[0]!a} is not read here")
        self.next_line()
        if self._at < len(self._lines) and re.fullmatch(r"---\s*(#.*)?", self._lines[self._at]):
            self._at += 1
        self._begun = True

    def fail(self, why: str) -> NoReturn:
        line = self._lines[self._at] if self._at < len(self._lines) else ""
        raise YamlError(f"line {self._at + 1}: {why}: {line.strip()[:80]!r}")

    def next_line(self) -> tuple[int, str] | None:
        """Indentation and text of the next line that has any; None at the end."""
        while self._at < len(self._lines):
            line = self._lines[self._at]
            text = line.lstrip(" ")
            if text.startswith("\t") and text.strip():
                self.fail("a tab in the place of spaces")
            if text.strip() and not text.startswith("#"):
                if self._begun and line.startswith(("---", "...", "%")):
                    self.fail("more than one document is not read here")
                return len(line) - len(text), text
            self._at += 1
        return None

    def node(self, parent: int, list_may_be_level: bool = False) -> Any:
        """What stands deeper than its parent; a list in a mapping may be as deep as its key."""
        found = self.next_line()
        if found is None:
            return None
        indent, text = found
        if _is_item(text) and (indent > parent or (indent == parent and list_may_be_level)):
            return self._list(indent)
        if indent <= parent:
            return None
        if self._key(text):
            return self._mapping(indent)
        self._at += 1
        return self._scalar(text, parent)

    def _mapping(self, indent: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while (line := self.next_line()) is not None and line[0] == indent and not _is_item(line[1]):
            key, rest = self._key(line[1]) or self.fail("a key and a colon should be here")
            if key in found or key == "<<":
                self.fail("this key is there already, or is a merge, which is not read here")
            self._at += 1
            found[key] = self._scalar(rest, indent) if rest else self.node(indent, list_may_be_level=True)
        if line is not None and line[0] > indent:
            self.fail("this is indented too far")
        return found

    def _list(self, indent: int) -> list[Any]:
        found = []
        while (line := self.next_line()) is not None and line[0] == indent and _is_item(line[1]):
            rest = line[1][1:].lstrip(" ")
            if not rest or rest.startswith("#"):
                self._at += 1
                found.append(self.node(indent))
            elif self._key(rest) or _is_item(rest):
                # What follows the dash is the first line of something that is as deep as it stands there.
                self._lines[self._at] = " " * (indent + len(line[1]) - len(rest)) + rest
                found.append(self.node(indent))
            else:
                self._at += 1
                found.append(self._scalar(rest, indent))
        if line is not None and line[0] > indent:
            self.fail("this is indented too far")
        return found

    def _key(self, text: str) -> tuple[str, str] | None:
        """The key at the beginning of a line, and what is behind its colon; None: it has none."""
        if match := _QUOTED_KEY.match(text):
            key = match[1][1:-1]
        elif match := _PLAIN_KEY.match(text):
            key = match[1]
        else:
            return None
        rest = text[match.end() :].strip()
        if "\t" in key:
            self.fail("a tab in a key")
        return key, "" if rest.startswith("#") else rest

    def _scalar(self, text: str, parent: int) -> Any:
        """The value that begins with this text, at the end of the line before the next one."""
        self._at -= 1  # for messages
        if text[0] in "[{":
            try:
                value, end = json.JSONDecoder().raw_decode(text)
            except ValueError:
                self.fail("flow style is only read here if it is JSON")
            self._nothing_behind(text[end:])
            self._at += 1
            return value
        if match := _LITERAL.match(text):
            self._at += 1
            return self._literal(match[1], parent)
        if text[0] in "&*!|>%@`,]}" or (text[0] in "-?:" and text[1:2] in ("", " ")):
            self.fail("this kind of YAML is not read here")
        self._at += 1
        if text[0] in _QUOTED:
            return self._quoted(text, parent)
        return self._plain(text, parent)

    def _literal(self, chomping: str, parent: int) -> str:
        lines: list[str] = []
        indent = 0
        while self._at < len(self._lines):
            line = self._lines[self._at]
            if line.strip(" "):
                deep = len(line) - len(line.lstrip(" "))
                indent = indent or deep
                if deep < indent or deep <= parent:
                    break
            lines.append(line[indent:] if indent else "")
            self._at += 1
        at_end = self._at == len(self._lines)  # what `split` sees behind the last line end is no line
        text = "\n".join(lines) + "\n" * (not at_end)
        kept = text.rstrip("\n")
        if chomping == "-" or not kept:
            return kept if chomping != "+" else text
        return text if chomping == "+" else kept + "\n" * (text != kept)

    def _quoted(self, text: str, parent: int) -> str:
        quote = text[0]
        while (match := _QUOTED[quote].match(text)) is None:
            line = self._lines[self._at] if self._at < len(self._lines) else None
            if line is None or (line.strip() and len(line) - len(line.lstrip(" ")) <= parent):
                self.fail("a quote is not closed above")
            text += "\n" + str(line)
            self._at += 1
        self._at -= 1
        self._nothing_behind(text[match.end() :])
        self._at += 1
        inner = _folded(match[1].split("\n"), quote)
        if quote == "'":
            return inner.replace("''", "'")
        return _ESCAPE.sub(self._unescaped, inner)

    def _nothing_behind(self, rest: str) -> None:
        if re.fullmatch(r"\s*|\s+#.*", rest) is None:
            self.fail("there is something behind a value")

    def _unescaped(self, match: re.Match[str]) -> str:
        code = match[1]
        if len(code) > 1:
            return chr(int(code[1:], 16))
        if code not in _ESCAPED:
            self.fail(f"an unknown escape \\{code} above")
        return _ESCAPED[code]

    def _plain(self, text: str, parent: int) -> Any:
        lines = [text]
        while not re.search(r"\s#", lines[-1]) and self._at < len(self._lines):
            line = self._lines[self._at]
            stripped = line.strip()
            if stripped and (len(line) - len(line.lstrip(" ")) <= parent or stripped.startswith("#")):
                break
            lines.append(stripped)
            self._at += 1
        while not lines[-1]:
            lines.pop()
        found = re.sub(r"\s+#.*$", "", _folded(lines, ""))
        if re.search(r":(\s|$)|\t", found):
            self._at -= 1
            self.fail("a colon or a tab in a text without quotes, here or above")
        return _CONSTANTS.get(found, found)


def _is_item(text: str) -> bool:
    return text == "-" or text.startswith("- ")


def _folded(lines: list[str], quote: str) -> str:
    """Lines of one scalar as one: a line end is a space, and each empty line after it a line end."""
    text = lines[0] if len(lines) == 1 else lines[0].rstrip(" \t")
    empty = 0
    for number, line in enumerate(lines[1:], 2):
        stripped = line.lstrip(" \t") if number == len(lines) and quote else line.strip(" \t")
        if not stripped and number < len(lines):
            empty += 1
            continue
        if quote == '"' and not empty and re.search(r"(?<!\\)(?:\\\\)*\\$", text):
            text = text[:-1] + stripped  # an escaped line end is none
        else:
            text += ("\n" * empty if empty else " ") + stripped
        empty = 0
        if number < len(lines):
            text = text.rstrip(" \t")
    return text
