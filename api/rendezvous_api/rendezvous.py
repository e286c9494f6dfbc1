"""The Rendezvous: one group of nodes that train together, as ``crds/rendezvous.yaml`` defines it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from rendezvous_api import names
from rendezvous_api.meta import Condition, ObjectMeta
from rendezvous_api.reasons import ClosedReason, FormationReason, HeldOutReason, RefusalReason, RoundEndReason, State

HEARTBEATS_PER_SECOND = 50
"""The most of all agents of one Rendezvous together, on average, if there are no more of them than maxNodes.

This rate keeps a quarter of one core of kube-apiserver busy, on the machine of the benchmarks.
"""


@dataclass(frozen=True)
class AllowedSizes:
    """``spec.sizes``: the sizes that a round may have. Exactly one of the two fields is set."""

    step: int | None = None
    list: tuple[int, ...] = ()


@dataclass(frozen=True)
class Timeouts:
    """``spec.timeouts``: how long something is waited for, in whole seconds."""

    join_seconds: int = 600
    last_call_seconds: int = 30
    replacement_seconds: int = 30
    replacement_pod_seconds: int = 5
    reentry_seconds: int = 330
    confirm_seconds: int = 10
    suspect_seconds: int = 120
    isolated_round_seconds: int | None = None
    """None: see the schema."""


@dataclass(frozen=True)
class ScaleUp:
    """``spec.scaleUp``: when new nodes are taken in. Times are whole seconds."""

    interval_seconds: int = 60


@dataclass(frozen=True)
class Heartbeat:
    """``spec.heartbeat``: how often agents write, and when they are silent. Times are whole seconds."""

    interval_seconds: int = 5
    max_missed: int = 3


@dataclass(frozen=True)
class RestartsPerReason:
    """``spec.restarts.perReason``: a limit for each kind of failure (`reasons.FAILURES`); None: there is none."""

    member_lost: int | None = None
    member_failed: int | None = None
    worker_failed: int | None = None
    check_in_failed: int | None = None

    def of(self, reason: RoundEndReason) -> int | None:
        """The limit for that kind."""
        limits = {
            RoundEndReason.MEMBER_LOST: self.member_lost,
            RoundEndReason.MEMBER_FAILED: self.member_failed,
            RoundEndReason.WORKER_FAILED: self.worker_failed,
            RoundEndReason.CHECK_IN_FAILED: self.check_in_failed,
        }
        return limits.get(reason)


@dataclass(frozen=True)
class Restarts:
    """``spec.restarts``: the restart budget of a run. Where a limit is None, there is none."""

    max: int | None = None
    window_seconds: int | None = None
    """None: all failures of the run count."""
    per_node: int | None = None
    per_reason: RestartsPerReason | None = None

    @property
    def listed(self) -> int:
        """How many failures the status must have so that the limits can count: those allowed, and one too many.

        The number of all failures of a run needs no list. The schema refuses all other limits without a ``max`` that
        the list has room for.
        """
        is_plain = self.window_seconds is None and self.per_node is None and self.per_reason is None
        return 0 if is_plain or self.max is None else self.max + 1


@dataclass(frozen=True)
class RendezvousSpec:
    """What the user asks for. The schema in ``crds/`` is the contract; a test holds the defaults here equal to it.

    They are needed where there is no object yet, and where an older schema does not know a field.
    """

    min_nodes: int
    max_nodes: int
    sizes: AllowedSizes | None = None
    """None: every size from ``min_nodes`` to ``max_nodes``."""
    run_id: str | None = None
    suspend: bool = False
    closed: bool = False
    ttl_seconds_after_finished: int | None = None
    timeouts: Timeouts = Timeouts()
    scale_up: ScaleUp = ScaleUp()
    heartbeat: Heartbeat = Heartbeat()
    restarts: Restarts = Restarts()

    @property
    def heartbeat_seconds(self) -> int:
        """The longest time between two heartbeats of an agent, in seconds: that of a group of ``max_nodes``.

        It holds until a round has begun, since many may come at once.
        """
        return self.heartbeat_seconds_of(self.max_nodes)

    def heartbeat_seconds_of(self, nodes: int) -> int:
        """Seconds between two heartbeats of an agent if there are so many of them: more in a large group.

        That protects the API server. For the same reason the kubelet writes its Lease each 10 s, and less important
        data every 5 minutes (KEP-589).
        """
        fewest = -(-min(nodes, self.max_nodes) // HEARTBEATS_PER_SECOND)
        return max(self.heartbeat.interval_seconds, fewest)

    @property
    def silent_seconds(self) -> int:
        """The longest time without a heartbeat, in seconds, before a node is silent (torch: interval x attempts)."""
        return self.heartbeat_seconds * self.heartbeat.max_missed

    @property
    def suspect_seconds(self) -> int:
        """Silence, in seconds, after which a member of a running round is lost: never before it is a suspect.

        The schema refuses a ``timeouts.suspect_seconds`` that is shorter than `silent_seconds`, but a schema that was
        changed may not.
        """
        return max(self.timeouts.suspect_seconds, self.silent_seconds)


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
    round: int = 0
    nodes: int = 0
    participants: tuple[Member, ...] = ()
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
