"""When what a connection shows is so new that the next heartbeat must not wait. Pure: each moment is given."""

from __future__ import annotations

from rendezvous_api.participant import NEWS_PER_SECOND, PeerReport
from rendezvous_api.reasons import HostState
from rendezvous_handler.peers.view import UNANSWERED, View

_PAUSE_SECONDS = 0.5
"""Between two heartbeats that one cause after the other asks for."""
_CLOSED_SECONDS = 0.5
"""Within this time a member says that it lives whose connection was closed: a second later it may be lost."""
_CONTRADICTIONS = 3
"""So many fall into ``timeouts.confirmSeconds``, so that one may fail."""


def spread(nodes: int) -> float:
    """Over how many seconds the members of a round spread a heartbeat that all may send now."""
    return nodes / NEWS_PER_SECOND


class HostHaste:
    """For the host: when its report is another one, and again and again while it accuses a member.

    What an agent says counts only while its heartbeats arrive. And a host that is accused by a member of which it gets
    no beats contradicts so, too, like one whose answers do not come to a member. Who has never come says nothing, so
    that can wait.
    """

    def __init__(self) -> None:
        """There was no report yet."""
        self._said: object = (("", "", "", None), ())
        self._said_at = float("-inf")

    def is_due(
        self, now: float, report: PeerReport | None, confirm_seconds: float, accusers: tuple[int, ...] = ()
    ) -> bool:
        """Whether a heartbeat is to be sent now; then it counts as sent.

        Args:
            now: the moment, in seconds.
            report: that of now.
            confirm_seconds: so long the operator waits for a heartbeat of a member that is accused.
            accusers: the members that say that they get no answers.
        """
        if report is None or now < self._said_at + _PAUSE_SECONDS:
            return False
        news = (_news(report), accusers)
        again = (_accuses(report) or accusers) and now >= self._said_at + confirm_seconds / _CONTRADICTIONS
        if news == self._said and not again:
            return False
        self._said, self._said_at = news, now
        return True


class MemberHaste:
    """For a member: when it sees the host otherwise, is to pass on another report, or may be accused."""

    def __init__(self, nodes: int):
        """There was no connection yet.

        Args:
            nodes: number of members of the round.
        """
        self._spread = spread(nodes)
        self._said: object = (None, False, None)
        self._said_at = float("-inf")
        self._was_heard = False

    def within(self, now: float, view: View, confirm_seconds: float) -> float | None:
        """Within how many seconds a heartbeat is to be sent; then it counts as sent. None: none is.

        Args:
            now: the moment, in seconds.
            view: what is known of the host.
            confirm_seconds: so long the operator waits for it when this member is accused.
        """
        if now < self._said_at + _PAUSE_SECONDS:
            return None
        was_heard, self._was_heard = self._was_heard, view.is_heard(now)
        state, passed_on = view.state(now), view.evidence(now).report
        accused = view.is_accused or state in UNANSWERED
        presses = accused or (passed_on is not None and _accuses(passed_on))
        # To be connected for the first time is no news: any heartbeat may say that.
        shown = state if state in (*UNANSWERED, HostState.LEFT) else None
        news = (shown, view.is_accused, None if passed_on is None else _news(passed_on))
        again = presses and now >= self._said_at + confirm_seconds / _CONTRADICTIONS
        # Its heartbeats may have been rare, and nobody knows whether they still arrive.
        unheard = was_heard and not self._was_heard
        if news == self._said and not again and not unheard:
            return None
        self._said, self._said_at = news, now
        if passed_on is not None:
            return 0.0
        if state is HostState.CLOSED:
            return min(self._spread, _CLOSED_SECONDS)
        return min(self._spread, confirm_seconds / _CONTRADICTIONS) if accused else self._spread


def _accuses(report: PeerReport) -> bool:
    return bool(report.missed or report.closed)


def _news(report: PeerReport) -> object:
    return (report.missed, report.closed, report.left, report.too_many)
