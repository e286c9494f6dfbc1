"""JSON values as YAML, so that no package is needed for it. What reads YAML is kubectl."""

import json
import re
from collections.abc import Iterator
from typing import Any

_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./()+-]*(?: [A-Za-z0-9_./()+-]+)*")
_NOT_TEXT = re.compile(r"(?i)y|n|yes|no|on|off|true|false|null|~|[.]inf|[.]nan")


def dump(value: Any) -> str:
    """One YAML document, with a new line at its end."""
    return "\n".join(_lines(value)) + "\n"


def _lines(value: Any) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, child in value.items():
            yield from _entry(f"{_scalar(str(key))}:", child, "  ")
    elif isinstance(value, (list, tuple)) and value:
        for child in value:
            first, *rest = _lines(child)
            yield f"- {first}"
            yield from (f"  {line}" for line in rest)
    else:
        yield _scalar(value)


def _entry(key: str, child: Any, indent: str) -> Iterator[str]:
    if isinstance(child, (dict, list, tuple)) and child:
        yield key
        # Like kubectl: a list is not indented below its key.
        indent = "" if isinstance(child, (list, tuple)) else indent
        yield from (f"{indent}{line}" for line in _lines(child))
    else:
        yield f"{key} {_scalar(child)}"


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and not _NOT_TEXT.fullmatch(value):
        return value
    # Every JSON value is YAML, and strings in double quotes have the same escapes.
    return json.dumps(value)
