"""What the beats of a large group cost the agent of rank 0: a host in its own process, members as bare connections.

The members are played by a second process, at one beat a second each, as the agents send them. What is printed is the
processor time of the host's process, all its threads together, for each second, as a part of one core.

    python -m benchmarks.peers --nodes 1000 --seconds 20
"""

from __future__ import annotations

import argparse
import multiprocessing
import multiprocessing.connection
import os
import random
import selectors
import socket
import time
from dataclasses import dataclass

from rendezvous_api.participant import BEAT_SECONDS
from rendezvous_handler.peers import wire
from rendezvous_handler.peers.descriptors import allow_for
from rendezvous_handler.peers.host import Host

_UID, _FENCE = "00000000-0000-0000-0000-000000000000", "2026-01-01T00:00:00Z.0000000001.00000000"
_LOOPBACK = "127.0.0.1"
_SETTLE_SECONDS = 3.0
"""Is not measured."""


@dataclass
class _Heartbeats:
    """Those of an agent without an API server."""

    arrive: bool = True
    confirm_seconds: float = 10.0
    asked: int = 0

    def hasten(self, seconds: float) -> None:
        self.asked += 1


def _serve(nodes: int, port: multiprocessing.connection.Connection, seconds: float) -> None:
    """Serve the members, and send back the processor time of each second, and what the report says at the end."""
    allow_for(nodes)
    listener = socket.socket()
    listener.bind((_LOOPBACK, 0))
    host, heartbeats = Host(wire.PeerRound(_UID, _FENCE, 0, nodes), listener), _Heartbeats()
    host.start(heartbeats)
    port.send(listener.getsockname()[1])
    port.recv()
    used = []
    for _ in range(round(seconds)):
        before, began = time.process_time(), time.monotonic()
        time.sleep(1.0)
        used.append((time.process_time() - before) / (time.monotonic() - began))
    evidence = host.evidence()
    port.send((used, evidence.report if evidence is not None else None, heartbeats.asked))
    port.recv()
    host.stop()


def _connect(nodes: int, port: int) -> list[socket.socket]:
    """Say for each other member who it is."""
    sockets = []
    for rank in range(1, nodes):
        sock = socket.create_connection((_LOOPBACK, port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(wire.hello(wire.PeerRound(_UID, _FENCE, rank, nodes)) + wire.beat(wire.Beat(arrives=True)))
        sock.setblocking(False)
        sockets.append(sock)
    return sockets


def _beat(sockets: list[socket.socket], seconds: float) -> list[float]:
    """Beat for all other members; returns how long the answers took, in seconds."""
    selector = selectors.DefaultSelector()
    for sock in sockets:
        selector.register(sock, selectors.EVENT_READ, sock)
    due = sorted((time.monotonic() + random.uniform(0, BEAT_SECONDS), index) for index in range(len(sockets)))
    sent: dict[socket.socket, float] = {}
    took, end = [], time.monotonic() + seconds
    while (now := time.monotonic()) < end:
        while due[0][0] <= now:
            at, index = due.pop(0)
            sockets[index].send(wire.beat(wire.Beat(arrives=True)))
            sent[sockets[index]] = now
            due.append((at + BEAT_SECONDS, index))
        for key, _ in selector.select(max(0.0, due[0][0] - time.monotonic())):
            if not key.data.recv(65536):
                raise SystemExit("the host has closed a connection")
            if key.data in sent:
                took.append(time.monotonic() - sent.pop(key.data))
    return took


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=20.0)
    arguments = parser.parse_args()
    nodes, seconds = arguments.nodes, arguments.seconds
    allow_for(nodes)
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    host = context.Process(target=_serve, args=(nodes, theirs, seconds), daemon=True)
    host.start()
    sockets = _connect(nodes, ours.recv())
    _beat(sockets, _SETTLE_SECONDS)
    ours.send(None)
    took = sorted(_beat(sockets, seconds + 1.0))
    used, report, asked = ours.recv()
    ours.send(None)
    host.join(10)
    steady = sorted(used)
    print(f"{nodes - 1} members, on {os.cpu_count()} cores with a load of {os.getloadavg()[0]:.1f}")
    print("processor of the host in each second, % of a core:", " ".join(f"{100 * part:.1f}" for part in used))
    print(f"median {100 * steady[len(steady) // 2]:.2f} %, most {100 * steady[-1]:.2f} % of a core")
    print(f"an answer took {1000 * took[len(took) // 2]:.1f} ms (median), {1000 * took[-1]:.0f} ms at most")
    print(f"the last report: {report}; heartbeats that were asked for: {asked}")


if __name__ == "__main__":
    main()
