"""What the rules "size" and "only forward" promise of each status of a Rendezvous, whoever looks at it."""

from collections.abc import Iterator

from rendezvous_api.rendezvous import RendezvousStatus


def broken(min_nodes: int, max_nodes: int, before: RendezvousStatus | None, after: RendezvousStatus) -> Iterator[str]:
    """What is wrong with a status, and with the step to it; nothing if both are right.

    Args:
        min_nodes: of the spec when `after` was written.
        max_nodes: the same.
        before: one that was written earlier, not necessarily the last one; None: none is known.
        after: the status.
    """
    number = after.round
    if [member.rank for member in after.participants] != list(range(after.nodes)):
        yield f"round {number} has {after.nodes} nodes, and the ranks {[member.rank for member in after.participants]}"
    if len({member.name for member in after.participants}) != len(after.participants):
        yield f"a node is in round {number} twice: {[member.name for member in after.participants]}"
    if before is None:
        return
    if number < before.round:
        yield f"round {before.round} is followed by round {number}"
    elif number == before.round:
        if (after.participants, after.store) != (before.participants, before.store):
            yield f"the members or the store of round {number} have changed"
    else:
        if not min_nodes <= after.nodes <= max_nodes:
            yield f"round {number} has {after.nodes} nodes, of {min_nodes} to {max_nodes}"
        earlier = {member.name: (member.incarnation, member.attempt) for member in before.participants}
        for member in after.participants:
            if earlier.get(member.name) == (member.incarnation, member.attempt):
                yield f"{member.name} is in round {number} without having joined again"
