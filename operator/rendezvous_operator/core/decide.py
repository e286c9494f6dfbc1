"""The decision: the next status of a Rendezvous, from what is seen of it.

Read `decide` first: each of its lines is a step with a file or folder of its own. A rule is a function in a list
(`END_RULES`, `START_RULES`, `CLOSE_RULES`). A policy is one file, its test, and one line in such a list. The rules have
the names of ``docs/how-it-works.md``.
"""

from rendezvous_operator.core import suspects
from rendezvous_operator.core.build import build
from rendezvous_operator.core.end.rules import end_if_due, find_fault
from rendezvous_operator.core.facts import tick
from rendezvous_operator.core.observe import observe
from rendezvous_operator.core.outdated import delete_if_outdated
from rendezvous_operator.core.runs.rules import close_claim_and_refuse
from rendezvous_operator.core.select.held_out import renew_hold_outs
from rendezvous_operator.core.select.select import select
from rendezvous_operator.core.start.rules import may_start
from rendezvous_operator.core.world import Decision, Evidence, Memory, Now, World


def decide(now: Now, world: World, memory: Memory) -> Decision | Evidence:
    """Decide on the next status of one Rendezvous, or name the objects that must be read before.

    Pure: the same arguments give the same answer.

    Args:
        now: the time.
        world: what is seen.
        memory: of this process's last decision on this Rendezvous that was adopted (see `Memory`). An empty one is
            always safe: every wait then starts again.

    Raises:
        InvariantError: a rule is wrong; see `invariants`.
    """
    if not world.complete:
        return Decision(world.rendezvous.status, memory, "not all objects have been listed yet")
    s = observe(now, world, memory)
    if isinstance(s, Evidence):
        return s
    outdated = delete_if_outdated(s, memory)
    if outdated is not None:
        return outdated
    timers = tick(s, memory)
    s = close_claim_and_refuse(s, timers)
    s = renew_hold_outs(s, timers)
    s = end_if_due(s, timers)
    s = find_fault(s, timers)
    s, told = suspects.tell(s, memory)
    picked = select(s, timers)
    outlook = may_start(s, timers, picked)
    return build(s, timers, picked, outlook, told)
