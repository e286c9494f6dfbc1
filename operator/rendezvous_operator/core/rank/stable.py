"""Rule "stable ranks": who stays keeps its rank, and a hole goes to the one that left it.

When a group shrinks, the members of the highest ranks move into the holes; they *stand in* for those who were lost, who
get their ranks back if they return before others fill the group again. Every function here is linear in the number of
nodes.
"""

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence

from rendezvous_api.participant import Participant
from rendezvous_api.rendezvous import Member, SeatHolder
from rendezvous_operator.core.select.order import heirs_of


def first_ranks(chosen: Sequence[Participant]) -> tuple[Member, ...]:
    """Ranks of a run's first round: in the order given."""
    return tuple(_member(participant, rank, None) for rank, participant in enumerate(chosen))


def later_ranks(chosen: Sequence[Participant], members: Sequence[Member]) -> tuple[Member, ...]:
    """Ranks of a round that follows another one of the same run.

    Args:
        chosen: the members of the new round, in the order of `order.in_later_order`.
        members: those of the round before, in the order of their ranks.
    """
    size = len(chosen)
    by_name = {participant.metadata.name: participant for participant in chosen}
    seats: dict[int, Participant] = {}
    unseated = dict(by_name)

    def seat(name: str, rank: int) -> None:
        if name in unseated and rank < size and rank not in seats:
            seats[rank] = unseated.pop(name)

    heirs = heirs_of(chosen, members)
    returning = {name: rank for name, rank in heirs.items() if members[rank].name in by_name}
    for name, rank in returning.items():
        seat(name, rank)
    for member in members:
        seat(member.name, member.rank)
    for name, rank in heirs.items():
        seat(name, rank)

    stands_in = {member.rank: member.stands_in_for for member in members if member.stands_in_for is not None}
    holes = [rank for rank in range(size) if rank not in seats]
    moved = {member.name: None for member in members if member.name in unseated}
    newcomers = [name for name in unseated if name not in moved]
    for name, rank in _placed([*moved, *newcomers], holes, len(members), chosen).items():
        seats[rank] = unseated[name]
        stands_in.pop(rank, None)
        shrunk_over = members[rank] if rank < len(members) and size < len(members) else None
        if name in moved and shrunk_over is not None and shrunk_over.name not in by_name:
            stands_in[rank] = shrunk_over.stands_in_for or SeatHolder(shrunk_over.name, shrunk_over.pod_index)
    if any(seats[rank].spec.pod_index != rank for rank in range(len(members), size)):
        stands_in = {}  # somebody has come instead of the lost ones
    return tuple(
        _member(seats[rank], rank, _kept(stands_in, seats[rank], rank, members, moved)) for rank in range(size)
    )


def _placed(names: Sequence[str], holes: Sequence[int], members: int, chosen: Iterable[Participant]) -> dict[str, int]:
    """Who gets which of the ranks that nobody has a claim on: name to rank.

    Those by which the group grows go to whose podIndex it is, the others in the order given. So a group of an indexed
    Job that has lost all but one, and grows again, has the ranks of its first round.
    """
    indices = {participant.metadata.name: participant.spec.pod_index for participant in chosen}
    repeats = Counter(indices.values())
    free = set(holes)
    placed: dict[str, int] = {}
    for name in names:
        index = indices[name]
        if index is not None and repeats[index] == 1 and index >= members and index in free:
            placed[name] = index
    taken = set(placed.values())
    others = [name for name in names if name not in placed]
    left = [rank for rank in holes if rank not in taken]
    return placed | dict(zip(others, left, strict=True))


def _kept(
    stands_in: Mapping[int, SeatHolder],
    participant: Participant,
    rank: int,
    members: Sequence[Member],
    moved: Container[str],
) -> SeatHolder | None:
    """For whom a member stands in: only who was a member before does."""
    name = participant.metadata.name
    stays = name in moved or (rank < len(members) and members[rank].name == name)
    return stands_in.get(rank) if stays else None


def _member(participant: Participant, rank: int, stands_in_for: SeatHolder | None) -> Member:
    spec = participant.spec
    return Member(participant.metadata.name, spec.incarnation, spec.attempt, rank, spec.pod_index, stands_in_for)
