"""What an agent does with its heartbeats when the settings of the Rendezvous change."""

from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.specs import spec_of

from rendezvous_api.meta import ObjectMeta
from rendezvous_api.rendezvous import Rendezvous, RendezvousStatus
from rendezvous_api.rendezvous_spec import RendezvousSpec
from rendezvous_handler.agent.agent import Agent


class Place:
    """An agent whose requests are only counted."""

    def __init__(self) -> None:
        self.beats: list[int | None] = []
        self.intervals: list[tuple[float, float]] = []
        agent: Any = Agent.__new__(Agent)
        agent.settings = SimpleNamespace(heartbeat_timeout=10)
        agent.request_seconds = 10.0
        agent._is_over, agent._beat_failed = lambda: False, False
        agent.watch = SimpleNamespace(state=SimpleNamespace(rendezvous=None))
        agent.participant = SimpleNamespace(interval_seconds=5, beat_timeout=0.0)
        agent.participant.beat = lambda: self.beats.append(agent.participant.interval_seconds)
        agent._thread = SimpleNamespace(change_heartbeats=lambda *times: self.intervals.append(times))
        self.agent = agent

    def shows(self, seconds: int) -> None:
        spec = spec_of(2, 2, heartbeat_interval_seconds=seconds)
        self.agent.watch.state.rendezvous = Rendezvous(ObjectMeta("train"), spec)


@pytest.mark.parametrize("seconds", [1, 20])
def test_a_change_of_the_interval_is_taken_up_and_said(seconds: int) -> None:
    place = Place()
    place.agent._beat()
    place.shows(5)
    place.agent._beat()
    assert (place.beats, place.intervals) == ([5, 5], [])
    place.shows(seconds)
    place.agent._beat()
    place.agent._beat()
    assert (place.beats[2:], place.intervals) == ([seconds] * 2, [(float(seconds), 3.0 * seconds)])
    assert place.agent.participant.beat_timeout == min(seconds, 10)


def test_the_interval_of_the_status_wins_over_the_longest_one() -> None:
    place = Place()
    spec = RendezvousSpec(2, 2000)
    place.agent.watch.state.rendezvous = Rendezvous(ObjectMeta("train"), spec)
    place.agent._beat()
    status = RendezvousStatus(heartbeat_interval_seconds=5)
    place.agent.watch.state.rendezvous = Rendezvous(ObjectMeta("train"), spec, status)
    place.agent._beat()
    assert (place.beats, place.intervals) == ([40, 5], [(40.0, 120.0), (5.0, 15.0)])
