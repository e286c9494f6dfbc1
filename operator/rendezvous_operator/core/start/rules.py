"""The rules for the start of a round."""

from collections.abc import Callable

from rendezvous_operator.core.select.selection import Selection
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.start import escalation, exclusivity, last_call, replacements, size, suspended
from rendezvous_operator.core.timers import Timers
from rendezvous_operator.core.verdict import Outlook, Verdict, outlook

StartRule = Callable[[Situation, Timers, Selection], Verdict]

START_RULES: tuple[StartRule, ...] = (
    exclusivity.verdict,
    suspended.verdict,
    size.verdict,
    replacements.verdict,
    escalation.verdict,
    last_call.verdict,
)
"""A round is published when all of them are met. While several wait, the message of the first one is shown."""


def may_start(s: Situation, timers: Timers, picked: Selection) -> Outlook | None:
    """Whether the next round is published now, or what it waits for; None: no round is being formed."""
    return outlook(rule(s, timers, picked) for rule in START_RULES) if s.forms else None
