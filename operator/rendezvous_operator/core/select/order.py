"""The order in which nodes are chosen for a round, and which newcomers are entitled to the rank of another node."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from rendezvous_api.participant import Participant
from rendezvous_api.rendezvous import Member, RankOwner


def in_first_order(waiting: Iterable[Participant]) -> list[Participant]:
    """The order for a first round: by podIndex if all have one and none repeats, else by natural order of names."""
    participants = list(waiting)
    indices = [participant.spec.pod_index for participant in participants]
    if None not in indices and len(set(indices)) == len(indices):
        return sorted(participants, key=lambda participant: participant.spec.pod_index or 0)
    return sorted(participants, key=lambda participant: _natural(participant.metadata.name))


def in_later_order(
    waiting: Iterable[Participant], members: Sequence[Member], spares: Sequence[str]
) -> list[Participant]:
    """The order for a later round: members, heirs of lost members, spares, other newcomers."""
    participants = list(waiting)
    former = {member.name: member.rank for member in members}
    heirs = heirs_of(participants, members)
    listed = {name: position for position, name in enumerate(spares)}

    def order(participant: Participant) -> tuple[int, int, str, tuple[list[tuple[int, str]], str]]:
        name = participant.metadata.name
        for group, positions in enumerate((former, heirs, listed)):
            if name in positions:
                return group, positions[name], "", ([], "")  # no two share a position, so nothing else is compared
        return 3, 0, participant.metadata.creation_timestamp, _natural(name)

    return sorted(participants, key=order)


def heirs_of(participants: Sequence[Participant], members: Sequence[Member]) -> dict[str, int]:
    """Newcomers that are entitled to a rank: name to rank.

    An heir has the name or the podIndex of a member that is not among the participants, or of the node that a member
    stands in for. Indices that repeat among the newcomers are ignored.
    """
    present = {participant.metadata.name for participant in participants}
    former = {member.name for member in members}
    newcomers = [participant for participant in participants if participant.metadata.name not in former]
    if not newcomers:
        return {}
    repeats = Counter(participant.spec.pod_index for participant in newcomers)
    by_index: dict[int | None, str] = {
        participant.spec.pod_index: participant.metadata.name
        for participant in newcomers
        if participant.spec.pod_index is not None and repeats[participant.spec.pod_index] == 1
    }
    names = {participant.metadata.name for participant in newcomers}
    heirs: dict[str, int] = {}
    for member in members:
        owners = [] if member.stands_in_for is None else [member.stands_in_for]
        if member.name not in present:
            owners.append(RankOwner(member.name, member.pod_index))
        for owner in owners:
            heir = owner.name if owner.name in names else by_index.get(owner.pod_index)
            if heir is not None and heir not in heirs:
                heirs[heir] = member.rank
                break
    return heirs


def _natural(name: str) -> tuple[list[tuple[int, str]], str]:
    """Sort key by which ``node-2`` comes before ``node-10``; no two names share one."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts], name
