"""What the members of a round say of each other in their heartbeats: who receives whose beats.

It is only what they say. Whose word counts, and whether a member is a suspect, is decided by the operator.
"""

from collections import Counter
from collections.abc import Iterable

from kube_rendezvous_cli.group import Group
from kube_rendezvous_cli.text import count
from rendezvous_api import ranks
from rendezvous_api.participant import PeerEvidence, PeerReport
from rendezvous_api.reasons import HostState

_OF_HOST = {
    HostState.ANSWERS: "the host answers it",
    HostState.MISSED: "it gets no answers from the host",
    HostState.CLOSED: "its connection to the host was closed",
    HostState.LEFT: "the host has said farewell to it",
    HostState.NOT_CONNECTED: "it has never reached the host",
}
_BY_MEMBERS = {
    HostState.ANSWERS: "it answers",
    HostState.MISSED: "no answers from it",
    HostState.CLOSED: "connection to it closed",
}


def peer_words(group: Group) -> dict[str, str]:
    """What is said of each member of the running round, by the name of its participant."""
    members = sorted(group.status.participants, key=lambda member: member.rank)
    if not group.running or len(members) < 2:
        return {}
    said: dict[str, PeerEvidence] = {}
    for member in members:
        participant = group.participants.get(member.name)
        if participant is not None and participant.status.round == group.status.round and participant.status.peers:
            said[member.name] = participant.status.peers
    # By rank: the host's own report is newer than one that another member passes on.
    report = next((each.report for each in said.values() if each.report is not None), None)
    of_report = _of_report(report)
    words: dict[str, str] = {}
    for member in members:
        if member.rank == 0:
            words[member.name] = _of_the_host(said.values())
            continue
        mine = said.get(member.name)
        of_member = of_report.get(member.rank, "" if report is None or report.too_many else "its beats reach the host")
        by_member = _OF_HOST[mine.host] if mine is not None and mine.host is not None else ""
        words[member.name] = "; ".join(filter(None, (of_member, by_member)))
    return {name: text for name, text in words.items() if text}


def _of_the_host(said: Iterable[PeerEvidence]) -> str:
    """What the others say of it."""
    counted = Counter(each.host for each in said)
    found = ((text, counted[state]) for state, text in _BY_MEMBERS.items() if counted[state])
    return "; ".join(f"{text}: {count(number, 'member')}" for text, number in found)


def _of_report(report: PeerReport | None) -> dict[int, str]:
    """What the host says of the members of which it says more than that their beats arrive, by rank."""
    if report is None:
        return {}
    sets = (
        (report.not_connected, "it has never reached the host"),
        (report.left, "it has said farewell to the host"),
        (report.closed, "its connection at the host was closed"),
        (report.missed, "no beats of it reach the host"),
    )
    return {rank: text for said, text in sets for rank in ranks.from_text(said)}
