"""torchrun, on a node whose way to the stores of rounds can be cut: it is while the file CUT_STORES exists.

The file has the addresses that the node cannot reach, one in a line; if it is empty, the node reaches none.

The handler opens a connection of its own to a store before torch does, and that one hangs then, as where a network
drops packets.
"""

import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

sys.path.pop(0)  # this folder: torchrun does not have it

from torch.distributed.run import main

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


socket.create_connection = _connect_unless_cut  # type: ignore[assignment]
sys.exit(main())
