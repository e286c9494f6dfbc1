"""The meeting of all members of a round at the address of rank 0, by nothing but TCP: the self-test's TCPStore.

A member connects and sends one line, ``kube-rendezvous-selftest ROUND RANK``. Rank 0 answers ``all here`` once it has
heard from all of them. Who is cut off before that comes again, and counts only while its connection stands.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Coroutine, Sequence

_GREETING = "kube-rendezvous-selftest"
_ALL_HERE = b"all here\n"
_LONGEST_LINE = 256
"""Bytes; whatever sends more is no member."""
_REPLY_SECONDS = 5.0
"""For a line from somebody who has just connected, and for a member to hang up after its answer."""
_CONNECT_SECONDS = 3.0
_RETRY_SECONDS = 0.2
_POLL_SECONDS = 0.1


class Meeting:
    """One member's part in the meeting of one round."""

    def __init__(self, round_number: int, rank: int, nodes: int):
        """Make no connection yet.

        Args:
            round_number: of the Rendezvous.
            rank: of this member.
            nodes: how many members the round has.
        """
        self.problem = ""
        """Why this member, if it is not rank 0, has no answer yet."""
        self._round = round_number
        self._rank = rank
        self._here = {0: 1}  # how many connections each rank has: a new one may come before the old one has gone
        self._nodes = nodes
        self._everybody = asyncio.Event()
        self._to_answer = set(range(1, nodes))
        self._done = asyncio.Event()

    @property
    def missing(self) -> list[int]:
        """At rank 0: the ranks that are not here."""
        return [rank for rank in range(self._nodes) if not self._here.get(rank)]

    async def serve(self, bound: socket.socket) -> None:
        """Be rank 0: wait for all others, and return when each of them has its answer.

        Args:
            bound: the socket whose address was advertised; it does not listen yet, and is closed at the end.
        """

        async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError, ValueError, asyncio.TimeoutError), contextlib.closing(writer):
                await self._receive(reader, writer)

        if self._nodes == 1:
            bound.close()
            return
        server = await asyncio.start_server(receive, sock=bound, limit=_LONGEST_LINE, backlog=self._nodes)
        try:
            await self._done.wait()
        finally:
            server.close()

    async def _receive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Talk with whoever has connected."""
        rank = self._rank_of(await asyncio.wait_for(reader.readline(), _REPLY_SECONDS))
        self._here[rank] = self._here.get(rank, 0) + 1
        try:
            if not self.missing:
                self._everybody.set()
            hung_up = asyncio.ensure_future(reader.read())
            everybody = asyncio.ensure_future(self._everybody.wait())
            await asyncio.wait({hung_up, everybody}, return_when=asyncio.FIRST_COMPLETED)
            everybody.cancel()
            if not self._everybody.is_set():
                return
            writer.write(_ALL_HERE)
            await writer.drain()
            # The pod of rank 0 may go when this has ended, and what its kernel has not sent by then goes with it.
            await asyncio.wait({hung_up}, timeout=_REPLY_SECONDS)
            self._to_answer.discard(rank)
            if not self._to_answer:
                self._done.set()
        finally:
            self._here[rank] -= 1

    def _rank_of(self, line: bytes) -> int:
        """The rank that a first line tells.

        Raises:
            ValueError: it is not that of a member of this round.
        """
        greeting, round_number, rank = line.decode("ascii").split()
        if (greeting, int(round_number)) != (_GREETING, self._round) or int(rank) not in range(1, self._nodes):
            raise ValueError(line)
        return int(rank)

    async def visit(self, host: str, port: int) -> None:
        """Be another rank: go to rank 0 as often as needed, and return with its answer."""
        while True:
            try:
                connecting = asyncio.open_connection(host, port, limit=_LONGEST_LINE)
                reader, writer = await asyncio.wait_for(connecting, _CONNECT_SECONDS)
                with contextlib.closing(writer):
                    await self._ask(reader, writer)
            except asyncio.TimeoutError:
                self.problem = f"no answer within {_CONNECT_SECONDS:.0f} s"
            except (OSError, ValueError) as error:
                self.problem = str(error)
            else:
                return
            await asyncio.sleep(_RETRY_SECONDS)

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"{_GREETING} {self._round} {self._rank}\n".encode("ascii"))
        await writer.drain()
        self.problem = "it has answered, and waits for other members"
        answer = await reader.readline()
        if not answer:
            raise ConnectionResetError("it hung up")
        if answer != _ALL_HERE:
            raise ValueError(f"something else than a self-test answers there: {answer!r}")


async def unless(stop: Callable[[], bool], meeting: Coroutine[None, None, None]) -> bool:
    """Carry out a meeting until it is done or ``stop``, called ten times a second, says so; returns whether it is done.

    What ``stop`` raises is raised here.
    """
    task = asyncio.ensure_future(meeting)
    try:
        while not task.done():
            if stop():
                return False
            await asyncio.wait({task}, timeout=_POLL_SECONDS)
        task.result()
        return True
    finally:
        task.cancel()


def spelled(ranks: Sequence[int]) -> str:
    """Ranks for people: the first ten, and how many more there are."""
    more = f" and {len(ranks) - 10} more" if len(ranks) > 10 else ""
    return ("rank " if len(ranks) == 1 else "ranks ") + ", ".join(map(str, ranks[:10])) + more
