"""The health of the operator: the answers of ``/livez`` and ``/readyz``."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from rendezvous_operator.watch.cache import Cache
from rendezvous_operator.watch.kopf_watches import WATCH_SECONDS, WatchActivity, Watches

STALE_SECONDS = 2.5 * WATCH_SECONDS
"""A watch without an answer or an event for this long is late: two of its requests in a row had no answer."""

DEAD_SECONDS = 5.0 * WATCH_SECONDS
"""A watch without a request for this long has stopped: it sends one each `WATCH_SECONDS`."""


class Check(NamedTuple):
    """The result of one check."""

    name: str
    problem: str | None
    """None: there is none."""


class Health:
    """Checks the operator.

    Args:
        cache: what is seen.
        watches: that show it.
        clock: monotonic seconds.
        defects: more checks for ``/livez``; each returns a problem that only a restart of the process solves, or None.
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
        self._watching_since: float | None = None

    def watching_begins(self) -> None:
        """From now on the watches must be active."""
        self._watching_since = self._clock()

    def livez(self) -> list[Check]:
        """Checks for problems that only a restart of the process solves. An outage of the API server is none."""
        # An answer alone shows that the event loop runs.
        checks = [Check("event-loop", None), *(Check(name, problem()) for name, problem in self._defects)]
        for kind, activity in self._watches.activity.items():
            checks.append(Check(f"watch-{kind}", self._dead(activity)))
        return checks

    def readyz(self) -> list[Check]:
        """Checks whether this process sees all objects; it need not be the leader."""
        checks = []
        for kind, activity in self._watches.activity.items():
            listed = self._cache.listed(kind)
            checks.append(Check(f"list-{kind}", None if listed else "not listed yet, see the log"))
            checks.append(Check(f"watch-{kind}", self._stale(activity)))
        return checks

    def _dead(self, activity: WatchActivity) -> str | None:
        if self._watching_since is None:
            return None
        silence = self._clock() - max(self._watching_since, activity.requested_at or self._watching_since)
        return f"no request was sent for {silence:.0f} s" if silence > DEAD_SECONDS else None

    def _stale(self, activity: WatchActivity) -> str | None:
        if activity.answered_at is None:
            return "no answer from the API server yet"
        silence = self._clock() - activity.answered_at
        return f"no answer and no event for {silence:.0f} s" if silence > STALE_SECONDS else None
