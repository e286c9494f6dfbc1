"""The lines that members and host of a round send each other. Pure.

A member begins with `hello`, and sends a `beat` each second, the first one at once. The host answers each with an
`answer`. Either ends with a `farewell`, or is `retired`. A line that begins with another word is ignored: it is of
another release.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rendezvous_api import codec
from rendezvous_api.participant import PeerReport

LONGEST_FROM_MEMBER = 512
"""Bytes of a line. The payload of a beat, which has no meaning yet, may have 64."""
LONGEST_FROM_HOST = 32768
"""Bytes of a line: a report has four sets of at most 4096."""

FAREWELL = b"farewell\n"
"""The workers of this end do not run the round any more."""
RETIRED = b"retired\n"
"""This end has no connections any more; that says nothing about its workers."""

_HELLO = "kube-rendezvous-peers/1"
_YES, _NO = "yes", "no"
_UNANSWERED = "unanswered"
_NO_RANK = "-"


class WireError(Exception):
    """What came is no line that the other end may send."""


@dataclass(frozen=True)
class PeerRound:
    """Which round it is, and which member."""

    uid: str
    """Of the Rendezvous."""
    fence: str
    """Of the round (`answer.fence_of`): two rounds of equal ones have the same members with the same attempts."""
    rank: int
    nodes: int


@dataclass(frozen=True)
class Beat:
    """What a member says with a beat."""

    arrives: bool
    """Its own heartbeats reach the API server."""
    unanswered: bool = False
    """It gets no answers from the host, and may say so to the API server. An earlier release does not say that here."""


@dataclass(frozen=True)
class Answer:
    """What the host says to a beat."""

    number: int
    """Of its report; 0 before there is one."""
    passes_on: int | None
    """The rank that is to write the report, too."""
    report: PeerReport | None
    """None: it is the one that was sent before with that number."""


def hello(peer: PeerRound) -> bytes:
    """The first line of a member."""
    return f"{_HELLO} {peer.uid} {peer.fence} {peer.rank}\n".encode()


def beat(said: Beat) -> bytes:
    """A beat."""
    return f"beat {_YES if said.arrives else _NO}{f' {_UNANSWERED}' if said.unanswered else ''}\n".encode()


def answer(said: Answer) -> bytes:
    """The answer to a beat."""
    passes_on = _NO_RANK if said.passes_on is None else said.passes_on
    report = "" if said.report is None else " " + json.dumps(codec.encode(said.report), separators=(",", ":"))
    return f"answer {said.number} {passes_on}{report}\n".encode()


def refusal(why: str) -> bytes:
    """What the host says before it closes a connection that it does not want."""
    return f"no {why}\n".encode()


def lines(buffer: bytearray, longest: int) -> Iterator[str]:
    """Take the whole lines from the front of what has come.

    Raises:
        WireError: a line is longer, or it is no text.
    """
    while (end := buffer.find(b"\n")) >= 0:
        if end >= longest:
            break
        line = bytes(buffer[:end])
        del buffer[: end + 1]
        try:
            yield line.decode("ascii")
        except UnicodeDecodeError:
            raise WireError("a line is no text") from None
    if len(buffer) >= longest:
        raise WireError(f"a line is longer than {longest} bytes")


def read_hello(line: str, host: PeerRound) -> int:
    """The rank of the member that says so.

    Args:
        line: the first one of a connection.
        host: who reads it.

    Raises:
        WireError: it is no member of the round of the host; the message is for that one.
    """
    word, *fields = line.split(" ")
    if word != _HELLO or len(fields) < 3:
        raise WireError(f"{_HELLO} is spoken here")
    uid, fence, rank = fields[:3]
    if uid != host.uid:
        raise WireError("another Rendezvous is served here")
    if fence != host.fence:
        raise WireError("another round is served here")
    if not (rank.isdecimal() and 0 < int(rank) < host.nodes):
        raise WireError(f"the ranks of the other members are 1 to {host.nodes - 1}")
    return int(rank)


def read_beat(line: str) -> Beat | None:
    """What a member says with a beat; None: the line is none."""
    words = line.split(" ")
    return Beat(words[1] == _YES, words[2:3] == [_UNANSWERED]) if words[0] == "beat" and len(words) > 1 else None


def is_last(line: str, words: bytes) -> bool:
    """Whether these are the last words of the other end.

    Args:
        line: what it has sent.
        words: `FAREWELL` or `RETIRED`.
    """
    return line.split(" ")[0] == words.decode().rstrip()


def read_refusal(line: str) -> str | None:
    """Why the host does not want this member; None: it does not say that."""
    word, _, why = line.partition(" ")
    return why if word == "no" else None


def read_answer(line: str) -> Answer | None:
    """What the host says to a beat; None: the line is no answer.

    Raises:
        WireError: it is one that cannot be read.
    """
    words = line.split(" ", 3)
    if words[0] != "answer":
        return None
    try:
        number, passes_on = int(words[1]), None if words[2] == _NO_RANK else int(words[2])
        report = codec.decode(PeerReport, _json(words[3])) if len(words) > 3 else None
    except (ValueError, IndexError) as error:
        raise WireError(f"an answer cannot be read: {error}") from None
    return Answer(number, passes_on, report)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
