"""Whether the operator is well, in words: what ``/livez`` and ``/readyz`` answer."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from rendezvous_operator.cache import Cache
from rendezvous_operator.watching import WATCH_SECONDS, Signs, Watches

STALE_SECONDS = 2.5 * WATCH_SECONDS
"""A watch that has shown no sign of life for this long is behind: two of its requests in a row were not answered."""

DEAD_SECONDS = 5.0 * WATCH_SECONDS
"""A watch for which nothing was even tried for this long will not come back: it tries each `WATCH_SECONDS`."""


class Check(NamedTuple):
    """One thing that was looked at."""

    name: str
    problem: str | None
    """What is wrong; None: nothing."""


class Health:
    """Looks at the operator.

    Args:
        cache: what is seen.
        watches: from which it is seen.
        clock: monotonic seconds.
        defects: further things that only a restart can cure; each gives its problem or None.
    """

    def __init__(
        self,
        cache: Cache,
        watches: Watches,
        clock: Callable[[], float],
        defects: Iterable[tuple[str, Callable[[], str | None]]] = (),
    ) -> None:
        self._cache = cache
        self._watches = watches
        self._clock = clock
        self._defects = list(defects)
        self._began_at: float | None = None

    def watching_begins(self) -> None:
        """From now on the watches are expected to show signs of life."""
        self._began_at = self._clock()

    def livez(self) -> list[Check]:
        """What is wrong that can be cured only by a restart. An API server that is away is no such thing."""
        # That this is answered at all shows that the event loop runs.
        checks = [Check("event-loop", None), *(Check(name, problem()) for name, problem in self._defects)]
        for kind, signs in self._watches.signs.items():
            checks.append(Check(f"watch-{kind}", self._dead(signs)))
        return checks

    def readyz(self) -> list[Check]:
        """What is wrong with what this process knows; it need not be the leader."""
        checks = []
        for kind, signs in self._watches.signs.items():
            listed = self._cache.listed(kind)
            checks.append(Check(f"list-{kind}", None if listed else "not listed yet: the log says why"))
            checks.append(Check(f"watch-{kind}", self._stale(signs)))
        return checks

    def _dead(self, signs: Signs) -> str | None:
        if self._began_at is None:
            return None
        silence = self._clock() - max(self._began_at, signs.tried_at or self._began_at)
        return f"no request was sent for it for {silence:.0f} s" if silence > DEAD_SECONDS else None

    def _stale(self, signs: Signs) -> str | None:
        if signs.heard_at is None:
            return "the API server has not answered it yet"
        silence = self._clock() - signs.heard_at
        return f"nothing was heard from it for {silence:.0f} s" if silence > STALE_SECONDS else None
