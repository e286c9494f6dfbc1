"""Rules "liveness" and "outages": the path of all nodes breaks, and none of them dies."""

from random import Random

import pytest
from tests.unit.core.worlds import Scenario

from rendezvous_api.reasons import AttemptReason, RefusalReason

OTHERS_COME_UNTIL = 200
HOUR = 3600


class Breaking(Scenario):
    """The path of all breaks again and again. In a break single heartbeats arrive, and nodes of another run."""

    def __init__(self, chance: Random) -> None:
        super().__init__(2, 4)
        self.chance = chance
        self.nodes = list("abcd")[: chance.choice((2, 3, 4))]
        self.story: list[str] = []
        self.broken = False
        self.join(*self.nodes)
        self.after(100)

    def settle(self) -> None:
        """Several writes may follow from what has changed: the members of another run are refused."""
        for _ in range(5):
            if not self._turn():
                break
        self._beat()

    def step(self, number: int) -> None:
        """Something happens, and then some time passes."""
        kind = self.chance.random()
        if not self.broken:
            self.broken, what = True, "the path breaks"
            self.silent(*self.nodes)
        elif kind < 0.5:
            who = self.chance.sample(self.nodes, self.chance.randint(1, len(self.nodes)))
            what = f"heartbeats of {who} arrive"
            self.beat(*who)
            self.silent(*self.nodes)
        elif kind < 0.7:
            what = "a node of another run comes and goes"
            self.join(f"x{number}", run="other")
            self.leave(f"x{number}")
        else:
            self.broken, what = False, "the path is back"
            self.beat(*self.nodes)
        seconds = self.chance.choice((1, 4, 14, 16, 60, 200))
        self.after(seconds)
        self.story.append(f"{what}, {seconds} s pass")


@pytest.mark.parametrize("block", range(2))
def test_no_round_ends_and_no_run_is_closed_by_breaks_of_the_path_of_all(block: int) -> None:
    for seed in range(60 * block, 60 * (block + 1)):
        scenario = Breaking(Random(seed))
        for number in range(8):
            scenario.step(number)
        scenario.beat(*scenario.nodes)
        scenario.after(5)
        assert (scenario.closed_runs, scenario.ended_because) == ({}, None), (seed, scenario.story)


def broken(*, pods: bool = False, nodes: str = "abc", **spec: int) -> Scenario:
    """A round runs, and the path of its members breaks."""
    scenario = Scenario(2, len(nodes), **spec)
    if pods:
        scenario.pod(*nodes, phase="Running")
        scenario.join_from_pods(*nodes)
    else:
        scenario.join(*nodes)
    scenario.after(100)
    assert scenario.group == [*nodes]
    scenario.silent(*nodes)
    return scenario


@pytest.mark.parametrize("pods", [False, True])
@pytest.mark.parametrize("leaves", [False, True])
@pytest.mark.parametrize("seconds", [100, 130, 500])
def test_who_comes_in_an_outage_does_not_shorten_the_time_after_it(seconds: int, leaves: bool, pods: bool) -> None:
    scenario = broken(pods=pods)
    scenario.after(OTHERS_COME_UNTIL)
    scenario.join("x", run="other")
    assert scenario.refused == {"x": RefusalReason.OTHER_RUN_ACTIVE}
    if leaves:
        scenario.leave("x")
    scenario.after(seconds)
    for name in scenario.group:
        scenario.beat(name)
        assert scenario.ended_because is None
        scenario.after(1)
    scenario.after(300)
    assert scenario.ended_because is None


def test_times_in_which_a_round_was_cut_off_add_up_also_after_all_were_silent() -> None:
    scenario = broken()
    scenario.after(OTHERS_COME_UNTIL)
    scenario.join("x", run="other")
    for _ in range(3):
        scenario.after(100)
        scenario.beat("a")
        scenario.silent("a")
    scenario.after(100)
    assert scenario.ended_because is None
    scenario.beat("a", "b", "c")
    scenario.after(300)
    assert scenario.ended_because is None


@pytest.mark.parametrize("pods", [False, True])
def test_a_last_word_in_an_outage_loses_none_of_the_others(pods: bool) -> None:
    scenario = broken(nodes="abcd", pods=pods)
    scenario.after(60)
    scenario.beat("a")
    scenario.leave("a")
    assert scenario.ended_because == "MemberFailed"
    scenario.after(5 * HOUR)
    assert scenario.closed_runs == {}
    assert "b was lost" not in scenario.explanation
    scenario.beat("b", "c", "d")
    scenario.reenter("b", "c", "d", reason=AttemptReason.WORKER_FAILURE)
    scenario.after(700)
    assert (scenario.status.round, set(scenario.group), scenario.refused) == (2, {"b", "c", "d"}, {})


def test_nor_does_one_that_is_noticed_later_than_it_was_sent() -> None:
    scenario = broken(nodes="abcd")
    scenario.after(60)
    scenario.cut_off.discard("a")
    scenario._beat()
    scenario.silent("a")
    scenario.clock += 1
    scenario.settle()
    scenario.gone("a")
    scenario.after(700)
    assert "b was lost" not in scenario.explanation


def test_nor_does_one_after_two_breaks() -> None:
    scenario = broken()
    scenario.after(20)
    scenario.beat("a")
    scenario.after(2)
    scenario.silent("a")
    scenario.after(15)
    scenario.beat("a")
    scenario.leave("a")
    scenario.after(5 * HOUR)
    assert scenario.closed_runs == {}


def test_a_last_word_after_another_run_came_loses_none_of_the_others() -> None:
    scenario = broken(nodes="abcd")
    scenario.after(60)
    scenario.join("x", run="other")
    scenario.leave("x")
    scenario.after(60)
    scenario.leave("a")
    scenario.after(5 * HOUR)
    assert scenario.closed_runs == {}
    assert "b was lost" not in scenario.explanation


def test_silence_alone_closes_no_run_before_the_object_of_the_silent_node_is_deleted() -> None:
    """Only one node is left, and it is silent: its path may be broken, or it is gone."""
    scenario = broken(nodes="ab")
    began = scenario.clock
    scenario.after(1)
    scenario.leave("a")
    scenario.after(began + HOUR - 2 - scenario.clock)
    assert scenario.closed_runs == {}
    scenario.after(3)
    assert scenario.closed_runs == {"run": "RunFailed"}


def test_nor_when_another_run_has_come_and_gone() -> None:
    scenario = broken(nodes="abc")
    scenario.after(60)
    scenario.leave("a")
    scenario.after(40)
    scenario.settle()
    scenario.join("x", run="other")
    scenario.leave("x")
    scenario.after(HOUR - 50)
    assert scenario.closed_runs == {}
    assert "b was lost" in scenario.explanation
    scenario.beat("b", "c")
    scenario.reenter("b", "c", reason=AttemptReason.WORKER_FAILURE)
    scenario.after(700)
    assert set(scenario.group) == {"b", "c"}


def test_a_node_of_another_run_that_is_cut_off_soon_is_no_sign_that_the_path_is_whole() -> None:
    scenario = Scenario(3, 3)
    scenario.join("a", "b")
    scenario.silent("a", "b")
    scenario.at(100)
    scenario.join("x", run="other")
    scenario.silent("x")
    scenario.after(60)
    assert "2 of at least 3 nodes" in scenario.explanation
