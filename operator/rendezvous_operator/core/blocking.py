"""Who may still run an older round, and so keeps the next one from being published (rule "exclusivity")."""

from collections.abc import Hashable, Iterator

from rendezvous_operator.core.agents import Agent, MemberView
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.timers import Timer, Timers


def blocking(s: Situation, timers: Timers) -> tuple[MemberView, ...]:
    """Members of the current round that must come back, leave or die before another one may be published."""
    if members_are_asked(s) and timers.passed(overdue_at(s, timers)):
        return ()
    return s.blocking_members


def claimants(s: Situation) -> Iterator[Agent]:
    """Agents that say that they run a round in which they are not listed, so that they may still train."""
    for agent in s.agents.values():
        if agent.claimed_round and agent.present and not agent.is_admitted_as(s.entries.get(agent.name)):
            yield agent


def claim_key(agent: Agent) -> Hashable:
    """What `Timer.CLAIMED` is kept by: one attempt of one agent."""
    return agent.name, agent.object.spec.incarnation, agent.object.spec.attempt


def blocking_others(s: Situation, timers: Timers) -> list[Agent]:
    """Agents that are no such members and say that they run a round; not those that were told of it too long ago."""
    return [agent for agent in claimants(s) if not timers.passed(claim_overdue_at(s, timers, agent))]


def members_are_asked(s: Situation) -> bool:
    """Whether the members of the current round are asked to come, now or when the next one is formed.

    Those of a run that was closed otherwise are left in peace, and waited for without a limit.
    """
    return s.run.has_round or s.run.called_back


def overdue_at(s: Situation, timers: Timers) -> float:
    """When the members of the current round are waited for no longer (monotonic seconds)."""
    return timers.began(Timer.ASKED, s.status.round) + s.spec.reentry_timeout_seconds


def claim_overdue_at(s: Situation, timers: Timers, agent: Agent) -> float:
    """When one of `claimants` is waited for no longer (monotonic seconds)."""
    return timers.began(Timer.CLAIMED, claim_key(agent)) + s.spec.reentry_timeout_seconds
