"""Every reason that appears in an object, as machines read it; the prose beside it is for people.

The schema bounds these words by a pattern and a length, since handlers and operators of several releases meet. A word
that this release does not know is read as itself.
"""

from enum import Enum


class Reason(str, Enum):
    """Base of all reasons: a string in the API, an enumeration in the code."""

    def __str__(self) -> str:
        return str(self.value)

    @classmethod
    def _missing_(cls, value: object) -> "Reason | None":
        """A word of another release: it equals itself and none of those that are known here.

        So an agent or an operator that reads it goes on, and treats it as none of the cases that it knows.
        """
        if not isinstance(value, str):
            return None
        word = str.__new__(cls, value)
        word._name_ = word._value_ = value
        return word


class ParticipantState(Reason):
    """RendezvousParticipant ``spec.state``."""

    JOINED = "Joined"
    LEFT = "Left"


class LeaveReason(Reason):
    """RendezvousParticipant ``spec.leaveReason``: why an agent left."""

    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    TIMED_OUT = "TimedOut"
    TERMINATED = "Terminated"
    """A signal ended it, or its program did: that says nothing about the training. Nor does it that the agent stays out
    since a health check has failed: ``spec.unhealthy`` then has what that has found."""


class AttemptReason(Reason):
    """RendezvousParticipant ``spec.attemptReason``: why an agent joins."""

    START = "Start"
    """The agent has just started."""
    WORKER_FAILURE = "WorkerFailure"
    """Its workers failed and are restarted; torch counts this against ``--max-restarts``."""
    MEMBERSHIP_CHANGE = "MembershipChange"
    """``num_nodes_waiting`` was above 0, so torch stopped the workers to join again."""
    CHECK_IN_FAILED = "CheckInFailed"
    """It was a member, but not all members reached the store of that round."""


class HostState(Reason):
    """RendezvousParticipant ``status.peers.host``: what a member knows of the host of its round."""

    ANSWERS = "Answers"
    """The host, which is the member of rank 0, answers its beats."""
    MISSED = "Missed"
    """The connection is open, and no answer has come for three times the interval of the beats."""
    CLOSED = "Closed"
    """The connection was closed without a farewell, and could not be opened again within a second."""
    LEFT = "Left"
    """The host has said farewell: its workers do not run this round any more."""
    NOT_CONNECTED = "NotConnected"
    """There has never been a connection: that says nothing about the host."""


class RefusalReason(Reason):
    """Rendezvous ``status.refused[].reason``: why a node may not join."""

    RUN_SUCCEEDED = "RunSucceeded"
    RUN_CLOSED = "RunClosed"
    OTHER_RUN_ACTIVE = "OtherRunActive"
    WRONG_ADDRESS = "WrongAddress"
    """The address that it gives for the store is none of its pod."""
    JOIN_ANEW = "JoinAnew"
    """This attempt was admitted to a round and dropped. Its agent goes on with a new attempt, and does not end."""


class HeldOutReason(Reason):
    """Rendezvous ``status.heldOut[].reason``: why a node may not take part for a while."""

    STORE_NOT_REACHED = "StoreNotReached"
    """It did not reach the store of a round that others reached."""
    CRASH_LOOP = "CrashLoop"
    """It failed soon after it was admitted to a round, and again."""


class PassedOverReason(Reason):
    """Rendezvous ``status.passedOver[].reason``: why other nodes are chosen. All but the last are marks."""

    CORDONED = "Cordoned"
    """Its machine is cordoned: ``spec.unschedulable``."""
    TAINTED = "Tainted"
    """Its machine has a taint that is a mark."""
    LABELLED = "Labelled"
    """Its machine or its pod has a label that is a mark."""
    CONDITION = "Condition"
    """Its machine has a condition that is a mark."""
    NAMED = "Named"
    """Its machine is one of ``spec.nodes.exclude.names``."""
    UNHEALTHY_DEVICE = "UnhealthyDevice"
    """The kubelet reports a device of its pod as Unhealthy."""
    FAILED_TOO_OFTEN = "FailedTooOften"
    """It has ended more rounds with a failure than ``spec.nodes.maxFailuresPerNode`` allows."""


class ClosedReason(Reason):
    """Rendezvous ``status.closedRuns[].reason``, and a reason of conditions: why a run is closed."""

    RUN_SUCCEEDED = "RunSucceeded"
    RUN_FAILED = "RunFailed"
    CLOSE_REQUESTED = "CloseRequested"
    RESTART_BUDGET_EXHAUSTED = "RestartBudgetExhausted"
    TOO_FEW_ELIGIBLE = "TooFewEligible"
    """Marks kept so many nodes out that the others were too few, for ``spec.nodes.tooFewSeconds``."""
    ABANDONED = "Abandoned"


class RoundEndReason(Reason):
    """Rendezvous ``status.history[].reason``: why a round ended, unless its run closed (`ClosedReason`).

    The order here means nothing. If several apply, the operator's core decides which one is written.
    """

    MEMBER_LOST = "MemberLost"
    MEMBER_EVICTED = "MemberEvicted"
    MEMBER_TERMINATED = "MemberTerminated"
    MEMBER_UNHEALTHY = "MemberUnhealthy"
    MEMBER_FAILED = "MemberFailed"
    WORKER_FAILED = "WorkerFailed"
    CHECK_IN_FAILED = "CheckInFailed"
    MEMBER_REENTERED = "MemberReentered"
    TOO_MANY_NODES = "TooManyNodes"
    RESTART_REQUESTED = "RestartRequested"
    SUSPENDED = "Suspended"
    SCALE_UP = "ScaleUp"


FAILURES = frozenset(
    {
        RoundEndReason.MEMBER_LOST,
        RoundEndReason.MEMBER_FAILED,
        RoundEndReason.WORKER_FAILED,
        RoundEndReason.CHECK_IN_FAILED,
    }
)
"""The ends of a round that count against ``spec.restarts``. Evictions, signals, scale-ups, requests and what a health
check has found do not."""


class FormationReason(Reason):
    """Rendezvous ``status.formation.reason``: what the next round waits for."""

    WAITING_FOR_NODES = "WaitingForNodes"
    """Fewer than ``spec.minNodes`` nodes have joined."""
    LAST_CALL = "LastCall"
    """Enough nodes have joined for a first round; more may join for a while."""
    WAITING_FOR_MEMBERS = "WaitingForMembers"
    """Members of the last round have not joined again yet, so they may still run it."""
    WAITING_FOR_REPLACEMENTS = "WaitingForReplacements"
    """All members that are alive have joined again; lost ones may be replaced for a while."""
    SUSPENDED = "Suspended"
    """``spec.suspend`` is true: no round is published."""
    GATHERING = "Gathering"
    """The round runs; newcomers wait until a scale-up is due."""


class RanksPolicy(Reason):
    """Rendezvous ``spec.ranks.policy``: which node gets which rank."""

    STABLE = "Stable"
    """Every node keeps its rank, wherever it is."""
    TOPOLOGY = "Topology"
    """The ranks of nodes that are close to each other follow each other."""


class ConditionReason(Reason):
    """Reasons of conditions beside those of `FormationReason` and `ClosedReason`."""

    RUNNING = "Running"
    MEMBER_SUSPECTED = "MemberSuspected"
    PATH_BROKEN = "PathBroken"
    """A member lives, but does not reach the API server, or the host of its round."""
    NODE_HELD_OUT = "NodeHeldOut"
    NODE_UNHEALTHY = "NodeUnhealthy"
    CLOSED_BY_SPEC = "ClosedBySpec"
    NOT_ENDED = "NotEnded"
    """The run has not ended, or there is none."""
    NOT_SUSPENDED = "NotSuspended"
    AS_EXPECTED = "AsExpected"
    """Nothing is wrong."""


class State(Reason):
    """Rendezvous ``status.summary.state``: what the group does, in one word for people."""

    WAITING_FOR_NODES = "WaitingForNodes"
    LAST_CALL = "LastCall"
    WAITING_FOR_MEMBERS = "WaitingForMembers"
    WAITING_FOR_REPLACEMENTS = "WaitingForReplacements"
    RUNNING = "Running"
    DEGRADED = "Degraded"
    SUSPENDED = "Suspended"
    CLOSED = "Closed"
    COMPLETE = "Complete"
    FAILED = "Failed"


class EventReason(Reason):
    """Reasons of the Kubernetes Events about a Rendezvous."""

    RUN_CLAIMED = "RunClaimed"
    ROUND_PUBLISHED = "RoundPublished"
    ROUND_ENDED = "RoundEnded"
    MEMBER_SUSPECTED = "MemberSuspected"
    MEMBER_RESPONDS = "MemberResponds"
    PARTICIPANT_REFUSED = "ParticipantRefused"
    NODE_HELD_OUT = "NodeHeldOut"
    NODES_LEFT_OUT = "NodesLeftOut"
    NODE_UNHEALTHY = "NodeUnhealthy"
    NODE_PASSED_OVER = "NodePassedOver"
    RUN_CLOSED = "RunClosed"
