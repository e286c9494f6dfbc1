"""Sets of ranks as text, such as ``0,3-5``: short for the usual sets, and readable in an object."""

import re
from collections.abc import Iterable

MAX_LENGTH = 4096
"""Of the text, in characters; ``crds/rendezvousparticipant.yaml`` has the same."""

_HIGHEST = 1999
"""The schema of the Rendezvous allows no more than 2000 nodes. What is more is no rank."""
_PART = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?")


def to_text(ranks: Iterable[int]) -> str:
    """The text of a set of ranks; it may be longer than `MAX_LENGTH`."""
    parts: list[list[int]] = []
    for rank in sorted(set(ranks)):
        if parts and parts[-1][-1] == rank - 1:
            parts[-1][1:] = [rank]
        else:
            parts.append([rank])
    return ",".join("-".join(map(str, part)) for part in parts)


def from_text(text: str) -> frozenset[int]:
    """The set that a text names. Parts that name no ranks are left out: they are of another release, or a mistake."""
    found: set[int] = set()
    for part in text.split(","):
        match = _PART.fullmatch(part.strip())
        if match:
            first = int(match[1])
            last = int(match[2]) if match[2] else first
            found.update(range(first, min(last, _HIGHEST) + 1))
    return frozenset(found)
