"""Everything that is timed. Each fact is stated here and nowhere else; `silence` has the times of heartbeats."""

from collections.abc import Callable, Iterable, Iterator

from rendezvous_operator.core.blocking import blocking, claim_key, claimants
from rendezvous_operator.core.runs import close
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.timers import Fact, Timer, Timers
from rendezvous_operator.core.world import Memory

Facts = Callable[[Situation], Iterator[Fact]]


def _all_silent(s: Situation) -> Iterator[Fact]:
    if s.hearing.all_silent:
        yield Timer.ALL_SILENT, None


def _rounds(s: Situation) -> Iterator[Fact]:
    if not s.status.history:
        return
    last = s.status.history[-1]
    yield Timer.ROUND, last.round
    if (s.run.asked or s.run.called_back) and s.blocking_members:
        # Who is silent cannot know that it was asked: its time begins when it is heard.
        yield Timer.ASKED, last.round
    if last.running and last.checked_in is None and _all_run(s, last.round):
        yield Timer.CHECKED_IN, last.round


def _all_run(s: Situation, number: int) -> bool:
    return all(view.agent is not None and view.agent.claimed_round == number for view in s.members)


def _claimed(s: Situation) -> Iterator[Fact]:
    for agent in claimants(s):
        yield Timer.CLAIMED, claim_key(agent)


def _first_round(s: Situation) -> Iterator[Fact]:
    if s.forms and not s.run.has_round and s.sizes.fitting(len(s.waiting)):
        yield Timer.ENOUGH, s.run.id
        if s.all_known_wait:
            yield Timer.SETTLED, s.who_waits


def _nobody_left(s: Situation) -> Iterator[Fact]:
    if close.nobody_is_left(s):
        yield Timer.NOBODY_LEFT, s.run.id


def _participants(s: Situation) -> Iterator[Fact]:
    for agent in s.agents.values():
        if agent.left is not None:
            yield Timer.LEFT, (agent.name, agent.object.spec.incarnation)
    if not s.agents:
        yield Timer.EMPTY, None


FACTS: tuple[Facts, ...] = (_all_silent, _rounds, _claimed, _first_round, _nobody_left, _participants)
"""All of them; their order means nothing."""


def tick(s: Situation, memory: Memory) -> Timers:
    """Since when each fact that holds now has held. No timer has begun before the floor of the situation."""
    timers = _since(s, memory, [fact for facts in FACTS for fact in facts(s)])
    # One fact rests on the age of others: who was asked for too long keeps nobody from going on. It does not hold while
    # the Rendezvous is closed: nobody could come to replace a lost member.
    drained = s.forms and s.run.has_round and not blocking(s, timers)
    last = [(Timer.DRAINED, s.status.round)] if drained else []
    return _since(s, memory, [*timers.since, *last])


def _since(s: Situation, memory: Memory, facts: Iterable[Fact]) -> Timers:
    now, floor = s.now.monotonic, s.hearing.timers_floor
    return Timers(now, {fact: max(memory.since.get(fact, now), floor) for fact in facts})
