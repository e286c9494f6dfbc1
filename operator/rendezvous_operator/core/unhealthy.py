"""Rule "health": who says that a health check has failed stays out, and nobody waits for it.

An agent runs its checks before each join. If one fails, it leaves, and says what was found. So it becomes no member,
and the rules count it as one that has left: it holds up no round. It joins again by itself when all checks succeed.
"""

from rendezvous_api import names
from rendezvous_api.reasons import EventReason
from rendezvous_api.rendezvous import Missing, Unhealthy
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.words import first_of
from rendezvous_operator.core.world import Event


def listed(s: Situation) -> tuple[Unhealthy, ...]:
    """``status.unhealthy``: by name, as many as there is room for."""
    return tuple(Unhealthy(name, text) for name, text in sorted(s.unhealthy.items())[: names.MAX_UNHEALTHY])


def as_missing(s: Situation) -> tuple[Missing, ...]:
    """The same for people, of all."""
    return tuple(Missing(name, f"is unhealthy: {text}") for name, text in sorted(s.unhealthy.items()))


def tell(s: Situation) -> Situation:
    """The situation with an Event about those that were not listed before. What a further check finds is not told."""
    before = {entry.name for entry in s.status.unhealthy}
    new = [entry for entry in listed(s) if entry.name not in before]
    if not new:
        return s
    message = first_of(len(new), f"{new[0].name} stays out, since it is unhealthy: {new[0].message}")
    return s.with_run(s.run.with_event(Event(EventReason.NODE_UNHEALTHY, message, warning=True)))
