"""What stands in the pages of the documentation."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
HEADING = re.compile(r"^#+ (?P<text>.+)$", re.MULTILINE)
CODE = re.compile(r"`([^`]+)`")
_FENCE = re.compile(r"^(?P<indent> *)```(?P<kind>[a-z]*)\n(?P<body>.*?)^ *```$", re.MULTILINE | re.DOTALL)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def read(path: str | Path) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def fences(text: str, kind: str) -> list[str]:
    return [match["body"] for match in _FENCE.finditer(text) if match["kind"] == kind]


def prose(text: str) -> str:
    return _FENCE.sub("", text)


def section(path: str, heading: str) -> str:
    """The text below a heading, up to the next one of the same or a higher level."""
    level = heading.split(" ")[0]
    after = read(path).partition(f"\n{heading}\n")[2]
    assert after, f"{path} has no heading {heading!r}"
    return re.split(rf"^#{{1,{len(level)}}} ", after, flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    """The cells of all tables, without their headers."""
    cells = [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in text.splitlines() if line[:1] == "|"
    ]
    rules = [number for number, row in enumerate(cells) if all(set(cell) <= {"-"} for cell in row)]
    headers = {number - 1 for number in rules} | set(rules)
    return [row for number, row in enumerate(cells) if number not in headers]


def anchors(text: str) -> set[str]:
    """What GitHub makes of the headings of a file."""
    found = (re.sub(r"[^\w\- ]", "", match["text"].lower()) for match in HEADING.finditer(prose(text)))
    return {heading.replace(" ", "-") for heading in found}


def blocks(page: str, heading: str, kind: str) -> list[str]:
    """The fenced blocks of a kind below a heading of a page (its text), up to the next heading."""
    text = re.split(r"^#+ ", page.partition(f"# {heading}\n")[2], flags=re.MULTILINE)[0]
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
