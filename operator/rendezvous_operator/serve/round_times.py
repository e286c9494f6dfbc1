"""Since when each Rendezvous has been in its present state. For metrics only: no decision depends on it."""

from collections.abc import Callable
from dataclasses import dataclass

from rendezvous_api.reasons import FormationReason
from rendezvous_api.rendezvous import Rendezvous, RendezvousStatus
from rendezvous_operator.watch.seen import Key


@dataclass(frozen=True)
class RoundTimes:
    """When the present state of a Rendezvous started, in the clock's seconds."""

    round_since: float | None = None
    """When the current round was first seen; None: it was published before this process started."""
    forming_since: float | None = None
    """When the formation of a round was first seen; None: no round is being formed."""
    formation_whole: bool = False
    """Whether the formation started while this process was running."""


@dataclass(frozen=True)
class _Followed:
    """One Rendezvous as it was last seen."""

    uid: str
    round: int
    times: RoundTimes
    before: tuple[int, RoundTimes] | None = None
    """The round before, and the times when it was last seen as the current one."""


class RoundClock:
    """Follows the rounds of every Rendezvous, as leader or not. ``clock`` gives monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._followed: dict[Key, _Followed] = {}

    def seen(self, key: Key, rendezvous: Rendezvous | None) -> None:
        """Note a Rendezvous whenever it is seen; None: it is gone."""
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
        """The times while that round was the last one published; None: that was not seen, or it is an older round.

        The current and the previous round are known. So a watch may show a round before or after the answer to the
        write that published it.
        """
        known = self._followed.get(key)
        if known is None:
            return None
        if known.round == number:
            return known.times
        return known.before[1] if known.before is not None and known.before[0] == number else None


def is_forming(status: RendezvousStatus) -> bool:
    """Whether the next round is being formed; gathering newcomers while a round runs does not count."""
    return status.formation is not None and status.formation.reason is not FormationReason.GATHERING
