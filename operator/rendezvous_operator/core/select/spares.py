"""Rule "spares": who joined beyond the largest allowed size waits without a time limit, in the order of the list."""

from collections.abc import Sequence

from rendezvous_operator.core.agents import Agent
from rendezvous_operator.core.situation import Situation


def while_running(queue: Sequence[Agent], taken_in: int) -> tuple[str, ...]:
    """All who wait, as soon as the round could not be ended for all of them.

    As in `while_forming`, the list decides about the order of the queue: were only those listed who have no place, they
    would have one at the next look, before those who are not listed.

    Args:
        queue: those who wait, in order.
        taken_in: for how many of them the round will be ended.
    """
    return names_of(queue) if taken_in < len(queue) else ()


def while_forming(s: Situation, queue: Sequence[Agent], still_to_come: int) -> tuple[str, ...]:
    """Who has no place for certain in the round that is being formed.

    In a later round this list decides about the order of the queue, so it may not in turn follow from who would get
    a place now: those listed and those not would change places with every look.

    Args:
        s: the situation.
        queue: those who wait, in order.
        still_to_come: members of the current round that may still join again.
    """
    if not s.run.has_round:
        return names_of(queue[s.sizes.most :])
    expected = len(queue) + still_to_come
    size = s.sizes.fitting(expected)
    if size in (0, expected):
        return ()
    return tuple(agent.name for agent in queue if agent.name not in s.entries)


def of_a_closed_run(s: Situation) -> tuple[str, ...]:
    """The spares of a closed run until they have left: a node that is started after that has not waited for it."""
    return tuple(name for name in s.run.spares if name in s.agents and s.agents[name].left is None)


def names_of(agents: Sequence[Agent]) -> tuple[str, ...]:
    """The names of agents, in their order."""
    return tuple(agent.name for agent in agents)
