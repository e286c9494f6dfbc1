"""Objects of any release: a field that this release does not understand is left out, and the rest is shown."""

import copy
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from rendezvous_api.codec import DecodeError, decode

T = TypeVar("T")

UNKNOWN = "?"
"""In the place of a text that must be there."""

_EMPTY: Mapping[str, Any] = {"int": 0, "bool": False, "object": {}, "list": []}
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
_EXPECTED = re.compile(r" is no (\w+)$")


def read(cls: type[T], data: Mapping[str, Any]) -> tuple[T, tuple[str, ...]]:
    """The object, and for each field that was left out why.

    A field that must be there has an empty value then, or `UNKNOWN`.

    Raises:
        DecodeError: it is no object at all.
    """
    value: Any = data
    problems: dict[str, str] = {}
    while True:
        try:
            return decode(cls, value), tuple(problems.values())
        except DecodeError as error:
            if not isinstance(data, Mapping):
                raise
            if value is data:
                value = copy.deepcopy(dict(data))
            path = str(error).partition(":")[0]
            _mend(value, path, str(error), again=path in problems)
            problems.setdefault(path, str(error))


def _mend(value: Any, path: str, said: str, again: bool) -> None:
    """Remove the field; if it must be there, put something empty of the right type in its place.

    Args:
        value: the whole object.
        path: of the field.
        said: what is wrong with it.
        again: whether it was removed before, so that it must be there.
    """
    steps: list[Any] = [int(number) if number else name for name, number in _STEP.findall(path)]
    places: list[tuple[Any, Any]] = []
    parent = value
    for step in steps:
        if not isinstance(parent, (dict, list)):
            break
        places.append((parent, step))
        parent = parent[step] if isinstance(parent, list) else parent.get(step)
    if len(places) < len(steps):
        # The name of a label has dots in it: what encloses it goes.
        places.pop()
    parent, last = places[-1]
    expected = _EXPECTED.search(said)
    if said.endswith(": is required"):
        parent[last] = UNKNOWN
    elif again and expected is not None:
        parent[last] = copy.deepcopy(_EMPTY.get(expected[1], UNKNOWN))
    else:
        del parent[last]
