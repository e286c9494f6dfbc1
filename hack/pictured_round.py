"""The life of a round: a scripted scenario of the decision core, as a sequence diagram, with a table of its moments."""

from collections.abc import Callable, Iterator
from datetime import datetime

from hack import generated
from hack.pictured_states import state_of
from tests.unit.core.builders import EPOCH
from tests.unit.core.worlds import Scenario

from rendezvous_api.codec import encode
from rendezvous_api.reasons import AttemptReason
from rendezvous_api.rendezvous import RendezvousStatus

NODES = ("node-1", "node-2", "node-3")
MOMENTS = {
    "formed": "the round was published",
    "checkedIn": "the last member reported that its workers run the round",
    "lastHeard": "the last heartbeat was received from the member that was lost",
    "asked": "the round was asked to end: its members were asked to join again",
    "ended": "the round had ended: no member ran it any more",
}
"""The fields of ``history[]`` that are moments, and their meaning."""


class Life(Scenario):
    """Three nodes form a round, one of them dies, and it comes back into the next round."""

    def __init__(self) -> None:
        self.lines = ["sequenceDiagram", *(f"    participant {name}" for name in (*NODES, "operator"))]
        super().__init__(2, 4)
        self.does(0, "node-1", "joins", lambda: self.join("node-1"))
        self.does(5, "node-2", "joins", lambda: self.join("node-2"))
        self.does(10, "node-3", "joins", lambda: self.join("node-3"))
        # Its workers will take a moment longer to start.
        self.at(34)
        self.silent("node-3")
        self.does(43, "node-3", "first heartbeat of round 1", lambda: self.beat("node-3"))
        self.does(100, "node-2", "dies, heartbeats stop", lambda: self.silent("node-2"))
        fails = AttemptReason.WORKER_FAILURE
        self.does(117, "node-1", "its workers fail, joins again", lambda: self.reenter("node-1", reason=fails))
        self.does(119, "node-3", "joins again", lambda: self.reenter("node-3"))
        self.does(125, "node-2", "is restarted, joins", lambda: self.restart("node-2"))

    def written(self, before: RendezvousStatus) -> None:
        """Note what has changed."""
        self.lines += self._changes(before, self.status)

    def does(self, seconds: float, who: str, what: str, act: Callable[[], None]) -> None:
        """At that moment a node acts."""
        self.at(seconds)
        self.lines.append(f"    {who}->>operator: {seconds:.0f} s: {what}")
        act()

    def _changes(self, before: RendezvousStatus, after: RendezvousStatus) -> Iterator[str]:
        at = f"{self.clock - 1000:.0f} s"
        if not before.conditions or state_of(before) != state_of(after):
            yield f"    Note over operator: {at}: {state_of(after)}"
        known = moments(before)
        new = [f"{moment} ({seconds:.0f} s)" for moment, seconds in moments(after).items() if moment not in known]
        if new:
            yield f"    Note over operator: round 1: {', '.join(new)}"
        if before.history and before.history[-1].running and not after.history[-1].running:
            yield f"    Note over operator: round 1 is asked to end: {after.history[-1].reason}"
        if after.round > before.round:
            ranks = {member.name: member.rank for member in after.participants}
            yield from (f"    operator->>{name}: {at}: round {after.round}, rank {ranks[name]}" for name in NODES)
        elif after.waiting_nodes and not before.waiting_nodes:
            asked = [name for name in NODES if self._runs(name)]
            yield from (f"    operator->>{name}: {at}: asks to join again" for name in asked)


def moments(status: RendezvousStatus) -> dict[str, float]:
    """The moments of the first round that have come, in seconds from the beginning."""
    if not status.history:
        return {}
    record = encode(status.history[0])
    times = {moment: datetime.fromisoformat(record[moment]) for moment in MOMENTS if record.get(moment)}
    return {moment: (time - EPOCH).total_seconds() - 1000 for moment, time in times.items()}


def table(life: Life) -> str:
    """A row for each moment of the first round."""
    rows = [(f"`{moment}`", f"{at:.0f} s", MOMENTS[moment]) for moment, at in moments(life.status).items()]
    return generated.table(("`history[]`", "In this example", "Meaning"), rows)
