"""What the status of a Rendezvous means for one agent."""

from dataclasses import replace

import pytest

from rendezvous_api.meta import Condition, ObjectMeta
from rendezvous_api.participant import ParticipantSpec
from rendezvous_api.reasons import (
    AttemptReason,
    ClosedReason,
    FormationReason,
    HeldOutReason,
    ParticipantState,
    PassedOverReason,
    RefusalReason,
)
from rendezvous_api.rendezvous import (
    ClosedRun,
    Formation,
    HeldOut,
    Member,
    Missing,
    PassedOver,
    Refusal,
    Rendezvous,
    RendezvousStatus,
    RoundRecord,
    RunReference,
    Store,
)
from rendezvous_api.rendezvous_spec import RendezvousSpec
from rendezvous_handler.agent.rendezvous_watch import is_newer
from rendezvous_handler.join.answer import (
    Attempt,
    Membership,
    Replaced,
    Waiting,
    answer,
    describe_status,
    is_closed,
    nodes_waiting,
)

ATTEMPT = Attempt(
    "train.a",
    ParticipantSpec(
        rendezvous_name="train",
        rendezvous_uid="uid",
        node_id="a",
        incarnation="aaaaaaaa",
        attempt=3,
        attempt_reason=AttemptReason.START,
        address="192.0.2.1",
        store_port=4000,
        state=ParticipantState.JOINED,
    ),
)
STORE = Store("192.0.2.2", 4001)
MEMBER = Member("train.a", "aaaaaaaa", 3, rank=1)
OTHER = Member("train.b", "bbbbbbbb", 1, rank=0)
ROUND = RoundRecord(7, "run", 2, "2030-01-01T00:00:00.000000Z")
REFUSAL = Refusal("train.a", "aaaaaaaa", 3, RefusalReason.RUN_CLOSED, "closed")
HELD_OUT = HeldOut("train.a", HeldOutReason.STORE_NOT_REACHED, "it did not come", "2030-01-01T00:00:30Z", 1)
PASSED_OVER = PassedOver("train.a", PassedOverReason.CORDONED, "its machine gpu-7 is cordoned", "gpu-7")
GATHERING = Formation(FormationReason.GATHERING, "1 more node joined", "2030-01-01T00:00:00Z", 1)


def seen(uid: str = "uid", version: str = "5", **status: object) -> Rendezvous:
    return Rendezvous(
        ObjectMeta("train", uid=uid, resource_version=version),
        RendezvousSpec(1, 4),
        RendezvousStatus(**status),  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("rendezvous", "expected"),
    [
        (seen(), Waiting()),
        (
            seen(run=RunReference("run"), round=7, nodes=2, participants=(OTHER, MEMBER), store=STORE),
            Membership("uid", 7, 1, 2, STORE, "run", MEMBER),
        ),
        (
            seen(
                run=RunReference("next"), round=7, nodes=2, participants=(OTHER, MEMBER), store=STORE, history=(ROUND,)
            ),
            Membership("uid", 7, 1, 2, STORE, "run", MEMBER),
        ),
        (seen(round=7, nodes=1, participants=(OTHER,), store=STORE), Waiting()),
        (seen(participants=(replace(MEMBER, attempt=2),), store=STORE), Waiting()),
        (seen(participants=(replace(MEMBER, incarnation="00000000"),), store=STORE), Waiting()),
        (seen(refused=(REFUSAL,)), REFUSAL),
        (seen(refused=(replace(REFUSAL, attempt=2),)), Waiting()),
        (seen(refused=(replace(REFUSAL, name="train.b"),)), Waiting()),
        (seen(spares=("train.a",)), Waiting(spare=True)),
        (seen(spares=("train.b",)), Waiting()),
        (seen(formation=GATHERING), Waiting(gathered=True)),
        (seen(formation=replace(GATHERING, reason=FormationReason.LAST_CALL)), Waiting()),
        (seen(held_out=(HELD_OUT,)), Waiting(held_out=HELD_OUT)),
        (seen(held_out=(replace(HELD_OUT, name="train.b"),)), Waiting()),
        (seen(passed_over=(PASSED_OVER,)), Waiting(passed_over=PASSED_OVER)),
        (seen(passed_over=(replace(PASSED_OVER, name="train.b"),)), Waiting()),
        (seen(uid="new", participants=(MEMBER,), store=STORE), Replaced()),
    ],
)
def test_answer(rendezvous: Rendezvous, expected: object) -> None:
    assert answer(rendezvous, ATTEMPT) == expected


WON = Membership("uid", 7, 1, 2, STORE, "run", MEMBER)


def round_seen(number: int = 7, uid: str = "uid", **status: object) -> Rendezvous:
    found = seen(uid, round=number, nodes=2, participants=(OTHER, MEMBER), store=STORE)
    return replace(found, status=replace(found.status, **status))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rendezvous", "won", "name_lost", "expected"),
    [
        (round_seen(waiting_nodes=0), WON, False, 0),
        (round_seen(waiting_nodes=3), WON, False, 3),
        (round_seen(8), WON, False, 1),
        (round_seen(uid="new"), WON, False, 1),
        (seen(uid="new", round=0), WON, False, 1),
        (None, WON, False, 0),
        (None, WON, True, 1),
        (round_seen(), WON, True, 1),
        (round_seen(waiting_nodes=3), None, False, 0),
        (round_seen(waiting_nodes=3), None, True, 0),
        # What a restored etcd may show: no watch goes back to a lower round by itself.
        (round_seen(6), WON, False, 1),
        (round_seen(participants=(OTHER,)), WON, False, 1),
        (round_seen(participants=(OTHER, replace(MEMBER, attempt=2))), WON, False, 1),
        (round_seen(participants=(OTHER, replace(MEMBER, incarnation="00000000"))), WON, False, 1),
        (round_seen(participants=(replace(OTHER, rank=1), replace(MEMBER, rank=0))), WON, False, 1),
        (round_seen(store=Store("192.0.2.2", 4002)), WON, False, 1),
        (round_seen(store=None), WON, False, 1),
        # What says nothing about the round.
        (round_seen(participants=(OTHER, replace(MEMBER, pod_index=3))), WON, False, 0),
    ],
)
def test_nodes_waiting(rendezvous: Rendezvous | None, won: Membership | None, name_lost: bool, expected: int) -> None:
    assert nodes_waiting(rendezvous, won, name_lost) == expected


@pytest.mark.parametrize(
    ("known", "found", "expected"),
    [
        (None, seen(), True),
        (seen(version="5"), seen(version="6"), True),
        (seen(version="5"), seen(version="5"), True),
        (seen(version="6"), seen(version="5"), False),
        (seen(version="9"), seen(version="10"), True),
        (seen(version="5", round=2), seen(version="6", round=1), False),
        (seen(version="9", uid="old"), seen(version="5", uid="new"), True),
        (seen(version="5", round=9, uid="old"), seen(version="6", round=0, uid="new"), True),
    ],
)
def test_a_local_copy_never_goes_back(known: Rendezvous | None, found: Rendezvous, expected: bool) -> None:
    assert is_newer(known, found) is expected


def test_is_closed() -> None:
    def of(run: str | None, *closed: str, by_spec: bool = False) -> Rendezvous:
        runs = tuple(ClosedRun(name, ClosedReason.RUN_FAILED) for name in closed)
        status = RendezvousStatus(run=RunReference(run) if run else None, closed_runs=runs)
        return Rendezvous(ObjectMeta("train"), RendezvousSpec(1, 2, closed=by_spec), status)

    assert not is_closed(of(None))
    assert is_closed(of(None, by_spec=True))
    assert is_closed(of("a", "a"))
    assert not is_closed(of("b", "a"))


def test_describe_status() -> None:
    assert describe_status(RendezvousStatus()) == ""
    ready = Condition("Running", "False", "WaitingForNodes", "1 of at least 2 nodes; train-1 is Pending")
    assert describe_status(RendezvousStatus(conditions=(ready,))) == f"WaitingForNodes: {ready.message}"
    formation = Formation(
        FormationReason.WAITING_FOR_NODES,
        "1 of at least 2 nodes",
        "2026-01-01T00:00:00Z",
        1,
        (Missing("train-1", "is Pending"), Missing("train-2", "terminating")),
    )
    assert describe_status(RendezvousStatus(conditions=(ready,), formation=formation)) == (
        "WaitingForNodes: 1 of at least 2 nodes; train-1 is Pending; train-2: terminating"
    )
    assert describe_status(RendezvousStatus(formation=formation)) == (
        "WaitingForNodes: 1 of at least 2 nodes; train-1: is Pending; train-2: terminating"
    )
