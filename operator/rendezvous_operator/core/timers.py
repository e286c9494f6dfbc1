"""Since when facts have been true, on the operator's monotonic clock.

A *fact* is true now or not; `facts` lists all of them. `Timers` has since when each one has been true without a break.
Rules read timers and never start one, so the order in which rules are evaluated does not matter.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from enum import Enum


class Timer(Enum):
    """The kinds of facts, each with its key."""

    ALL_SILENT = "all silent"
    """No key. At least two participants should send heartbeats, and all are silent."""
    ROUND = "round"
    """Key: its number. The round was published."""
    ASKED = "asked"
    """Key: number of the round. Its members are asked to join again."""
    CUT_OFF = "cut off"
    """Key: number of the round. All its members are silent, and nothing else is known of any of them."""
    DRAINED = "drained"
    """Key: number of the round. The next one is being formed, and no member of this one blocks it."""
    NO_POD_COMES = "no pod comes"
    """Key: names of the lost members. A pod would bring a replacement, and none is on its way."""
    ACCUSED = "accused"
    """Key: name, word, number of the round. Another member says that no beats, or no answers, of this one arrive."""
    CONTRADICTED = "contradicted"
    """Key: name, number of the round. The member is accused, and has sent a heartbeat since."""
    HOST_NOT_REACHED = "host not reached"
    """Key: number of the round. More than half of the other members get no answers from its host."""
    MACHINE_DOWN = "machine down"
    """Key: its name. The API server says that the machine is down. It is not read all the time."""
    CHECKED_IN = "checked in"
    """Key: number of the round. All its members report it."""
    UNLISTED = "unlisted"
    """Key: name, incarnation. The node may run a round in which it is not listed."""
    ENOUGH = "enough"
    """Key: the run. Enough nodes wait for its first round."""
    SETTLED = "settled"
    """Key: names of the waiting nodes. They are exactly the nodes of all known pods."""
    HELD_OUT = "held out"
    """Key: name, and until when. The status has this hold-out."""
    TOO_FEW_ELIGIBLE = "too few eligible"
    """Key: the run. Marks keep so many nodes out of its next round that the others are too few."""
    NO_NODE_LEFT = "no node left"
    """Key: the run. No node and no pod of it is left, and a node has failed."""
    UNATTENDED = "unattended"
    """Key: the run. No node of it is left, and no pod of it that has not begun to run."""
    OWES_ANSWERS = "owes answers"
    """Key: the run. It is closed, and spares of it have no answer yet, since the list of answers is full."""
    LEFT = "left"
    """Key: name, incarnation. The node has left."""
    EMPTY = "empty"
    """No key. The Rendezvous has no participants."""


Fact = tuple[Timer, Hashable]
"""A timer and its key: ``(Timer.ASKED, 7)``: the members of round 7 are asked to join again."""


@dataclass(frozen=True)
class Timers:
    """Since when each fact that is true now has been true without a break."""

    now: float
    """Monotonic seconds."""
    since: Mapping[Fact, float]

    def began(self, timer: Timer, key: Hashable = None) -> float:
        """Since when the fact has been true (monotonic seconds); now if it was not true before this decision."""
        return self.since.get((timer, key), self.now)

    def holds(self, timer: Timer, key: Hashable = None) -> bool:
        """Whether the fact was true when this decision began."""
        return (timer, key) in self.since

    def passed(self, moment: float) -> bool:
        """Whether that moment has come."""
        return self.now >= moment
