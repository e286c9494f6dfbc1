"""The nodes of a simulation: what an agent and its pod are, and what of it can be wrong."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from rendezvous_api.meta import ObjectMeta, OwnerReference
from rendezvous_api.participant import CheckIn, Participant, ParticipantSpec, ParticipantStatus
from rendezvous_api.reasons import AttemptReason, HostState, LeaveReason, ParticipantState
from rendezvous_api.rendezvous import Owner, Rendezvous
from rendezvous_operator.core.world import Pod

_FIRST_PORT = 20000


@dataclass(frozen=True)
class Habits:
    """How long agents and their workers take, and what surrounds them. All times are in seconds."""

    start_seconds: float = 5
    """From the moment when a round is published until all its members have checked in, and its workers run."""
    stop_seconds: float = 2
    """From the call to join again until the workers have stopped and the agent joins."""
    check_in_seconds: float = 60
    """After this time a member no longer waits for the others of its round."""
    workers_fail_seconds: float | None = None
    """After a member dies, the workers of the others fail so much later. None: they hang."""
    beats: bool = True
    """Members beat to the host of their round."""
    pods: bool = True
    """Each node is a pod with the label."""
    owner: Owner | None = field(default_factory=lambda: Owner("Job", "train"))
    """Of the pods; None: nobody makes them again."""
    pod_labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By the name of the node; also of a pod that is made in the place of another one."""
    machine_labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By the name of the node on the machine. If there are some, the operator may read machines."""


@dataclass
class Node:
    """One agent with its surroundings, as they are. What the API server has of it is in the operator."""

    name: str
    pod: Pod | None = None
    """None: it is in no pod, or the pod is gone."""
    last: Participant | None = None
    """What its agent has written last."""
    alive: bool = True
    """Its process runs, and its machine has power."""
    heard: bool = True
    """It reaches the API server."""
    linked: bool = True
    """It reaches the other nodes."""
    round: int = 0
    """The round to which it was admitted last; 0: it waits for one."""
    starts: bool = False
    """The workers of that round do not run yet."""
    stopping: bool = False
    """It will join again soon."""
    turn: int = 0
    """Counts what it has begun: what was to follow from an earlier one, does not."""
    beats: tuple[HostState, float] | None = None
    """Why no beats come from it, and since when. None: they come, if it runs a round."""
    found: str | None = None
    """What its health checks find the next time that they run; None: nothing."""
    accuses: bool = False
    """Its last heartbeat says that beats, or answers, of another member do not arrive: so it is sent again soon."""

    @property
    def acts(self) -> bool:
        """Whether it sees the Rendezvous, and does what follows from it."""
        return self.alive and self.heard


def pod_of(name: str, habits: Habits, number: int, **how: object) -> Pod:
    """A known pod of the group, its number-th of that name."""
    uid = f"pod-{name}" if number == 1 else f"pod-{name}-{number}"
    owner = habits.owner
    of = f"{owner.kind}-{owner.name}" if owner is not None else None
    labels = habits.pod_labels.get(name, {})
    return replace(Pod(uid, name, workload=of, owner_uid=of, owner=owner, labels=labels), **how)  # type: ignore[arg-type]


def machine_of(name: str) -> str:
    """The machine of each node of that name: ``gpu-2`` of ``train-2``."""
    return f"gpu-{name.rpartition('-')[2]}"


def pod_after(before: Pod, number: int) -> Pod:
    """The pod that its owner makes in the place of an earlier one."""
    uid = f"{before.uid}-{number}"
    return Pod(
        uid,
        before.name,
        before.known,
        workload=before.workload,
        owner_uid=before.owner_uid,
        owner=before.owner,
        labels=before.labels,
    )


def joins(
    rendezvous: Rendezvous,
    name: str,
    incarnation: int,
    pod: Pod | None,
    created: str,
    before: Participant | None,
) -> Participant:
    """The participant of an agent that has just started.

    Args:
        rendezvous: which it joins.
        name: of the node.
        incarnation: 1 for the first agent of that name, and so on.
        pod: in which it runs.
        created: metav1.Time of the moment.
        before: that of an earlier agent of the name, if there was one.
    """
    owners = () if pod is None else (OwnerReference("Pod", pod.name, pod.uid),)
    metadata = before.metadata if before is not None else ObjectMeta(name, uid=f"{name}-{incarnation}")
    digits = name.rpartition("-")[2]
    index = int(digits) if digits.isdecimal() and pod is not None else None
    run_id = None if pod is not None else rendezvous.spec.run_id or "run-1"
    if before is not None:
        index, run_id = before.spec.pod_index, before.spec.run_id
    spec = ParticipantSpec(
        rendezvous_name=rendezvous.metadata.name,
        rendezvous_uid=rendezvous.metadata.uid,
        node_id=name,
        incarnation=f"{incarnation:08}",
        attempt=1,
        attempt_reason=AttemptReason.START,
        address=name,
        store_port=_FIRST_PORT + 1,
        state=ParticipantState.JOINED,
        run_id=run_id,
        pod_name=pod.name if pod is not None else None,
        pod_uid=pod.uid if pod is not None else None,
        node_name=machine_of(name) if pod is not None else None,
        pod_index=index,
    )
    metadata = replace(metadata, owner_references=owners, creation_timestamp=created)
    return Participant(metadata, spec, before.status if before is not None else ParticipantStatus())


def joins_again(
    before: Participant, reason: AttemptReason, last_run_id: str | None, check_in: CheckIn | None
) -> Participant:
    """The participant of an agent that asks for another round."""
    spec = replace(
        before.spec,
        attempt=before.spec.attempt + 1,
        attempt_reason=reason,
        store_port=before.spec.store_port + 1,
        last_run_id=last_run_id,
        check_in=check_in,
        state=ParticipantState.JOINED,
        leave_reason=None,
        unhealthy=None,
    )
    return replace(before, spec=spec, status=_beat(before.status, spec))


def stays_out(before: Participant, found: str, last_run_id: str | None) -> Participant:
    """The participant of an agent whose health checks have failed before it asked for another round."""
    after = joins_again(before, before.spec.attempt_reason, last_run_id, None)
    spec = replace(after.spec, state=ParticipantState.LEFT, leave_reason=LeaveReason.TERMINATED, unhealthy=found)
    return replace(after, spec=spec)


def leaves(before: Participant, reason: LeaveReason, last_run_id: str | None) -> Participant:
    """The participant of an agent that ends."""
    spec = replace(before.spec, state=ParticipantState.LEFT, leave_reason=reason, last_run_id=last_run_id)
    return replace(before, spec=spec)


def reports(before: Participant, number: int, rank: int, interval: int) -> Participant:
    """The participant of an agent whose workers run a round."""
    status = _beat(before.status, before.spec)
    return replace(before, status=replace(status, round=number, rank=rank, interval_seconds=interval))


def _beat(before: ParticipantStatus, spec: ParticipantSpec) -> ParticipantStatus:
    return ParticipantStatus(
        incarnation=spec.incarnation,
        attempt=spec.attempt,
        heartbeat_time=before.heartbeat_time,
        interval_seconds=before.interval_seconds,
    )
