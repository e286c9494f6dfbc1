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
        self.intervals: list[tuple[float, float, int | None]] = []
        self.hastened: list[float] = []
        agent: Any = Agent.__new__(Agent)
        agent.settings = SimpleNamespace(heartbeat_timeout=10)
        agent.request_seconds = 10.0
        agent._is_over, agent._beat_failed = lambda: False, False
        agent.watch = SimpleNamespace(state=SimpleNamespace(rendezvous=None))
        agent.participant = SimpleNamespace(interval_seconds=5, peers_interval_seconds=None, beat_timeout=0.0)
        agent.participant.peers, agent.participant.reported = None, (0, None)
        agent.participant.beat = lambda: self.beats.append(agent.participant.interval_seconds)
        agent._noticed = None
        agent._thread = SimpleNamespace(change_heartbeats=lambda *times: self.intervals.append(times))
        agent._thread.beat_within = self.hastened.append
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
    assert (place.beats[2:], place.intervals) == ([seconds] * 2, [(float(seconds), 3.0 * seconds, None)])
    assert place.agent.participant.beat_timeout == min(seconds, 10)


def test_the_interval_of_the_status_wins_over_the_longest_one() -> None:
    place = Place()
    spec = RendezvousSpec(2, 2000)
    place.agent.watch.state.rendezvous = Rendezvous(ObjectMeta("train"), spec)
    place.agent._beat()
    status = RendezvousStatus(heartbeat_interval_seconds=5)
    place.agent.watch.state.rendezvous = Rendezvous(ObjectMeta("train"), spec, status)
    place.agent._beat()
    assert (place.beats, place.intervals) == ([40, 5], [(40.0, 120.0, None), (5.0, 15.0, None)])


def heard(place: Place, waiting: int = 0) -> None:
    """A round runs, and its host answers the beats."""
    spec = spec_of(2, 2, heartbeat_peers_interval_seconds=60)
    status = RendezvousStatus(round=1, waiting_nodes=waiting)
    place.agent.watch.state.rendezvous = Rendezvous(ObjectMeta("train"), spec, status)
    place.agent.participant.reported = (1, 1)
    place.agent.participant.peers = SimpleNamespace(heard=True)


def test_heartbeats_are_rare_and_say_so_while_the_peers_hear_the_agent() -> None:
    place = Place()
    heard(place)
    place.agent._beat()
    assert place.agent.participant.peers_interval_seconds == 60
    assert place.agent.participant.interval_seconds == 5
    assert place.agent.participant.beat_timeout == 5
    place.agent.participant.peers.heard = False
    place.agent._beat()
    assert place.agent.participant.peers_interval_seconds is None
    assert place.intervals == [(5.0, 15.0, 60), (5.0, 15.0, None)]


def test_one_comes_within_the_usual_interval_when_somebody_waits_for_it() -> None:
    place = Place()
    heard(place)
    place.agent.notice_news()
    place.agent._beat()
    place.agent.notice_news()
    assert place.hastened == [], "they are rare"
    heard(place, waiting=1)
    place.agent.notice_news()
    place.agent.notice_news()
    assert place.hastened == [5.0]
