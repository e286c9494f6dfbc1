"""The run that has the Rendezvous, as each step of a decision finds it and leaves it."""

from dataclasses import dataclass, replace
from functools import cached_property

from rendezvous_api import names
from rendezvous_api.reasons import ClosedReason
from rendezvous_api.rendezvous import ClosedRun, Refusal, RendezvousStatus
from rendezvous_operator.core.verdict import Cause, earliest
from rendezvous_operator.core.world import Event


@dataclass(frozen=True)
class Ended:
    """The current round has ended in this turn."""

    reason: str
    message: str
    asked: bool
    """Whether its members are asked to join again."""
    last_heard: float | None = None
    """When the member whose loss ended it was last heard (monotonic seconds)."""


@dataclass(frozen=True)
class Run:
    """The run that has the Rendezvous, and how earlier ones were closed."""

    id: str | None
    closed_runs: tuple[ClosedRun, ...]
    refused: tuple[Refusal, ...]
    spares: tuple[str, ...]
    restarts: int
    restart_request: str | None
    """The request for a new round that was acted on last."""
    asked: bool
    """The members of its last round are asked to join the next one."""
    round_run: str | None
    """The run of the current round; None: no round was published yet."""
    ended: Ended | None = None
    events: tuple[Event, ...] = ()
    until: float | None = None
    """When a cause that does not count yet will (monotonic seconds); None: there is none."""

    @classmethod
    def of(cls, status: RendezvousStatus) -> "Run":
        """As the status has it."""
        return cls(
            id=status.run_id,
            closed_runs=status.closed_runs,
            refused=status.refused,
            spares=status.spares,
            restarts=status.restarts,
            restart_request=status.observed_restart_request,
            asked=status.waiting_nodes > 0,
            round_run=status.history[-1].run_id if status.history else None,
        )

    def closed_reason(self, run_id: str | None) -> ClosedReason | None:
        """Why that run is closed, or None when it is not."""
        return next((run.reason for run in self.closed_runs if run.run_id == run_id), None)

    @cached_property
    def open(self) -> bool:
        """Whether a run has the Rendezvous and still takes nodes."""
        return self.id is not None and self.closed_reason(self.id) is None

    @property
    def has_round(self) -> bool:
        """Whether a round of this run was published; the members are then those of this run."""
        return self.round_run is not None and self.round_run == self.id

    @cached_property
    def called_back(self) -> bool:
        """Whether the last round was of a run whose restart budget is spent, so that its group cannot go on."""
        return self.closed_reason(self.round_run) is ClosedReason.RESTART_BUDGET_EXHAUSTED

    def with_event(self, event: Event) -> "Run":
        """The same, and an Event to be sent."""
        return replace(self, events=(*self.events, event))

    def looked_at_again(self, until: float | None) -> "Run":
        """The same, to be looked at again at that moment."""
        return self if until is None else replace(self, until=earliest(self.until, until))

    def when_closed(self, cause: Cause[ClosedReason], spares: tuple[str, ...] = ()) -> "Run":
        """Closed for that reason, which also ends its round if nothing has ended that before."""
        run_id = self.id or ""
        calls_back = cause.reason is ClosedReason.RESTART_BUDGET_EXHAUSTED
        return replace(
            self,
            closed_runs=(*self.closed_runs, ClosedRun(run_id, cause.reason))[-names.MAX_CLOSED_RUNS :],
            asked=False,
            spares=spares,
            ended=Ended(str(cause.reason), cause.message, calls_back, cause.last_heard),
        )
