"""Who asks: the value of the header ``Authorization``, as it is now."""

from __future__ import annotations

import math
import time
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

_SECONDS = 60.0
"""After this time a token is read again, as in client-go; kubelet replaces that of a pod now and then."""


class Credentials(Protocol):
    """May be used by several threads at once."""

    def header(self, seconds: float = math.inf) -> str:
        """The value of ``Authorization``; empty: there is none.

        Args:
            seconds: that it may take to ask for it.

        Raises:
            OSError: it cannot be read.
            ValueError: what was read can be no header.
        """

    def refused(self, header: str, seconds: float = math.inf) -> bool:
        """The API server has answered 401 to that header: whether there is another one by now."""


class Fixed:
    """Credentials that never change."""

    def __init__(self, header: str = ""):
        """The value of ``Authorization``; empty: the client has a certificate, or is nobody.

        Raises:
            ValueError: it can be no header.
        """
        self._header = _checked(header)

    def header(self, seconds: float = math.inf) -> str:
        """See `Credentials`."""
        return self._header

    def refused(self, header: str, seconds: float = math.inf) -> bool:
        """See `Credentials`."""
        return False


class TokenFile:
    """A token in a file that others replace."""

    def __init__(self, path: Path, token: str = "", now: Callable[[], float] = time.monotonic):
        """Read nothing yet.

        Args:
            path: of the file.
            token: to be used as long as the file cannot be read.
            now: monotonic seconds.
        """
        self._path = path
        self._now = now
        self._header = bearer(token) if token else ""
        self._read_at: float | None = None

    def header(self, seconds: float = math.inf) -> str:
        """See `Credentials`."""
        # Two threads may read it in the same moment. No lock, so a signal cannot leave one behind.
        if self._read_at is None or self._now() - self._read_at >= _SECONDS:
            try:
                self._read()
            except (OSError, ValueError):
                if not self._header:  # the last one that could be read may still be accepted
                    raise
        return self._header

    def refused(self, header: str, seconds: float = math.inf) -> bool:
        """See `Credentials`."""
        try:
            self._read()
        except (OSError, ValueError):
            return False
        return self._header != header

    def _read(self) -> None:
        token = self._path.read_text(encoding="utf-8").strip()
        if not token:
            raise ValueError(f"{self._path} is empty")
        self._header = bearer(token)
        self._read_at = self._now()


def bearer(token: str) -> str:
    """The header with a token.

    Raises:
        ValueError: it can be in no header.
    """
    return _checked(f"Bearer {token.strip()}")


def basic(user: str, password: str) -> str:
    """The header with a name and a password."""
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode("ascii")


def _checked(header: str) -> str:
    if not header.isascii() or (header and not header.isprintable()):
        raise ValueError("the token has characters that no HTTP header can have")
    return header
