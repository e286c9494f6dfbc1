"""How the keys and queues of a `KubernetesStore` are written into a ConfigMap. Pure functions."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence

from rendezvous_api.text import fingerprint

KEY, QUEUE = "k.", "q."
"""What the names of ordinary keys, and of queues, begin with."""

MAX_NAME_LENGTH = 253
"""Of a key of a ConfigMap, in characters."""

_LONGEST_PREFIX = 100
"""In characters of a name. It leaves room for what torch puts behind the prefix of a round."""

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


class Rounds:
    """The keys ``<prefix>.<N>/...`` of one store. In their names a long prefix stands as its beginning and a hash.

    The prefix has the run id in it, which may be any text.
    """

    def __init__(self, prefix: str):
        self._prefix = self._short = prefix
        if len(_escape(prefix)) > _LONGEST_PREFIX:
            self._short = f"{prefix[:16]}-{fingerprint(prefix, 16)}"
        self._name = re.compile(re.escape(KEY + _escape(self._short)) + r"\.(\d+)" + re.escape(_escape("/")))

    def shorten(self, key: str) -> str:
        """The key as it stands in the ConfigMap."""
        return self._replaced(key, self._prefix, self._short)

    def restore(self, key: str) -> str:
        """The key that `shorten` has made that one of."""
        return self._replaced(key, self._short, self._prefix)

    def number(self, name: str) -> int | None:
        """N, if that is the name of such a key."""
        match = self._name.match(name)
        return int(match[1]) if match else None

    @staticmethod
    def _replaced(key: str, before: str, after: str) -> str:
        return after + key[len(before) :] if key.startswith(f"{before}.") else key


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
