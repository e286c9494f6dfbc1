"""What the log of a member says of a round that runs, but not well."""

from dataclasses import replace

import pytest

from rendezvous_api import names
from rendezvous_api.meta import Condition, ObjectMeta
from rendezvous_api.rendezvous import Rendezvous, RendezvousStatus
from rendezvous_api.rendezvous_spec import RendezvousSpec
from rendezvous_handler.agent.degradation import Degradation

SILENT = "train.node-3 is silent since 2030-01-01T00:00:00Z"


def rendezvous(message: str = "", number: int = 7, waiting: int = 0) -> Rendezvous:
    condition = Condition(names.CONDITION_DEGRADED, "True" if message else "False", "MemberSuspected", message, "")
    status = replace(RendezvousStatus(), round=number, waiting_nodes=waiting, conditions=(condition,))
    return Rendezvous(ObjectMeta("train"), RendezvousSpec(1, 4), status)


class Member:
    """A member of round 7, whose log is read."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("INFO")
        self.clock = 0.0
        self._caplog = caplog
        self._degradation = Degradation(now=lambda: self.clock)

    def sees(self, found: Rendezvous | None, number: int = 7) -> list[str]:
        """What is new in the log after the agent has come by some times."""
        self._caplog.clear()
        for _ in range(3):
            self._degradation.note(found, number)
        return [f"{record.levelname}: {record.message}" for record in self._caplog.records]


@pytest.fixture
def member(caplog: pytest.LogCaptureFixture) -> Member:
    return Member(caplog)


def test_a_suspect_is_in_the_log_at_once_and_so_is_the_end_of_it(member: Member) -> None:
    assert member.sees(None) == []
    assert member.sees(rendezvous()) == []
    assert member.sees(rendezvous(SILENT)) == [f"WARNING: round 7 goes on, but: {SILENT}"]
    assert member.sees(rendezvous(SILENT)) == []
    member.clock += 60
    assert member.sees(rendezvous(SILENT)) == [], "once is enough"
    assert member.sees(rendezvous()) == ["INFO: round 7: what was wrong has passed"]
    assert member.sees(rendezvous()) == []
    member.clock += 30
    assert member.sees(rendezvous(SILENT)) == [f"WARNING: round 7 goes on, but: {SILENT}"]


def test_a_suspect_that_comes_and_goes_is_logged_now_and_then(member: Member) -> None:
    """Every member of a large group logs it."""
    said = []
    for _ in range(61):
        for found in (rendezvous(SILENT), rendezvous()):
            said += member.sees(found)
        member.clock += 1
    assert said == [f"WARNING: round 7 goes on, but: {SILENT}", "INFO: round 7: what was wrong has passed"] * 3
    assert member.sees(rendezvous(SILENT)) == []
    member.clock += 30
    assert len(member.sees(rendezvous(SILENT))) == 1, "it has stayed"
    assert member.sees(rendezvous(SILENT, number=8), number=8) == [f"WARNING: round 8 goes on, but: {SILENT}"]


def test_a_message_that_changes_often_is_logged_now_and_then(member: Member) -> None:
    assert len(member.sees(rendezvous("1"))) == 1
    for number in range(2, 31):
        member.clock += 1
        assert member.sees(last := rendezvous(str(number))) == []
    member.clock += 1
    assert member.sees(last) == ["WARNING: round 7 goes on, but: 30"], "also if nothing has changed since"
    assert member.sees(rendezvous("31")) == []
    assert member.sees(rendezvous()) == ["INFO: round 7: what was wrong has passed"]
    member.clock += 60
    assert member.sees(rendezvous()) == []


def test_nothing_is_said_of_another_round_nor_that_a_round_is_well_that_ends(member: Member) -> None:
    assert member.sees(rendezvous(SILENT, number=8)) == []
    assert len(member.sees(rendezvous(SILENT))) == 1
    assert member.sees(rendezvous(waiting=1)) == []
    assert member.sees(rendezvous(number=8), number=8) == []
    assert len(member.sees(rendezvous(SILENT, number=8), number=8)) == 1


def test_what_has_not_changed_is_looked_at_once(member: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a message was over before it was logged; torch asks ten times a second."""
    looks: list[str] = []
    condition = RendezvousStatus.condition

    def looked(status: RendezvousStatus, name: str) -> Condition | None:
        looks.append(name)
        return condition(status, name)

    monkeypatch.setattr(RendezvousStatus, "condition", looked)
    for found in (rendezvous(), rendezvous(SILENT)):
        member.sees(found)
    assert len(looks) == 2
    member.sees(rendezvous("another"))
    looks.clear()
    member.sees(rendezvous())
    assert len(looks) == 1
