"""Rule "bad machines": a node with a mark is kept out of rounds, and never ends one.

`marks` has the marks. A newcomer or a spare with a mark waits until the mark is gone, also where the others are too
few: then the status says which marks keep whom out, and the run ends for that only where ``nodes.tooFewSeconds`` says
so. A member whose machine gets a mark goes on, and is kept out of the next round, too. On a machine that is only
cordoned it stays a member, unless another node waits for its place.
"""

from collections.abc import Iterator, Mapping

from rendezvous_api.reasons import ClosedReason
from rendezvous_api.rendezvous import PassedOver
from rendezvous_operator.core.machines import LOOK_AGAIN_SECONDS
from rendezvous_operator.core.marks import in_words, need_machines
from rendezvous_operator.core.nodes import names_of
from rendezvous_operator.core.select.choose import fitting
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.timers import Timer, Timers
from rendezvous_operator.core.verdict import Cause
from rendezvous_operator.core.words import cut, number_of_nodes

RARELY_SECONDS = 30.0
"""While a round runs, nothing is urgent: if nothing else happens, marks of nodes that wait are looked at so often."""
_LONGEST_MESSAGE = 256
"""There may be many of them."""


def kept_out(s: Situation) -> tuple[PassedOver, ...]:
    """The nodes that a mark keeps out."""
    return tuple(_entry(s, name) for name in sorted(s.kept_out))


def give_way(s: Situation) -> Mapping[str, PassedOver]:
    """The members of the last round on machines that are only cordoned, by name."""
    if not s.marks:
        return {}
    named = (node.name for node in s.unmarked if node.name in s.marks)
    return {name: _entry(s, name) for name in named}


def too_few(s: Situation, timers: Timers) -> Iterator[Cause[ClosedReason]]:
    """At most one: for ``nodes.tooFewSeconds`` only nodes that are kept out would make a round possible."""
    limit = s.spec.nodes.too_few_seconds
    if limit is None or not timers.holds(Timer.TOO_FEW_ELIGIBLE, s.run.id):
        return
    first, *_ = kept_out(s)
    left = f"marks leave {number_of_nodes(len(s.unmarked))} of at least {s.sizes.fewest}"
    at = timers.began(Timer.TOO_FEW_ELIGIBLE, s.run.id) + limit
    yield Cause(ClosedReason.TOO_FEW_ELIGIBLE, f"{left}; {first.name} is kept out: {first.message}", at=at)


def too_few_are_left(s: Situation) -> bool:
    """Whether a round is being formed for which there would be enough nodes without the marks."""
    if not s.may_publish or not s.kept_out:
        return False
    may_rejoin = [view.name for view in s.blocking_members] if s.run.has_round else []
    left, all_of_them = ([*may_rejoin, *names_of(nodes)] for nodes in (s.unmarked, s.waiting))
    return not fitting(s, left) and fitting(s, all_of_them) > 0


def changes_at(s: Situation) -> float | None:
    """When the machines of nodes that wait must be looked at again (monotonic seconds); None: they need not be."""
    if s.world.machines is None or not s.takes_nodes or not s.waiting or not need_machines(s.spec):
        return None
    if s.may_publish:
        return s.now.monotonic + LOOK_AGAIN_SECONDS if s.kept_out else None
    return s.now.monotonic + RARELY_SECONDS


def _entry(s: Situation, name: str) -> PassedOver:
    marks, machine = s.marks[name], s.nodes[name].object.spec.node_name
    return PassedOver(name, marks[0].reason, cut(in_words(marks), _LONGEST_MESSAGE), machine)
