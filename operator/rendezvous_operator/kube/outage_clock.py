"""The operator's own clock: it stands still while the API server answers nothing (rule "outages").

In an outage no heartbeat arrives, so that time must count neither as silence nor for any timer. All ages that the core
compares are by this clock, so an outage *shifts* them by its length, and restarts none of them.

An *outage* begins with a request that gets no answer or an HTTP status of 5xx, and ends with the next answer: to a
request, or an event of a watch. It begins at the last answer before, but not before that request was sent. It counts if
it lasted `SHORTEST_SECONDS`, so single failures among answers shift nothing. 429 is neither an answer nor a failure.
What serves other purposes never counts: Events, and the Lease.
"""

from collections.abc import Callable

SHORTEST_SECONDS = 5.0
"""A shorter time without an answer is no outage."""


class OutageClock:
    """Seconds of a monotonic clock, without outages. It may go back by some seconds when an outage is noticed."""

    def __init__(self, real: Callable[[], float]) -> None:
        """A clock that has seen no outage.

        Args:
            real: monotonic seconds.
        """
        self._real = real
        self._lost = 0.0
        self._answered_at = float("-inf")
        self._failing_since: float | None = None

    def __call__(self) -> float:
        """Seconds that count until now. In what may become an outage the clock stands; a short one it makes up for."""
        return (self._real() if self._failing_since is None else self._failing_since) - self._lost

    def answered(self) -> None:
        """The API server has answered a request, or a watch has shown an event."""
        now, began = self._real(), self._failing_since
        if began is not None and now - began >= SHORTEST_SECONDS:
            self._lost += now - began
        self._failing_since, self._answered_at = None, now

    def failed(self, seconds: float) -> None:
        """A request got no answer, or a 5xx.

        Args:
            seconds: from when it was sent until it failed.
        """
        if self._failing_since is None:
            self._failing_since = max(self._answered_at, self._real() - seconds)

    def ended(self, code: str, seconds: float) -> None:
        """A request has ended.

        Args:
            code: its HTTP status, or text that is no number: there was no answer.
            seconds: from when it was sent until it ended.
        """
        if code == "429":
            return  # the API server is there, but it may shed all that we ask for
        if code.isdecimal() and int(code) < 500:
            self.answered()
        else:
            self.failed(seconds)
