"""Whether a pod may still bring a replacement for a lost member (rule "replacements").

Pods are evidence only where a replacement would be seen: where all nodes of the run are in known pods. Then no pod is
on its way if each known pod of the run either has its agent in the group, or is refused a machine by the scheduler.
A pod that is about to end holds its place and its devices until it has ended: so long, one may still come after it.

A watch that shows a new pod late costs a second round, no more: so nothing is read for this.
"""

from collections.abc import Iterator

from rendezvous_operator.core.nodes import Node
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.world import Pod

_REPLACE_AT_ONCE = frozenset({"ReplicaSet", "StatefulSet", "DaemonSet", "ReplicationController"})
"""Kinds of owners that make another pod at once or never; nobody makes one in the place of a bare pod. A Job waits for
10 s before it makes another one, and for twice as long after each further failure, and what other owners do is not
known. So of these, only a pod that was made says something."""


def none_comes(s: Situation) -> bool:
    """Whether members are lost, and none of them will be replaced by a pod as things are."""
    if not s.world.pods or not s.run.open or not s.lost:
        return False
    if not _are_seen(s) or any(pod.known and _is_ending(pod) for pod in s.world.pods.values()):
        return False
    coming = tuple(_coming(s))
    if not all(pod.unschedulable for pod in coming):
        return False
    return len(coming) >= len(s.lost) or _owners_replace_at_once(s)


def _are_seen(s: Situation) -> bool:
    of_run = [node for node in s.nodes.values() if node.run_id == s.run.id]
    return any(node.present for node in of_run) and all(_is_in_known_pod(node) for node in of_run)


def _is_in_known_pod(node: Node) -> bool:
    """As far as that can be told: the pod of a lost one may be gone."""
    if node.pod is None:
        return not node.present and node.object.spec.pod_uid is not None
    return node.pod.known


def _is_ending(pod: Pod) -> bool:
    return pod.leaving is not None and not pod.over


def _coming(s: Situation) -> Iterator[Pod]:
    """The live known pods that belong, or may belong, to the run and of which an agent is missing."""
    here, away = set[str | None](), set[str | None]()
    for node in s.nodes.values():
        (here if node.present else away).add(node.object.spec.pod_uid)
    return (pod for pod in (*s.pods_of_run, *s.unspoken_pods) if pod.uid in away or pod.uid not in here)


def _owners_replace_at_once(s: Situation) -> bool:
    """A pod that has the UID of an owner, and no owner, is one of a JobSet without a name."""
    pods = [node.pod for node in s.nodes.values() if node.run_id == s.run.id and node.pod is not None]
    return all(pod.owner_uid is None if pod.owner is None else pod.owner.kind in _REPLACE_AT_ONCE for pod in pods)
