"""What the members of a simulated round say of each other, by their connections to the host of the round.

It is what `rendezvous_handler.peers` would make heartbeats say. No member passes on the report of a host that does not
reach the API server.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from kube_rendezvous_cli.simulator.nodes import Node
from rendezvous_api import ranks
from rendezvous_api.participant import MISSED_SECONDS, PeerEvidence, PeerReport
from rendezvous_api.reasons import HostState

if TYPE_CHECKING:
    from kube_rendezvous_cli.simulator.play import Play

NOTICED_AFTER = {HostState.CLOSED: 1.0, HostState.LEFT: 1.0, HostState.MISSED: MISSED_SECONDS}
"""Seconds from the end of the beats until the other end says so."""
_SETS = {HostState.CLOSED: "closed", HostState.LEFT: "left", HostState.MISSED: "missed"}


def say(play: Play) -> None:
    """Each member whose word has changed sends a heartbeat at once."""
    status = play.operator.status
    members = [play.nodes[member.name] for member in status.participants if member.name in play.nodes]
    if len(members) < 2 or len(members) < len(status.participants) or not status.history:
        return
    host = members[0]
    sets: dict[str, list[int]] = {name: [] for name in _SETS.values()}
    of_host = _word(play, host)
    for rank, member in enumerate(members[1:], 1):
        word = _word(play, member) or (HostState.MISSED if of_host is HostState.MISSED else None)
        if word is not None:
            sets[_SETS[word]].append(rank)
        if _speaks(play, member):
            seen_of_host = of_host or (HostState.MISSED if word is HostState.MISSED else HostState.ANSWERS)
            _says(play, member, PeerEvidence(host=seen_of_host))
    if _speaks(play, host):
        missed, closed, left = (ranks.to_text(sets[word]) for word in ("missed", "closed", "left"))
        _says(play, host, PeerEvidence(report=PeerReport(1, missed, closed, left)))


def _word(play: Play, node: Node) -> HostState | None:
    """What the other end says of the beats of a node; None: they come."""
    if node.beats is None:
        return None
    word, since = node.beats
    return word if play.now >= since + NOTICED_AFTER[word] else None


def _speaks(play: Play, node: Node) -> bool:
    """Whether it runs the round, and its heartbeats arrive."""
    mine = play.participant(node)
    return node.acts and mine is not None and mine.status.round == play.operator.status.round and node.round > 0


def _says(play: Play, node: Node, word: PeerEvidence) -> None:
    mine = play.participant(node)
    assert mine is not None
    before = mine.status.peers
    node.accuses = bool(word.report.accused) if word.report is not None else word.host is HostState.MISSED
    if word.report is not None and before is not None and before.report is not None:
        number = before.report.number
        news = before.report != replace(word.report, number=number)
        word = replace(word, report=replace(word.report, number=number + news))
    if word != before:
        play.operator.show(replace(mine, status=replace(mine.status, peers=word)), play.now)
