"""What is wrong with a file: errors name the field and its value, and for an unknown field the nearest known one."""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, NoReturn

from kube_rendezvous_cli import times
from kube_rendezvous_cli.kubectl import CommandError

MOST_SECONDS = 7 * 24 * 3600
"""The longest time. All decisions up to then are made, so a longer one is hardly meant, and would take hours."""

MOST_LETTERS = 253
"""Of the name of a node, which is that of its pod."""
MOST_LETTERS_OF_A_GROUP = 63
"""As the CustomResourceDefinition of Rendezvous has it."""

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"

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
    """The name of a node, or a list of different ones; they are names of pods, too."""
    several = isinstance(value, list)
    found = value if several else [value]
    if not found or not all(isinstance(each, str) and each for each in found):
        fail(path, value, "is no name, and no list of names")
    for number, each in enumerate(found):
        place = f"{path}[{number}]" if several else path
        if len(each) > MOST_LETTERS:
            fail(place, each, f"has more than {MOST_LETTERS} characters")
        if not re.fullmatch(rf"{_LABEL}(\.{_LABEL})*", each):
            fail(place, each, f"is no DNS name: it must have {_letters('-', '.')}")
        if each in found[:number]:
            fail(place, each, "is there twice")
    return found


def name_of_group(path: str, value: Any) -> str:
    """The name of a Rendezvous."""
    if not isinstance(value, str):
        fail(path, value, "is no name")
    if len(value) > MOST_LETTERS_OF_A_GROUP:
        fail(path, value, f"has more than {MOST_LETTERS_OF_A_GROUP} characters")
    if not re.fullmatch(_LABEL, value):
        fail(path, value, f"is no DNS label: it must have {_letters('-')}")
    return value


def _letters(*others: str) -> str:
    between = " and ".join(f"'{each}'" for each in others)
    return f"only lower-case letters and digits, and {between} between them"


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
