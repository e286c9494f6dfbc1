"""The decision: the next status of a Rendezvous, from what is seen of it.

Read `steps` first: each of its lines is a step with a file or folder of its own. A rule is a function in a list
(`END_RULES`, `START_RULES`, `CLOSE_RULES`). A policy is one file, its test, and one line in such a list. The rules have
the names of ``docs/how-it-works.md``.
"""

from typing import NamedTuple

from rendezvous_operator.core import suspects, unhealthy
from rendezvous_operator.core.build import build
from rendezvous_operator.core.end.rules import end_if_due, find_fault
from rendezvous_operator.core.facts import tick
from rendezvous_operator.core.observe import observe
from rendezvous_operator.core.outdated import delete_if_outdated
from rendezvous_operator.core.runs.rules import close_claim_and_refuse
from rendezvous_operator.core.select import passed_over
from rendezvous_operator.core.select.held_out import renew_hold_outs
from rendezvous_operator.core.select.select import select
from rendezvous_operator.core.select.selection import Selection
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.start.rules import may_start
from rendezvous_operator.core.timers import Timers
from rendezvous_operator.core.verdict import Outlook
from rendezvous_operator.core.world import Decision, Evidence, Memory, Now, Told, World


class Steps(NamedTuple):
    """What the steps of one decision have found, in their order."""

    observed: Situation
    """Before all of them."""
    timers: Timers
    claimed: Situation
    """After a run was closed, has claimed the Rendezvous, or was refused, and hold-outs have ended."""
    situation: Situation
    """After all of them."""
    told: Told
    picked: Selection
    outlook: Outlook | None


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
    found = steps(now, world, memory)
    if not isinstance(found, Steps):
        return found
    return build(found.situation, found.timers, found.picked, found.outlook, found.told)


def steps(now: Now, world: World, memory: Memory) -> Steps | Decision | Evidence:
    """What the steps of a decision find, of which `build` makes it; or the decision, where it needs none of them."""
    if not world.complete:
        return Decision(world.rendezvous.status, memory, "not all objects have been listed yet")
    observed = observe(now, world, memory)
    if isinstance(observed, Evidence):
        return observed
    s = observed
    outdated = delete_if_outdated(s, memory)
    if outdated is not None:
        return outdated
    timers = tick(s, memory)
    s = close_claim_and_refuse(s, timers)
    s = renew_hold_outs(s, timers)
    claimed = s
    s = end_if_due(s, timers)
    s = find_fault(s, timers)
    s, told = suspects.tell(s, memory)
    s = unhealthy.tell(s)
    picked = select(s, timers)
    s = passed_over.tell(s, picked)
    outlook = may_start(s, timers, picked)
    return Steps(observed, timers, claimed, s, told, picked, outlook)
