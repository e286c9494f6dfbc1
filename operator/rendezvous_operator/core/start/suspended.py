"""Rule "suspend": no round starts while ``spec.suspend`` is true.

The other rules for the start have no timers in this time, so each wait begins again when it is false.
"""

from rendezvous_api.reasons import FormationReason
from rendezvous_operator.core.select.selection import Selection
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.timers import Timers
from rendezvous_operator.core.verdict import Met, Verdict, Waits
from rendezvous_operator.core.words import number_of_nodes


def verdict(s: Situation, _: Timers, picked: Selection) -> Verdict:
    """Waits until the user takes it back."""
    if not s.spec.suspend:
        return Met()
    wait = f"{number_of_nodes(picked.joined)} wait" + ("s" if picked.joined == 1 else "")
    return Waits(FormationReason.SUSPENDED, f"spec.suspend is true; {wait}")
