"""Which of the nodes that wait may become members: those that every rule lets. Who is held out is none of them."""

from collections.abc import Callable, Sequence

from rendezvous_api.rendezvous import Missing
from rendezvous_operator.core.nodes import Node
from rendezvous_operator.core.select.replacement_groups import in_whole_groups
from rendezvous_operator.core.select.selection import Eligible
from rendezvous_operator.core.situation import Situation

EligibilityRule = Callable[[Situation, Sequence[Node]], Eligible]

ELIGIBILITY_RULES: tuple[EligibilityRule, ...] = (in_whole_groups,)
"""Each gets the nodes that those before it have left. The last one sees who else will be there."""


def eligible(s: Situation, nodes: Sequence[Node]) -> Eligible:
    """Those of the nodes that may become members if no others do, and why the others may not.

    How many these are does not depend on the order of the nodes; which they are does, if they are too many of one kind.

    Args:
        s: the situation.
        nodes: none of them is held out.
    """
    left_out = list[Missing]()
    for rule in ELIGIBILITY_RULES:
        nodes, also = rule(s, nodes)
        left_out += also
    return Eligible(tuple(nodes), tuple(left_out))
