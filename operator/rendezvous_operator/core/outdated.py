"""When a Rendezvous that an agent has made is deleted for the next launch (rule "retention").

The first agent of a launch makes a missing Rendezvous for the nodes of its ``--nnodes``. The next launch with another
``--nnodes`` must not be held to that. What a person has applied or changed is not the operator's to delete.
"""

from rendezvous_api import names
from rendezvous_api.reasons import AttemptReason
from rendezvous_api.rendezvous import Rendezvous
from rendezvous_operator.core.nodes import Node
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.world import Decision, Deletion, Memory


def delete_if_outdated(s: Situation, memory: Memory) -> Decision | None:
    """The deletion of the Rendezvous, for a launch that needs another one; its agents make that.

    Nothing else is decided, since whatever were written would be lost.
    """
    node = _outdated_for(s)
    if node is None:
        return None
    spec, wanted = s.spec, node.object.spec
    why = (
        f"an agent has made it for {spec.min_nodes} to {spec.max_nodes} nodes, no launch uses it, and {node.name} asks "
        f"for {wanted.min_nodes} to {wanted.max_nodes}"
    )
    metadata = s.metadata
    deletion = Deletion(names.RENDEZVOUS_KIND, metadata.name, metadata.uid, metadata.resource_version, why)
    return Decision(s.status, memory, why, deletions=(deletion,))


def _outdated_for(s: Situation) -> Node | None:
    """A node of the next launch, if all of its nodes ask for other numbers of nodes and no other node is left."""
    if not _is_untouched(s.world.rendezvous):
        return None
    if s.liveness.all_silent or any(view.state.blocks for view in s.members):
        return None
    present = [node for node in s.nodes.values() if node.present]
    if not present or not all(_is_of_next_launch(s, node) for node in present):
        return None
    wanted = {(node.object.spec.min_nodes, node.object.spec.max_nodes) for node in present}
    differs = len(wanted) == 1 and wanted.isdisjoint({(None, None), (s.spec.min_nodes, s.spec.max_nodes)})
    return min(present, key=lambda node: node.name) if differs else None


def _is_of_next_launch(s: Situation, node: Node) -> bool:
    spec = node.object.spec
    starts = spec.attempt_reason is AttemptReason.START and spec.last_run_id is None
    may_claim = node.run_id == s.run.id or not s.run.open or not (s.has_nodes_left or s.unspoken_pods)
    waits = node.run_unread is None and node.waits(s.entries.get(node.name))
    return starts and waits and may_claim and s.run.why_over(node.run) is None and s.allows(node)


def _is_untouched(rendezvous: Rendezvous) -> bool:
    """Whether an agent has made it, and no person has applied it or changed its spec since."""
    metadata = rendezvous.metadata
    return (
        rendezvous.made_by_agent
        and metadata.generation == 1
        and names.ANNOTATION_LAST_APPLIED not in metadata.annotations
        and not any(fields.operation == "Apply" for fields in metadata.managed_fields)
    )
