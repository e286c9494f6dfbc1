"""Every reason that appears in an object, as machines read it; the prose beside it is for people."""

from enum import Enum


class Reason(str, Enum):
    """Base of all reasons: a string in the API, an enumeration in the code."""

    def __str__(self) -> str:
        return str(self.value)


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
    """A signal ended it, or its program did: that says nothing about the training."""


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


class RefusalReason(Reason):
    """Rendezvous ``status.refused[].reason``: why a node may not join."""

    RUN_SUCCEEDED = "RunSucceeded"
    RUN_CLOSED = "RunClosed"
    OTHER_RUN_ACTIVE = "OtherRunActive"


class ClosedReason(Reason):
    """Rendezvous ``status.closedRuns[].reason`` and the reason of condition Closed: why a run is closed."""

    RUN_SUCCEEDED = "RunSucceeded"
    RUN_FAILED = "RunFailed"
    CLOSE_REQUESTED = "CloseRequested"
    RESTART_BUDGET_EXHAUSTED = "RestartBudgetExhausted"
    ABANDONED = "Abandoned"


class RoundEndReason(Reason):
    """Rendezvous ``status.history[].reason``: why a round ended, unless its run closed (`ClosedReason`).

    The order here means nothing. If several apply, the operator's core decides which one is written.
    """

    MEMBER_LOST = "MemberLost"
    MEMBER_EVICTED = "MemberEvicted"
    MEMBER_TERMINATED = "MemberTerminated"
    MEMBER_FAILED = "MemberFailed"
    WORKER_FAILED = "WorkerFailed"
    CHECK_IN_FAILED = "CheckInFailed"
    MEMBER_REENTERED = "MemberReentered"
    TOO_MANY_NODES = "TooManyNodes"
    RESTART_REQUESTED = "RestartRequested"
    SCALE_UP = "ScaleUp"


FAILURES = frozenset(
    {
        RoundEndReason.MEMBER_LOST,
        RoundEndReason.MEMBER_FAILED,
        RoundEndReason.WORKER_FAILED,
        RoundEndReason.CHECK_IN_FAILED,
    }
)
"""The ends of a round that count against ``spec.maxRestarts``. Evictions, signals, scale-ups and requests do not."""


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
    GATHERING = "Gathering"
    """The round runs; newcomers wait until a scale-up is due."""


class ConditionReason(Reason):
    """Reasons of the conditions Ready and Closed beside those of `FormationReason` and `ClosedReason`."""

    RUNNING = "Running"
    MEMBER_SUSPECTED = "MemberSuspected"
    CLOSED_BY_SPEC = "ClosedBySpec"
    OPEN = "Open"


class EventReason(Reason):
    """Reasons of the Kubernetes Events about a Rendezvous."""

    RUN_CLAIMED = "RunClaimed"
    ROUND_PUBLISHED = "RoundPublished"
    ROUND_ENDED = "RoundEnded"
    PARTICIPANT_REFUSED = "ParticipantRefused"
    RUN_CLOSED = "RunClosed"
