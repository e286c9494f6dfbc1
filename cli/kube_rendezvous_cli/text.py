"""Text for a terminal: tables, colours, and nothing that an object could do to the terminal."""

import re
from collections.abc import Iterable, Sequence

_GOOD = ("Running", "Complete", "training", "ok")
_WAITS = (
    "WaitingForNodes", "WaitingForMembers", "WaitingForReplacements", "LastCall", "Gathering", "Degraded", "Suspended",
    "Closed", "silent", "accused", "starting", "Pending", "spare", "held out", "kept out", "unhealthy", "waits",
    "warning",
)  # fmt: skip
_BAD = ("Failed", "lost", "gone", "refused", "problem")
_COLOURS = {**dict.fromkeys(_GOOD, 32), **dict.fromkeys(_WAITS, 33), **dict.fromkeys(_BAD, 31)}
_WORD = re.compile(rf"(?<![\w/.-])(?:{'|'.join(sorted(_COLOURS, key=len, reverse=True))})(?![\w/.-])")

BOLD, PLAIN = "\x1b[1m", "\x1b[0m"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines as kubectl writes them: columns as wide as their longest cell, with three spaces between."""
    cells = [list(header), *(list(row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    return ["   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def safe(text: str) -> str:
    """The text without commands for the terminal: all that is not printable is escaped, but new lines."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter == "\n" or letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


def painted(text: str) -> str:
    """The text with colours for the words that say how something is; headings of tables are bold."""
    lines = []
    for line in text.split("\n"):
        coloured = _WORD.sub(lambda match: f"\x1b[{_COLOURS[match[0]]}m{match[0]}{PLAIN}", line)
        lines.append(f"{BOLD}{line}{PLAIN}" if line and re.fullmatch(r"[A-Z -]+", line) else coloured)
    return "\n".join(lines)


def tone(text: str) -> str:
    """How something is by the first word that says so: ``good``, ``waits`` or ``bad``; empty: none does."""
    found = _WORD.search(text)
    if found is None:
        return ""
    return "good" if found[0] in _GOOD else "waits" if found[0] in _WAITS else "bad"


def count(number: int, thing: str) -> str:
    """``1 node``, ``2 nodes``."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def listing(names: Sequence[str], shown: int = 3) -> str:
    """``a, b, c and 4 more``."""
    if len(names) > shown + 1:
        return f"{', '.join(names[:shown])} and {len(names) - shown} more"
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)
