"""How the keys and queues of a `KubernetesStore` are written into a ConfigMap. Pure functions."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence

KEY, QUEUE = "k.", "q."
"""What the names of ordinary keys, and of queues, begin with."""

MAX_NAME_LENGTH = 253
"""Of a key of a ConfigMap, in characters."""

_UNSAFE = re.compile(rb"[^-.a-zA-Z0-9]")
_ESCAPE = re.compile(rb"_([0-9a-f]{2})")
_LENGTH = struct.Struct(">I")


def encode(key: str, kind: str = KEY) -> str:
    """The name of a key in the ConfigMap.

    Only ``-._a-zA-Z0-9`` are allowed there (``IsConfigMapKey`` of Kubernetes). Each other byte of the key in UTF-8, and
    ``_``, is written as ``_`` and two hexadecimal digits. So names begin alike exactly if keys do.

    Args:
        key: any text.
        kind: `KEY` or `QUEUE`.

    Raises:
        ValueError: the name would be too long.
    """
    name = kind + _escape(key)
    if len(name) > MAX_NAME_LENGTH:
        raise ValueError(
            f"the key {key!r} is too long: it takes {len(name)} characters as a key of a ConfigMap, which may have "
            f"{MAX_NAME_LENGTH} (2 before it, and 3 for each byte other than a letter, a digit, '-' and '.')"
        )
    return name


def decode(name: str) -> str:
    """The key that has that name in the ConfigMap."""
    _, _, escaped = name.partition(".")
    return _ESCAPE.sub(lambda match: bytes([int(match[1], 16)]), escaped.encode()).decode(errors="replace")


def prefix_of_rounds(prefix: str) -> re.Pattern[str]:
    """What matches the names of the keys ``<prefix>.<N>/...``; group 1 is N."""
    return re.compile(re.escape(KEY + _escape(prefix)) + r"\.(\d+)" + re.escape(_escape("/")))


def join(items: Sequence[bytes]) -> bytes:
    """The values of a queue as one: each behind its length in 4 bytes."""
    return b"".join(_LENGTH.pack(len(item)) + item for item in items)


def split(queue: bytes) -> list[bytes]:
    """The values of a queue."""
    items = []
    position = 0
    while position < len(queue):
        start = position + _LENGTH.size
        position = start + _LENGTH.unpack_from(queue, position)[0]
        items.append(queue[start:position])
    return items


def _escape(key: str) -> str:
    return _UNSAFE.sub(lambda match: b"_%02x" % match[0][0], key.encode()).decode()
