"""Walks through the model: every sequence of a length, or random ones; a counter-example is shrunk and told."""

from collections.abc import Callable, Iterable, Sequence
from random import Random

from tests.model.api_server import KINDS
from tests.model.system import FAILURES, Action, Setup, System

from rendezvous_operator.core.invariants import InvariantError

LONGEST_SETTLING = 400
"""Most actions until nothing is left to do but to wait. A watch that was slow may have any number of events to show."""
_WEIGHTS = {
    "time": 8.0,
    **dict.fromkeys(("starts", "is reached again", "goes on", "meets", "writes again", "reads again", "wakes"), 3.0),
    **dict.fromkeys(("gets a pod", "gets its label back", "resumes", "creates", *FAILURES), 3.0),
    **dict.fromkeys(("beats come again", "can connect again", "says what it knows"), 3.0),
    **dict.fromkeys(("dies", "loses its power", "takes a snapshot", "lists"), 0.5),
    **dict.fromkeys(("is restored", "is restored with a bump"), 0.25),
}
"""How often each kind of disturbance is chosen, where others have 1: what is broken is soon repaired."""
_CALM = dict.fromkeys(("fails", "lists", "is terminated", "succeeds", "asks for a round", "edits", "suspends"), 0.25)
"""The same with a second path: rounds run for so long that it matters what their members say of each other."""


def play(setup: Setup, actions: Iterable[Action]) -> System:
    """The system after these actions."""
    system = System(setup)
    for action in actions:
        system.do(action)
    return system


def settled(system: System) -> list[Action]:
    """Let operators and agents do all that they can, in turn. Returns what was done."""
    done: list[Action] = []
    while (action := next(system.inner(), None)) is not None:
        assert sum(before[0] != "receives" for before in done) < LONGEST_SETTLING, "it never comes to rest"
        system.do(action)
        done.append(action)
    return done


def started(setup: Setup, joining: Sequence[str]) -> list[Action]:
    """The actions by which these nodes come to train in one round, in the usual way."""
    system, actions = System(setup), [("starts", name) for name in joining]
    for action in actions:
        system.do(action)
    done: list[Action] = [*actions]
    for _ in range(8):
        done += settled(system)
        system.do(("time", 1))
        done.append(("time", 1))
    return done


def failure(setup: Setup, actions: Sequence[Action]) -> str | None:
    """What is wrong with these actions; None: nothing."""
    try:
        play(setup, actions)
    except (AssertionError, InvariantError) as error:
        return str(error)
    return None


def shrunk(setup: Setup, actions: Sequence[Action], wrong: Callable[[Sequence[Action]], str | None]) -> list[Action]:
    """As few of these actions as still lead to something wrong."""
    kept = [*actions]
    size = len(kept) // 2
    while size:
        start = 0
        while start < len(kept):
            fewer = [*kept[:start], *kept[start + size :]]
            if wrong(fewer) is not None:
                kept = fewer
            else:
                start += size
        size //= 2
    return kept


def story(setup: Setup, actions: Sequence[Action]) -> str:
    """What happened, in sentences."""
    system = System(setup)
    try:
        for action in actions:
            system.do(action)
    except (AssertionError, InvariantError) as error:
        system.story.append(f"        {error}")
    return "\n".join(system.story)


def walk(setup: Setup, seed: int, steps: int, start: Sequence[Action] = (), *, shrinks: bool = True) -> list[Action]:
    """One random walk. Raises what is wrong, with the shortest story that leads there."""
    chance, system, actions = Random(seed), System(setup), [*start]
    weights = {**_WEIGHTS, **_CALM} if setup.peers else _WEIGHTS
    slow = (chance.randrange(setup.operators), chance.choice(KINDS))
    try:
        for action in start:
            system.do(action)
        for _ in range(steps):
            # Mostly they do what they can; else the walk would only be one of failures. One watch is slow.
            inner = [action for action in system.inner() if action[1:] != slow or chance.random() < 0.05]
            if inner and chance.random() < 0.93:
                action = chance.choice(inner)
            else:
                others = [action for action in system.possible() if action not in inner and action[1:] != slow]
                kinds = sorted({action[0] for action in others})
                (what,) = chance.choices(kinds, [weights.get(kind, 1.0) for kind in kinds])
                action = chance.choice([action for action in others if action[0] == what])
            actions.append(action)
            system.do(action)
    except (AssertionError, InvariantError):
        if not shrinks:
            raise
        short = shrunk(setup, actions, lambda some: failure(setup, some))
        raise AssertionError(f"seed {seed}:\n{story(setup, short)}") from None
    return actions


def every(setup: Setup, start: Sequence[Action], depth: int) -> int:
    """Every sequence of that many actions after the start, equal states once. Returns the number of states."""
    found: set[str] = set()
    level: list[tuple[Action, ...]] = [()]
    for _ in range(depth + 1):
        following: list[tuple[Action, ...]] = []
        for actions in level:
            try:
                system = play(setup, [*start, *actions])
            except (AssertionError, InvariantError):
                short = shrunk(setup, [*start, *actions], lambda some: failure(setup, some))
                raise AssertionError(story(setup, short)) from None
            state = fingerprint(system)
            if state not in found:
                found.add(state)
                following += [(*actions, action) for action in dict.fromkeys(system.possible())]
        level = following
    return len(found)


def fingerprint(system: System) -> str:
    """Equal for systems that go on in the same way."""
    operators = [operator.state() for operator in system.operators]
    agents = [(key, agent.state()) for key, agent in system.processes.items()]
    paths = (system.parted, sorted(system.path.lost), sorted(system.path.barred))
    return repr((system.now, system.server.objects, agents, paths, system.stores.came, operators))
