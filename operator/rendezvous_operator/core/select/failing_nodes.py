"""Rule "failing nodes": others go before a node that has ended too many rounds with a failure.

Its failures are those in `status.failures`, which has the machine of each. So a new leader knows them, too, and a pod
that comes to such a machine follows those before it. The node is passed over only where another one is there, and only
for a time: `FIRST_SECONDS` after its last failure, twice as long after each further one, and never longer than
`LONGEST_SECONDS`.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping
from datetime import datetime, timedelta

from rendezvous_api.meta import parse_time, timestamp
from rendezvous_api.node_names import place_of
from rendezvous_api.reasons import PassedOverReason
from rendezvous_api.rendezvous import Failure, PassedOver
from rendezvous_operator.core.nodes import Node
from rendezvous_operator.core.situation import Situation

FIRST_SECONDS = 600
LONGEST_SECONDS = 86_400


def give_way(s: Situation) -> Mapping[str, PassedOver]:
    """The waiting nodes that have failed too often, by name, until their time is over."""
    policies = s.spec.nodes
    if policies.max_failures_per_node is None or len(s.run.failures) <= policies.max_failures_per_node:
        return {}
    times = _times(s)
    found = {}
    for node in s.unmarked:
        of_node = [time for key in _keys_of(node) for time in times.get(key, ())]
        too_many = len(of_node) - policies.max_failures_per_node
        if too_many > 0 and (until := max(of_node) + timedelta(seconds=_seconds(too_many))) > s.now.wall:
            found[node.name] = _entry(s, node, len(of_node), until)
    return found


def _seconds(too_many: int) -> int:
    """How long others go before a node after so many failures too many."""
    return min(FIRST_SECONDS << min(too_many - 1, 10), LONGEST_SECONDS)


def _times(s: Situation) -> Mapping[Hashable, list[datetime]]:
    """When those have failed that are listed and not too old; none is later than now, by the clock of this operator."""
    window, times = s.spec.nodes.failure_window_seconds, defaultdict[Hashable, list[datetime]](list)
    for failure in s.run.failures:
        time = min(parse_time(failure.time) or s.now.wall, s.now.wall)
        if window is None or time + timedelta(seconds=window) > s.now.wall:
            times[_key_of(failure)].append(time)
    return times


def _key_of(failure: Failure) -> Hashable:
    """What has failed: a machine, or a node whose machine is not known."""
    if failure.machine is not None:
        return "machine", failure.machine
    return _key_of_node(failure.node, failure.pod_index)


def _keys_of(node: Node) -> Iterator[Hashable]:
    spec = node.object.spec
    if spec.node_name is not None:
        yield "machine", spec.node_name
    yield _key_of_node(node.name, spec.pod_index)


def _key_of_node(name: str, pod_index: int | None) -> Hashable:
    return "node", place_of(name, pod_index) or name


def _entry(s: Situation, node: Node, times: int, until: datetime) -> PassedOver:
    machine, window = node.object.spec.node_name, s.spec.nodes.failure_window_seconds
    who = f"its machine {machine}" if machine is not None else "it"
    within = f" within {window} s" if window is not None else ""
    message = f"{who} has ended {times} rounds with a failure{within}; others go before it until {timestamp(until)}"
    return PassedOver(node.name, PassedOverReason.FAILED_TOO_OFTEN, message, machine)
