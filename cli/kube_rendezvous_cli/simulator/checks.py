"""What is wrong with a file: errors name the field and its value, and for an unknown field the nearest known one."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, NoReturn

from kube_rendezvous_cli import times
from kube_rendezvous_cli.kubectl import CommandError

MOST_SECONDS = 7 * 24 * 3600
"""The longest time. All decisions up to then are made, so a longer one is hardly meant, and would take hours."""

MOST_LETTERS = 253
"""Of a name, as in the Kubernetes API."""

WRONG = 2
"""The exit code: the command line is wrong, or what it names."""


def fail(path: str, value: Any, why: str) -> NoReturn:
    """Say what is wrong with one field.

    Raises:
        CommandError: always.
    """
    shown = repr(value)
    raise CommandError(f"{path}: {shown if len(shown) <= 100 else shown[:97] + '...'} {why}", WRONG)


def mapping(path: str, value: Any, known: Iterable[str], needed: Iterable[str] = ()) -> Mapping[str, Any]:
    """The value, which must have only these fields, and all that are needed."""
    if not isinstance(value, dict):
        fail(path, value, "is no object")
    known = [*known]
    for name in value:
        if name not in known:
            near = get_close_matches(str(name), known, 1)
            there = ", ".join(known)
            raise CommandError(
                f"{path}.{name}: is no known field; {f'did you mean {near[0]}?' if near else f'known are: {there}'}",
                WRONG,
            )
    for name in needed:
        if name not in value:
            raise CommandError(f"{path}.{name}: is required", WRONG)
    return value


def seconds(path: str, value: Any) -> float:
    """A time: a number of seconds, or a text such as ``30s`` or ``5m``."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < float("inf"):
        return _not_too_long(path, value, float(value))
    found = times.seconds(value) if isinstance(value, str) else None
    if found is None:
        fail(path, value, "is no time such as 30s, 5m or 1h10m")
    return _not_too_long(path, value, found)


def _not_too_long(path: str, value: Any, found: float) -> float:
    if found > MOST_SECONDS:
        fail(path, value, f"is more than {MOST_SECONDS // 86400} days")
    return found


def names(path: str, value: Any) -> list[str]:
    """One text, or a list of texts."""
    found = value if isinstance(value, list) else [value]
    if not found or not all(isinstance(each, str) and each for each in found):
        fail(path, value, "is no name, and no list of names")
    for each in found:
        if len(each) > MOST_LETTERS:
            fail(path, each, f"has more than {MOST_LETTERS} characters")
    return found


def one_of(path: str, value: Any, known: Iterable[str]) -> str:
    """One of these words."""
    words = [*known]
    if value not in words:
        near = get_close_matches(str(value), words, 1)
        fail(path, value, f"is none of {', '.join(words)}" + (f"; did you mean {near[0]}?" if near else ""))
    return str(value)


def truth(path: str, value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        fail(path, value, "is neither true nor false")
    return value
