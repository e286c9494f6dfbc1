"""The RendezvousParticipant: one node, written only by its agent; ``crds/rendezvousparticipant.yaml`` defines it."""

from dataclasses import dataclass, field

from rendezvous_api import ranks
from rendezvous_api.meta import ObjectMeta
from rendezvous_api.reasons import AttemptReason, HostState, LeaveReason, ParticipantState

BEAT_SECONDS = 1.0
"""From one beat of a member to its next one."""
MISSED_SECONDS = 3 * BEAT_SECONDS
"""Without a beat, or an answer, the other end is missed."""
NEWS_PER_SECOND = 200
"""How many heartbeats the members of a round send at most, all together, when all have the same news at once: about the
beats, or that the round has begun. The operator waits for that long before one that does not come says something. The
host of a round spreads none of its own: it is one agent."""


LONGEST_INTERVAL_SECONDS = 300
"""The longest interval between two heartbeats that is believed."""


@dataclass(frozen=True, slots=True)
class CheckIn:
    """``spec.checkIn``: what a member saw of a check-in that has failed."""

    round: int
    """The round whose members did not all meet."""
    reached_store: bool
    """Whether this member could talk to the store of that round."""
    missing: tuple[str, ...] = ()
    """Names of the participants that had not arrived, as far as it saw: at most `names.MAX_MISSING`."""


@dataclass(frozen=True, slots=True)
class ParticipantSpec:
    """The identity of the node and its present attempt to join."""

    rendezvous_name: str
    rendezvous_uid: str
    node_id: str
    incarnation: str
    """8 characters, new for each handler object, so a restarted agent differs from its predecessor of the same name."""
    attempt: int
    """1 for the first join of an incarnation, one more with each further join."""
    attempt_reason: AttemptReason
    address: str
    """Host name or IP address at which the other nodes reach this one."""
    store_port: int
    """TCP port that is reserved for the store in case this node becomes rank 0."""
    state: ParticipantState
    run_id: str | None = None
    life: str | None = None
    """In a pod: the same for all agents of one life of a container; see the launch."""
    launch: int | None = None
    """With ``life``: how many runs agents of this name have seen end well in it before this one."""
    last_run_id: str | None = None
    """The run of the last round of which this incarnation was a member."""
    min_nodes: int | None = None
    max_nodes: int | None = None
    """With ``min_nodes``: for how many nodes this agent would create the Rendezvous; None: it does not say that."""
    pod_name: str | None = None
    pod_uid: str | None = None
    node_name: str | None = None
    pod_index: int | None = None
    container: str | None = None
    """In a pod: the name of the agent's container, where the agent can find it out."""
    check_in: CheckIn | None = None
    """Of an attempt with the reason CheckInFailed; None: of another one, or by an agent of an earlier release."""
    leave_reason: LeaveReason | None = None
    unhealthy: str | None = None
    """With the state Left: a health check has failed, and what it has found. The agent asks again when all succeed."""
    close_requested: bool | None = None
    """True: close the run (torch: RendezvousHandler.set_closed)."""


@dataclass(frozen=True, slots=True)
class PeerReport:
    """``status.peers.report``: from which members the host of the round gets no beats, as sets of ranks (see `ranks`).

    Beats came from a member in none of the sets when this heartbeat was written. Each is in one of them at most.
    """

    number: int
    """Greater with each change, within one round."""
    missed: str = ""
    """Their connection is open, and no beat has come for three times the interval of the beats."""
    closed: str = ""
    """Their connection was closed without a farewell, and no other one was opened for a second."""
    left: str = ""
    """They have said farewell: their workers do not run this round any more."""
    not_connected: str = ""
    """They have never come. That says nothing: they may be of an earlier release."""
    too_many: bool | None = None
    """True: the sets do not fit; they are empty, and nothing is said of any member."""

    @property
    def accused(self) -> frozenset[int]:
        """The ranks that may be dead."""
        return ranks.from_text(self.missed) | ranks.from_text(self.closed)


@dataclass(frozen=True, slots=True)
class PeerEvidence:
    """``status.peers``: what a member of the round ``status.round`` knows of the others by its connection to the host.

    The host is the member of rank 0. Members beat to it once a second.
    """

    host: HostState | None = None
    """What this member knows of the host. None: it is the host."""
    report: PeerReport | None = None
    """Of the host itself; or the host's, passed on by this member while the host does not reach the API server."""


@dataclass(frozen=True, slots=True)
class ParticipantStatus:
    """The heartbeat. It names its attempt, so a late one of an earlier attempt is recognised."""

    incarnation: str = ""
    attempt: int = 0
    round: int = 0
    """The round whose workers run on this node; 0 while the agent is inside next_rendezvous."""
    rank: int | None = None
    heartbeat_time: str | None = None
    interval_seconds: int | None = None
    """The longest time to the next heartbeat, in seconds. None: an agent of an earlier release wrote it."""
    peers_interval_seconds: int | None = None
    """The same for as long as the host answers its beats; None: that changes nothing."""
    peers: PeerEvidence | None = None
    """None: no workers run here, the round has one member, or there are no connections between the members."""


@dataclass(frozen=True, slots=True)
class Participant:
    """The whole object."""

    metadata: ObjectMeta
    spec: ParticipantSpec
    status: ParticipantStatus = field(default_factory=ParticipantStatus)

    @property
    def rare_seconds(self) -> int:
        """By how many seconds later than usual its next heartbeat may come; 0: it may not.

        While the host answers its beats, an agent may send heartbeats as rarely as it says. It sends one at once when
        the host does not, so all that it says of itself stands until then.
        """
        said, peers = self.status.peers_interval_seconds, self.status.peers
        if said is None or peers is None or peers.host is not HostState.ANSWERS:
            return 0
        if self.status.incarnation != self.spec.incarnation:
            return 0
        return min(said, LONGEST_INTERVAL_SECONDS)
