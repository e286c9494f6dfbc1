"""Fair schedules: whatever can go on goes on, once a second, while an adversary does what it may.

Operators decide and are answered, agents see and act, a healthy node that is off is started. Each request of an
operator may fail with some probability. So what must happen in the end happens within a bound, or a rule of liveness is
broken.
"""

from collections.abc import Callable, Collection, Iterable
from random import Random

from tests.model.agent import TRAINS
from tests.model.operator import KEY
from tests.model.search import LONGEST_SETTLING
from tests.model.system import FAILURES, Action, System

from rendezvous_api import names

RESTART_SECONDS = 10
"""How often a healthy node that is off is started again."""

Adversary = Callable[[System, Random], Action | None]
"""What it does next; None: nothing."""


def run(
    system: System,
    until: Callable[[System], bool],
    within: int,
    *,
    chance: Random,
    healthy: Collection[str] = (),
    failing: float = 0.0,
    adversary: Adversary = lambda system, chance: None,
) -> int | None:
    """Seconds until that is so; None: it is not, within this time."""
    for seconds in range(within + 1):
        _goes_on(system, chance, failing)
        if until(system):
            return seconds
        for name in healthy if int(system.now) % RESTART_SECONDS == 0 else ():
            if not system.agents[name].alive:
                system.do(("starts", name))
        if (action := adversary(system, chance)) is not None:
            system.do(action)
        system.do(("time", 1))
    return None


def _goes_on(system: System, chance: Random, failing: float) -> None:
    done = 0
    while (action := next(system.inner(), None)) is not None:
        assert done < LONGEST_SETTLING, "it never comes to rest"
        done += action[0] != "receives"
        if action[0] == "answer" and chance.random() < failing:
            action = (chance.choice([*FAILURES]), *action[1:])
        system.do(action)


def repair(system: System, healthy: Iterable[str]) -> None:
    """These nodes, the operators and the Rendezvous are well; no other node is changed."""
    healthy = [*healthy]
    for number, operator in enumerate(system.operators):
        if operator.asleep_since is not None:
            system.do(("wakes", number))
    found = system.server.find(names.RENDEZVOUS_KIND, KEY.name)
    if found is None:
        system.do(("creates",))
    elif found["spec"] != system.spec:
        system.server.change(names.RENDEZVOUS_KIND, KEY.name, spec=system.spec)
    for name in healthy:
        for other in healthy:
            system.do(("meets", name, other))
            system.do(("beats come again", name, other))
        pod = system.server.find(names.POD_KIND, name)
        if pod is not None and pod["metadata"].get("deletionTimestamp"):
            system.do(("loses its pod", name))
        system.do(("says what it knows", name))
        for action in (
            "gets a pod",
            "gets its label back",
            "is reached again",
            "can connect again",
            "goes on",
            "is healthy again",
            "starts",
        ):
            system.do((action, name))


def all_train(system: System, healthy: Collection[str]) -> bool:
    """Whether they all train in one round."""
    agents = [system.agents[name] for name in healthy]
    return all(agent.process == TRAINS for agent in agents) and len({agent.round_key for agent in agents}) == 1


def disturbing(others: Collection[str], every: int, *kinds: str) -> Adversary:
    """Now and then one of the others is disturbed in one of these ways, or recovers."""

    def adversary(system: System, chance: Random) -> Action | None:
        if int(system.now) % every:
            return None
        mine = {*others, *system.ghosts}
        actions = [action for action in system.possible() if action[0] in kinds and not mine.isdisjoint(action[1:])]
        return chance.choice(actions) if actions else None

    return adversary
