"""From what is seen to a `Situation`, or to what must be read first."""

from rendezvous_api import names
from rendezvous_operator.core import silence
from rendezvous_operator.core.agents import see_agent, see_member
from rendezvous_operator.core.run import Run
from rendezvous_operator.core.runs.rules import unread
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.world import Evidence, Memory, Now, Target, World


def observe(now: Now, world: World, memory: Memory) -> Situation | Evidence:
    """Judge what is seen, or name all that must be read before anything follows from it.

    Read are participants before they are called silent, members that no watch has shown, and the pods of those whose
    run decides about an answer.
    """
    agents = {name: see_agent(world, name, seen) for name, seen in world.participants.items()}
    hearing = silence.listen(now, world, memory, agents)
    agents |= {name: agents[name]._replace(silence=silent) for name, silent in hearing.silences.items()}
    entries = {member.name: member for member in world.rendezvous.status.participants}
    asking = tuple(agent for agent in agents.values() if agent.waits(entries.get(agent.name)))
    spec = world.rendezvous.spec
    views = tuple(see_member(member, agents.get(name), spec) for name, member in entries.items())
    run = Run.of(world.rendezvous.status)
    situation = Situation(now, world, agents, asking, views, hearing, run, memory.failed_check_ins)
    unseen = {Target(names.PARTICIPANT_KIND, name) for name in entries if name not in agents} - world.absent
    to_read = hearing.to_read | unseen | unread(situation)
    return Evidence(to_read) if to_read else situation
