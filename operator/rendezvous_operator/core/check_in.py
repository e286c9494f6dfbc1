"""What the members of the current round say of its check-in, if it failed (rule "hold-outs").

Each member says with its next attempt whether it reached the store of the round, and who had not come there. The
*others* are all members but the host of the store.
"""

from collections import Counter
from dataclasses import dataclass

from rendezvous_api.participant import CheckIn
from rendezvous_api.reasons import AttemptReason
from rendezvous_operator.core.nodes import Node
from rendezvous_operator.core.situation import Situation


@dataclass(frozen=True)
class FailedCheckIn:
    """What the others say together."""

    others: int
    """How many there are; not all of them may have said something."""
    reached: int
    """How many say that they reached the store."""
    not_reached: tuple[str, ...]
    """Names of those that say that they did not."""
    missing: tuple[str, ...]
    """The same, and those that say nothing, if most who reached the store say that they did not come to it."""

    @property
    def most_reached(self) -> bool:
        """Whether more than half of the others reached the store, so that its host is not at fault."""
        return 2 * self.reached > self.others


def said_by(s: Situation, node: Node | None) -> CheckIn | None:
    """What that node says of the check-in of the current round; None: nothing."""
    if node is None or not node.understood or not node.addressed or node.name not in s.entries:
        return None
    spec = node.object.spec
    if spec.attempt_reason is not AttemptReason.CHECK_IN_FAILED or spec.check_in is None:
        return None
    return spec.check_in if spec.check_in.round == s.status.round else None


def seen_together(s: Situation) -> FailedCheckIn:
    """What the others say of the check-in of the current round."""
    others = [member.name for member in s.status.participants[1:]]
    said = {name: word for name in others if (word := said_by(s, s.nodes.get(name))) is not None}
    reached = [word for word in said.values() if word.reached_store]
    not_reached = tuple(name for name, word in said.items() if not word.reached_store)
    # One that lies, or that sees little, makes no node missing that says something itself.
    named = Counter(name for word in reached for name in {*word.missing} if name not in said)
    missing = tuple(name for name in others if name in not_reached or 2 * named[name] > len(reached))
    return FailedCheckIn(len(others), len(reached), not_reached, missing)
