"""A member whose pod ought to have ended, on a machine that is down, is dead (rule "liveness").

A pod that is being deleted has a grace period. After that its kubelet kills it, and then the API server has it no more.
If the machine is down, no kubelet says so, and the pod stays for as long as the machine does. So it is over as far as
can be known: the owners of pods do not wait for it either. That counts like the end of a pod, also if all are silent or
the round is isolated.

The kubelet alone may be down. Then the containers run on, and the agent is heard: its heartbeats arrive, or its peers
vouch for it. So a member is dead only when it has been silent for its usual time, as its object shows that was read
after all of that. What excuses the silence of others does not count here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from rendezvous_api import names
from rendezvous_operator.core import machines
from rendezvous_operator.core.nodes import Node, silence_begins, silent_seconds
from rendezvous_operator.core.peer_words import Words
from rendezvous_operator.core.verdict import earliest
from rendezvous_operator.core.world import Memory, Target, World


@dataclass(frozen=True)
class Overdue:
    """The members that are dead in this way."""

    dead: Mapping[str, str] = field(default_factory=dict)
    """By name: why, for people."""
    to_read: frozenset[Target] = frozenset()
    """Participants that must be read before they are."""
    changes_at: float | None = None
    """When the next one may be (monotonic seconds)."""


def judge(now: float, world: World, nodes: Mapping[str, Node], memory: Memory, words: Words) -> Overdue:
    """Look at each member whose pod is being deleted.

    Args:
        now: monotonic seconds.
        world: what is seen.
        nodes: by name; their silence is not known yet.
        memory: has when peers vouched for a member last.
        words: of the members.
    """
    dead: dict[str, str] = {}
    to_read: set[Target] = set()
    changes_at: float | None = None
    for name, ends_by in _deleted(nodes, words) if world.machines is not None else ():
        seen = world.participants[name]
        # Also if nobody vouches for it any more, since the round has ended.
        heard_at = max(silence_begins(seen, None, memory.vouched.get(name)), words.vouched_at(name))
        due_at = max(ends_by, heard_at + silent_seconds(seen.object, world.rendezvous.spec))
        why = machines.why_down(world, seen)
        if now < due_at:
            changes_at = earliest(changes_at, due_at)
        elif words.voucher(name) is not None or not why:
            changes_at = earliest(changes_at, now + machines.LOOK_AGAIN_SECONDS)
        elif seen.read_at is None or seen.read_at < due_at:
            to_read.add(Target(names.PARTICIPANT_KIND, name))
        else:
            dead[name] = f"its pod {seen.object.spec.pod_name} ought to have ended, and {why}"
    return Overdue(dead, frozenset(to_read), changes_at)


def _deleted(nodes: Mapping[str, Node], words: Words) -> Iterator[tuple[str, float]]:
    """The members that live, as far as is known, and whose pods are being deleted; and when these ought to end."""
    for member in words.members:
        node = nodes.get(member.name)
        if node is not None and node.lives and node.pod is not None and node.pod.ends_by is not None:
            yield member.name, node.pod.ends_by
