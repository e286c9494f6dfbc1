"""What holds for every write of a status, for every decision."""

from tests.support.round_rules import broken

from rendezvous_api import names
from rendezvous_api.rendezvous import RendezvousStatus
from rendezvous_api.rendezvous_spec import AllowedSizes, RendezvousSpec


def is_allowed(sizes: AllowedSizes | None, size: int) -> bool:
    """Whether a round may have that size, as far as ``spec.sizes`` says."""
    if sizes is None:
        return True
    return size in sizes.list if sizes.list else size % (sizes.step or 1) == 0


def check_write(spec: RendezvousSpec, old: RendezvousStatus, new: RendezvousStatus) -> None:
    """What the API server itself guards (the CEL rules of the CRD), and what no status may ever say."""
    assert [*broken(spec.min_nodes, spec.max_nodes, old, new)] == []
    assert new.round <= old.round + 1, "a round was left out"
    if new.round != old.round:
        assert is_allowed(spec.sizes, new.nodes), "the size of a new round is one of those in the spec"
        assert new.store is not None
        assert new.run_id is not None
        assert new.history[-1].round == new.round
        assert new.history[-1].running
        assert new.waiting_nodes == 0, "no member is asked for the round after one that has just been published"
        names_of_members = {member.name for member in new.participants}
        assert not names_of_members & {refusal.name for refusal in new.refused}, "a refused agent became a member"
        assert not names_of_members & {*new.spares}, "a member is no spare"
    refused = {refusal.name for refusal in new.refused}
    assert len(refused) == len(new.refused) <= names.MAX_REFUSED
    held_out = [entry.name for entry in new.held_out]
    assert len({*held_out}) == len(held_out) <= names.MAX_HELD_OUT
    assert all(len(entry.message) <= names.MAX_MESSAGE_LENGTH and entry.times >= 1 for entry in new.held_out)
    assert len(new.closed_runs) <= names.MAX_CLOSED_RUNS
    assert len(new.history) <= names.MAX_HISTORY
    assert not any(record.running for record in new.history[:-1]), "only the last round of the history may run"
    asked = new.waiting_nodes > 0
    if old.waiting_nodes and not asked and new.round == old.round:
        assert new.closed_reason(old.history[-1].run_id), (
            "who was asked is asked until a round is published or the run closes"
        )
    assert all(len(condition.message) <= names.MAX_MESSAGE_LENGTH for condition in new.conditions)
