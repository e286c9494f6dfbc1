"""Who is chosen and with which rank (rules 7 and 8).

Ranks are stable: who stays keeps its rank, and a hole goes to the one that left it. When a group shrinks, the members
of the highest ranks move into the holes; they *stand in* for those who were lost, who get their ranks back if they
return before others fill the group again.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from rendezvous_api.participant import Participant
from rendezvous_api.rendezvous import Member, SeatHolder


def in_first_order(waiting: Iterable[Participant]) -> list[Participant]:
    """Order of a run's first round: by podIndex where all have one and none repeats, else by natural order of names."""
    participants = list(waiting)
    indices = [participant.spec.pod_index for participant in participants]
    if None not in indices and len(set(indices)) == len(indices):
        return sorted(participants, key=lambda participant: participant.spec.pod_index or 0)
    return sorted(participants, key=lambda participant: _natural(participant.metadata.name))


def in_later_order(
    waiting: Iterable[Participant], members: Sequence[Member], spares: Sequence[str]
) -> list[Participant]:
    """Order in which the places of a later round are given: members, heirs of lost ones, spares, newcomers."""
    participants = list(waiting)
    former = {member.name: member.rank for member in members}
    heirs = _heirs(participants, members)
    queue = {name: position for position, name in enumerate(spares)}

    def order(participant: Participant) -> tuple[int, int, str, tuple[list[tuple[int, str]], str]]:
        name = participant.metadata.name
        tie = (participant.metadata.creation_timestamp, _natural(name))
        if name in former:
            return (0, former[name], *tie)
        if name in heirs:
            return (1, heirs[name], *tie)
        if name in queue:
            return (2, queue[name], *tie)
        return (3, 0, *tie)

    return sorted(participants, key=order)


def first_ranks(chosen: Sequence[Participant]) -> tuple[Member, ...]:
    """Ranks of a run's first round: in the order given."""
    return tuple(_member(participant, rank, None) for rank, participant in enumerate(chosen))


def later_ranks(
    chosen: Sequence[Participant], members: Sequence[Member], unfit_host: str | None = None
) -> tuple[Member, ...]:
    """Ranks of a round that follows another one of the same run.

    Args:
        chosen: the members of the new round, in the order of `in_later_order`.
        members: those of the round before, in the order of their ranks.
        unfit_host: name of a member that shall not be rank 0, because check-ins at it failed repeatedly.
    """
    size = len(chosen)
    by_name = {participant.metadata.name: participant for participant in chosen}
    seats: dict[int, Participant] = {}
    unseated = dict(by_name)

    def seat(name: str, rank: int) -> None:
        if name in unseated and rank < size and rank not in seats:
            seats[rank] = unseated.pop(name)

    heirs = _heirs(chosen, members)
    returning = {name: rank for name, rank in heirs.items() if members[rank].name in by_name}
    for name, rank in returning.items():
        seat(name, rank)
    for member in members:
        seat(member.name, member.rank)
    for name, rank in heirs.items():
        seat(name, rank)

    stands_in = {member.rank: member.stands_in_for for member in members if member.stands_in_for is not None}
    holes = [rank for rank in range(size) if rank not in seats]
    moved = [member.name for member in members if member.name in unseated]
    newcomers = [name for name in unseated if name not in moved]
    for name, rank in _placed(moved + newcomers, holes, members, chosen).items():
        seats[rank] = unseated[name]
        stands_in.pop(rank, None)
        shrunk_over = members[rank] if rank < len(members) and size < len(members) else None
        if name in moved and shrunk_over is not None and shrunk_over.name not in by_name:
            stands_in[rank] = shrunk_over.stands_in_for or SeatHolder(shrunk_over.name, shrunk_over.pod_index)
    if any(seats[rank].spec.pod_index != rank for rank in range(len(members), size)):
        stands_in = {}  # somebody has come instead of the lost ones
    ranked = [
        _member(seats[rank], rank, stands_in.get(rank) if _stays(seats[rank], rank, members, moved) else None)
        for rank in range(size)
    ]
    return _with_another_host(ranked) if size > 1 and ranked[0].name == unfit_host else tuple(ranked)


def _placed(
    names: Sequence[str], holes: Sequence[int], members: Sequence[Member], chosen: Iterable[Participant]
) -> dict[str, int]:
    """Who gets which of the ranks that nobody has a claim on: name to rank.

    Those by which the group grows go to whose podIndex it is, the others in the order given. So a group of an indexed
    Job that has lost all but one, and grows again, has the ranks of its first round.
    """
    indices = {participant.metadata.name: participant.spec.pod_index for participant in chosen}
    repeats = Counter(indices.values())
    placed: dict[str, int] = {}
    for name in names:
        index = indices[name]
        if index is not None and repeats[index] == 1 and index >= len(members) and index in holes:
            placed[name] = index
    others = [name for name in names if name not in placed]
    left = [rank for rank in holes if rank not in placed.values()]
    return placed | dict(zip(others, left, strict=True))


def _heirs(participants: Iterable[Participant], members: Sequence[Member]) -> dict[str, int]:
    """Newcomers that have a claim on a rank: name to rank.

    A claim follows from the name or the podIndex of a member that is not among the participants, or of the one that a
    member stands in for. Indices that repeat among the newcomers are ignored.
    """
    present = {participant.metadata.name for participant in participants}
    former = {member.name for member in members}
    newcomers = [participant for participant in participants if participant.metadata.name not in former]
    repeats = Counter(participant.spec.pod_index for participant in newcomers)
    by_index: dict[int | None, str] = {
        participant.spec.pod_index: participant.metadata.name
        for participant in newcomers
        if participant.spec.pod_index is not None and repeats[participant.spec.pod_index] == 1
    }
    names = {participant.metadata.name for participant in newcomers}
    heirs: dict[str, int] = {}
    for member in members:
        holders = [] if member.stands_in_for is None else [member.stands_in_for]
        if member.name not in present:
            holders.append(SeatHolder(member.name, member.pod_index))
        for holder in holders:
            heir = holder.name if holder.name in names else by_index.get(holder.pod_index)
            if heir is not None and heir not in heirs:
                heirs[heir] = member.rank
                break
    return heirs


def _stays(participant: Participant, rank: int, members: Sequence[Member], moved: Sequence[str]) -> bool:
    name = participant.metadata.name
    return name in moved or (rank < len(members) and members[rank].name == name)


def _with_another_host(ranked: list[Member]) -> tuple[Member, ...]:
    unfit, fit, *others = ranked
    host = Member(fit.name, fit.incarnation, fit.attempt, 0, fit.pod_index)
    return (host, Member(unfit.name, unfit.incarnation, unfit.attempt, 1, unfit.pod_index), *others)


def _member(participant: Participant, rank: int, stands_in_for: SeatHolder | None) -> Member:
    spec = participant.spec
    return Member(participant.metadata.name, spec.incarnation, spec.attempt, rank, spec.pod_index, stands_in_for)


def _natural(name: str) -> tuple[list[tuple[int, str]], str]:
    """Sort key by which ``node-2`` comes before ``node-10``; no two names share one."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts], name
