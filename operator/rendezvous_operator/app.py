"""The operator as a program: its parts, their start and their end."""

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

from rendezvous_api.api_errors import NoConfigurationError
from rendezvous_operator import logs
from rendezvous_operator.kube.client import TIMEOUT_SECONDS, Client
from rendezvous_operator.kube.event_recorder import Recorder
from rendezvous_operator.kube.lease import Candidate, Election
from rendezvous_operator.kube.login import Login
from rendezvous_operator.kube.outage_clock import OutageClock
from rendezvous_operator.kube.request_trace import trace
from rendezvous_operator.options import PROGRAM, Options, parse
from rendezvous_operator.reconcile.fence import Fence
from rendezvous_operator.reconcile.machines import TIMEOUT_SECONDS as MACHINES_TIMEOUT
from rendezvous_operator.reconcile.machines import Machines
from rendezvous_operator.reconcile.reader import Reader
from rendezvous_operator.reconcile.reconciler import WORKERS, Reconciler
from rendezvous_operator.reconcile.recording import Recording
from rendezvous_operator.reconcile.train_jobs import TIMEOUT_SECONDS as TRAIN_JOBS_TIMEOUT
from rendezvous_operator.reconcile.train_jobs import TrainJobs
from rendezvous_operator.reconcile.work_queue import WorkQueue
from rendezvous_operator.serve.health import Health
from rendezvous_operator.serve.http_server import HttpServer
from rendezvous_operator.serve.metrics import Metrics
from rendezvous_operator.version import operator_version
from rendezvous_operator.watch.cache import Cache
from rendezvous_operator.watch.kopf_watches import Watches
from rendezvous_operator.watch.relisting import Relisting
from rendezvous_operator.watch.seen import Key

logger = logging.getLogger("rendezvous_operator")  # also when this module is __main__

RECONCILES_SECONDS = 3.0
"""For running reconciles after a shutdown was requested; the kubelet gives 30 s for the whole shutdown."""

EVENTS_SECONDS = 2.0
"""For the Events of these reconciles after that."""

RECORDING_SECONDS = 2.0
"""For the decisions that are not recorded yet after that."""

WATCHES_SECONDS = 10.0
"""For kopf to end its watches after that."""


class UnusableError(Exception):
    """The operator cannot run with these options on this machine."""


class RestoredError(Exception):
    """etcd was restored from a snapshot: what this process knows is of no use."""


class Operator:
    """One operator process: serves every Rendezvous of the cluster, or of one namespace, until shutdown."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._shutdown_requested = asyncio.Event()
        self._stop_watching = asyncio.Event()
        self._identity = f"{socket.gethostname()}_{secrets.token_hex(4)}"
        self._election = Election(self._identity, options.timing) if options.leader_elect else None
        self._clock = OutageClock(time.monotonic)
        self._cache = Cache(self._clock)
        self._queue: WorkQueue[Key] = WorkQueue(time.monotonic, lambda key: key.namespace, WORKERS // 2)
        self._metrics = Metrics(self._cache, self._queue, time.monotonic, lambda: self._term() is not None)
        self._trace = trace(lambda _: None, self._metrics.request_answered)
        self._relisting = Relisting()
        self._login = Login()
        self._watches = Watches(time.monotonic, self._clock, self._login, [self._trace, self._relisting.trace])

    def _term(self) -> int | None:
        """The present term as leader. Without an election there is one term, from start to end."""
        return self._election.term(time.monotonic()) if self._election is not None else 1

    async def run(self) -> None:
        """Start, serve, and end in order after SIGTERM or SIGINT.

        Raises:
            NoConfigurationError: there is no configuration for the API server.
            UnusableError: the HTTP server cannot listen.
            RestoredError: begin again with another `Operator`.
        """
        self._take_signals()
        async with contextlib.AsyncExitStack() as stack:
            client = await self._connect(stack, self._clock.ended)
            # A renewal of the Lease must not wait for a connection, and must leave time for another one. Whether it, or
            # an Event, is accepted says nothing about whether heartbeats arrive: these requests show no outage.
            lease_client = await self._connect(stack, timeout=self._options.timing.request_timeout)
            events_client = await self._connect(stack)
            recorder = Recorder(events_client, socket.gethostname(), time.monotonic)
            train_jobs = None
            if self._options.train_jobs:
                train_jobs = TrainJobs(await self._connect(stack, timeout=TRAIN_JOBS_TIMEOUT), self._clock)
            machines = None
            if self._options.machines:
                machines = Machines(await self._connect(stack, timeout=MACHINES_TIMEOUT), time.monotonic)
            reader = Reader(client, self._cache, self._options.namespace, train_jobs, machines)
            await self._serve(client, lease_client, reader, recorder)

    async def _connect(
        self,
        stack: contextlib.AsyncExitStack,
        ended: Callable[[str, float], None] = lambda code, seconds: None,
        timeout: float = TIMEOUT_SECONDS,
    ) -> Client:
        client = await Client.connect(self._login, ended, timeout=timeout, traces=[self._trace])
        stack.push_async_callback(client.close)
        return client

    def _take_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._shutdown_requested.set)

    async def _serve(self, client: Client, lease_client: Client, reader: Reader, recorder: Recorder) -> None:
        fence = Fence(client, self._term)
        recording = None
        if self._options.record is not None:
            recording = Recording(self._options.record, self._options.record_megabytes, operator_version())
            recording.start()
        reconciler = Reconciler(reader, fence, self._queue, recorder, self._metrics, recording)
        defects = [
            ("workers", lambda: reconciler.defect),
            ("relisting", lambda: self._relisting.defect),
            ("events", lambda: recorder.defect),
        ]
        health = Health(self._cache, self._watches, time.monotonic, defects)
        server = HttpServer(health, self._metrics.registry)
        recorder.start()
        shutdown = asyncio.create_task(self._shutdown_requested.wait(), name="shutdown requested")
        listing = asyncio.create_task(self._list(reconciler, server), name="lists")
        restored = asyncio.create_task(reconciler.until_restored(), name="restored")
        leading = watching = None
        try:
            await _first(shutdown, listing)
            if not shutdown.done():
                health.watching_begins()
                leading = asyncio.create_task(self._lead(reconciler, lease_client), name="leader election")
                watching = asyncio.create_task(self._watch(reconciler), name="watches")
                await _first(shutdown, leading, watching, restored)
            if restored.done():
                raise RestoredError
            if not self._shutdown_requested.is_set():
                raise UnusableError("kopf has ended its watches, see the log")
        finally:
            # The next leader must not find a request of this one under way.
            await _cancel(listing)
            await self._relisting.stop()
            await reconciler.stop(RECONCILES_SECONDS)
            await _cancel(leading)
            await recorder.stop(EVENTS_SECONDS)
            if recording is not None:
                await asyncio.to_thread(recording.stop, RECORDING_SECONDS)
            await server.stop()
            self._stop_watching.set()
            if watching is not None:
                await asyncio.wait({watching}, timeout=WATCHES_SECONDS)
            await _cancel(watching)
            await _cancel(shutdown)
            await _cancel(restored)

    async def _list(self, reconciler: Reconciler, server: HttpServer) -> None:
        """Serve probes from the start, and list all kinds."""
        address, port = self._options.http_address, self._options.http_port
        if port:
            try:
                await server.start(address, port)
            except OSError as error:
                raise UnusableError(f"--http-address {address} --http-port {port}: {error}") from error
            logger.info("/livez, /readyz and /metrics are served at %s, port %d", address, port)
        await reconciler.start()
        self._relisting.start(reconciler.list)

    async def _lead(self, reconciler: Reconciler, client: Client) -> None:
        """Decide: from now on, or whenever this process is the leader."""
        found, options = len(self._cache.keys()), self._options
        if self._election is None:
            logger.info("all kinds are listed: %d rendezvous, decisions begin", found)
            reconciler.lead()
            await asyncio.Event().wait()
            return
        namespace, name = options.leader_elect_lease_namespace or "", options.leader_elect_lease_name
        logger.info("all kinds are listed: %d rendezvous, trying to get the Lease %s/%s", found, namespace, name)
        candidate = Candidate(
            client, namespace, name, self._election, time.monotonic, reconciler.lead, reconciler.follow
        )
        await candidate.run()

    async def _watch(self, reconciler: Reconciler) -> None:
        await self._watches.run(reconciler.event, self._options.namespace, self._stop_watching, self._take_signals)


async def _first(*tasks: asyncio.Task[Any]) -> None:
    """Wait until one of the tasks has ended, and raise its exception if it has one."""
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()


async def _cancel(task: asyncio.Task[Any] | None) -> None:
    """End a task, and ignore its result."""
    if task is not None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def main() -> None:
    """Entry point of ``kube-rendezvous-operator``."""
    options = parse(sys.argv[1:], os.environ)
    logs.configure(json=options.log_format == "json", verbose=options.verbose)
    try:
        asyncio.run(_main(options))
    except (NoConfigurationError, UnusableError) as error:
        sys.exit(f"{PROGRAM}: {error}")


async def _main(options: Options) -> None:
    while True:
        try:
            return await Operator(options).run()
        except RestoredError:
            continue


if __name__ == "__main__":
    main()
