"""The TCPStore of a round: its port, its server at the node of rank 0, and the check-in of all members there."""

from __future__ import annotations

import contextlib
import logging
import math
import socket
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta

from torch.distributed import DistError, PrefixStore, TCPStore
from torch.distributed.elastic.rendezvous import RendezvousStoreInfo

from rendezvous_api.backoff import Backoff, Failures
from rendezvous_handler.agent.store_port import StorePort, StorePortError
from rendezvous_handler.join.answer import Membership
from rendezvous_handler.join.join import Seen
from rendezvous_handler.peers.descriptors import allow_for
from rendezvous_handler.peers.host import Host
from rendezvous_handler.peers.member import Member
from rendezvous_handler.peers.thread import Peers
from rendezvous_handler.peers.wire import PeerRound
from rendezvous_handler.torchrun.compat import connect_store, serve_store

_logger = logging.getLogger(__name__)

_SLOW_CONNECT_SECONDS = 2.0
_LONGEST_TRY_SECONDS = 3.0
_MEMBERS = "check-in"
_COMPLETE = "complete"
_LEFT = "check-out"
"""These three are the protocol between agents of any two releases. The other keys are additions to it."""
_OWNER = "rendezvous"
_HERE = "here"
_PEERS = "peers"
"""The port of the host for the beats of the members. An earlier release writes none."""
_NO_PEERS = "-"
_LONGER_AT_HOST_SECONDS = 2.0
_OWNER_SECONDS = 10.0
_TRIED = 0.5
_CONNECTS = Backoff(first=0.005, longest=0.5)

STORE_ERRORS = (DistError, RuntimeError, OSError)
"""What torch's stores raise: DistError, and RuntimeError from older releases and for some failures."""


class RoundStore:
    """One member's part in the store of one round.

    The rank-0 member keeps the server apart from the client that it gives to the agent: the server would otherwise live
    as long as that client.
    """

    def __init__(
        self,
        membership: Membership,
        port: StorePort,
        timeout: int,
        shared: bool,
        done: Callable[[], None],
        peer_ports: Sequence[int] = (),
    ):
        """Make no connection yet.

        Args:
            membership: the round.
            port: the bound port of this node; it is closed here, or served by rank 0.
            timeout: seconds within which all members must have checked in; then also that of the agent's store.
            shared: the workers use this store too; otherwise the worker of rank 0 will serve one at a port that is
                agreed on here (torch: ``TORCH_DISABLE_SHARE_RDZV_TCP_STORE``).
            done: called when the check-in has succeeded or failed, in another thread.
            peer_ports: of these rank 0 takes one for the beats of the others; ``range(0, 1)`` for any.
        """
        self.membership = membership
        self.complete = False
        """All members have checked in."""
        self.error: Exception | None = None
        """Why the check-in failed."""
        self._reached = False
        self._missing: tuple[int, ...] = ()
        self._deadline = math.inf
        self.bootstrap: RendezvousStoreInfo | None = None
        """MASTER_ADDR and MASTER_PORT of the workers, once the check-in is complete."""
        self.peers: Peers | None = None
        """The connections to the other members, not started, once the check-in is complete; None: there are none."""
        self._port = port
        self._peer_ports = [number for number in peer_ports if number != port.port]
        self._timeout = timeout
        self._shared = shared
        self._done = done
        self._closed = False
        self._server: TCPStore | None = None
        self._client: TCPStore | None = None

    @property
    def progress(self) -> str:
        """What this member waits for, and for how long."""
        store = self.membership.store
        return (
            f"waiting for all {self.membership.nodes} members to come to the store at {store.host}:{store.port}, "
            f"for at most {self._timeout} s (read_timeout)"
        )

    @property
    def seen(self) -> Seen | None:
        """What this member knows of a check-in that has failed or was given up."""
        if self._reached:
            return Seen(reached=True, missing=self._missing)
        # A round that was ended before this member had time to come is no sign that it cannot.
        tried = time.monotonic() > self._deadline - (1 - _TRIED) * self._timeout
        failed = self.error is not None and self.membership.rank == 0
        return Seen(reached=False) if tried or failed else None

    def ends_within(self, seconds: float) -> bool:
        """Whether the check-in will have succeeded or failed by then."""
        return time.monotonic() + seconds > self._deadline

    def start_check_in(self) -> None:
        """Connect, and wait for the others, in a thread of its own: a connect cannot be interrupted."""
        self._deadline = time.monotonic() + self._timeout
        if self.membership.rank == 0:
            self._deadline += _LONGER_AT_HOST_SECONDS  # the others ask this store who is missing, before it goes
        threading.Thread(target=self._check_in, name="rendezvous-check-in", daemon=True).start()

    def agent_store(self) -> PrefixStore:
        """The store for the agent's own keys. The workers use the same server without a prefix."""
        return PrefixStore(self._prefix("agent"), self._client)

    def check_out(self) -> threading.Event:
        """Count this member as one that needs the store no more; the event is set when that is done, or has failed."""
        done = threading.Event()

        def count() -> None:
            try:
                self._members_store().add(_LEFT, 1)
            except STORE_ERRORS as error:
                _logger.debug("could not check out of round %d: %s", self.membership.round, error)
            finally:
                done.set()

        if self.complete and self.membership.rank != 0:
            threading.Thread(target=count, name="rendezvous-check-out", daemon=True).start()
        else:
            done.set()
        return done

    def others_left(self) -> bool:
        """Whether no member needs this member's server: it has none, or all others have checked out."""
        if self._server is None or not self.complete:
            return True
        try:
            return bool(PrefixStore(self._prefix("members"), self._server).add(_LEFT, 0) >= self.membership.nodes - 1)
        except STORE_ERRORS:
            return True

    def close(self) -> None:
        """Let the server go. A check-in that still runs fails, here and at the other members."""
        self._closed = True
        self._port.close()
        self._server = None
        if self.peers is not None:
            self.peers.stop()

    def _check_in(self) -> None:
        try:
            if self.membership.rank == 0:
                store = self.membership.store
                allow_for(self.membership.nodes)
                self._server = serve_store(store.host, store.port, self._port.detach(), self._timeout)
                self._claim()
                self._open_peers()
            else:
                self._port.close()
            self._await_server()
            self._connect()
            if self.membership.rank > 0:
                self._claim()
            else:
                # Before it counts itself in: so no member ever waits for an address that a lost member did not write.
                self.bootstrap = self._agree_on_bootstrap()
            self._await_members()
            self.bootstrap = self.bootstrap or self._agree_on_bootstrap()
            if self.membership.rank > 0:
                self._find_peers()
            self.complete = True
        except STORE_ERRORS as error:
            self.error = error
        if self._closed:
            self._server = None
            if self.peers is not None:
                self.peers.stop()
        self._done()

    def _open_peers(self) -> None:
        """Listen for the beats of the others, and say where, before this member is counted in."""
        member = self.membership
        if member.nodes == 1 or not self._peer_ports:
            if member.nodes > 1:
                _logger.info(
                    "the only port of store_port is that of the store, so there are no connections between the agents "
                    "of round %d, and a node that is lost is noticed later",
                    member.round,
                )
            return
        try:
            # From the end, since agents that join take the first one that is free.
            port = StorePort(member.store.host, self._peer_ports[::-1])
            self.peers = Host(self._peer_round(), socket.socket(fileno=port.detach()))
            self._members_store().set(_PEERS, str(port.port))
        except (StorePortError, *STORE_ERRORS) as error:
            _logger.warning(
                "there are no connections between the agents of round %d, and a node that is lost is noticed later: %s",
                member.round,
                error,
            )

    def _find_peers(self) -> None:
        """Find out where the host listens, as it has said before all members had come, or never does."""
        try:
            port = self._members_store().compare_set(_PEERS, "", _NO_PEERS).decode()
            if port.isdecimal():
                self.peers = Member(self._peer_round(), self.membership.store.host, int(port))
        except STORE_ERRORS as error:
            _logger.debug("there are no connections to the other agents of round %d: %s", self.membership.round, error)

    def _peer_round(self) -> PeerRound:
        member = self.membership
        return PeerRound(member.uid, member.fence, member.rank, member.nodes)

    def _await_server(self) -> None:
        # torch's client could wait for the server itself, but its back-off makes it a second late, it cannot be
        # stopped, and it prints a C++ stack trace for each try.
        host, port = self.membership.store.host, self.membership.store.port
        pause = Failures(_CONNECTS)
        while True:
            if self._closed:
                raise ConnectionAbortedError("the check-in was given up")
            try:
                left = self._deadline - time.monotonic()
                socket.create_connection((host, port), timeout=min(max(0.1, left), _LONGEST_TRY_SECONDS)).close()
            except OSError as error:
                if time.monotonic() >= self._deadline:
                    raise TimeoutError(f"no store at {host}:{port} after {self._timeout} s: {error}") from None
                time.sleep(pause.pause())
            else:
                return

    def _connect(self) -> None:
        host, port = self.membership.store.host, self.membership.store.port
        start = time.monotonic()
        self._client = connect_store(host, port, self._timeout)
        took = time.monotonic() - start
        if took > _SLOW_CONNECT_SECONDS:
            _logger.warning(
                "connecting to the store at %s:%d took %.1f s. torch looks up the name of the address (a PTR query) at "
                "each connect, the workers too: check that the name server of this node answers such queries quickly",
                host,
                port,
                took,
            )

    def _agree_on_bootstrap(self) -> RendezvousStoreInfo:
        store = self.membership.store
        if self._shared:
            return RendezvousStoreInfo(master_addr=store.host, master_port=store.port)
        return RendezvousStoreInfo.build(self.membership.rank, self.agent_store(), local_addr=store.host)

    def _claim(self) -> None:
        """Make sure that this is the store of this Rendezvous, before it is counted in.

        Two Rendezvous may have a round of the same number, and an address and a port that is the only one allowed may
        have passed from one group to the other. The UID cannot be part of all keys: agents of earlier releases, and
        torch's agents by the agent's store, would not find those of the others.

        The host says whose store it is, as soon as there is one. The others give it time to do so: else a member of
        another Rendezvous that still looks for its store there could be faster. An earlier release at the host does
        that later, or never.
        """
        store = self._members_store()
        if self.membership.rank > 0:
            left = max(0.1, min(_OWNER_SECONDS, (self._deadline - time.monotonic()) / 2))
            with contextlib.suppress(*STORE_ERRORS):
                store.wait([_OWNER], timedelta(seconds=left))
        owner = store.compare_set(_OWNER, "", self.membership.uid).decode()
        if owner != self.membership.uid:
            store = self.membership.store
            raise ConnectionError(
                f"the store at {store.host}:{store.port} is that of another Rendezvous (UID {owner}): this address was "
                "reused"
            )

    def _await_members(self) -> None:
        store = self._members_store()
        there = store.add(_MEMBERS, 1)
        # First counted, then listed: so a member that reads the list and then the count finds no more in the list.
        store.append(_HERE, f"{self.membership.rank},")
        self._reached = True
        if there == self.membership.nodes:
            store.set(_COMPLETE, "1")
        left = max(0.1, self._deadline - time.monotonic())
        try:
            store.wait([_COMPLETE], timedelta(seconds=left))
        except STORE_ERRORS as error:
            if time.monotonic() < self._deadline:
                cause = str(error).partition("\n")[0]
                raise ConnectionError(f"it was closed while this member waited for the others: {cause}") from error
            there = self._find_missing(store)
            raise TimeoutError(
                f"{there} of {self.membership.nodes} members have come to the store within {self._timeout} s"
            ) from error

    def _find_missing(self, store: PrefixStore) -> int:
        """Ask the store, once for all members, which have not come; returns how many have."""
        listed = {int(rank) for rank in store.get(_HERE).decode().split(",") if rank}
        there = int(store.add(_MEMBERS, 0))
        if there == len(listed):  # else some are of an earlier release, which are only counted
            self._missing = tuple(rank for rank in range(self.membership.nodes) if rank not in listed)
        return there

    def _members_store(self) -> PrefixStore:
        # The host has no client yet when it claims its store.
        return PrefixStore(self._prefix("members"), self._client or self._server)

    def _prefix(self, part: str) -> str:
        return f"rdzv.dev/{self.membership.round}/{part}"
