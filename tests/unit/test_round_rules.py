"""The rules that the tests and the checker of the chaos runs hold against each status: they find each break."""

from dataclasses import replace
from typing import Any

import pytest
from tests.support.round_rules import broken

from rendezvous_api.rendezvous import Member, RendezvousStatus, Store

STORE = Store("10.0.0.1", 29500)


def status(number: int, *nodes: str, attempt: int | None = None) -> RendezvousStatus:
    """A round whose members have joined with an attempt of its number, if no other is given."""
    members = tuple(Member(node, "aaaaaaaa", attempt or number, rank) for rank, node in enumerate(nodes))
    return RendezvousStatus(round=number, nodes=len(nodes), participants=members, store=STORE)


FIRST, SECOND = status(1, "a", "b"), status(2, "b", "c", "d")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, RendezvousStatus()),
        (None, FIRST),
        (RendezvousStatus(), FIRST),
        (FIRST, FIRST),
        (FIRST, replace(FIRST, waiting_nodes=1)),
        (FIRST, SECOND),
        (FIRST, replace(SECOND, round=7)),
    ],
)
def test_a_right_step_breaks_nothing(before: RendezvousStatus | None, after: RendezvousStatus) -> None:
    assert [*broken(2, 3, before, after)] == []


def member(**fields: Any) -> RendezvousStatus:
    """The first round, with another first member."""
    return replace(FIRST, participants=(replace(FIRST.participants[0], **fields), FIRST.participants[1]))


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (None, member(rank=1), "round 1 has 2 nodes, and the ranks [1, 1]"),
        (None, replace(FIRST, nodes=3), "round 1 has 3 nodes, and the ranks [0, 1]"),
        (None, member(name="b"), "a node is in round 1 twice: ['b', 'b']"),
        (SECOND, FIRST, "round 2 is followed by round 1"),
        (FIRST, member(attempt=2), "the members or the store of round 1 have changed"),
        (FIRST, replace(FIRST, store=Store("10.0.0.2", 29500)), "the members or the store of round 1 have changed"),
        (FIRST, status(2, "b"), "round 2 has 1 nodes, of 2 to 3"),
        (FIRST, status(2, "a", "b", "c", "d"), "round 2 has 4 nodes, of 2 to 3"),
        (FIRST, status(2, "c", "b", attempt=1), "b is in round 2 without having joined again"),
    ],
)
def test_each_break_is_found(before: RendezvousStatus | None, after: RendezvousStatus, message: str) -> None:
    assert [*broken(2, 3, before, after)] == [message]
