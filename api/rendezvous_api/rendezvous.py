"""The Rendezvous: one group of nodes that train together, as ``crds/rendezvous.yaml`` defines it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from rendezvous_api import names
from rendezvous_api.meta import Condition, ObjectMeta
from rendezvous_api.reasons import (
    ClosedReason,
    FormationReason,
    HeldOutReason,
    PassedOverReason,
    RefusalReason,
    RoundEndReason,
    State,
)
from rendezvous_api.rendezvous_spec import RendezvousSpec


@dataclass(frozen=True)
class Owner:
    """``status.run.owner``: the workload that a run stands for."""

    kind: str
    name: str


@dataclass(frozen=True)
class RunReference:
    """``status.run``: the run that has claimed the Rendezvous."""

    id: str
    owner: Owner | None = None
    """None: the agents were given an id, or are in no known pod."""

    @property
    def display_name(self) -> str:
        """What people call it: ``Job/train``, or the id."""
        return f"{self.owner.kind}/{self.owner.name}" if self.owner is not None else self.id


@dataclass(frozen=True)
class Summary:
    """``status.summary``: what ``kubectl get`` shows, since a column can compute nothing."""

    state: State
    nodes: str
    """``3/2-4``: how many nodes take part, of at least and at most how many."""
    spares: int
    since: str
    """When the state, the round or the run was last another one."""
    run: str | None = None


@dataclass(frozen=True)
class Failure:
    """``status.failures[]``: one failure of the run that has ended a round."""

    round: int
    time: str
    node: str
    """Name of its participant object."""
    reason: RoundEndReason
    pod_index: int | None = None
    machine: str | None = None
    """On which its agent ran; None: not known."""


@dataclass(frozen=True, slots=True)
class RankOwner:
    """The node whose rank a member has now; see `Member.stands_in_for`."""

    name: str
    pod_index: int | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """``status.participants[]``: one node of the current round."""

    name: str
    incarnation: str
    attempt: int
    rank: int
    pod_index: int | None = None
    stands_in_for: RankOwner | None = None
    """Set while the group is smaller than it was and this member fills the rank of one that was lost."""


@dataclass(frozen=True, slots=True)
class Domain:
    """``status.topology.domains[]``: members of the current round whose machines are in one place."""

    values: tuple[str, ...]
    """Of the keys, outermost first; empty where a machine has no such label, or it is not known."""
    nodes: int
    """So many of them, with ranks that follow each other."""


@dataclass(frozen=True)
class Topology:
    """``status.topology``: where the members of the current round are, remembered for when labels cannot be read."""

    keys: tuple[str, ...] = ()
    """The labels of machines, by their full names."""
    domains: tuple[Domain, ...] = ()
    """In the order of ranks."""


@dataclass(frozen=True)
class Store:
    """``status.store``: the address at which rank 0 serves the TCPStore of the current round."""

    host: str
    port: int


FIRST_HOLD_OUT_SECONDS = 30
LONGEST_HOLD_OUT_SECONDS = 600
"""The most that a node is held out at a time. The operator keeps to it, and so an agent need not compare clocks."""


@dataclass(frozen=True)
class HeldOut:
    """``status.heldOut[]``: a node that becomes no member of a round for a while, so that the others can go on."""

    name: str
    """Of its participant object."""
    reason: HeldOutReason
    message: str
    until: str
    """It may take part again from then on. The entry stays after that for a while, so that ``times`` is known."""
    times: int
    """How often in a row it was held out, for whatever reason."""

    @property
    def seconds(self) -> int:
        """How long it is held out."""
        # The exponent is bounded, since the number comes from the status and only grows.
        return min(FIRST_HOLD_OUT_SECONDS << min(self.times - 1, 10), LONGEST_HOLD_OUT_SECONDS)


@dataclass(frozen=True)
class Unhealthy:
    """``status.unhealthy[]``: a node that stays out by itself, since one of its health checks has failed."""

    name: str
    """Of its participant object."""
    message: str
    """The check, and what it has found."""


@dataclass(frozen=True)
class PassedOver:
    """``status.passedOver[]``: a node that waits, and that others go before, or that is kept out, for what it is."""

    name: str
    """Of its participant object."""
    reason: PassedOverReason
    message: str
    machine: str | None = None


@dataclass(frozen=True)
class Refusal:
    """``status.refused[]``: the answer to one attempt of an agent that may not join with it."""

    name: str
    incarnation: str
    attempt: int
    reason: RefusalReason
    message: str
    closed_reason: str | None = None
    """With RunClosed: why the run is closed, a `ClosedReason`, or ``ClosedBySpec``."""


@dataclass(frozen=True)
class ClosedRun:
    """``status.closedRuns[]``: a closed run; its agents are refused."""

    run_id: str
    reason: ClosedReason


def closed_reason(closed_runs: Sequence[ClosedRun], run_id: str | None) -> ClosedReason | None:
    """Why that run is closed; None: it is not."""
    return next((run.reason for run in closed_runs if run.run_id == run_id), None)


@dataclass(frozen=True)
class Missing:
    """``status.formation.missing[]``: a node that the next round waits for, and the reason why it has not joined."""

    name: str
    message: str


@dataclass(frozen=True)
class Formation:
    """``status.formation``: the state of the next round; None: a round runs and no node waits for the next one."""

    reason: FormationReason
    message: str
    start_time: str
    joined: int
    missing: tuple[Missing, ...] = ()


@dataclass(frozen=True)
class RoundRecord:
    """``status.history[]``: one round. The last entry is the current one; it runs while it has no ``reason``.

    The times are only for people: ``metav1.MicroTime`` by the clock of the operator.
    """

    round: int
    run_id: str
    nodes: int
    formed: str
    """When the round was published."""
    checked_in: str | None = None
    """When the last member had reported that its workers run this round."""
    last_heard: str | None = None
    """When the member whose loss ended the round sent its last heartbeat; None: no loss ended it, or not known."""
    asked: str | None = None
    """When the members were asked to join the next round; None: they were not."""
    ended: str | None = None
    """When the last member had joined again, had left or was lost."""
    reason: str | None = None
    """Why the round ends: a `RoundEndReason`, or the `ClosedReason` of the run; None while it runs."""
    message: str | None = None
    """Which node ended the round, and why; for people."""

    @property
    def running(self) -> bool:
        """Whether nothing has ended the round yet."""
        return self.reason is None


@dataclass(frozen=True)
class RendezvousStatus:
    """The decisions of the operator, the only writer."""

    observed_generation: int = 0
    heartbeat_interval_seconds: int | None = None
    """What the agents keep: `RendezvousSpec.heartbeat_seconds_of` the nodes that are there."""
    summary: Summary | None = None
    run: RunReference | None = None
    closed_runs: tuple[ClosedRun, ...] = ()
    refused: tuple[Refusal, ...] = ()
    held_out: tuple[HeldOut, ...] = ()
    unhealthy: tuple[Unhealthy, ...] = ()
    passed_over: tuple[PassedOver, ...] = ()
    round: int = 0
    nodes: int = 0
    participants: tuple[Member, ...] = ()
    topology: Topology | None = None
    """None: the ranks of the current round do not depend on it."""
    spares: tuple[str, ...] = ()
    store: Store | None = None
    round_start_time: str | None = None
    waiting_nodes: int = 0
    observed_restart_request: str | None = None
    """SHA-256 of the annotation's value, in hexadecimal digits."""
    observed_retry_request: str | None = None
    """The same of the annotation that ends all hold-outs."""
    restarts: int = 0
    formation: Formation | None = None
    failures: tuple[Failure, ...] = ()
    history: tuple[RoundRecord, ...] = ()
    conditions: tuple[Condition, ...] = ()

    @property
    def run_id(self) -> str | None:
        """The run that has claimed the Rendezvous."""
        return self.run.id if self.run is not None else None

    @property
    def run_ids(self) -> tuple[str, ...]:
        """That run, and the closed ones."""
        present = () if self.run_id is None else (self.run_id,)
        return (*present, *(run.run_id for run in self.closed_runs))

    @property
    def running(self) -> bool:
        """Whether the last published round has not ended yet."""
        return bool(self.history) and self.history[-1].running

    def holds(self, condition_type: str) -> bool:
        """Whether the condition of that type is True."""
        condition = self.condition(condition_type)
        return condition is not None and condition.status == "True"

    def condition(self, condition_type: str) -> Condition | None:
        """The condition of that type, or None."""
        return next((condition for condition in self.conditions if condition.type == condition_type), None)

    def closed_reason(self, run_id: str | None) -> ClosedReason | None:
        """Why that run is closed; None: it is not."""
        return closed_reason(self.closed_runs, run_id)


@dataclass(frozen=True)
class Rendezvous:
    """The whole object."""

    metadata: ObjectMeta
    spec: RendezvousSpec
    status: RendezvousStatus = field(default_factory=RendezvousStatus)

    @property
    def heartbeat_seconds(self) -> int:
        """Seconds between two heartbeats that an agent keeps now."""
        return self.status.heartbeat_interval_seconds or self.spec.heartbeat_seconds

    @property
    def silent_seconds(self) -> int:
        """Seconds without a heartbeat after which an agent that keeps them is silent."""
        return self.heartbeat_seconds * self.spec.heartbeat.max_missed

    @property
    def made_by_agent(self) -> bool:
        """Whether an agent has created it, not a person: agents may then create it again."""
        return self.metadata.labels.get(names.LABEL_CREATED_BY) == names.CREATED_BY_AGENT
