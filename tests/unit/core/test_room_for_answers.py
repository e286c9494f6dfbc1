"""Which nodes get their answers first where ``status.refused`` has no room for all, and what waits for the others."""

import pytest
from tests.unit.core.started import two
from tests.unit.core.worlds import Scenario

from rendezvous_api import names
from rendezvous_api.reasons import AttemptReason, LeaveReason, RefusalReason


def test_agents_without_a_pod_are_not_taken_for_agents_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "MAX_REFUSED", 3)
    scenario = two("run")
    scenario.complete = False
    scenario.join("p1", "p2", "p3", pod="p", run="another")
    scenario.join("x", "y", "z", run="another")
    scenario.complete = True
    scenario.settle()
    assert {*scenario.refused} == {"p1", "x", "y"}


def test_a_dropped_member_that_sends_heartbeats_is_answered_before_a_silent_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(names, "MAX_REFUSED", 1)
    scenario = Scenario(2, 5, replacement_seconds=0)
    scenario.join(*"abcmn")
    scenario.silent("m")
    scenario.reenter("a", "b", "c", reason=AttemptReason.WORKER_FAILURE)
    scenario.after(360)
    assert scenario.group == ["a", "b", "c"]
    assert scenario.refused == {"n": RefusalReason.JOIN_ANEW}


def after_success_with_spares() -> Scenario:
    """Run one has succeeded; its spares x and y have not left."""
    scenario = Scenario(2, 2)
    scenario.join("a", "b", "x", "y", run="one")
    assert {*scenario.status.spares} == {"x", "y"}
    scenario.leave("a", "b", reason=LeaveReason.SUCCEEDED)
    return scenario


def test_the_next_run_does_not_wait_for_spares_that_have_their_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "MAX_REFUSED", 2)
    scenario = after_success_with_spares()
    assert {*scenario.refused} == {"x", "y"}
    scenario.join("c", "d", run="two")
    assert (scenario.status.run_id, scenario.group) == ("two", ["c", "d"])


def test_nor_for_a_spare_that_has_started_again_for_another_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "MAX_REFUSED", 1)
    scenario = after_success_with_spares()
    assert {*scenario.refused} == {"x"}
    scenario.restart("y", run_id="two")
    assert scenario.status.run_id == "two"
