"""The workload that a run stands for, so that people read ``Job/train`` and not the UID of that Job."""

from rendezvous_api.rendezvous import Owner, RunReference
from rendezvous_operator.core.nodes import Node
from rendezvous_operator.core.situation import Situation


def run_reference(s: Situation) -> RunReference | None:
    """``status.run``. An owner that was found stays: its pods may be gone before the run has ended."""
    if s.run.id is None:
        return None
    before = s.status.run
    if before is not None and before.id == s.run.id and before.owner is not None:
        return before
    return RunReference(s.run.id, _owner(s, s.run.id))


def _owner(s: Situation, run_id: str) -> Owner | None:
    owners = (owner_of(node) for node in s.nodes.values() if node.run_id == run_id)
    return next((owner for owner in owners if owner is not None), None)


def owner_of(node: Node) -> Owner | None:
    """The owner of its pod if its run follows from that; None: it has a run id of its own."""
    pod = node.pod
    if pod is None or not pod.known or node.object.spec.run_id is not None or pod.workload != pod.owner_uid:
        return None
    return pod.owner
