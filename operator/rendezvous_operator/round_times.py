"""Since when each Rendezvous has been as it is. For metrics only: nothing is decided on it."""

from collections.abc import Callable
from dataclasses import dataclass

from rendezvous_api.reasons import FormationReason
from rendezvous_api.rendezvous import Rendezvous, RendezvousStatus
from rendezvous_operator.cache import Key


@dataclass(frozen=True)
class RoundTimes:
    """When the present state of a Rendezvous began, in the clock's seconds."""

    round_since: float | None = None
    """When the current round was seen to be published; None: before this process looked."""
    forming_since: float | None = None
    """When a round was first seen to be in formation; None: none is."""
    formation_whole: bool = False
    """Whether its beginning was seen: it had not begun before this process looked."""


@dataclass(frozen=True)
class _Followed:
    """One Rendezvous as it was seen the last time."""

    uid: str
    round: int
    times: RoundTimes
    before: tuple[int, RoundTimes] | None = None
    """The round before, and the times as they were when it was last seen as the current one."""


class RoundClock:
    """Follows the rounds of every Rendezvous, as leader or not. ``clock`` gives monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._followed: dict[Key, _Followed] = {}

    def seen(self, key: Key, rendezvous: Rendezvous | None) -> None:
        """Take in a Rendezvous whenever it is seen; None: it is gone."""
        if rendezvous is None:
            self._followed.pop(key, None)
            return
        known = self._followed.get(key)
        if known is not None and known.uid != rendezvous.metadata.uid:
            known = None
        uid, status = rendezvous.metadata.uid, rendezvous.status
        if known is None:
            self._followed[key] = _Followed(uid, status.round, self._begun(None, status, published=False))
            return
        published = status.round != known.round
        times = self._begun(known.times, status, published=published)
        before = (known.round, known.times) if published else known.before
        self._followed[key] = _Followed(uid, status.round, times, before)

    def _begun(self, times: RoundTimes | None, status: RendezvousStatus, *, published: bool) -> RoundTimes:
        """``times``: from before; None: the Rendezvous is seen for the first time."""
        watched, times = times is not None, times or RoundTimes()
        since, whole = times.forming_since, times.formation_whole
        if not is_forming(status):
            since, whole = None, False
        elif since is None or published:
            since, whole = self._clock(), watched
        return RoundTimes(self._clock() if published else times.round_since, since, whole)

    def now(self, key: Key) -> RoundTimes:
        """The times of a Rendezvous as it was last seen."""
        known = self._followed.get(key)
        return known.times if known is not None else RoundTimes()

    def in_round(self, key: Key, number: int) -> RoundTimes | None:
        """The times while that round was the last one published; None: that was not seen, or is long over.

        The current and the previous round are known. So it does not matter whether a watch shows the round that was
        just written before or after the API server's answer to the write arrives.
        """
        known = self._followed.get(key)
        if known is None:
            return None
        if known.round == number:
            return known.times
        return known.before[1] if known.before is not None and known.before[0] == number else None


def is_forming(status: RendezvousStatus) -> bool:
    """Whether a next round is waited for; newcomers that are gathered while training goes on are not meant."""
    return status.formation is not None and status.formation.reason is not FormationReason.GATHERING
