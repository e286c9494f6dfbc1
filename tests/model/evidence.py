"""What is true of the evidence on which a member may be lost: which signs of life have reached the API server.

A member gives one by a heartbeat of its own. It gives one, too, by its beats to a host whose heartbeat reaches the API
server; the host gives one by its answers to a member whose heartbeat does. A member is accused as long as the newest
words about it say so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from rendezvous_api import ranks
from rendezvous_api.participant import PeerEvidence
from rendezvous_api.reasons import HostState
from rendezvous_api.rendezvous import Member

if TYPE_CHECKING:
    from tests.model.agent import Agent

CLOSED_SECONDS = 1.0
"""So long a member that is accused, since its connection was closed, has time for a heartbeat."""
_MISSED, _CLOSED, _LEFT, _PRESENT = "missed", "closed", "left", "present"
_OF_HOST = {
    HostState.MISSED: _MISSED,
    HostState.CLOSED: _CLOSED,
    HostState.LEFT: _LEFT,
    HostState.ANSWERS: _PRESENT,
}


class Words(NamedTuple):
    """What one heartbeat says about one member."""

    at: float
    what: str


def is_lost(
    rank: int,
    members: Sequence[tuple[Member, Agent | None]],
    reads: Mapping[str, float],
    now: float,
    *,
    number: int,
    suspect: float,
    confirm: float,
    silent: float,
    machine_was_down: Callable[[float, float], bool],
) -> bool:
    """Whether a member was without a sign of life for its time, as of the moments at which participants were read last.

    Args:
        rank: of the member, whose process runs.
        members: of the round, in the order of ranks, and their processes.
        reads: when each participant was read last, by its name.
        now: in the place of a read that there was not.
        number: of the round.
        suspect: seconds without any sign of life after which it is lost.
        confirm: the same while it is accused, or its machine is down.
        silent: seconds without any sign of life after which it is silent.
        machine_was_down: whether its machine was down between two moments.
    """
    member, agent = members[rank]
    assert agent is not None
    read_at = reads.get(member.name, now)
    own = agent.last_beat_before(read_at)
    about = {
        writer.rank: [*_words(rank, process, reads.get(writer.name, now), number)]
        for writer, process in members
        if process is not None and writer.rank != rank
    }
    # What is passed on counts only while the host's own heartbeats do not come.
    signs = (words for writer, of_one in about.items() if not (rank and writer) for words in of_one)
    seen = max((words.at for words in signs if words.what == _PRESENT), default=float("-inf"))
    sign = max(own, seen)
    if read_at - sign >= suspect:
        return True
    if read_at - sign >= max(silent, confirm) and machine_was_down(sign, now - confirm):
        return True
    for of_one in about.values():
        since = _accused_since(of_one)
        if since is None:
            continue
        limit = CLOSED_SECONDS if of_one[-1].what == _CLOSED and own <= since else confirm
        if read_at - max(sign, since) >= limit:
            return True
    return False


def _words(rank: int, agent: Agent, until: float, number: int) -> Iterator[Words]:
    for said in agent.heartbeats.said:
        if said.at <= until and said.round == number and said.peers is not None:
            what = _about(rank, said.peers)
            if what is not None:
                yield Words(said.at, what)


def _about(rank: int, evidence: PeerEvidence) -> str | None:
    if not rank:
        return _OF_HOST.get(evidence.host) if evidence.host is not None else None
    report = evidence.report
    if report is None or report.too_many:
        return None
    sets = {_MISSED: report.missed, _CLOSED: report.closed, _LEFT: report.left}
    found = next((what for what, names in sets.items() if rank in ranks.from_text(names)), _PRESENT)
    return None if rank in ranks.from_text(report.not_connected) else found


def _accused_since(words: Sequence[Words]) -> float | None:
    """Since when the last words of one writer accuse it without a break; None: they do not."""
    since = None
    for one in reversed(words):
        if one.what == _PRESENT:
            break
        since = one.at
    return since
