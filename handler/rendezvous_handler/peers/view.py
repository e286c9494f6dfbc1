"""What a member of a round knows of its host, by the answers to its beats. Pure: each moment is given."""

from __future__ import annotations

from rendezvous_api.participant import PeerEvidence, PeerReport
from rendezvous_api.reasons import HostState
from rendezvous_handler.peers.signs import OwnTime, Presence, Signs

UNANSWERED = (HostState.MISSED, HostState.CLOSED)
"""The member may be one that the host accuses, and cannot know it."""

_STATES = {
    Presence.HERE: HostState.ANSWERS,
    Presence.MISSED: HostState.MISSED,
    Presence.CLOSED: HostState.CLOSED,
    Presence.LEFT: HostState.LEFT,
}


class View:
    """Keeps the last sign of life of the host. All moments are of one monotonic clock, in seconds."""

    def __init__(self, rank: int):
        """There was no connection yet.

        Args:
            rank: of this member.
        """
        self._rank = rank
        self._time = OwnTime()
        self._signs: Signs | None = None
        self._passes_on = False
        self._is_relayed = False
        self.report: PeerReport | None = None
        """The last one of the host."""
        self.is_accused = False
        """The host's last report has this member in one of the sets that accuse."""

    def answered(self, now: float, report: PeerReport | None, passes_on: bool, relayed: bool = False) -> None:
        """The host has answered a beat, or the first line of a connection.

        Args:
            now: the moment.
            report: of the host; None: the same as before.
            passes_on: whether this member is to write it, too.
            relayed: whether any member is to: the host does not reach the API server.
        """
        own = self._time.of(now)
        if self._signs is None:
            self._signs = Signs(own)
        self._signs.came(own)
        self._passes_on = passes_on
        self._is_relayed = relayed or passes_on
        if report is not None:
            self.report = report
            self.is_accused = self._rank in report.accused

    def closed(self, now: float) -> None:
        """The kernel of the host's machine has closed the connection, without a farewell; see `Signs.closed`."""
        if self._signs is not None:
            self._signs.closed(self._time.of(now))

    def farewell(self, now: float) -> None:
        """The workers of the host do not run this round any more. That is so from then on."""
        if self._signs is not None:
            self._signs.left(self._time.of(now))

    def forget(self) -> None:
        """No connection can be opened, and that is the fault of this end, or of the host's agent: nothing is known."""
        self._signs = None

    def paused(self, now: float, seconds: float) -> None:
        """The thread of this member was stopped: that time does not count against the host.

        It is called before the answers are reported that have come meanwhile.

        Args:
            now: the moment at which it runs again.
            seconds: for how long.
        """
        self._time.leave_out(seconds)
        if self._signs is not None:
            self._signs.excuse(self._time.of(now))

    def state(self, now: float) -> HostState:
        """What this member knows of the host."""
        if self._signs is None:
            return HostState.NOT_CONNECTED
        return _STATES[self._signs.presence(self._time.of(now))]

    def is_heard(self, now: float) -> bool:
        """Whether the host gets the beats of this member, and can say so to the API server by itself."""
        return self.state(now) is HostState.ANSWERS and not self.is_accused and not self._is_relayed

    def evidence(self, now: float) -> PeerEvidence:
        """What to write. Another one's report is passed on only while that one answers."""
        state = self.state(now)
        passed_on = self.report if self._passes_on and state is HostState.ANSWERS else None
        return PeerEvidence(host=state, report=passed_on)

    def changes_at(self, now: float) -> float | None:
        """The next moment at which `state` is another one if no event comes; None: never."""
        if self._signs is None:
            return None
        moment = self._signs.changes_at(self._time.of(now))
        return None if moment is None else self._time.back(moment)
