"""Which changes of a participant ask for a decision, and which writes of a Rendezvous may wait a little."""

from dataclasses import replace

import pytest
from tests.support.specs import spec_of
from tests.unit.core.worlds import Scenario

from rendezvous_api.meta import Condition, ObjectMeta
from rendezvous_api.participant import Participant, ParticipantSpec, ParticipantStatus
from rendezvous_api.reasons import (
    AttemptReason,
    ClosedReason,
    FormationReason,
    ParticipantState,
    PassedOverReason,
    RefusalReason,
)
from rendezvous_api.rendezvous import ClosedRun, Formation, Missing, PassedOver, Refusal, RendezvousStatus, RoundRecord
from rendezvous_api.rendezvous_spec import RendezvousSpec
from rendezvous_operator.core.relevance import is_heartbeat, is_urgent, matters
from rendezvous_operator.core.world import SeenParticipant

SPEC = spec_of(1, 2, heartbeat_interval_seconds=4, max_missed=5)
KNOWN = Participant(
    metadata=ObjectMeta(name="train.a", namespace="ns", uid="u-1", resource_version="1"),
    spec=ParticipantSpec(
        rendezvous_name="train",
        rendezvous_uid="r-1",
        node_id="a",
        incarnation="aaaaaaaa",
        attempt=1,
        attempt_reason=AttemptReason.START,
        address="10.0.0.1",
        store_port=1,
        state=ParticipantState.JOINED,
    ),
    status=ParticipantStatus(incarnation="aaaaaaaa", attempt=1, round=1, heartbeat_time="1"),
)
BEAT = replace(KNOWN, status=replace(KNOWN.status, heartbeat_time="2"))
OTHER_VERSION = replace(KNOWN, metadata=replace(KNOWN.metadata, resource_version="2", labels={"a": "b"}))


def test_who_was_not_there_before_matters() -> None:
    assert matters(None, KNOWN, SPEC, 0)


@pytest.mark.parametrize(
    "after",
    [
        replace(KNOWN, metadata=replace(KNOWN.metadata, uid="u-2")),
        replace(KNOWN, spec=replace(KNOWN.spec, attempt=2)),
        replace(KNOWN, spec=replace(KNOWN.spec, state=ParticipantState.LEFT)),
        replace(KNOWN, status=replace(KNOWN.status, round=2)),
    ],
)
def test_all_news_matter(after: Participant) -> None:
    assert matters(SeenParticipant(KNOWN, 0), after, SPEC, 1)


@pytest.mark.parametrize(("spec", "limit"), [(SPEC, 20), (None, 15)])
def test_a_heartbeat_matters_only_after_a_silence(spec: RendezvousSpec | None, limit: float) -> None:
    """Without a Rendezvous the defaults count: 5 s, 3 times."""
    seen = SeenParticipant(KNOWN, beat_at=100)
    assert not matters(seen, BEAT, spec, 100 + limit - 0.1)
    assert matters(seen, BEAT, spec, 100 + limit)


def test_an_agent_that_keeps_a_longer_interval_is_silent_later() -> None:
    def slow(participant: Participant) -> Participant:
        return replace(participant, status=replace(participant.status, interval_seconds=20))

    seen = SeenParticipant(slow(KNOWN), beat_at=100)
    assert not matters(seen, slow(BEAT), SPEC, 100 + 5 * 20 - 0.1)
    assert matters(seen, slow(BEAT), SPEC, 100 + 5 * 20)


def test_what_others_write_is_no_heartbeat_and_ends_no_silence() -> None:
    assert is_heartbeat(KNOWN, BEAT)
    assert not is_heartbeat(KNOWN, OTHER_VERSION)
    assert not matters(SeenParticipant(KNOWN, 0), OTHER_VERSION, SPEC, 1000)


# Writes


TIME = "2030-01-01T00:16:40Z"
FORMATION = Formation(FormationReason.WAITING_FOR_MEMBERS, "", TIME, 1)
LAST = RoundRecord(1, "run", 3, TIME)
REFUSAL = Refusal("r", "aaaaaaaa", 1, RefusalReason.OTHER_RUN_ACTIVE, "")
BEFORE = RendezvousStatus(
    round=1,
    waiting_nodes=1,
    formation=FORMATION,
    conditions=(Condition("Running", "True", "Running", "", TIME),),
    history=(LAST,),
    refused=(REFUSAL,),
)


@pytest.mark.parametrize(
    "after",
    [
        replace(BEFORE, waiting_nodes=2),
        replace(BEFORE, formation=replace(FORMATION, message="m", joined=2, missing=(Missing("x", "y"),))),
        replace(BEFORE, conditions=tuple(replace(condition, message="m") for condition in BEFORE.conditions)),
        replace(BEFORE, history=(replace(LAST, ended="t"),)),
        replace(BEFORE, spares=("s",)),
        replace(BEFORE, passed_over=(PassedOver("p", PassedOverReason.CORDONED, ""),)),
        replace(BEFORE, formation=None),
        replace(BEFORE, formation=replace(FORMATION, reason=FormationReason.LAST_CALL)),
        replace(BEFORE, conditions=tuple(replace(condition, status="Unknown") for condition in BEFORE.conditions)),
        replace(BEFORE, refused=()),
    ],
)
def test_what_no_agent_waits_for_may_wait(after: RendezvousStatus) -> None:
    assert after != BEFORE
    assert not is_urgent(BEFORE, after)


@pytest.mark.parametrize(
    "after",
    [
        replace(BEFORE, waiting_nodes=0),
        replace(BEFORE, round=2),
        replace(BEFORE, closed_runs=(ClosedRun("run", ClosedReason.RUN_SUCCEEDED),)),
        replace(BEFORE, refused=(REFUSAL, replace(REFUSAL, name="s"))),
        replace(BEFORE, refused=(replace(REFUSAL, attempt=2),)),
        replace(BEFORE, history=(replace(LAST, reason="MemberLost"),)),
        replace(BEFORE, history=(replace(LAST, checked_in="t"),)),
    ],
)
def test_what_agents_act_on_may_not(after: RendezvousStatus) -> None:
    assert is_urgent(BEFORE, after)


class _Urgent(Scenario):
    """Counts the writes that may not wait."""

    urgent = 0

    def written(self, before: RendezvousStatus) -> None:
        self.urgent += is_urgent(before, self.status)


@pytest.mark.parametrize("most", [2, 4])
def test_a_node_that_comes_and_goes_beside_a_running_round_causes_no_urgent_write(most: int) -> None:
    """Each write is sent to the watches of all agents. It is a spare, or it waits for the next scale-up."""
    scenario = _Urgent(2, most)
    scenario.join("a", "b")
    scenario.after(30)
    scenario.settle()  # all report the round
    urgent, writes = scenario.urgent, scenario.writes
    assert scenario.status.round == 1
    scenario.join("x")
    scenario.leave("x")
    for _ in range(10):
        scenario.restart("x")
        scenario.leave("x")
    assert (scenario.urgent - urgent, scenario.writes - writes) == (0, 22)
