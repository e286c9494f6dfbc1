"""The TCP port of a round's store, bound before it is known whether this node will serve it."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from rendezvous_handler.agent.identity import bindable_address


class StorePortError(Exception):
    """No port could be bound for the store."""


class StorePort:
    """A bound TCP port that does not listen yet, so that no client can connect before the store is served.

    (A client of a socket that listens and is not served waits for ever, whatever its timeout.)
    """

    def __init__(self, address: str, ports: Sequence[int]):
        """Bind a port at one address, not at all interfaces.

        Args:
            address: host name or IP address of this node.
            ports: to choose from, the first ones first; a 0 for any.

        Raises:
            OSError: the address cannot be resolved.
            StorePortError: the address is not one of this node, or all ports are in use.
        """
        self.address = address
        family, sockaddr = bindable_address(address)
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        for port, reuse in [(port, False) for port in ports] + [(port, True) for port in ports]:
            # With SO_REUSEADDR a port can be bound that another process has bound and does not listen at yet. So it is
            # the second choice: for the agent that restarted and finds connections of its predecessor in TIME_WAIT.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
            try:
                self._socket.bind((sockaddr[0], port, *sockaddr[2:]))
            except OSError as error:
                problem = error
            else:
                # Connections in TIME_WAIT stand in the way unless this was set for the socket that accepted them.
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, True)
                self.port = int(self._socket.getsockname()[1])
                return
        self._socket.close()
        wanted = "any port" if ports[0] == 0 else f"store_port {min(ports)}-{max(ports)}"
        raise StorePortError(f"cannot bind {wanted} at {address}: {problem}") from None

    def detach(self) -> int:
        """Hand over the file descriptor."""
        return self._socket.detach()

    def close(self) -> None:
        """Give the port back; does nothing after `detach`."""
        self._socket.close()
