"""The handler that torchrun calls: torch's RendezvousHandler over a Rendezvous in Kubernetes."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import time

from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.rendezvous import (
    RendezvousClosedError,
    RendezvousConnectionError,
    RendezvousGracefulExitError,
    RendezvousHandler,
    RendezvousInfo,
    RendezvousParameters,
    RendezvousStateError,
    RendezvousTimeoutError,
)

from rendezvous_api.api_errors import ApiError, NoConfigurationError, UnreachableError
from rendezvous_api.reasons import AttemptReason, LeaveReason
from rendezvous_api.rendezvous import Rendezvous
from rendezvous_handler.agent.agent import Agent
from rendezvous_handler.agent.degradation import Degradation
from rendezvous_handler.agent.request_thread import NotDoneError
from rendezvous_handler.agent.store_port import StorePort
from rendezvous_handler.join.answer import Membership, is_closed, nodes_waiting
from rendezvous_handler.join.errors import JoinError
from rendezvous_handler.join.health import Health
from rendezvous_handler.join.join import Join
from rendezvous_handler.kube.client import Client
from rendezvous_handler.kube.errors import advise
from rendezvous_handler.kube.kubeconfig import connect
from rendezvous_handler.peers.haste import spread
from rendezvous_handler.settings import Settings, read_settings
from rendezvous_handler.torchrun.compat import record_event
from rendezvous_handler.torchrun.errors import end_agent, torch_read_error
from rendezvous_handler.torchrun.launcher import LauncherCall, workers_failed_for_good
from rendezvous_handler.torchrun.round_store import RoundStore

_logger = logging.getLogger(__name__)

_ROUND = "RDZV_ROUND"
"""What `kube_rendezvous.worker.round` reads."""
_FENCE = "RDZV_FENCE"
"""What `kube_rendezvous.worker.fencing_token` reads."""
_EXIT_SECONDS = 1.0
_RETRY_SECONDS = 0.5
_COUNT_SECONDS = 3.0
_POLL_SECONDS = 0.05

_running: set[KubernetesRendezvousHandler] = set()
"""The handlers of this process that have agents."""


class KubernetesRendezvousHandler(RendezvousHandler):  # type: ignore[misc]  # torch is not type-checked here
    """One node's way into a group of nodes, each of which runs one torchrun agent.

    torch calls everything here in the main thread of the agent. SignalException, which a signal handler of torch raises
    at any place of that thread, is never swallowed, although it subclasses Exception.
    """

    def __init__(self, settings: Settings, client: Client):
        """Make no request yet.

        Args:
            settings: what the user has set.
            client: of the API server.
        """
        self._settings = settings
        self._client = client
        self._agent: Agent | None = None
        self._health = Health()
        self._store: RoundStore | None = None
        self._in_round: Membership | None = None
        self._degradation = Degradation()
        self._saw_waiting = False
        self._shut_down = False
        self._left = False
        self._process = os.getpid()
        self._error_before = sys.exc_info()[1]
        self._launcher_call = LauncherCall.current()

    @classmethod
    def from_parameters(cls, params: RendezvousParameters) -> KubernetesRendezvousHandler:
        """Create a handler from what torchrun passes; see `rendezvous_handler.plugin.create_handler`.

        It begins to watch the Rendezvous at once, in a thread: what can be known before the node joins is known then.
        """
        settings = read_settings(params)
        for earlier in tuple(_running):
            earlier._end_if_launcher_is_over()
        try:
            client = connect()
        except NoConfigurationError as error:
            raise RendezvousConnectionError(str(error)) from None
        handler = cls(settings, client)
        handler._started()
        return handler

    def get_backend(self) -> str:
        """The name under which torch has created this handler."""
        return self._settings.backend

    def get_run_id(self) -> str:
        """``--rdzv-id`` as it was given; torchrun passes ``none`` when it was not."""
        return self._settings.raw_run_id

    @property
    def use_agent_store(self) -> bool:
        """Whether the workers use the agents' store: unless ``TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1``, as in c10d."""
        return os.getenv("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "0") != "1"

    def next_rendezvous(self) -> RendezvousInfo:
        """Join, and wait until a round with this node in it is complete. Blocks the main thread.

        Returns:
            The store of the round (new for each round), this node's rank, the number of nodes, and where the workers
            find their store.

        Raises:
            RendezvousClosedError: the run is closed.
            RendezvousConnectionError: the API server cannot be reached, or refuses what an agent needs.
            RendezvousGracefulExitError: in a program of its own: the run has succeeded without this node.
            RendezvousStateError: another run holds the Rendezvous, another agent has taken this one's name, or the
                Rendezvous cannot be read.
            RendezvousTimeoutError: no round within the join timeout; the message says why.
            SystemExit: where a launcher on the command line has started this agent. 0: the run has succeeded without
                this node; 93: do not start it again; 94: the restart budget is spent; 95: its health checks have failed
                for too long.
            RendezvousError: in a program of its own: the last of these.
        """
        reason = self._reason_to_join()
        self._record(f"joins the rendezvous {self._settings.name} ({reason})")
        try:
            store = self._join(reason)
        except (Exception, SystemExit) as error:
            self._record(
                f"{type(error).__name__}: {error}", failed=not isinstance(error, SystemExit) or bool(error.code)
            )
            raise
        won = store.membership
        place = f"{won.round} of {self._settings.name} as rank {won.rank} of {won.nodes}"
        self._record(f"has joined round {place}", rank=won.rank)
        _logger.info("this node has joined round %s; store at %s:%d", place, won.store.host, won.store.port)
        assert store.bootstrap is not None
        # The agent starts its workers with this environment. Nothing changes it before they have started: it is set in
        # the main thread, which starts them next.
        os.environ[_ROUND], os.environ[_FENCE] = str(won.round), won.fence
        return RendezvousInfo(store.agent_store(), won.rank, won.nodes, store.bootstrap)

    def num_nodes_waiting(self) -> int:
        """Above 0 when the workers are to be stopped to form a new round. Reads memory only, never raises.

        After a pause of this process or of its machine it lets the watch's thread read the Rendezvous again.

        Called ten times a second (torch/distributed/elastic/agent/server/api.py, ``_invoke_run``).
        """
        agent = self._agent
        if agent is None:
            return 0
        agent.notice_pause()
        agent.notice_news()
        rendezvous = agent.watch.state.rendezvous
        if self._in_round is not None:
            self._degradation.note(rendezvous, self._in_round.round)
        waiting = nodes_waiting(rendezvous, self._in_round, agent.participant.lost)
        if waiting > 0 and not self._saw_waiting and self._in_round is not None:
            agent.hasten(spread(self._in_round.nodes))  # the workers may need a while to stop, and they live
        self._saw_waiting = waiting > 0
        return waiting

    def is_closed(self) -> bool:
        """Whether the run is closed, so that no node can join it.

        Raises:
            RendezvousConnectionError: it is not known yet, and the API server does not say within read_timeout.
            RendezvousStateError: what the API server says cannot be read.
        """
        watch = self._started().watch
        deadline = time.monotonic() + self._settings.read_timeout
        while not watch.state.read:
            error = watch.state.error
            if error is not None and (time.monotonic() > deadline or not isinstance(error, UnreachableError)):
                raise torch_read_error(error)
            time.sleep(_POLL_SECONDS)
        rendezvous = watch.state.rendezvous
        return rendezvous is not None and is_closed(rendezvous)

    def set_closed(self) -> None:
        """Close the run for all nodes: the operator refuses any further join; members go on.

        Raises:
            RendezvousStateError: this node has not joined yet, so there is no object in which it could ask for that.
            RendezvousConnectionError: the API server refuses, or cannot be reached.
            RendezvousTimeoutError: it was not done within close_timeout.
        """
        agent = self._started()
        if agent.participant.spec is None:
            raise RendezvousStateError(f"this node has not joined {agent.reference}, so it cannot close its run")
        try:
            agent.call(agent.participant.request_close, self._settings.close_timeout)
        except NotDoneError as error:
            raise RendezvousTimeoutError(f"cannot close {agent.reference} (close_timeout): {error}") from None
        except ApiError as error:
            raise RendezvousConnectionError(advise(error)) from None

    def shutdown(self) -> bool:
        """Leave the rendezvous, and serve the round's store, if this node does, until the others need it no more.

        Takes at most close_timeout. May be called again. Returns whether the API server knows that this node has left.

        Raises nothing but what a signal raises in the main thread: SignalException ends the waiting here, and the exit
        handler does what is left to do. (launch_agent in torch/distributed/launcher/api.py logs it and goes on to end
        with the outcome that it had; older releases end with exit code 1. Swallowed, the signal would have no effect.)
        """
        if self._shut_down:
            return self._left
        agent = self._agent
        if agent is None:
            self._shut_down = self._left = True
            return True
        deadline = time.monotonic() + self._settings.close_timeout
        reason = self._reason_to_leave()
        counted_out = self._store.check_out() if self._store is not None else None
        self._left = self._leave(agent, reason, deadline)
        agent.report_no_round()  # only now: why this node leaves says more than its farewell to the other members
        if counted_out is not None:
            # It takes longer only where the node of rank 0 is gone, and then no node waits for it.
            counted_out.wait(min(_COUNT_SECONDS, max(0.0, deadline - time.monotonic())))
        if not isinstance(self._error(), SignalException):  # a signal wants the process to end now
            self._serve_other_nodes(deadline)
        self._close()
        return self._left

    def _started(self) -> Agent:
        if self._shut_down:
            raise RendezvousClosedError("this handler was shut down")
        if self._agent is None:
            settings = self._settings
            self._agent = agent = Agent(settings, self._client, is_over=self._launcher_is_over)
            self._health = Health(
                settings.health_checks,
                settings.health_check_timeout,
                settings.health_retry_timeout,
                agent.watch.notify,
            )
            atexit.register(self._leave_at_exit)
            _running.add(self)
        return self._agent

    def _join(self, reason: AttemptReason) -> RoundStore:
        agent = self._started()
        self._in_round, self._saw_waiting = None, False
        agent.report_no_round()  # no workers run here now, whatever this join comes to; it frees a port for the store
        if self._store is not None:
            self._store.check_out()
        try:
            store = Join(agent, reason, self._round_store, self._store, check=self._compare, health=self._health).run()
        except JoinError as error:
            end_agent(error)
        won = store.membership
        self._store, self._in_round = store, won
        agent.report_round(won.round, won.rank, won.nodes, store.peers)
        return store

    def _compare(self, rendezvous: Rendezvous) -> None:
        """Say before the first round what fits badly together."""
        agent, call = self._started(), self._launcher_call
        limit = rendezvous.spec.timeouts.reentry_seconds
        if agent.attempt == 0 and call is not None and call.shutdown_timeout > limit:
            _logger.warning(
                "--shutdown-timeout is %d s, and timeouts.reentrySeconds of the Rendezvous %s is %d: if a signal ends "
                "this agent while its workers save for longer than that, the other nodes go on beside them; set "
                "reentrySeconds to more",
                call.shutdown_timeout,
                agent.reference,
                limit,
            )
        if agent.attempt == 0 and self._settings.health_checks and self._settings.health_check_timeout >= limit:
            _logger.warning(
                "health_check_timeout is %d s, and timeouts.reentrySeconds of the Rendezvous %s is %d: if the checks "
                "of this node take that long, the other nodes go on without it; set health_check_timeout to less",
                self._settings.health_check_timeout,
                agent.reference,
                limit,
            )

    def _round_store(self, membership: Membership, port: StorePort) -> RoundStore:
        agent = self._started()
        settings = self._settings
        return RoundStore(
            membership, port, settings.read_timeout, self.use_agent_store, agent.watch.notify, settings.store_ports
        )

    def _reason_to_join(self) -> AttemptReason:
        if self._agent is None or self._agent.attempt == 0:
            return AttemptReason.START
        return AttemptReason.MEMBERSHIP_CHANGE if self._saw_waiting else AttemptReason.WORKER_FAILURE

    def _reason_to_leave(self) -> LeaveReason:
        """Failed while an exception ends the agent; launch_agent calls shutdown in a ``finally``."""
        if workers_failed_for_good():
            return LeaveReason.FAILED
        error = self._error()
        if error is None or isinstance(error, RendezvousGracefulExitError):
            return LeaveReason.SUCCEEDED
        if isinstance(error, SystemExit) and error.code in (None, 0):
            return LeaveReason.SUCCEEDED
        if isinstance(error, (SignalException, KeyboardInterrupt)):
            return LeaveReason.TERMINATED
        return LeaveReason.FAILED

    def _error(self) -> BaseException | None:
        """The exception that ends the agent now, if there is one.

        A program may launch again while it handles the exception that has ended the launch before.
        """
        error = sys.exc_info()[1]
        return None if error is self._error_before else error

    def _leave(self, agent: Agent, reason: LeaveReason, deadline: float) -> bool:
        while True:
            left = deadline - time.monotonic()
            try:
                agent.leave(reason, max(0.0, left))
            except (ApiError, NotDoneError) as error:
                if isinstance(error, UnreachableError) and left > _RETRY_SECONDS:
                    time.sleep(_RETRY_SECONDS)
                    continue
                text = advise(error) if isinstance(error, ApiError) else str(error)
                _logger.warning(
                    "could not leave %s; the operator will notice it without this: %s", agent.reference, text
                )
                return False
            return True

    def _serve_other_nodes(self, deadline: float) -> None:
        store = self._store
        if store is None or store.others_left():
            return
        _logger.info("serving the store of round %d until the other nodes have left", store.membership.round)
        while not store.others_left() and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)

    def _close(self) -> None:
        self._shut_down = True
        self._in_round = None
        for variable in (_ROUND, _FENCE):
            os.environ.pop(variable, None)
        self._launcher_call = None
        atexit.unregister(self._leave_at_exit)
        _running.discard(self)
        if self._store is not None:
            self._store.close()
        if self._agent is not None:
            self._agent.stop()

    def _launcher_is_over(self) -> bool:
        call = self._launcher_call
        return call is not None and call.over

    def _end_if_launcher_is_over(self) -> None:
        """Leave and free all if torch's launcher has ended by a signal, while the program goes on.

        Without this the agent does so with its next heartbeat. Another launch needs its name at once.
        """
        if not self._shut_down and self._launcher_is_over():
            self._leave_at_exit()
            self._close()

    def _leave_at_exit(self) -> None:
        # torch calls no shutdown after a signal, so that a group stays open to a replacement; this node still leaves.
        # It calls shutdown after everything else, so whatever has brought us here is no failure of the training.
        # A child of fork inherits the exit handler, but not the participant.
        if self._agent is None or self._agent.stopped or os.getpid() != self._process:
            return
        try:
            self._agent.leave(LeaveReason.TERMINATED, _EXIT_SECONDS)
        except (ApiError, NotDoneError) as error:
            _logger.debug("could not leave at exit: %s", error)
        finally:
            self._agent.stop()

    def _record(self, message: str, failed: bool = False, rank: int | None = None) -> None:
        spec = self._agent.participant.spec if self._agent is not None else None
        name = f"{type(self).__name__}.next_rendezvous"
        host = spec.address if spec is not None else ""
        record_event(name, self._settings.raw_run_id, message, failed, host, rank)
