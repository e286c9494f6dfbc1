"""RestartRequested: the user asks for a new round."""

import hashlib

import pytest
from tests.unit.core.started import running
from tests.unit.core.worlds import Scenario

from rendezvous_api.reasons import RoundEndReason


@pytest.mark.parametrize("value", ["2026-01-01", "", "a" * 200_000, "\u00fc", "x\n2030 INFO forged", "\u2028"])
def test_an_annotation_of_the_user_asks_once_for_a_new_round(value: str) -> None:
    scenario = running("a", "b")
    scenario.request_restart(value)
    assert scenario.ended_because == RoundEndReason.RESTART_REQUESTED
    scenario.all_join_again()
    assert scenario.status.round == 2
    # Only equality counts, and every write of the status is sent to all agents.
    assert scenario.status.observed_restart_request == hashlib.sha256(value.encode()).hexdigest()
    assert not scenario.asks
    record = scenario.status.history[0]
    assert record.message is not None
    assert record.message.startswith("the annotation was set to ")
    assert len(record.message) < 100
    assert all(event.message.isprintable() for event in scenario.events)


def test_one_request_of_the_user_is_one_round_and_an_old_one_is_none() -> None:
    scenario = Scenario(2, 2)
    scenario.request_restart("before")
    scenario.join("a", "b")
    assert not scenario.asks
    scenario.request_restart("now")
    scenario.all_join_again()
    assert scenario.status.round == 2
    scenario.after(1000)
    assert not scenario.asks
