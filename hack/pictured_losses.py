"""A lost node: what the group then does in scripted scenarios of the decision core, on a time line and in a table."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from hack import generated
from hack.pictured_states import state_of
from tests.unit.core.peer_worlds import PeerScenario
from tests.unit.core.worlds import Scenario

from rendezvous_api.reasons import AttemptReason, LeaveReason, State
from rendezvous_api.rendezvous import Owner, RendezvousStatus

NODES = ("node-1", "node-2", "node-3")
LOST = "node-2"
JOB = Owner("Job", "train")
_RUNS_FOR = 700
"""Seconds before the loss: a round that has just begun is treated in another way."""
_STOPS_WORKERS = 1
"""Seconds that a member takes to stop its workers and to join again. In a training they may be up to 30."""
_SHOWN_AFTER = 10
"""Seconds of the next round that the time line shows."""
_AT_MOST = 600
"""Seconds after which a scenario has no next round."""

Happenings = Mapping[float, Sequence[Callable[["Loss"], None]]]
"""What else happens, by the whole seconds since the loss."""


class Loss(Scenario):
    """A round of three members runs, and one of them is lost at 0 s. At least two are needed."""

    def __init__(self, what: str, happenings: Happenings, *, spare: bool = False, owner: Owner | None = JOB) -> None:
        self.what = what
        self.owner = owner
        self.states: list[tuple[float, str]] = []
        """From when on, in seconds from the loss, and which state."""
        nodes = (*NODES, "node-4") if spare else NODES
        super().__init__(2, 3)
        self.labelled(*nodes)
        self.join_from_pods(*nodes, run="run-1")
        self.at(_RUNS_FOR)
        self.states = [(0.0, state_of(self.status))]
        self.silent(LOST)
        before = self.status.round
        asked_at: float | None = None
        while self.status.round == before:
            assert self.seconds < _AT_MOST, f"{what}: no next round: {self.explanation}"
            for act in happenings.get(self.seconds, ()):
                act(self)
            if self.asks and asked_at is None:
                asked_at = self.seconds
            elif asked_at is not None and self.seconds == asked_at + _STOPS_WORKERS:
                self.reenter(*(name for name in self.group if self._runs(name)))
            if self.status.round == before:
                self.after(1)
        assert asked_at is not None
        self.asked_at = asked_at
        self.reason = self.status.history[-2].reason
        self.next_round_at = self.seconds

    def labelled(self, *who: str, **how: Any) -> None:
        """Labelled pods of the group are made or changed."""
        self.pod(*who, workload="run-1", owner=self.owner, owner_uid="job" if self.owner else None, **how)

    @property
    def seconds(self) -> float:
        """Since the loss."""
        return self.clock - 1000 - _RUNS_FOR

    def written(self, before: RendezvousStatus) -> None:
        """Note each change of the state."""
        if self.states and (state_of(before) != state_of(self.status) or self.status.round > before.round):
            self.states.append((self.seconds, state_of(self.status)))

    def bars(self) -> Iterator[tuple[float, float, str]]:
        """From when until when the group is in which state; what takes no time is left out."""
        ends = [since for since, _ in self.states[1:]] + [self.next_round_at + _SHOWN_AFTER]
        for (since, state), end in zip(self.states, ends, strict=True):
            if end > since:
                yield since, end, state


class LossWithBeats(Loss, PeerScenario):
    """The same, where members also beat to the host of the round."""


def losses() -> list[Loss]:
    """Each way in which the operator learns of a loss, with the defaults of all settings."""
    return [
        Loss("its labelled pod is evicted, its Job makes none", EVICTED),
        Loss("the same, and no Job would make one", EVICTED, owner=None),
        Loss("the same, and a spare waits", EVICTED, spare=True),
        Loss("its labelled pod fails, a new one joins after 15 s", {**FAILED, 10: [_new_pod_is_made], 15: [_it_joins]}),
        Loss("the same, but there is no machine for the new one", {**FAILED, 10: [_new_pod_has_no_machine]}),
        Loss("its container is restarted, the agent joins after 5 s", {5: [lambda loss: loss.restart(LOST)]}),
        Loss("heartbeats stop, workers of node-1 fail after 5 s", {5: [_workers_of_another_fail]}),
        LossWithBeats("its agent is killed, workers of the others hang", {1: [_connection_is_closed]}),
        LossWithBeats("its machine loses its power, workers of the others hang", {3: [_beats_are_missed]}),
        Loss("the same in a group without beats", {}),
    ]


def _is_evicted(loss: Loss) -> None:
    loss.labelled(LOST, leaving="its pod is being evicted")


def _agent_ends(loss: Loss) -> None:
    loss.leave(LOST, reason=LeaveReason.TERMINATED)


def _pod_is_gone(loss: Loss) -> None:
    loss.pod_gone(LOST)


def _pod_fails(loss: Loss) -> None:
    loss.labelled(LOST, phase="Failed")


def _new_pod_is_made(loss: Loss) -> None:
    loss.labelled("node-5", phase="Pending")


def _new_pod_has_no_machine(loss: Loss) -> None:
    loss.labelled("node-5", phase="Pending", unschedulable=True)


def _it_joins(loss: Loss) -> None:
    loss.labelled("node-5")
    loss.join_from_pods("node-5", run="run-1")


def _workers_of_another_fail(loss: Loss) -> None:
    loss.reenter("node-1", reason=AttemptReason.WORKER_FAILURE)


def _connection_is_closed(loss: Loss) -> None:
    assert isinstance(loss, LossWithBeats)
    loss.says(closed=[LOST])


def _beats_are_missed(loss: Loss) -> None:
    assert isinstance(loss, LossWithBeats)
    loss.says(missed=[LOST])


EVICTED: Happenings = {0: [_is_evicted], 1: [_agent_ends], 2: [_pod_is_gone]}
FAILED: Happenings = {0: [_pod_fails]}


def picture(found: list[Loss]) -> Iterator[str]:
    """A Gantt chart: a section for each loss, and in it a bar for each state."""
    yield "gantt"
    yield "    dateFormat HH:mm:ss"
    yield "    axisFormat %M:%S"
    for loss in found:
        yield f"    section {loss.what}"
        for since, end, state in loss.bars():
            kind = "" if state == State.RUNNING else "crit, " if state == State.DEGRADED else "active, "
            yield f"    {state} :{kind}{_clock(since)}, {_clock(end)}"


def _clock(seconds: float) -> str:
    """As Mermaid reads it: its numbers of seconds differ between its releases."""
    return f"00:{seconds // 60:02.0f}:{seconds % 60:02.0f}"


def table(found: list[Loss]) -> str:
    """A row for each loss."""
    rows = [
        (
            loss.what,
            f"{loss.asked_at:.0f} s",
            f"`{loss.reason}`",
            f"{loss.next_round_at:.0f} s, with {len(loss.group)} nodes",
        )
        for loss in found
    ]
    return generated.table(("What happens at 0 s", "The others are asked to join again", "Reason", "Next round"), rows)
