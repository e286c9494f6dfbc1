"""``kubectl rdzv logs``: what the members of a round print, with their ranks."""

from collections.abc import Iterator
from dataclasses import dataclass

from kube_rendezvous_cli.group import Group
from kube_rendezvous_cli.kubectl import CommandError
from rendezvous_api.meta import parse_time
from rendezvous_api.participant import Participant


@dataclass(frozen=True)
class Source:
    """The log of one node."""

    prefix: str
    pod: str
    container: str | None


@dataclass(frozen=True)
class Window:
    """The time of a round, as RFC 3339."""

    begin: str
    end: str | None


def sources(group: Group, rank: int | None) -> list[Source]:
    """The logs of all members, or of one; before the first round those of all nodes and labelled pods.

    Raises:
        CommandError: there is no such rank, or no pod.
    """
    found = list(_members(group))
    if rank is not None:
        if not 0 <= rank < len(group.status.participants):
            raise CommandError(
                f"round {group.status.round} of {group.name} has the ranks 0 to {group.status.nodes - 1}, and "
                f"not {rank}"
            )
        of_rank = [source for number, source in found if number == rank]
        if not of_rank:
            name = group.status.participants[rank].name
            raise CommandError(f"rank {rank} of {group.name}, {name}, is in no pod, or its object is gone")
        return of_rank
    if found:
        return [source for _, source in found]
    joined = [_of(f"{name}", each) for name, each in group.participants.items() if each.spec.pod_name is not None]
    known = {source.pod for source in joined}
    pods = [Source(name, name, None) for name in group.pods if name not in known]
    if not joined and not pods:
        raise CommandError(f"{group.name} has no node in a pod: no logs can be read")
    return [*joined, *pods]


def _members(group: Group) -> Iterator[tuple[int, Source]]:
    for member in group.status.participants:
        participant = group.participants.get(member.name)
        if participant is not None and participant.spec.pod_name is not None:
            yield member.rank, _of(f"{member.rank} {participant.spec.pod_name}", participant)


def _of(prefix: str, participant: Participant) -> Source:
    assert participant.spec.pod_name is not None
    return Source(prefix, participant.spec.pod_name, participant.spec.container)


def window(group: Group, number: int) -> Window:
    """The time of a round.

    Raises:
        CommandError: the status does not have it.
    """
    for record in group.status.history:
        if record.round == number and parse_time(record.formed) is not None:
            return Window(record.formed, None if record.running else record.ended or record.asked)
    kept = [str(record.round) for record in group.status.history]
    raise CommandError(f"{group.name} has no record of round {number}; it has those of {', '.join(kept) or 'no round'}")


def within(line: str, limits: Window) -> str | None:
    """A line of ``kubectl logs --timestamps`` without its time; None: it is not of that time."""
    stamp, _, text = line.partition(" ")
    moment, begin, end = parse_time(stamp), parse_time(limits.begin), parse_time(limits.end)
    if moment is None or begin is None:
        return line
    return text if begin <= moment and (end is None or moment <= end) else None
