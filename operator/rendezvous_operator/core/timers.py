"""Since when something has held, on the operator's monotonic clock.

A *fact* holds now or does not; `facts` lists them all. `Timers` says since when each one has held without a break.
Rules read timers and never start one, so it does not matter in which order, or whether, they are asked.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from enum import Enum


class Timer(Enum):
    """What is timed. The comment beside each one says what its key is."""

    ALL_SILENT = "all silent"
    """No key. Two participants or more are expected, and none is heard."""
    ROUND = "round"
    """Key: its number. The round was published."""
    ASKED = "asked"
    """Key: number of the round. Its members are asked to join the next one, and one that is there has not come."""
    DRAINED = "drained"
    """Key: number of the round. The next one is formed, and no member of this one keeps it from being published."""
    CHECKED_IN = "checked in"
    """Key: number of the round. All its members say that they run it."""
    CLAIMED = "claimed"
    """Key: name, incarnation, attempt. The agent says that it runs a round in which it is not listed."""
    ENOUGH = "enough"
    """Key: the run. So many wait for its first round that it could be published."""
    SETTLED = "settled"
    """Key: names of all who wait. They are those of all known pods."""
    NOBODY_LEFT = "nobody left"
    """Key: the run. No agent and no pod of it is left, and one has failed."""
    LEFT = "left"
    """Key: name, incarnation. The agent has said that it leaves."""
    EMPTY = "empty"
    """No key. The Rendezvous has no participants."""


Fact = tuple[Timer, Hashable]
"""A timer and its key: round 7 has been asked to end is ``(Timer.ASKED, 7)``."""


@dataclass(frozen=True)
class Timers:
    """Since when each fact that holds now has held without a break."""

    now: float
    """Monotonic seconds."""
    since: Mapping[Fact, float]

    def began(self, timer: Timer, key: Hashable = None) -> float:
        """Since when it has held; now if its time begins with this turn, or with what this turn decides."""
        return self.since.get((timer, key), self.now)

    def holds(self, timer: Timer, key: Hashable = None) -> bool:
        """Whether it held when this turn began."""
        return (timer, key) in self.since

    def passed(self, moment: float) -> bool:
        """Whether that moment has come."""
        return self.now >= moment
