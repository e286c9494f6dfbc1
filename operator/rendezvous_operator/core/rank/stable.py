"""Rule "stable ranks": a node that stays keeps its rank, and one that returns gets its rank back.

When a group shrinks, the members of the highest ranks move to the free ranks and *stand in* for the lost members. These
get their ranks back if they return before other nodes fill the group. Every function here is linear in the number of
nodes.
"""

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence

from rendezvous_api.participant import Participant
from rendezvous_api.rendezvous import Member, RankOwner
from rendezvous_operator.core.select.order import heirs_of


def first_ranks(chosen: Sequence[Participant]) -> tuple[Member, ...]:
    """The members of a run's first round: ranks in the order given."""
    return tuple(_member(participant, rank, None) for rank, participant in enumerate(chosen))


def later_ranks(chosen: Sequence[Participant], members: Sequence[Member]) -> tuple[Member, ...]:
    """The members of a round that follows another one of the same run.

    Args:
        chosen: the members of the new round, in the order of `order.in_later_order`.
        members: those of the round before, in the order of their ranks.
    """
    size = len(chosen)
    by_name = {participant.metadata.name: participant for participant in chosen}
    assigned: dict[int, Participant] = {}
    unassigned = dict(by_name)

    def assign(name: str, rank: int) -> None:
        if name in unassigned and rank < size and rank not in assigned:
            assigned[rank] = unassigned.pop(name)

    heirs = heirs_of(chosen, members)
    returning = {name: rank for name, rank in heirs.items() if members[rank].name in by_name}
    for name, rank in returning.items():
        assign(name, rank)
    for member in members:
        assign(member.name, member.rank)
    for name, rank in heirs.items():
        assign(name, rank)

    stands_in = {member.rank: member.stands_in_for for member in members if member.stands_in_for is not None}
    free_ranks = [rank for rank in range(size) if rank not in assigned]
    moved = {member.name: None for member in members if member.name in unassigned}
    newcomers = [name for name in unassigned if name not in moved]
    for name, rank in _placed([*moved, *newcomers], free_ranks, len(members), chosen).items():
        assigned[rank] = unassigned[name]
        stands_in.pop(rank, None)
        replaced = members[rank] if rank < len(members) and size < len(members) else None
        if replaced is not None:
            stands_in[rank] = replaced.stands_in_for or RankOwner(replaced.name, replaced.pod_index)
    if any(assigned[rank].spec.pod_index != rank for rank in range(len(members), size)):
        stands_in = {}  # other nodes have filled the ranks of the lost ones
    return tuple(
        _member(assigned[rank], rank, _kept(stands_in, assigned[rank], rank, members, moved)) for rank in range(size)
    )


def _placed(
    names: Sequence[str], free_ranks: Sequence[int], members: int, chosen: Iterable[Participant]
) -> dict[str, int]:
    """Assign the free ranks to which no node is entitled: name to rank.

    A rank by which the group grows goes to the node with that podIndex, the others go in the order given. So a group of
    an indexed Job that has lost all nodes but one, and grows again, gets the ranks of its first round.
    """
    indices = {participant.metadata.name: participant.spec.pod_index for participant in chosen}
    repeats = Counter(indices.values())
    free = set(free_ranks)
    placed: dict[str, int] = {}
    for name in names:
        index = indices[name]
        if index is not None and repeats[index] == 1 and index >= members and index in free:
            placed[name] = index
    taken = set(placed.values())
    others = [name for name in names if name not in placed]
    left = [rank for rank in free_ranks if rank not in taken]
    return placed | dict(zip(others, left, strict=True))


def _kept(
    stands_in: Mapping[int, RankOwner],
    participant: Participant,
    rank: int,
    members: Sequence[Member],
    moved: Container[str],
) -> RankOwner | None:
    """The owner of a member's rank; None for the owner itself and for a node that was no member before."""
    name = participant.metadata.name
    stays = name in moved or (rank < len(members) and members[rank].name == name)
    return stands_in.get(rank) if stays else None


def moved(member: Member, rank: int, *, keeps: bool = False) -> Member:
    """The member at another rank; ``keeps``: it goes on to stand in for whom it stood in for."""
    owner = member.stands_in_for if keeps else None
    return Member(member.name, member.incarnation, member.attempt, rank, member.pod_index, owner)


def _member(participant: Participant, rank: int, stands_in_for: RankOwner | None) -> Member:
    spec = participant.spec
    return Member(participant.metadata.name, spec.incarnation, spec.attempt, rank, spec.pod_index, stands_in_for)
