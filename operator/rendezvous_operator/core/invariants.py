"""What no status may ever say, checked before each write, in production too (as Patroni's ``check_invariants``).

The rules are made so that none of this can happen. Should one of them be wrong, nothing is written, those who train go
on, and the log says what was wrong.
"""

from rendezvous_api import names
from rendezvous_api.rendezvous import RendezvousStatus
from rendezvous_operator.core.agents import Agent
from rendezvous_operator.core.blocking import claim_key
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.timers import Timer, Timers


class InvariantError(Exception):
    """A status was decided that must not be written: a defect of the operator."""


def check(s: Situation, timers: Timers, after: RendezvousStatus) -> None:
    """Compare the status that was decided with the one before.

    Raises:
        InvariantError: it breaks a rule; the message says which.
    """
    before = s.status
    _expect(after.nodes == len(after.participants), "`nodes` is not the number of members")
    _expect(len(after.refused) <= names.MAX_REFUSED, "too many are refused")
    _expect(not any(record.running for record in after.history[:-1]), "a former round runs")
    if after.round == before.round:
        same = (after.participants, after.store) == (before.participants, before.store)
        _expect(same, "a published round has changed")
    else:
        _check_published(s, timers, after)


def _check_published(s: Situation, timers: Timers, after: RendezvousStatus) -> None:
    _expect(after.round == s.status.round + 1, f"round {after.round} follows round {s.status.round}")
    _expect(after.store is not None and after.run_id is not None, "a round has no store or no run")
    _expect(after.nodes in s.sizes.allowed, f"a round has {after.nodes} nodes")
    ranks = [member.rank for member in after.participants]
    _expect(ranks == list(range(after.nodes)), "ranks are not 0 to n-1 in order")
    members = {member.name: member for member in after.participants}
    _expect(len(members) == after.nodes, "a node is listed twice")
    _expect(members.keys().isdisjoint(refusal.name for refusal in after.refused), "a refused node is a member")
    _expect(members.keys().isdisjoint(after.spares), "a spare is a member")
    for name, member in members.items():
        agent = s.agents.get(name)
        _expect(agent is not None and agent.is_admitted_as(member), f"{name} has not asked for this round")
    for agent in s.agents.values():
        _expect(agent.name in members or not _may_train(s, timers, agent), f"{agent.name} may still train beside it")


def _may_train(s: Situation, timers: Timers, agent: Agent) -> bool:
    """Whether an agent that is heard may run an older round, and was not asked for too long to stop.

    On purpose not the functions of `blocking`: should they be wrong, this is what notices it.
    """
    if not agent.present:
        return False
    limit = s.spec.reentry_timeout_seconds
    if agent.is_admitted_as(s.entries.get(agent.name)):
        return not timers.passed(timers.began(Timer.ASKED, s.status.round) + limit)
    return agent.claimed_round > 0 and not timers.passed(timers.began(Timer.CLAIMED, claim_key(agent)) + limit)


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise InvariantError(otherwise)
