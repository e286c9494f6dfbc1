"""The second path of a `small_world`: what the members and their host say of each other, and what may follow from it.

A report and a word change only with a heartbeat of the agent that has them, so they may be old. The host may be dead or
silent; the path between it and a member may break while both reach the API server.
"""

from collections.abc import Iterator, Mapping, Sequence

from tests.unit.core.small_world import JOINED, SILENT, STOPS, TRAINS, Node, Shared, beats
from tests.unit.core.small_world_path import Second

from rendezvous_api import ranks
from rendezvous_api.participant import PeerEvidence, PeerReport
from rendezvous_api.reasons import HostState, RoundEndReason
from rendezvous_operator.core.timers import Timer

NOT_CONNECTED, MISSED, LEFT = HostState.NOT_CONNECTED.value, HostState.MISSED.value, HostState.LEFT.value
BEATS_ARRIVE, ANSWERS = "", HostState.ANSWERS.value

PEERS_ACT = ("the host reports", "says what it sees of the host", "says farewell", "its path to the host heals")
"""Steps that a fair schedule takes."""


def holders(nodes: Sequence[Node]) -> list[int]:
    """The members in the order of their ranks."""
    return sorted((i for i, node in enumerate(nodes) if node.member), key=lambda i: not nodes[i].host)


def evidence_of(i: int, nodes: Sequence[Node]) -> PeerEvidence | None:
    """What the object of a member says of the others."""
    node = nodes[i]
    if not (node.current and node.reports):
        return None
    if not node.host:
        return PeerEvidence(host=HostState(node.second.word))
    said = {
        word: [rank for rank, j in enumerate(holders(nodes)) if nodes[j].second.said == word and rank]
        for word in (MISSED, LEFT, NOT_CONNECTED)
    }
    texts = {word: ranks.to_text(found) for word, found in said.items()}
    return PeerEvidence(report=PeerReport(1, texts[MISSED], "", texts[LEFT], texts[NOT_CONNECTED]))


def steps_of_peers(nodes: tuple[Node, ...], what: str) -> Iterator[tuple[str, tuple[Node, ...]]]:
    """What members and their host may do next on the second path; ``what`` is `Setup.peers`."""
    host = next((i for i, node in enumerate(nodes) if node.host), None)
    for i, node in enumerate(nodes):
        if node.process == STOPS and node.current and not node.second.farewell:
            yield "says farewell", _changed(nodes, i, node._replace(second=node.second._replace(farewell=True)))
        if host is None or node.host or not node.current or node.process != TRAINS:
            continue
        label = "its path to the host heals" if node.second.apart else "its path to the host breaks"
        yield label, _changed(nodes, i, node._replace(second=node.second._replace(apart=not node.second.apart)))
        word = _word(nodes[host], node.second)
        if what != "report" and node.acts and node.reports and word != node.second.word:
            yield (
                "says what it sees of the host",
                _changed(nodes, i, beats(node._replace(second=node.second._replace(word=word)))),
            )
    if (
        what != "words"
        and host is not None
        and nodes[host].acts
        and nodes[host].current
        and nodes[host].process == TRAINS
    ):
        said = tuple(
            node._replace(second=node.second._replace(said=_said(node))) if node.member and not node.host else node
            for node in nodes
        )
        if said != nodes and nodes[host].reports:
            yield "the host reports", _changed(said, host, beats(nodes[host]))


def _changed(nodes: tuple[Node, ...], i: int, node: Node) -> tuple[Node, ...]:
    return (*nodes[:i], node, *nodes[i + 1 :])


def _said(node: Node) -> str:
    """What the host knows of a member now."""
    second = node.second
    if node.current and node.process == TRAINS and not second.apart:
        return BEATS_ARRIVE
    if second.said == NOT_CONNECTED or (second.said == LEFT and not node.process):
        return second.said
    stopped = second.farewell or (node.process and not node.current)
    return LEFT if stopped and not second.apart else MISSED if node.process != STOPS or second.apart else BEATS_ARRIVE


def _word(host: Node, second: Second) -> str:
    """What a member that trains knows of the host now."""
    if host.current and host.process in (TRAINS, STOPS) and not host.second.farewell and not second.apart:
        return ANSWERS
    if second.word == NOT_CONNECTED:
        return NOT_CONNECTED
    return LEFT if host.process and not second.apart else MISSED


def counts(node: Node) -> bool:
    """Whether what the object of a member says counts for the operator."""
    return node.object == JOINED and node.current and node.reports and node.silence not in SILENT


def is_vouched_for(i: int, nodes: Sequence[Node]) -> bool:
    """Whether a word that counts says that beats, or answers, of a member arrive."""
    node = nodes[i]
    if not node.current or node.object != JOINED:
        return False
    if node.host:
        return any(counts(other) and other.second.word == ANSWERS for other in nodes if other.member and not other.host)
    return node.second.said == BEATS_ARRIVE and any(counts(other) for other in nodes if other.host)


def forget_vouching(nodes: tuple[Node, ...]) -> Iterator[tuple[str, tuple[Node, ...]]]:
    """As long as after a heartbeat, and the last vouching counts no more."""
    for i, node in enumerate(nodes):
        if node.second.vouched and not is_vouched_for(i, nodes):
            yield "time passes: vouched", _changed(nodes, i, node._replace(second=node.second._replace(vouched=False)))


def check_losses(
    shared: Shared, nodes: Sequence[Node], lost: Mapping[str, RoundEndReason], name_of: Mapping[int, str], asks: bool
) -> None:
    """Who is received on either path is not lost, and who is accused and silent is lost in time."""
    for i, node in enumerate(nodes):
        if not node.current or node.object != JOINED or node.pod == "leaving":
            continue
        is_lost = lost.get(name_of[i]) is RoundEndReason.MEMBER_LOST
        received = node.silence not in SILENT or is_vouched_for(i, nodes)
        assert not (is_lost and received and not node.second.concluded), f"{node} is lost, and lives"
        if (
            not node.host
            and node.second.said == MISSED
            and node.silence in SILENT
            and any(other.host and counts(other) for other in nodes)
            and not shared.waiting
            and shared.round_run == shared.run
            and shared.run not in dict(shared.closed)
        ):
            accused_long = ((Timer.ACCUSED.value, MISSED, 2), 2) in node.ages
            assert asks or not accused_long or shared.spec_closed, f"{node} is accused, and not lost"
