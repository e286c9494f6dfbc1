"""Which writes may wait a little."""

from dataclasses import replace

import pytest

from rendezvous_api.meta import Condition
from rendezvous_api.reasons import FormationReason
from rendezvous_api.rendezvous import Formation, Missing, RendezvousStatus, RoundRecord
from rendezvous_operator.core.relevance import is_urgent

TIME = "2030-01-01T00:16:40Z"
FORMATION = Formation(FormationReason.WAITING_FOR_MEMBERS, "", TIME, 1)
LAST = RoundRecord(1, "run", 3, TIME)
BEFORE = RendezvousStatus(
    round=1,
    waiting_nodes=1,
    formation=FORMATION,
    conditions=(Condition("Ready", "True", "Running", "", TIME),),
    history=(LAST,),
)


@pytest.mark.parametrize(
    "after",
    [
        replace(BEFORE, waiting_nodes=2),
        replace(BEFORE, formation=replace(FORMATION, message="m", joined=2, missing=(Missing("x", "y"),))),
        replace(BEFORE, conditions=tuple(replace(condition, message="m") for condition in BEFORE.conditions)),
        replace(BEFORE, history=(replace(LAST, ended="t"),)),
    ],
)
def test_counts_messages_and_the_end_of_a_round_may_wait(after: RendezvousStatus) -> None:
    assert after != BEFORE
    assert not is_urgent(BEFORE, after)


@pytest.mark.parametrize(
    "after",
    [
        replace(BEFORE, waiting_nodes=0),
        replace(BEFORE, round=2),
        replace(BEFORE, spares=("s",)),
        replace(BEFORE, formation=None),
        replace(BEFORE, formation=replace(FORMATION, reason=FormationReason.LAST_CALL)),
        replace(BEFORE, conditions=tuple(replace(condition, status="Unknown") for condition in BEFORE.conditions)),
        replace(BEFORE, history=(replace(LAST, reason="MemberLost"),)),
        replace(BEFORE, history=(replace(LAST, checked_in="t"),)),
    ],
)
def test_what_somebody_acts_on_may_not(after: RendezvousStatus) -> None:
    assert is_urgent(BEFORE, after)
