"""The operator as a program: its parts, how they begin, and how they end."""

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from rendezvous_operator import logs
from rendezvous_operator.cache import Cache, Key
from rendezvous_operator.cluster import TIMEOUT_SECONDS, Cluster, RefusedError
from rendezvous_operator.events import Recorder
from rendezvous_operator.fence import Fence
from rendezvous_operator.health import Health
from rendezvous_operator.leader import Candidate, Election
from rendezvous_operator.metrics import Metrics
from rendezvous_operator.options import PROGRAM, Options, parse
from rendezvous_operator.reader import Reader
from rendezvous_operator.reconciler import Reconciler
from rendezvous_operator.relisting import Relisting
from rendezvous_operator.server import HttpServer
from rendezvous_operator.traces import trace
from rendezvous_operator.watching import Watches
from rendezvous_operator.work_queue import WorkQueue

logger = logging.getLogger("rendezvous_operator")  # also when this module is __main__

TURNS_SECONDS = 3.0
"""How long turns under way may take when the operator is told to end; the kubelet gives 30 s for everything."""

EVENTS_SECONDS = 2.0
"""And how long it may then take to send the Events of these turns."""

WATCHES_SECONDS = 10.0
"""And how long kopf may take to end its watches."""


class UnusableError(Exception):
    """The operator cannot run here with these options."""


class Operator:
    """One operator process: serves every Rendezvous of the cluster, or of one namespace, until it is told to end."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._told = asyncio.Event()
        self._stop_watching = asyncio.Event()
        self._identity = f"{socket.gethostname()}_{secrets.token_hex(4)}"
        self._election = Election(self._identity, options.timing) if options.leader_elect else None
        self._cache = Cache(time.monotonic)
        self._queue: WorkQueue[Key] = WorkQueue(time.monotonic)
        self._metrics = Metrics(self._cache, self._queue, time.monotonic, lambda: self._term() is not None)
        self._trace = trace(lambda _: None, self._metrics.request_answered)
        self._relisting = Relisting()
        self._watches = Watches(time.monotonic, [self._trace, self._relisting.trace])

    def _term(self) -> int | None:
        """Without an election, the operator leads from beginning to end."""
        return self._election.term(time.monotonic()) if self._election is not None else 1

    async def run(self) -> None:
        """Begin, serve, and end in good order after SIGTERM or SIGINT.

        Raises:
            RefusedError: there is no configuration for the API server.
            UnusableError: the HTTP server cannot listen.
        """
        self._take_signals()
        async with contextlib.AsyncExitStack() as stack:
            cluster = await self._connect(stack, self._cache.api_server_answered)
            # A renewal of the Lease must not wait for a connection, and must leave time for another one. It also tells
            # a follower, who asks for nothing else, that the API server was away and silence from then means nothing.
            timeout = self._options.timing.request_timeout
            lease_cluster = await self._connect(stack, self._cache.api_server_answered, timeout)
            # Whether Events are taken says nothing about whether the agents can be heard.
            events_cluster = await self._connect(stack, lambda _: None)
            recorder = Recorder(events_cluster, socket.gethostname(), time.monotonic)
            await self._serve(cluster, lease_cluster, recorder)

    async def _connect(
        self, stack: contextlib.AsyncExitStack, answered: Callable[[bool], None], timeout: float = TIMEOUT_SECONDS
    ) -> Cluster:
        cluster = await Cluster.connect(answered, timeout=timeout, traces=[self._trace])
        stack.push_async_callback(cluster.close)
        return cluster

    def _take_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._told.set)

    async def _serve(self, cluster: Cluster, lease_cluster: Cluster, recorder: Recorder) -> None:
        reader = Reader(cluster, self._cache, self._options.namespace)
        fence = Fence(cluster, self._term)
        reconciler = Reconciler(reader, fence, self._queue, recorder, self._metrics)
        defects = [
            ("workers", lambda: reconciler.defect),
            ("relisting", lambda: self._relisting.defect),
            ("events", lambda: recorder.defect),
        ]
        health = Health(self._cache, self._watches, time.monotonic, defects)
        server = HttpServer(health, self._metrics.registry)
        recorder.start()
        told = asyncio.create_task(self._told.wait(), name="told to end")
        listing = asyncio.create_task(self._list(reconciler, server), name="lists")
        leading = watching = None
        try:
            await _first(told, listing)
            if not told.done():
                health.watching_begins()
                leading = asyncio.create_task(self._lead(reconciler, lease_cluster), name="leader election")
                watching = asyncio.create_task(self._watch(reconciler), name="watches")
                await _first(told, leading, watching)
            if not self._told.is_set():
                raise UnusableError("kopf has ended its watches by itself; the log says why")
        finally:
            # Whoever leads next shall find nothing under way.
            await _cancel(listing)
            await self._relisting.stop()
            await reconciler.stop(TURNS_SECONDS)
            await _cancel(leading)
            await recorder.stop(EVENTS_SECONDS)
            await server.stop()
            self._stop_watching.set()
            if watching is not None:
                await asyncio.wait({watching}, timeout=WATCHES_SECONDS)
            await _cancel(watching)
            await _cancel(told)

    async def _list(self, reconciler: Reconciler, server: HttpServer) -> None:
        """Answer probes from the first moment on, and see everything once."""
        address, port = self._options.http_address, self._options.http_port
        if port:
            try:
                await server.start(address, port)
            except OSError as error:
                raise UnusableError(f"--http-address {address} --http-port {port}: {error}") from error
            logger.info("/livez, /readyz and /metrics are served at %s, port %d", address, port)
        await reconciler.start()
        self._relisting.start(reconciler.list)

    async def _lead(self, reconciler: Reconciler, cluster: Cluster) -> None:
        """Decide, now or whenever this process is the leader."""
        found, options = len(self._cache.keys()), self._options
        if self._election is None:
            logger.info("all kinds are listed: %d rendezvous, decisions begin", found)
            reconciler.lead()
            await asyncio.Event().wait()
            return
        namespace, name = options.leader_elect_lease_namespace or "", options.leader_elect_lease_name
        logger.info("all kinds are listed: %d rendezvous, standing for the Lease %s/%s", found, namespace, name)
        candidate = Candidate(
            cluster, namespace, name, self._election, time.monotonic, reconciler.lead, reconciler.follow
        )
        await candidate.run()

    async def _watch(self, reconciler: Reconciler) -> None:
        await self._watches.run(reconciler.event, self._options.namespace, self._stop_watching, self._take_signals)


async def _first(*tasks: asyncio.Task[Any]) -> None:
    """Wait until one of them has ended, and raise what it raised."""
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()


async def _cancel(task: asyncio.Task[Any] | None) -> None:
    """End a task, whatever it has come to."""
    if task is not None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def main() -> None:
    """Entry point of ``kube-rendezvous-operator``."""
    options = parse(sys.argv[1:], os.environ)
    logs.configure(json=options.log_format == "json", verbose=options.verbose)
    try:
        asyncio.run(_main(options))
    except (RefusedError, UnusableError) as error:
        sys.exit(f"{PROGRAM}: {error}")


async def _main(options: Options) -> None:
    await Operator(options).run()


if __name__ == "__main__":
    main()
