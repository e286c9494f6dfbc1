"""A control plane reserves its port and its data folder: others may run on the same machine."""

import fcntl
import socket
from pathlib import Path
from typing import IO

from .errors import ControlPlaneError


def reserve_port(host: str, port: int = 0) -> socket.socket:
    """A socket that reserves a port of `host` (0: any free one) until it is closed. It does not listen.

    Raises ControlPlaneError when another process has the port.

    kube-apiserver shares the port (SO_REUSEPORT), which only processes of the same user can. So no other user can take
    it, neither before the API server has started nor while it is stopped. As this socket does not listen, no connection
    ever comes to it.
    """
    holder = socket.socket()
    try:
        if port:
            # With SO_REUSEPORT alone one could share it with another control plane of the same user.
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections in TIME_WAIT do not count
                probe.bind((host, port))
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind((host, port))
    except OSError as error:
        holder.close()
        raise ControlPlaneError(f"port {port} of {host} is not available: {error}") from None
    return holder


def reserve_folder(folder: Path) -> IO[str]:
    """Reserve `folder` until the file returned is closed, or this process ends.

    Raises ControlPlaneError when another control plane has it.
    """
    lock = open(folder / "lock", "a", encoding="ascii")  # noqa: SIM115 - it stays open: that is the point
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise ControlPlaneError(f"another control plane is using {folder}") from None
    return lock
