"""What the members of a simulated round say of each other, by their connections to the host of the round.

It is what `rendezvous_handler.peers` would make heartbeats say. No member passes on the report of a host that does not
reach the API server.
"""

from collections.abc import Mapping
from dataclasses import replace

from kube_rendezvous_cli.simulator.nodes import Node
from kube_rendezvous_cli.simulator.operator import Operator
from rendezvous_api import ranks
from rendezvous_api.participant import MISSED_SECONDS, PeerEvidence, PeerReport
from rendezvous_api.reasons import HostState

NOTICED_AFTER = {HostState.CLOSED: 1.0, HostState.LEFT: 1.0, HostState.MISSED: MISSED_SECONDS}
"""Seconds from the end of the beats until the other end says so."""
_OF_HOST = {word: PeerEvidence(host=word) for word in HostState}
_SETS = {HostState.CLOSED: "closed", HostState.LEFT: "left", HostState.MISSED: "missed"}


def say(operator: Operator, nodes: Mapping[str, Node], now: float) -> None:
    """Each member whose word has changed sends a heartbeat at once.

    Args:
        operator: sees them.
        nodes: by the names of their participants.
        now: seconds of the simulation.
    """
    status = operator.status
    members = [nodes[member.name] for member in status.participants if member.name in nodes]
    if len(members) < 2 or len(members) < len(status.participants) or not status.history:
        return
    host = members[0]
    sets: dict[str, list[int]] = {name: [] for name in _SETS.values()}
    of_host = _word(host, now)
    for rank, member in enumerate(members[1:], 1):
        word = _word(member, now) or (HostState.MISSED if of_host is HostState.MISSED else None)
        if word is not None:
            sets[_SETS[word]].append(rank)
        if _speaks(operator, member):
            seen_of_host = of_host or (HostState.MISSED if word is HostState.MISSED else HostState.ANSWERS)
            _says(operator, member, _OF_HOST[seen_of_host], now)
    if _speaks(operator, host):
        missed, closed, left = (ranks.to_text(sets[word]) for word in ("missed", "closed", "left"))
        _says(operator, host, PeerEvidence(report=PeerReport(1, missed, closed, left)), now)


def _word(node: Node, now: float) -> HostState | None:
    """What the other end says of the beats of a node; None: they come."""
    if node.beats is None:
        return None
    word, since = node.beats
    return word if now >= since + NOTICED_AFTER[word] else None


def _speaks(operator: Operator, node: Node) -> bool:
    """Whether it runs the round, and its heartbeats arrive."""
    mine = operator.participant(node.name)
    return node.acts and mine is not None and mine.status.round == operator.status.round and node.round > 0


def _says(operator: Operator, node: Node, word: PeerEvidence, now: float) -> None:
    mine = operator.participant(node.name)
    assert mine is not None
    before = mine.status.peers
    if before is word:
        return  # of nearly all members of a large group, each time
    node.accuses = bool(word.report.accused) if word.report is not None else word.host is HostState.MISSED
    if word.report is not None and before is not None and before.report is not None:
        number = before.report.number
        news = before.report != replace(word.report, number=number)
        word = replace(word, report=replace(word.report, number=number + news))
    if word != before:
        operator.show(replace(mine, status=replace(mine.status, peers=word)), now)
