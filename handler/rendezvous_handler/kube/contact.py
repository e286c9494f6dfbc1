"""Whether the API server answers."""

from __future__ import annotations

import time
from collections.abc import Callable


class Contact:
    """Whether the API server answers, by the newest request of any kind."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """Start with an API server that answers.

        Args:
            now: a monotonic clock, in seconds.
        """
        self._now = now
        self._since = 0.0
        self.failing = False
        self.cause = ""
        """Of the last failure, for people."""
        self.untrusted = False
        """The last failure: the server's certificate is not accepted."""

    def answered(self) -> None:
        """The server has answered; a refusal is an answer, too."""
        self.failing = False

    def failed(self, cause: str, untrusted: bool = False) -> None:
        """A request got no answer, or was not made, because the server's certificate is not accepted."""
        self.cause = cause
        self.untrusted = untrusted
        if not self.failing:
            self._since = self._now()
            self.failing = True

    @property
    def state(self) -> str:
        """What the server does while it is `failing`, behind its name."""
        return "is not trusted" if self.untrusted else "does not answer"

    @property
    def silent_seconds(self) -> float:
        """Seconds since the first of the requests that got no answer."""
        return self._now() - self._since if self.failing else 0.0
