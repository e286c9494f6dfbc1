"""Who waits although others are chosen, for what is known of it: `status.passedOver`."""

from collections.abc import Callable, Iterable, Mapping

from rendezvous_api.reasons import EventReason
from rendezvous_api.rendezvous import Missing, PassedOver
from rendezvous_operator.core.select import bad_machines, failing_nodes
from rendezvous_operator.core.select.selection import Selection
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.words import first_of
from rendezvous_operator.core.world import Event

GIVE_WAY: tuple[Callable[[Situation], Mapping[str, PassedOver]], ...] = (
    bad_machines.give_way,
    failing_nodes.give_way,
)
"""Each names nodes that are chosen only where there are too few others, and why."""


def giving_way(s: Situation) -> Mapping[str, PassedOver]:
    """The waiting nodes before which all others go, by name; the first policy that names one gives the reason."""
    found: dict[str, PassedOver] = {}
    for policy in GIVE_WAY:
        found = {**policy(s), **found}
    return found


def tell(s: Situation, picked: Selection) -> Situation:
    """The situation with an Event about nodes that are passed over from now on."""
    known = {entry.name for entry in s.status.passed_over}
    new = [entry for entry in picked.passed_over if entry.name not in known]
    if not new:
        return s
    message = first_of(len(new), f"{new[0].name} is passed over: {new[0].message}")
    return s.with_run(s.run.with_event(Event(EventReason.NODE_PASSED_OVER, message)))


def as_missing(entries: Iterable[PassedOver]) -> tuple[Missing, ...]:
    """Who is kept out and why, for people."""
    return tuple(Missing(entry.name, f"is kept out: {entry.message}") for entry in entries)
