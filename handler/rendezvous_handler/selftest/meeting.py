"""The meeting of all members of a round at the address of rank 0, by nothing but TCP: the self-test's TCPStore.

A member connects and sends one line, ``kube-rendezvous-selftest ROUND RANK``. Rank 0 answers ``all here`` once it has
the lines of all of them. A member whose connection breaks before that connects again, and counts only while it stands.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Sequence

from rendezvous_handler.agent.store_port import StorePort
from rendezvous_handler.join.answer import Membership

_GREETING = "kube-rendezvous-selftest"
_ALL_HERE = b"all here\n"
_LONGEST_LINE = 256
"""Bytes; a client that sends more is no member."""
_REPLY_SECONDS = 5.0
"""For the line of a client that has just connected, and for a member to hang up after its answer."""
_CONNECT_SECONDS = 3.0
_RETRY_SECONDS = 0.2
_CLOSE_SECONDS = 1.0
"""For the thread to free the port, which may be the only one that the next round may use."""


class TcpMeeting:
    """A `MeetingPoint` that needs no torch."""

    def __init__(self, membership: Membership, port: StorePort, done: Callable[[], None]):
        """Make no connection yet.

        Args:
            membership: the round.
            port: the bound port of this node; it is closed here, or served by rank 0.
            done: called in another thread when the meeting has ended.
        """
        self.membership = membership
        self.complete = False
        self.error: Exception | None = None
        self._port = port
        self._done = done
        self._meeting = Meeting(membership.round, membership.rank, membership.nodes)
        self._running: tuple[asyncio.AbstractEventLoop, asyncio.Task[None]] | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="rendezvous-meeting", daemon=True)

    @property
    def progress(self) -> str:
        """Which members have not come, and what to look at."""
        store = self.membership.store
        where = f"{store.host}:{store.port}"
        if self.membership.rank == 0:
            return (
                f"The round was published, but {spelled(self._meeting.missing)} did not come to this member, rank 0, "
                f"at {where}. Look at their logs: either they cannot reach this address, or they have ended"
            )
        return (
            f"The round was published, but the meeting at rank 0, {where}, did not come about: "
            f"{self._meeting.problem}. If this address cannot be reached, a NetworkPolicy or a firewall may stand "
            "between the pods (--store-port limits the ports)"
        )

    @property
    def seen(self) -> None:
        """Nothing: `progress` says all that is known, and the self-test ends with it."""

    def ends_within(self, seconds: float) -> bool:
        """Whether it will have ended by then: never by itself."""
        return False

    def start_check_in(self) -> None:
        """Meet the others, in a thread of its own."""
        self._thread.start()

    def close(self) -> None:
        """End the meeting, and free the port."""
        self._closed = True
        if self._running is not None:
            loop, task = self._running
            with contextlib.suppress(RuntimeError):  # the loop is closed: the meeting has ended
                loop.call_soon_threadsafe(_end, loop, task)
        self._port.close()
        if self._thread.is_alive():
            self._thread.join(_CLOSE_SECONDS)

    def _run(self) -> None:
        try:
            asyncio.run(self._meet())
            self.complete = True
        except asyncio.CancelledError:
            pass
        except Exception as error:  # noqa: BLE001 - whatever it is, the join that waits must learn of it
            self.error = error
        finally:
            self._done()

    async def _meet(self) -> None:
        task = asyncio.ensure_future(self._take_part())
        self._running = (asyncio.get_running_loop(), task)
        if self._closed:
            task.cancel()
        await task

    async def _take_part(self) -> None:
        if self.membership.rank == 0:
            await self._meeting.serve(socket.socket(fileno=self._port.detach()))
        else:
            self._port.close()
            await self._meeting.visit(self.membership.store.host, self.membership.store.port)


def _end(loop: asyncio.AbstractEventLoop, task: asyncio.Task[None]) -> None:
    """Cancel until it has ended: `asyncio.wait_for` of Python 3.10 and 3.11 may swallow a cancellation."""
    if not task.done():
        task.cancel()
        loop.call_later(_RETRY_SECONDS / 4, _end, loop, task)


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
        self._all_here = asyncio.Event()
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
            # Cancelled: the meeting was closed. asyncio would log a traceback for each member that waits.
            ends = (OSError, ValueError, asyncio.TimeoutError, asyncio.CancelledError)
            with contextlib.suppress(*ends), contextlib.closing(writer):
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
        """Talk with a client that has connected."""
        rank = self._rank_of(await asyncio.wait_for(reader.readline(), _REPLY_SECONDS))  # noqa: TID251 - see _end
        self._here[rank] = self._here.get(rank, 0) + 1
        try:
            if not self.missing:
                self._all_here.set()
            hung_up = asyncio.ensure_future(_until_hung_up(reader))
            all_here = asyncio.ensure_future(self._all_here.wait())
            await asyncio.wait({hung_up, all_here}, return_when=asyncio.FIRST_COMPLETED)
            all_here.cancel()
            if hung_up.done() or not self._all_here.is_set():
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
                reader, writer = await asyncio.wait_for(connecting, _CONNECT_SECONDS)  # noqa: TID251 - see _end
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
            raise ValueError(f"a program other than a self-test answers there: {answer!r}")


async def _until_hung_up(reader: asyncio.StreamReader) -> None:
    """Read and discard, without keeping what a stranger may send."""
    with contextlib.suppress(OSError):
        while await reader.read(_LONGEST_LINE):
            pass


def spelled(ranks: Sequence[int]) -> str:
    """Ranks for people: the first ten, and how many more there are."""
    more = f" and {len(ranks) - 10} more" if len(ranks) > 10 else ""
    return ("rank " if len(ranks) == 1 else "ranks ") + ", ".join(map(str, ranks[:10])) + more
