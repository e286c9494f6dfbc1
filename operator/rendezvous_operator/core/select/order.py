"""The order in which the places of a round are given, and who has a claim on the rank of somebody who is not there."""

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
    heirs = heirs_of(participants, members)
    listed = {name: position for position, name in enumerate(spares)}

    def order(participant: Participant) -> tuple[int, int, str, tuple[list[tuple[int, str]], str]]:
        name = participant.metadata.name
        for kind, places in enumerate((former, heirs, listed)):
            if name in places:
                return kind, places[name], "", ([], "")  # no two share a place, so nothing else is compared
        return 3, 0, participant.metadata.creation_timestamp, _natural(name)

    return sorted(participants, key=order)


def heirs_of(participants: Sequence[Participant], members: Sequence[Member]) -> dict[str, int]:
    """Newcomers that have a claim on a rank: name to rank.

    A claim follows from the name or the podIndex of a member that is not among the participants, or of the one that a
    member stands in for. Indices that repeat among the newcomers are ignored.
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
        holders = [] if member.stands_in_for is None else [member.stands_in_for]
        if member.name not in present:
            holders.append(SeatHolder(member.name, member.pod_index))
        for holder in holders:
            heir = holder.name if holder.name in names else by_index.get(holder.pod_index)
            if heir is not None and heir not in heirs:
                heirs[heir] = member.rank
                break
    return heirs


def _natural(name: str) -> tuple[list[tuple[int, str]], str]:
    """Sort key by which ``node-2`` comes before ``node-10``; no two names share one."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts], name
