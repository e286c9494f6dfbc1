"""How an agent notices that its process or its machine was paused."""

from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.specs import spec_of

from rendezvous_api.meta import ObjectMeta
from rendezvous_api.rendezvous import Rendezvous
from rendezvous_handler.agent.agent import Agent
from rendezvous_handler.agent.pauses import Pauses


class Clocks:
    """That of the machine, and that of its wall."""

    def __init__(self) -> None:
        self.machine, self.wall = 1000.0, 2.0e9
        self.pauses = Pauses((lambda: self.machine, lambda: self.wall))

    def passed(self, seconds: float, machine: float | None = None) -> bool:
        self.machine += seconds if machine is None else machine
        self.wall += seconds
        return self.pauses.passed(15.0)


def test_a_thread_that_comes_by_often_was_not_paused() -> None:
    clocks = Clocks()
    assert not any(clocks.passed(seconds) for seconds in (100, 0.1, 0.1, 14, 0.1))


@pytest.mark.parametrize("machine", [16.0, 0.0])
def test_a_pause_is_noticed_once_also_by_the_wall_clock_alone(machine: float) -> None:
    clocks = Clocks()
    clocks.passed(0.1)
    assert [clocks.passed(0.1), clocks.passed(16, machine), clocks.passed(0.1)] == [False, True, False]


def test_a_wall_clock_that_is_set_back_is_no_pause() -> None:
    clocks = Clocks()
    clocks.passed(0.1)
    assert not clocks.passed(-3600, machine=0.1)
    assert clocks.passed(16)


def test_who_comes_by_each_half_minute_was_not_paused_each_time() -> None:
    clocks = Clocks()
    clocks.passed(30)
    assert [clocks.passed(30) for _ in range(3)] == [True, False, False]
    assert [clocks.passed(61), clocks.passed(30)] == [True, False]


def test_the_time_between_two_uses_is_no_pause() -> None:
    clocks = Clocks()
    clocks.passed(0.1)
    clocks.pauses.reset()
    assert not clocks.passed(60)


def agent(clocks: Clocks, lists: list[str]) -> Any:
    """One whose watch only notes that it should list."""
    made: Any = Agent.__new__(Agent)
    made._pauses = clocks.pauses
    rendezvous = Rendezvous(ObjectMeta("train"), spec_of(2, 2))
    made.watch = SimpleNamespace(state=SimpleNamespace(rendezvous=rendezvous), list_again=lambda: lists.append("list"))
    return made


def test_after_a_pause_an_agent_lists_again() -> None:
    clocks, lists = Clocks(), list[str]()
    made = agent(clocks, lists)
    for seconds, expected in ((0.1, 0), (0.1, 0), (16, 1), (0.1, 1), (60, 2)):
        clocks.machine += seconds
        made.notice_pause()
        assert len(lists) == expected
    made.watch.state.rendezvous = None
    clocks.machine += 60
    made.notice_pause()
    assert len(lists) == 2


def test_a_heartbeat_that_arrives_again_makes_an_agent_list_again() -> None:
    lists: list[str] = []
    made = agent(Clocks(), lists)
    made._is_over, made._beat_failed = lambda: False, True
    made.watch.state.rendezvous = None
    made.participant = SimpleNamespace(beat=lambda: None, interval_seconds=None, peers_interval_seconds=None)
    made._rare_seconds = lambda: None
    made._beat()
    made._beat()
    assert lists == ["list"]
