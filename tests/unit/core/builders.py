"""Moments and objects for the tests of the decision core, each in one line."""

from datetime import datetime, timedelta, timezone

from rendezvous_api.meta import ObjectMeta, OwnerReference
from rendezvous_api.participant import Participant, ParticipantSpec
from rendezvous_api.reasons import AttemptReason, ParticipantState
from rendezvous_operator.core.world import Now

NAME = "train"
UID = "uid-of-train"
EPOCH = datetime(2030, 1, 1, tzinfo=timezone.utc)


def now(seconds: float) -> Now:
    """The moment that many seconds after the beginning of a test, on both clocks."""
    return Now(seconds, EPOCH + timedelta(seconds=seconds))


def participant(
    name: str,
    *,
    run: str | None = "run",
    launch: int | None = None,
    nodes: tuple[int, int] | None = None,
    incarnation: str = "first",
    attempt: int = 1,
    reason: AttemptReason = AttemptReason.START,
    index: int | None = None,
    pod: str | None = None,
    created: float = 0,
    rendezvous_uid: str = UID,
    address: str | None = None,
) -> Participant:
    """A participant that has just joined. ``pod`` is the name of the pod that owns it."""
    owners = (OwnerReference("Pod", pod, f"uid-of-{pod}"),) if pod else ()
    return Participant(
        ObjectMeta(
            name,
            uid=f"uid-of-{name}",
            resource_version="7",
            creation_timestamp=now(created).timestamp,
            owner_references=owners,
        ),
        ParticipantSpec(
            rendezvous_name=NAME,
            rendezvous_uid=rendezvous_uid,
            node_id=name,
            incarnation=incarnation,
            attempt=attempt,
            attempt_reason=reason,
            address=address or f"{name}.local",
            store_port=20000 + attempt,
            state=ParticipantState.JOINED,
            run_id=run,
            launch=launch,
            min_nodes=nodes[0] if nodes else None,
            max_nodes=nodes[1] if nodes else None,
            pod_name=pod,
            pod_uid=f"uid-of-{pod}" if pod else None,
            pod_index=index,
        ),
    )
