"""The second path in fair schedules: the dead are noticed soon, and the living are not lost (docs/model.md)."""

from itertools import chain, combinations
from random import Random
from typing import Any

import pytest
from tests.model import fair
from tests.model.agent import TRAINS
from tests.model.machines import DOWN
from tests.model.operator import KEY
from tests.model.peers import ACCUSES, Member
from tests.model.search import play, started
from tests.model.system import Action, Setup, System

from rendezvous_api import names

CONFIRM = 10
TIMES = (("last_call_seconds", 5), ("replacement_seconds", 5), ("reentry_seconds", 60))
NODES = ("train.a", "train.b", "train.c", "train.d")
HOST, *OTHERS = NODES
SLOW = pytest.mark.slow


def slower(number: int, fast: int) -> list[object]:
    """Seeds; those beyond the first ones are slow."""
    return [pytest.param(seed, marks=[SLOW] if seed >= fast else []) for seed in range(number)]


def running(agents: int = 4, **settings: Any) -> System:
    """A round of all agents runs, and the first one is its host."""
    releases, may = settings.pop("releases", ("this",)), settings.pop("may", frozenset())
    spec = (*TIMES, *settings.items())
    setup = Setup(agents=agents, max_nodes=agents, peers=True, releases=releases, may=may, spec=spec)
    system = play(setup, started(setup, setup.names))
    for _ in range(3):
        fair.run(system, lambda _: False, 0, chance=Random(0))
    assert status(system)["participants"][0]["name"] == HOST
    return system


def status(system: System) -> Any:
    found = system.server.find(names.RENDEZVOUS_KIND, KEY.name)
    assert found is not None
    return found["status"]


def peers_of(system: System, name: str) -> Any:
    found = system.server.find(names.PARTICIPANT_KIND, name)
    assert found is not None
    return found["status"].get("peers")


def notices(system: System) -> bool:
    """Whether the round that ran first is asked to end."""
    return bool(status(system).get("waitingNodes", 0) > 0 or status(system)["round"] > 1)


def goes_on(system: System, seconds: int, *actions: Action, failing: float = 0.0, seed: int = 0) -> None:
    """For some time, with the same actions in turn, one each second, and the round stays."""
    turns = iter(range(seconds + 1))

    def adversary(_: System, __: Random) -> Action | None:
        return actions[next(turns, 0) % len(actions)] if actions else None

    took = fair.run(system, notices, seconds, chance=Random(seed), failing=failing, adversary=adversary)
    assert took is None, "\n".join(system.story[-60:])
    assert status(system).get("restarts", 0) == 0


def test_members_and_host_say_that_they_reach_each_other() -> None:
    system = running()
    fair.run(system, lambda _: False, 10, chance=Random(0))
    report = peers_of(system, HOST)["report"]
    assert {name: report.get(name, "") for name in ("missed", "closed", "left", "notConnected")} == {
        **dict.fromkeys(("missed", "closed", "left", "notConnected"), "")
    }
    assert [peers_of(system, name) for name in OTHERS] == [{"host": "Answers"}] * 3


class TestL5TheDeadAreNoticed:
    """A member of a round whose host lives and writes is noticed when it is dead."""

    @pytest.mark.parametrize("name", [HOST, NODES[2]])
    @pytest.mark.parametrize(
        ("how", "seconds"), [("dies", 5), ("loses its power", CONFIRM + 6), ("is paused", CONFIRM + 6)]
    )
    def test_soon(self, name: str, how: str, seconds: int) -> None:
        system = running()
        system.do((how, name))
        took = fair.run(system, notices, 60, chance=Random(0))
        assert took is not None, "\n".join(system.story[-60:])
        assert took <= seconds

    @pytest.mark.parametrize("seed", slower(6, 1))
    @pytest.mark.parametrize("name", [HOST, NODES[2]])
    @pytest.mark.parametrize("how", ["dies", "loses its power"])
    def test_while_requests_fail(self, name: str, how: str, seed: int) -> None:
        system = running()
        system.do((how, name))
        took = fair.run(system, notices, 2 * CONFIRM + 20, chance=Random(seed), failing=0.45)
        assert took is not None, "\n".join(system.story[-60:])

    def test_two_of_three_at_once_while_heartbeats_are_rare(self) -> None:
        system = running(3, heartbeat_interval_seconds=60, suspect_seconds=300)
        for name in OTHERS[:2]:
            system.do(("loses its power", name))
        took = fair.run(system, notices, 60, chance=Random(0))
        assert took is not None, "\n".join(system.story[-60:])
        assert took <= CONFIRM + 6

    def test_while_the_host_does_not_reach_the_api_server(self) -> None:
        """Another member passes its report on."""
        system = running()
        system.do(("cannot write", HOST))
        goes_on(system, 60)
        system.do(("loses its power", NODES[3]))
        took = fair.run(system, notices, 60, chance=Random(0))
        assert took is not None, "\n".join(system.story[-60:])
        assert took <= CONFIRM + 12


SETS = [*chain.from_iterable(combinations(NODES, number) for number in (1, 2, 3, 4))]
SOME_SETS = [(HOST,), NODES[1:3], NODES[:3], NODES]
WAYS = [[(HOST, "x")], [("x", HOST)], [(HOST, "x"), ("x", HOST)]]
"""On which nothing of the second path comes to its end; x is another member than the host."""
WAYS_IDS = ["to them", "from them", "both"]


def loses_beats(system: System, ways: list[tuple[str, str]], name: str) -> None:
    """Nothing comes to its end on these ways between the host and that member."""
    for one, other in ways:
        system.do(("beats are lost", one.replace("x", name), other.replace("x", name)))


class TestTheLivingAreNotLost:
    """Whose heartbeats arrive, or whose beats arrive at a host whose heartbeats arrive; and who trains on with it."""

    @pytest.mark.parametrize(
        ("cut", "seconds"),
        [
            *((cut, 100) for cut in SOME_SETS),
            *(pytest.param(cut, 1800, marks=SLOW) for cut in SETS),
        ],
        ids=lambda value: "".join(name[-1] for name in value) if isinstance(value, tuple) else value,
    )
    def test_any_set_of_members_without_a_way_to_the_api_server(self, cut: tuple[str, ...], seconds: int) -> None:
        system = running(suspect_seconds=30)
        for name in cut:
            system.do(("is cut off", name))
        goes_on(system, seconds, failing=0.1)
        for name in cut:
            system.do(("is reached again", name))
        goes_on(system, 60, failing=0.1)

    def test_a_host_that_is_stopped_again_and_again(self) -> None:
        stops = [("is paused", HOST), None, None, ("goes on", HOST), None]
        goes_on(running(), 100, *[stop or ("meets", HOST, NODES[1]) for stop in stops])

    def test_a_member_that_is_cut_off_while_its_host_is_stopped_again_and_again(self) -> None:
        system = running(suspect_seconds=30)
        system.do(("is cut off", NODES[1]))
        stops = [("is paused", HOST), None, None, ("goes on", HOST), None]
        goes_on(system, 100, *[stop or ("meets", HOST, NODES[1]) for stop in stops])

    @pytest.mark.parametrize("seed", slower(6, 1))
    def test_beats_that_are_lost_now_and_then(self, seed: int) -> None:
        """A fifth of the seconds in each direction, with a heartbeat that would be too rare to contradict."""
        system, chance = running(heartbeat_interval_seconds=30, suspect_seconds=120), Random(seed)
        for _ in range(300):
            for one, other in ((HOST, NODES[1]), (NODES[1], HOST)):
                system.do(("beats are lost" if chance.random() < 0.2 else "beats come again", one, other))
            goes_on(system, 0)
            system.do(("time", 1))

    @pytest.mark.parametrize("interval", [pytest.param(5, marks=SLOW), 60])
    @pytest.mark.parametrize("ways", WAYS, ids=WAYS_IDS)
    def test_the_ways_between_the_host_and_all_others_break(self, ways: list[tuple[str, str]], interval: int) -> None:
        """All reach the API server."""
        system = running(heartbeat_interval_seconds=interval, suspect_seconds=300)
        for name in OTHERS:
            loses_beats(system, ways, name)
        goes_on(system, 100, failing=0.1)
        system.do(("fails", NODES[1]))
        took = fair.run(system, lambda system: status(system)["round"] > 1, 60, chance=Random(0))
        assert took is not None
        assert status(system)["participants"][0]["name"] != HOST
        assert status(system).get("heldOut", []) == []

    @pytest.mark.parametrize("interval", [pytest.param(5, marks=SLOW), 60])
    @pytest.mark.parametrize("name", [NODES[1], NODES[3]])
    @pytest.mark.parametrize("ways", WAYS, ids=WAYS_IDS)
    def test_a_host_that_reaches_neither_the_api_server_nor_one_of_the_others(
        self, ways: list[tuple[str, str]], name: str, interval: int
    ) -> None:
        """The others get answers from it, and it is one of them that says so to the API server."""
        system = running(heartbeat_interval_seconds=interval, suspect_seconds=300)
        system.do(("is cut off", HOST))
        loses_beats(system, ways, name)
        goes_on(system, 100, failing=0.1)

    @pytest.mark.parametrize("name", [NODES[1], NODES[3]])
    @pytest.mark.parametrize("ways", WAYS, ids=WAYS_IDS)
    def test_a_host_that_one_of_the_others_does_not_reach_while_there_is_little_time_to_confirm(
        self, ways: list[tuple[str, str]], name: str
    ) -> None:
        system = running(heartbeat_interval_seconds=60, suspect_seconds=300, confirm_seconds=3)
        loses_beats(system, ways, name)
        goes_on(system, 100)

    @pytest.mark.parametrize("interval", [pytest.param(5, marks=SLOW), 60])
    def test_a_member_that_can_open_no_connection(self, interval: int) -> None:
        system = running(heartbeat_interval_seconds=interval, suspect_seconds=300)
        system.do(("loses its connections", NODES[1]))
        goes_on(system, 100, failing=0.1)

    @pytest.mark.parametrize("interval", [pytest.param(5, marks=SLOW), 60])
    @pytest.mark.parametrize("name", [HOST, NODES[1]])
    def test_a_sick_agent_that_accuses_all(self, name: str, interval: int) -> None:
        system = running(heartbeat_interval_seconds=interval, suspect_seconds=300)
        system.do((ACCUSES, name))
        goes_on(system, 100, failing=0.1)

    def test_members_of_an_older_release(self) -> None:
        system = running(releases=("this", "older", "older", "this"))
        assert isinstance(system.agents[NODES[3]].peers, Member)
        assert system.agents[NODES[1]].peers is None
        goes_on(system, 100, failing=0.1)


class TestMachines:
    """Where the operator may read them, and there is no second path."""

    @pytest.mark.parametrize("failing", [0.0, pytest.param(0.3, marks=SLOW)])
    def test_a_member_whose_machine_is_reported_as_down_is_noticed_sooner(self, failing: float) -> None:
        system = running(may=frozenset({"machines"}), releases=("older",))
        system.do(("loses its power", NODES[1]))
        fair.run(system, notices, 40, chance=Random(0), failing=failing)
        system.do((DOWN, NODES[1]))
        took = fair.run(system, notices, 60, chance=Random(0), failing=failing)
        assert took is not None, "\n".join(system.story[-60:])
        assert took <= CONFIRM + 6 + (20 if failing else 0)

    @pytest.mark.parametrize("interval", [5, 30])
    def test_members_that_live_are_not_lost_with_their_machines(self, interval: int) -> None:
        system = running(
            may=frozenset({"machines"}), releases=("older",), heartbeat_interval_seconds=interval, suspect_seconds=300
        )
        for name in NODES:
            system.do((DOWN, name))
        goes_on(system, 100, failing=0.1)

    def test_nor_those_that_their_peers_hear(self) -> None:
        system = running(may=frozenset({"machines"}))
        for name in NODES[1:]:
            system.do((DOWN, name))
            system.do(("is cut off", name))
        goes_on(system, 100)


@pytest.mark.parametrize("release", ["older", "this"])
def test_a_host_of_an_older_release(release: str) -> None:
    """There is no second path, and nothing follows from that."""
    system = running(releases=("older", release, release, release))
    goes_on(system, 60)
    assert {agent.process for agent in system.agents.values()} == {TRAINS}
    system.do(("loses its power", NODES[1]))
    took = fair.run(system, notices, 300, chance=Random(0))
    assert took is not None
    assert took >= 100
