"""One agent and what it has towards the API server: its name, its own object, its watch, its thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from rendezvous_api.api_errors import ApiError
from rendezvous_api.participant import CheckIn, ParticipantSpec
from rendezvous_api.reasons import AttemptReason, LeaveReason, ParticipantState
from rendezvous_api.rendezvous import Rendezvous
from rendezvous_api.rendezvous_spec import Timeouts
from rendezvous_handler.agent.identity import bound_pod, identify, new_incarnation, node_address
from rendezvous_handler.agent.life import container_name, life
from rendezvous_handler.agent.participant import OwnParticipant
from rendezvous_handler.agent.pauses import Pauses
from rendezvous_handler.agent.rarity import rare_seconds
from rendezvous_handler.agent.rendezvous_watch import RendezvousWatch
from rendezvous_handler.agent.request_thread import RequestThread
from rendezvous_handler.kube.client import Client
from rendezvous_handler.peers.haste import spread
from rendezvous_handler.peers.thread import Peers
from rendezvous_handler.settings import Settings

T = TypeVar("T")

_WATCH_SECONDS = 90
_LONGEST_REQUEST_SECONDS = 10.0


class Agent:
    """The agent of one handler, from the first use of the handler to its end. Its threads run until `stop`."""

    def __init__(self, settings: Settings, client: Client, is_over: Callable[[], bool] = lambda: False):
        """Find out the agent's name and begin to watch the Rendezvous.

        Args:
            settings: what the user has set.
            client: of the API server.
            is_over: whether its launcher has ended without stopping this agent, which it then does by itself.

        Raises:
            OSError: the name cannot be reserved among the agents of this pod.
        """
        self.settings = settings
        self.client = client
        pod = bound_pod(client.bearer_token())
        self.namespace = settings.namespace or (pod.namespace if pod else client.namespace)
        """Of the Rendezvous."""
        self.reference = f"{self.namespace}/{settings.name}"
        """NAMESPACE/NAME of the Rendezvous, for messages."""
        self.incarnation = new_incarnation()
        self.attempt = 0
        """The number of the last attempt to join; 0 before the first."""
        self.stopped = False
        self.request_seconds = min(float(settings.read_timeout), _LONGEST_REQUEST_SECONDS)
        self.identity = identify(self.namespace, settings.name, settings.node_id, pod)
        self._life = life() if pod is not None else None
        self._container = container_name(pod.uid) if pod is not None else None
        in_own_namespace = pod is not None and pod.namespace == self.namespace
        self.participant = OwnParticipant(
            client, self.namespace, self.identity.name, owned_by_pod=in_own_namespace, timeout=self.request_seconds
        )
        self.watch = RendezvousWatch(
            client, self.namespace, settings.name, self.identity.name, _WATCH_SECONDS, self.request_seconds
        )
        self._is_over = is_over
        self._thread = RequestThread(self._beat, name=f"rendezvous-agent-{settings.name}")
        self._beat_failed = False
        self._noticed: Rendezvous | None = None
        self._pauses = Pauses()
        self._thread.start()
        self.watch.start()

    def stop(self) -> None:
        """End all threads and free the name. Does not leave the rendezvous."""
        self.stopped = True
        self._end_peers()
        self.watch.stop()
        self._thread.stop()
        if self.identity.slot is not None:
            self.identity.slot.close()

    def address(self) -> str:
        """The address at which the other nodes reach this one.

        Raises:
            OSError: it cannot be found out: a name cannot be resolved, or there is no route.
            ValueError: inside a pod, it is one that only this pod can reach.
        """
        return node_address(self.settings.local_addr, self.client.url, self.client.in_pod)

    def call(self, function: Callable[[], T], timeout: float | None = None) -> T:
        """Make a request in the agent's thread; see `RequestThread.call`."""
        return self._thread.call(function, timeout)

    def next_attempt(
        self,
        rendezvous: Rendezvous,
        reason: AttemptReason,
        address: str,
        store_port: int,
        check_in: CheckIn | None = None,
    ) -> ParticipantSpec:
        """What the own object is to say to get into a round of that Rendezvous."""
        self.attempt += 1
        pod, nodes = self.identity.pod, self.settings.nodes_to_create
        return ParticipantSpec(
            rendezvous_name=rendezvous.metadata.name,
            rendezvous_uid=rendezvous.metadata.uid,
            node_id=self.identity.node_id,
            incarnation=self.incarnation,
            attempt=self.attempt,
            attempt_reason=reason,
            address=address,
            store_port=store_port,
            state=ParticipantState.JOINED,
            run_id=self.settings.run_id,
            life=self._life,
            min_nodes=nodes[0] if nodes else None,
            max_nodes=nodes[1] if nodes else None,
            pod_name=pod.name if pod else None,
            pod_uid=pod.uid if pod else None,
            node_name=pod.node_name if pod else None,
            pod_index=self.identity.pod_index,
            container=self._container,
            check_in=check_in,
        )

    def join(self, attempt: ParticipantSpec, rendezvous: Rendezvous) -> None:
        """Ask for a place in a round, and send heartbeats from then on. After an error, the same may be asked again.

        Args:
            attempt: what to ask for.
            rendezvous: gives the heartbeat interval, and how many heartbeats may be missing.

        Raises:
            NameTakenError: another agent has the name.
            ApiError: the API server refuses, or does not answer.
        """
        self._keep(rendezvous, None)
        self._thread.start_heartbeats(float(rendezvous.heartbeat_seconds), float(rendezvous.silent_seconds))
        self.call(lambda: self.participant.join(attempt))

    def _keep(self, rendezvous: Rendezvous, rare: int | None) -> None:
        """Send heartbeats at the interval that holds, and say so in them: the operator believes it."""
        interval = float(rendezvous.heartbeat_seconds)
        # A heartbeat that takes longer than its interval is worth less than the next one.
        self.participant.beat_timeout = min(float(self.settings.heartbeat_timeout), interval, self.request_seconds)
        self.participant.interval_seconds = rendezvous.heartbeat_seconds
        self.participant.peers_interval_seconds = rare
        self._thread.change_heartbeats(interval, float(rendezvous.silent_seconds), rare)

    def _rare_seconds(self) -> int | None:
        peers = self.participant.peers
        number, _ = self.participant.reported
        return rare_seconds(self.watch.state.rendezvous, number, heard=peers is not None and peers.heard)

    def _beat(self) -> None:
        """Send one heartbeat, at the interval that the Rendezvous has now."""
        if self._is_over():
            self.participant.leave(LeaveReason.TERMINATED)
            self.stop()
            return
        rendezvous = self.watch.state.rendezvous
        intervals = (self.participant.interval_seconds, self.participant.peers_interval_seconds)
        rare = self._rare_seconds()
        if rendezvous is not None and (rendezvous.heartbeat_seconds, rare) != intervals:
            self._keep(rendezvous, rare)
        try:
            self.participant.beat()
        except ApiError:
            self._beat_failed = True
            raise
        if self._beat_failed:
            self._beat_failed = False
            # What broke the way of the heartbeats may have broken the watch without a word. A member that waits at it
            # would miss its round until the watch ends by itself, while the others wait for it in vain.
            self.watch.list_again()

    def notice_news(self) -> None:
        """Let the next heartbeat come soon if they have been rare, and must not be any more.

        The main thread calls this regularly. Makes no request itself.
        """
        is_rare, known = self.participant.peers_interval_seconds is not None, self.watch.state.rendezvous
        if is_rare and known is not None and known is not self._noticed:
            self._noticed = known
            if self._rare_seconds() is None:
                self.hasten(float(known.heartbeat_seconds))

    def notice_pause(self) -> None:
        """Let the watch list again if this process was paused: its watch may have died meanwhile without a word.

        The main thread calls this regularly, and before it relies on what the watch knows. Makes no request itself.
        """
        rendezvous = self.watch.state.rendezvous
        if rendezvous is not None and self._pauses.passed(float(rendezvous.silent_seconds)):
            self.watch.list_again()

    def report_round(self, round_number: int, rank: int, nodes: int, peers: Peers | None = None) -> None:
        """Let the heartbeat say which round runs here: soon, but not with a thousand others in the same moment.

        Args:
            round_number: of the Rendezvous.
            rank: of this node.
            nodes: number of members of the round.
            peers: the connections to the other members; they are used until no round runs here any more.
        """
        self._pauses.reset()  # torch starts the workers now, which takes its time
        self.participant.peers = peers
        if peers is not None:
            peers.start(self)
        self.participant.reported = (round_number, rank)
        self.hasten(spread(nodes))

    def report_no_round(self) -> None:
        """Let the heartbeat say that no workers run here, and say so to the other members."""
        self._pauses.reset()  # torch has stopped the workers
        self.participant.reported = (0, None)
        self._end_peers()

    def _end_peers(self) -> None:
        peers = self.participant.peers
        if peers is not None:
            peers.stop()
        self.participant.peers = None

    def hasten(self, seconds: float) -> None:
        """Send a heartbeat at a random moment of that time, from another thread; see `RequestThread.beat_within`."""
        self._thread.beat_within(seconds)

    @property
    def arrive(self) -> bool:
        """Whether the heartbeats reach the API server."""
        return self._thread.heartbeats_arrive

    @property
    def confirm_seconds(self) -> float:
        """For how long the operator waits for a heartbeat of a member that others accuse."""
        rendezvous = self.watch.last_seen
        return float((rendezvous.spec.timeouts if rendezvous is not None else Timeouts()).confirm_seconds)

    def leave(self, reason: LeaveReason, timeout: float) -> None:
        """Say that this agent is not coming back, and send no more heartbeats.

        Raises:
            NotDoneError: not within ``timeout`` seconds.
            ApiError: the API server refuses, or does not answer.
        """
        self._thread.stop_heartbeats()
        self.call(lambda: self.participant.leave(reason), timeout)
