"""The decision: what the status of a Rendezvous shall be, given what is seen of it.

Read `decide` first: each line of it is a file of its own. A rule is a function in a list (`END_RULES`, `START_RULES`,
`CLOSE_RULES`); a policy is one file with its test and one line in such a list. The names of the rules are those of
``docs/how-it-works.md``.
"""

from rendezvous_operator.core.build import build
from rendezvous_operator.core.end.rules import end_if_due
from rendezvous_operator.core.facts import tick
from rendezvous_operator.core.observe import observe
from rendezvous_operator.core.runs.rules import close_claim_and_refuse
from rendezvous_operator.core.select.select import select
from rendezvous_operator.core.start.rules import may_start
from rendezvous_operator.core.world import Decision, Evidence, Memory, Now, World


def decide(now: Now, world: World, memory: Memory) -> Decision | Evidence:
    """Decide what the status of one Rendezvous shall be, or name what must be read before.

    Pure: the same arguments give the same answer. ``memory`` is that of the last decision on this Rendezvous in this
    process whose status was written, or need not be written at once. An empty one is always safe: it only makes
    everyone wait a full period once more.

    Raises:
        InvariantError: some rule is wrong; see `invariants`.
    """
    if not world.complete:
        return Decision(world.rendezvous.status, memory, "the cluster has not been read completely yet")
    s = observe(now, world, memory)
    if isinstance(s, Evidence):
        return s
    timers = tick(s, memory)
    s = close_claim_and_refuse(s, timers)
    s = end_if_due(s, timers)
    picked = select(s, timers)
    outlook = may_start(s, timers, picked)
    return build(s, timers, picked, outlook)
