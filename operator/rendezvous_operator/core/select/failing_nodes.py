"""Rule "failing nodes": others go before a node that has ended too many rounds with a failure.

Its failures are those in `status.failures`, which has the machine of each. So a new leader knows them, too, and a pod
that comes to such a machine follows those before it. The node is passed over only where another one is there, and only
for a time: `FIRST_SECONDS` after its last failure, twice as long after each further one, and never longer than
`LONGEST_SECONDS`.
"""

from collections import defaultdict
from collections.abc import Hashable, Mapping
from datetime import datetime, timedelta

from rendezvous_api.meta import parse_time, timestamp
from rendezvous_api.node_names import place_of
from rendezvous_api.reasons import PassedOverReason
from rendezvous_api.rendezvous import PassedOver
from rendezvous_operator.core.nodes import Node
from rendezvous_operator.core.situation import Situation

FIRST_SECONDS = 600
LONGEST_SECONDS = 86_400


def give_way(s: Situation) -> Mapping[str, PassedOver]:
    """The waiting nodes that have failed too often, by name, until their time is over."""
    policies = s.spec.nodes
    if policies.max_failures_per_node is None or len(s.run.failures) <= policies.max_failures_per_node:
        return {}
    by_machine, by_place = _times(s)
    found = {}
    for node in s.unmarked:
        spec = node.object.spec
        of_node = list(by_machine.get(spec.node_name or "", ()))
        if by_place:
            of_node += by_place.get(_place_of(node.name, spec.pod_index), ())
        too_many = len(of_node) - policies.max_failures_per_node
        if too_many > 0 and (until := max(of_node) + timedelta(seconds=_seconds(too_many))) > s.now.wall:
            found[node.name] = _entry(s, node, len(of_node), until)
    return found


def _seconds(too_many: int) -> int:
    """How long others go before a node after so many failures too many."""
    return min(FIRST_SECONDS << min(too_many - 1, 10), LONGEST_SECONDS)


def _times(s: Situation) -> tuple[Mapping[str, list[datetime]], Mapping[Hashable, list[datetime]]]:
    """When those have failed that are listed and not too old: by machine, and, where it is not known, by place.

    None is later than now, by the clock of this operator.
    """
    window = s.spec.nodes.failure_window_seconds
    by_machine, by_place = defaultdict[str, list[datetime]](list), defaultdict[Hashable, list[datetime]](list)
    for failure in s.run.failures:
        time = min(parse_time(failure.time) or s.now.wall, s.now.wall)
        if window is not None and time + timedelta(seconds=window) <= s.now.wall:
            continue
        if failure.machine is not None:
            by_machine[failure.machine].append(time)
        else:
            by_place[_place_of(failure.node, failure.pod_index)].append(time)
    return by_machine, by_place


def _place_of(name: str, pod_index: int | None) -> Hashable:
    return place_of(name, pod_index) or name


def _entry(s: Situation, node: Node, times: int, until: datetime) -> PassedOver:
    machine, window = node.object.spec.node_name, s.spec.nodes.failure_window_seconds
    who = f"its machine {machine}" if machine is not None else "it"
    within = f" within {window} s" if window is not None else ""
    message = f"{who} has ended {times} rounds with a failure{within}; others go before it until {timestamp(until)}"
    return PassedOver(node.name, PassedOverReason.FAILED_TOO_OFTEN, message, machine)
