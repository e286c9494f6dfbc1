"""torchrun, on a node whose way to the stores of rounds can be cut: it is while the file CUT_STORES exists.

The file has the addresses that the node cannot reach, one in a line; if it is empty, the node reaches none.

In the same way, CUT_PEERS may name a file that breaks the connections to the other agents of a round. It says how:

- `in`, `out` or both: what comes, or what is sent, is kept back, as by a kernel that gets no acknowledgement. It goes
  on when the file is gone.
- `closed`: each connection is reset as soon as something comes by it, so that none can be opened, either.

The handler opens a connection of its own to a store before torch does, and that one hangs then, as where a network
drops packets.
"""

import errno
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.pop(0)  # this folder: torchrun does not have it

from torch.distributed.run import main

from rendezvous_handler.peers.connection import Connection

_PAUSE_SECONDS = 0.02
"""A socket that could be read or written, and is not, would keep its thread busy."""

_connect = socket.create_connection
_file = Path(os.environ["CUT_STORES"])


def _cut(address: str) -> bool:
    try:
        addresses = _file.read_text().split()
    except FileNotFoundError:
        return False
    return not addresses or address in addresses


def _connect_unless_cut(address: tuple[str, int], timeout: float = 1.0, *more: Any, **named: Any) -> socket.socket:
    if _cut(address[0]):
        time.sleep(timeout)
        raise TimeoutError("the way to the store is cut")
    return _connect(address, timeout, *more, **named)


def _break_peers(file: Path) -> None:
    def how() -> list[str]:
        try:
            return file.read_text().split()
        except FileNotFoundError:
            return []

    received, flushed = Connection.receive, Connection.flush

    def receive(self: Connection) -> Iterator[str]:
        if "closed" in (words := how()):
            raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
        if "in" in words:
            time.sleep(_PAUSE_SECONDS)
            return iter(())
        return received(self)

    def flush(self: Connection) -> bool:
        if "out" in how():
            time.sleep(_PAUSE_SECONDS)
            return False
        return flushed(self)

    Connection.receive, Connection.flush = receive, flush  # type: ignore[method-assign]


socket.create_connection = _connect_unless_cut  # type: ignore[assignment]
if "CUT_PEERS" in os.environ:
    _break_peers(Path(os.environ["CUT_PEERS"]))
sys.exit(main())
