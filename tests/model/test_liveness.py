"""The rules of liveness hold in fair schedules, each under its adversary (docs/model.md)."""

from random import Random

import pytest
from tests.model import fair
from tests.model.agent import OFF, STOPS, TRAINS, WAITS
from tests.model.machines import DOWN
from tests.model.operator import KEY
from tests.model.search import play, started, walk
from tests.model.system import Setup, System
from tests.model.users import GRACE_SECONDS

from rendezvous_api import names

USUAL = frozenset({"lags", "fails"})
TIMES = (("last_call_seconds", 5), ("replacement_seconds", 5), ("reentry_seconds", 60), ("suspect_seconds", 60))
DISTURBANCES = (
    *("dies", "starts", "is cut off", "is reached again", "is paused", "goes on", "loses its pod", "gets a pod"),
    *("loses its label", "gets its label back", "is evicted", "is terminated", "cannot write", "writes again"),
    *("cannot read", "reads again", "loses its pod, but lives on", "loses sight", "meets"),
)
OF_PEERS = (
    *("loses its power", "beats are lost", "beats come again", "loses its connections", "can connect again"),
    *("accuses all others", "says what it knows"),
)
ALL = frozenset({"cuts", "splits", "parts", "pauses", "labels", "pods", "evicts", "forces", "ends"})
PEERS = frozenset({"deafens", "powers", "bars", "lies"})
SLOW = pytest.mark.slow


def slower(number: int, fast: int) -> list[object]:
    """Seeds; those beyond the first ones are slow."""
    return [pytest.param(seed, marks=[SLOW] if seed >= fast else []) for seed in range(number)]


def the_first_two_train_again_and_again(setup: Setup, seed: int, *disturbances: str) -> None:
    """After any walk they are repaired, and train within 400 s, three times, while the others are disturbed."""
    system = play(setup, walk(setup, seed, 250, started(setup, setup.names)))
    healthy, others = setup.names[:2], setup.names[2:]
    fair.repair(system, healthy)
    adversary, chance = fair.disturbing(others, 20, *disturbances), Random(seed)
    for _ in range(3):
        took = fair.run(
            system,
            lambda system: fair.all_train(system, healthy),
            400,
            chance=chance,
            healthy=healthy,
            failing=0.1,
            adversary=adversary,
        )
        assert took is not None, "\n".join(system.story[-80:])
        fair.run(system, lambda _: False, 30, chance=chance, healthy=healthy, adversary=adversary)


@pytest.mark.parametrize("peers", [False, True], ids=["alone", "peers"])
@pytest.mark.parametrize("seed", slower(12, 3))
def test_l1_healthy_nodes_train_again_and_again_whatever_the_others_do(seed: int, peers: bool) -> None:
    setup = Setup(
        agents=5,
        min_nodes=2,
        max_nodes=3,
        may=USUAL | ALL - {"ends"} | (PEERS if peers else frozenset()),
        peers=peers,
        spec=(*TIMES, ("isolated_round_seconds", 60)),
    )
    the_first_two_train_again_and_again(setup, seed, *DISTURBANCES, *(OF_PEERS if peers else ()))


@pytest.mark.parametrize("mode", ["Together", "Escalate"])
@pytest.mark.parametrize("seed", slower(6, 1))
def test_l1_a_whole_rack_trains_again_and_again_whatever_the_nodes_of_others_do(seed: int, mode: str) -> None:
    settings: dict[str, int | str] = {**dict(TIMES), "isolated_round_seconds": 60, "group_mode": mode}
    settings |= {"escalation_seconds": 60} if mode == "Escalate" else {}
    setup = Setup(agents=6, max_nodes=4, groups=2, may=USUAL | ALL - {"ends"}, spec=tuple(settings.items()))
    the_first_two_train_again_and_again(setup, seed, *DISTURBANCES)


@pytest.mark.parametrize("seed", slower(6, 1))
def test_l1_the_others_train_on_beside_a_node_that_meets_nobody(seed: int) -> None:
    setup = Setup(agents=4, min_nodes=2, max_nodes=4, spec=TIMES)
    *others, alone = setup.names
    system = play(setup, started(setup, others))
    for name in others:
        system.do(("loses sight", name, alone))
    chance, trained = Random(seed), 0
    for _ in range(1200):
        fair.run(system, lambda _: False, 0, chance=chance, healthy=setup.names, failing=0.1)
        trained += fair.all_train(system, others)
    found = system.server.find(names.RENDEZVOUS_KIND, KEY.name)
    assert found is not None
    status = found["status"]
    assert trained > 900, "\n".join(system.story[-80:])
    assert [entry["name"] for entry in status["heldOut"]] == [alone]
    assert status.get("restarts", 0) == 0, "what that node does costs the others no restart"


def running(agents: int, joining: int, seed: int, **settings: int) -> System:
    """A round of the first nodes runs."""
    spec = tuple({**dict(TIMES), **settings}.items())
    setup = Setup(agents=agents, max_nodes=max(2, joining), spec=spec)
    return play(setup, started(setup, setup.names[:joining]))


@pytest.mark.parametrize("down", [True, False])
def test_others_train_when_the_pods_of_an_isolated_round_ought_to_have_ended(down: bool) -> None:
    """Where their machines are well, the kubelets would say so, and the time to join again has to pass."""
    setup = Setup(agents=4, may=USUAL | {"machines", "evicts", "cuts"}, spec=(*TIMES[:2], ("reentry_seconds", 300)))
    system = play(setup, started(setup, setup.names[:2]))
    healthy = setup.names[2:]
    for name in setup.names[:2]:
        system.do(("is cut off", name))
        if down:
            system.do((DOWN, name))
    fair.run(system, lambda _: False, 60, chance=Random(1), healthy=healthy)
    for name in setup.names[:2]:
        system.do(("is evicted", name))
    took = fair.run(system, lambda system: fair.all_train(system, healthy), 400, chance=Random(1), healthy=healthy)
    assert took is not None
    assert took < GRACE_SECONDS + SOON if down else took >= 300


SOON = 20
"""Seconds in which a request is carried out at last, beside twice the time of a timer."""


@pytest.mark.parametrize("seed", slower(20, 3))
class TestL2:
    """A timer fires within twice its time while each request fails with a probability of 0.45."""

    def takes(self, system: System, until: object, seconds: int, seed: int) -> None:
        assert callable(until)
        took = fair.run(system, until, 2 * seconds + SOON, chance=Random(seed), failing=0.45)
        assert took is not None, "\n".join(system.story[-60:])

    def test_last_call(self, seed: int) -> None:
        setup = Setup(agents=3, max_nodes=3, spec=(("last_call_seconds", 30),))
        system = System(setup)
        system.do(("starts", "train.a"))
        system.do(("starts", "train.b"))
        self.takes(system, lambda system: fair.all_train(system, setup.names[:2]), 30, seed)

    def test_suspect_and_replacement(self, seed: int) -> None:
        system = running(4, 3, seed, replacement_seconds=30)
        system.do(("is cut off", "train.a"))
        others = ["train.b", "train.c"]
        lost = system.agents["train.b"].round_key
        self.takes(
            system,
            lambda system: fair.all_train(system, others) and system.agents["train.b"].round_key != lost,
            60 + 30,
            seed,
        )

    def test_reentry(self, seed: int) -> None:
        system = running(3, 2, seed)
        system.do(("asks for a round",))
        vars(system.agents["train.a"])["acts"] = lambda _: None  # its workers do not stop
        system.do(("starts", "train.c"))
        others = ["train.b", "train.c"]
        self.takes(system, lambda system: fair.all_train(system, others), 60, seed)


@pytest.mark.parametrize("peers", [False, True], ids=["alone", "peers"])
@pytest.mark.parametrize("how", ["loses its pod", "dies", "is cut off"])
@pytest.mark.parametrize("seed", slower(12, 1))
def test_l3_a_run_of_which_no_node_is_present_frees_the_object(seed: int, how: str, peers: bool) -> None:
    """Known pods keep the object for their run, so those of this one are gone, or have lost their label."""
    setup = Setup(
        agents=5,
        runs=("run", "run", "other", "other", "other"),
        may=USUAL | {"pods", "cuts"},
        peers=peers,
        spec=(*TIMES, ("isolated_round_seconds", 60)),
    )
    system = play(setup, walk(setup, seed, 250, started(setup, setup.names)))
    healthy = setup.names[2:]
    for name in setup.names[:2]:
        system.do(("loses its label", name))
        system.do((how, name))
    fair.repair(system, healthy)

    def two_train(system: System) -> bool:
        return sum(system.agents[name].process == TRAINS for name in healthy) >= 2

    took = fair.run(system, two_train, 400, chance=Random(seed), healthy=healthy, failing=0.1)
    assert took is not None, "\n".join(system.story[-80:])


class TestL4:
    """An agent that is asked to wait does not run out of time; one that is not does."""

    JOIN = 60

    def waits_on(self, system: System, name: str) -> bool:
        fair.run(system, lambda _: False, 3 * self.JOIN, chance=Random(1))
        return system.agents[name].process in (WAITS, TRAINS, STOPS)

    def test_spares(self) -> None:
        system = running(3, 2, 0, join_seconds=self.JOIN)
        system.do(("starts", "train.c"))
        assert self.waits_on(system, "train.c")

    def test_a_suspended_group(self) -> None:
        system = running(2, 2, 0, join_seconds=self.JOIN)
        system.do(("suspends",))
        assert self.waits_on(system, "train.a")
        assert self.waits_on(system, "train.b")
        system.do(("resumes",))
        took = fair.run(system, lambda system: fair.all_train(system, system.setup.names), 60, chance=Random(1))
        assert took is not None

    def test_a_node_that_waits_for_others_gives_up(self) -> None:
        system = System(Setup(agents=2, spec=(("join_seconds", self.JOIN),)))
        system.do(("starts", "train.a"))
        assert not self.waits_on(system, "train.a")
        assert system.agents["train.a"].process == OFF
