"""Who is not there, for the message and the list of what a round waits for."""

from rendezvous_api.rendezvous import Missing
from rendezvous_operator.core.select import held_out, passed_over
from rendezvous_operator.core.select.selection import Selection
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.unhealthy import as_missing


def away(s: Situation, picked: Selection) -> list[Missing]:
    """Lost members, nodes that are held out or kept out, and those that are unhealthy."""
    held = {entry.name for entry in picked.held_out}
    lost = [item for item in s.lost if item.name not in held]
    out = [*held_out.as_missing(picked.held_out), *passed_over.as_missing(picked.kept_out)]
    return [*lost, *out, *as_missing(s)]


def missing(s: Situation, picked: Selection) -> list[Missing]:
    """The same, and known pods whose nodes have not joined."""
    return [*away(s, picked), *s.known_but_missing]


def missing_and_left_out(s: Situation, picked: Selection) -> list[Missing]:
    """The same, and nodes that have joined and may not become members. Who that is, is known when all have joined."""
    return [*away(s, picked), *picked.left_out, *s.known_but_missing]
