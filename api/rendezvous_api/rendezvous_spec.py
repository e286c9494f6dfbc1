"""What a user asks for: ``spec`` of a Rendezvous, as ``crds/rendezvous.yaml`` defines it."""

from dataclasses import dataclass

from rendezvous_api import names
from rendezvous_api.reasons import RanksPolicy, RoundEndReason

HEARTBEATS_PER_SECOND = 50
"""The most of all agents of one Rendezvous together, on average, if there are no more of them than maxNodes.

This rate keeps a quarter of one core of kube-apiserver busy, on the machine of the benchmarks.
"""


@dataclass(frozen=True)
class AllowedSizes:
    """``spec.sizes``: the sizes that a round may have. Exactly one of the two fields is set."""

    step: int | None = None
    list: tuple[int, ...] = ()


_SHORT_KEYS = {"zone": names.LABEL_ZONE, "region": names.LABEL_REGION}


@dataclass(frozen=True)
class Ranks:
    """``spec.ranks``: which node gets which rank. The schema refuses keys and segments without the policy Topology."""

    policy: RanksPolicy
    keys: tuple[str, ...] = ()
    segment_size: int | None = None
    """None: a domain may have any number of members."""


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
    peers_interval_seconds: int | None = None
    """While the other members of the round hear that one. None: the same interval."""


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


ESCALATION_SECONDS = 300
"""As in DLRover."""

TOGETHER = "Together"
"""``spec.nodes.mode``: a replacement group that has lost a member is left out at once."""
ESCALATE = "Escalate"
"""``spec.nodes.mode``: one node may replace the lost one first; its replacement group is left out later."""


@dataclass(frozen=True)
class Exclude:
    """``spec.nodes.exclude``: the marks that keep a node out of rounds. Each mark is a text; see the schema."""

    cordoned: bool = True
    known_marks: bool = True
    taints: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    """Of machines."""


@dataclass(frozen=True)
class NodePolicies:
    """``spec.nodes``: which of the nodes that wait may become members. Times are whole seconds."""

    group_key: str | None = None
    """The label of a pod that names its replacement group; None: there are none."""
    group_size: int | None = None
    """Set if, and only if, ``group_key`` is."""
    mode: str | None = None
    """None, and a word of a later release: Together."""
    escalation_seconds: int | None = None
    """None: `ESCALATION_SECONDS`. Only with the mode Escalate."""
    exclude: Exclude = Exclude()
    too_few_seconds: int | None = None
    """None: a group that has too few nodes without a mark waits."""
    max_failures_per_node: int | None = None
    """None: failures do not count for the choice."""
    failure_window_seconds: int | None = None
    """None: all listed failures of the run count."""

    @property
    def groups(self) -> tuple[str, int] | None:
        """Label and size of replacement groups; None: there are none."""
        if self.group_key is None or self.group_size is None:
            return None
        return self.group_key, self.group_size

    @property
    def kept_seconds(self) -> int:
        """For how long a replacement group that has lost a member waits for another node; 0: not at all."""
        if self.groups is None or self.mode != ESCALATE:
            return 0
        return self.escalation_seconds or ESCALATION_SECONDS


@dataclass(frozen=True)
class RendezvousSpec:
    """What the user asks for. The schema in ``crds/`` is the contract; a test holds the defaults here equal to it.

    They are needed where there is no object yet, and where an older schema does not know a field.
    """

    min_nodes: int
    max_nodes: int
    sizes: AllowedSizes | None = None
    """None: every size from ``min_nodes`` to ``max_nodes``."""
    ranks: Ranks | None = None
    """None: those of the policy Stable."""
    run_id: str | None = None
    suspend: bool = False
    closed: bool = False
    ttl_seconds_after_finished: int | None = None
    timeouts: Timeouts = Timeouts()
    scale_up: ScaleUp = ScaleUp()
    heartbeat: Heartbeat = Heartbeat()
    restarts: Restarts = Restarts()
    nodes: NodePolicies = NodePolicies()

    @property
    def topology_labels(self) -> tuple[str, ...]:
        """The labels of machines that make the domains, outermost first; empty: ranks do not depend on machines."""
        if self.ranks is None or self.ranks.policy is not RanksPolicy.TOPOLOGY:
            return ()
        return tuple(_SHORT_KEYS.get(key, key) for key in self.ranks.keys)

    @property
    def segment_size(self) -> int | None:
        """Of how many nodes of one domain each segment is; None: there are no segments.

        The schema refuses them beside replacement groups, but a schema that was changed may not.
        """
        if self.ranks is None or not self.topology_labels or self.nodes.groups is not None:
            return None
        return self.ranks.segment_size

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
