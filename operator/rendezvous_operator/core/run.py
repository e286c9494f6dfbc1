"""The run that holds the Rendezvous; each step of a decision gets it and may return a changed one."""

from dataclasses import dataclass, replace
from functools import cached_property

from rendezvous_api.reasons import ClosedReason
from rendezvous_api.rendezvous import ClosedRun, Failure, HeldOut, Refusal, RendezvousStatus, closed_reason
from rendezvous_operator.core.run_names import last_launch, remembered, without_earlier
from rendezvous_operator.core.run_of_node import RunOfNode
from rendezvous_operator.core.verdict import Cause, earliest
from rendezvous_operator.core.world import Event


@dataclass(frozen=True)
class Ended:
    """The end of the current round, decided now."""

    reason: str
    message: str
    asked: bool
    """Whether its members are asked to join again."""
    last_heard: float | None = None
    """Time of the last heartbeat of the member whose loss ended it (monotonic seconds)."""


@dataclass(frozen=True)
class Run:
    """The run that holds the Rendezvous, and the closed runs."""

    id: str | None
    closed_runs: tuple[ClosedRun, ...]
    refused: tuple[Refusal, ...]
    spares: tuple[str, ...]
    restarts: int
    restart_request: str | None
    """The last request for a new round that was carried out."""
    asked: bool
    """The members of its last round are asked to join again."""
    round_run: str | None
    """The run of the current round; None: no round was published yet."""
    failures: tuple[Failure, ...] = ()
    held_out: tuple[HeldOut, ...] = ()
    retry_request: str | None = None
    """The last request to end all hold-outs that was carried out."""
    ended: Ended | None = None
    events: tuple[Event, ...] = ()
    until: float | None = None
    """When the next cause will count (monotonic seconds); None: there is none."""

    @classmethod
    def of(cls, status: RendezvousStatus) -> "Run":
        """The run as the status has it."""
        return cls(
            id=status.run_id,
            closed_runs=status.closed_runs,
            refused=status.refused,
            spares=status.spares,
            restarts=status.restarts,
            restart_request=status.observed_restart_request,
            asked=status.waiting_nodes > 0,
            round_run=status.history[-1].run_id if status.history else None,
            failures=status.failures,
            held_out=status.held_out,
            retry_request=status.observed_retry_request,
        )

    def closed_reason(self, run_id: str | None) -> ClosedReason | None:
        """Why that run is closed, or None when it is not."""
        return closed_reason(self.closed_runs, run_id)

    def why_over(self, run: RunOfNode) -> ClosedReason | None:
        """Why no node may join that run any more, or None: it is closed, or a later launch of it has succeeded.

        Agents come to a later launch only after the one before has ended well. But that they have come is no proof: one
        agent that counts wrong would end all others with exit code 0. An abandoned run has not ended well, whatever
        came later, and may come back when the Rendezvous is free. Nor is the run over that has claimed it.
        """
        reason = self.closed_reason(run.id)
        if reason is ClosedReason.ABANDONED:
            return None
        if reason is None and run.id != self.id:
            succeeded = (closed.run_id for closed in self.closed_runs if closed.reason is ClosedReason.RUN_SUCCEEDED)
            last = last_launch(run.workload, succeeded)
            return ClosedReason.RUN_SUCCEEDED if last is not None and last > run.launch else None
        return reason

    @cached_property
    def open(self) -> bool:
        """Whether there is a run and it is not closed."""
        return self.id is not None and self.closed_reason(self.id) is None

    @property
    def has_round(self) -> bool:
        """Whether a round of this run was published; the members in the status are then those of this run."""
        return self.round_run is not None and self.round_run == self.id

    @property
    def round_runs(self) -> bool:
        """Whether a round of this run is running, also if the Rendezvous takes no nodes (`Situation.round_runs`)."""
        return self.open and self.has_round and not self.asked

    @cached_property
    def called_back(self) -> bool:
        """Whether the members of the last round are asked to join again to be refused: its run's budget is spent."""
        return self.closed_reason(self.round_run) is ClosedReason.RESTART_BUDGET_EXHAUSTED

    def with_event(self, event: Event) -> "Run":
        """The same with one more Event."""
        return replace(self, events=(*self.events, event))

    def checked_again_at(self, until: float | None) -> "Run":
        """The same, to be evaluated again at that moment (monotonic seconds); None: at no special one."""
        return self if until is None else replace(self, until=earliest(self.until, until))

    def when_closed(self, cause: Cause[ClosedReason], spares: tuple[str, ...] = ()) -> "Run":
        """The run closed for that cause, which also ends its round if that has not ended before."""
        closes = ClosedRun(self.id or "", cause.reason)
        earlier = without_earlier(self.closed_runs, closes)
        calls_back = cause.reason is ClosedReason.RESTART_BUDGET_EXHAUSTED
        return replace(
            self,
            closed_runs=remembered((*earlier, closes)),
            asked=False,
            spares=spares,
            ended=Ended(str(cause.reason), cause.message, calls_back, cause.last_heard),
        )
