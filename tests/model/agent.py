"""An agent of the model: the handler's own watch, participant and join clock over paths that break apart.

What the model has in the place of the handler's threads is when each of them goes on. torch, the workers and the store
are a state each.
"""

from __future__ import annotations

import contextlib
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

from tests.model.agent_client import AgentClient
from tests.model.api_server import ApiServer
from tests.model.heartbeats import Heartbeats
from tests.model.join_wait import wait_of
from tests.model.peers import CLOSED, FAREWELL, Host, Member, SecondPath
from tests.model.stores import CHECK_IN_SECONDS, LONGER_AT_HOST_SECONDS, Stores

from rendezvous_api import names
from rendezvous_api.api_errors import ApiError, ExpiredError
from rendezvous_api.codec import decode
from rendezvous_api.participant import ParticipantSpec
from rendezvous_api.reasons import AttemptReason, LeaveReason, ParticipantState, RefusalReason
from rendezvous_api.rendezvous import Refusal, Rendezvous
from rendezvous_handler.agent.participant import NameTakenError, OwnParticipant
from rendezvous_handler.agent.rarity import rare_seconds
from rendezvous_handler.agent.rendezvous_watch import RendezvousWatch
from rendezvous_handler.join.answer import (
    Answer,
    Attempt,
    Membership,
    Replaced,
    Waiting,
    answer,
    has_ended,
    nodes_waiting,
)
from rendezvous_handler.join.join import Seen, as_check_in

OFF, ASKS, WAITS, CHECKS_IN, TRAINS, STOPS = "is off", "asks", "waits", "checks in", "trains", "stops its workers"
OUT = "stays out"

NAME = "train"
"""Of the Rendezvous."""
DEAD_WATCH_SECONDS = 100.0
"""After so long a watch is noticed to have died without a word."""


class Agent:
    """One process, and what it knows. A node has one after the other, or two if its pod was deleted by force."""

    def __init__(
        self,
        name: str,
        server: ApiServer,
        now: Callable[[], float],
        run_id: str,
        release: str,
        path: SecondPath | None = None,
    ) -> None:
        self.name = name
        self.server = server
        self.now = now
        self.run_id = run_id
        self.release = release
        self.process = OFF
        self.life = 0
        self.paused = False
        self.writes = True
        """Its requests reach the API server."""
        self.reads = True
        """Its watch does."""
        self.unread_since = 0.0
        self.beats: list[float] = []
        """When its heartbeats reached the API server."""
        self.lies = ""
        """What it says of the other members, whatever it knows."""
        self.sick = False
        """Its health checks fail."""
        self.stayed_out: set[tuple[str, int]] = set()
        """By incarnation and attempt: with which ones it has said so."""
        self._path = path
        self.failures: set[tuple[str, int, AttemptReason]] = set()
        """By incarnation and attempt: which of its workers, and of its check-ins, have failed."""
        self.pod_uid = ""
        self.attempt = 0
        self.membership: Membership | None = None
        self.client = AgentClient(self)
        self._restart()

    def _restart(self) -> None:
        self.participant = OwnParticipant(cast(Any, self.client), "ns", self.name, owned_by_pod=True, timeout=1.0)
        self.watch = RendezvousWatch(cast(Any, self.client), "ns", NAME, self.name, 90, 1.0)
        self.attempt, self.membership = 0, None
        self.heartbeats = Heartbeats(self.now)
        self.check_in_ends_at = 0.0
        self._members: Mapping[int, str] = {}
        self._asked: ParticipantSpec | None = None
        self._answered: tuple[Any, Any, Answer | None] = (None, None, None)
        self._begin(AttemptReason.START)

    @property
    def incarnation(self) -> str:
        """A new one for each life."""
        return f"i{self.life:07}"

    @property
    def alive(self) -> bool:
        """Its process is there, maybe paused."""
        return self.process != OFF

    @property
    def pod_is_gone(self) -> bool:
        """Its pod was deleted by force: its token is bound to that pod, so the API server refuses it (401)."""
        pod = self.server.find(names.POD_KIND, self.name)
        return pod is None or pod["metadata"]["uid"] != self.pod_uid

    @property
    def runs(self) -> bool:
        """Whether its workers run, or will as soon as all have checked in."""
        return self.process in (CHECKS_IN, TRAINS, STOPS)

    @property
    def checks_in(self) -> bool:
        """Whether it is on its way to the store of its round, or waits there."""
        return self.process == CHECKS_IN

    @property
    def round_key(self) -> tuple[str, int] | None:
        """UID and number of the round that it runs."""
        return (self.membership.uid, self.membership.round) if self.membership is not None and self.runs else None

    def last_beat_before(self, moment: float) -> float:
        """When the last heartbeat until that moment reached the API server."""
        place = bisect_right(self.beats, moment)
        return self.beats[place - 1] if place else float("-inf")

    def state(self) -> tuple[Any, ...]:
        """All that decides how it goes on."""
        own = self.participant
        known = (own.spec, own.gone, str(own.taken), own.reported, own.last_run_id, own.interval_seconds)
        paths = (self.paused, self.writes, self.reads, self.client.loses_next_answer, self.client.contact.failing)
        seen = (self.watch.state, self.watch._resource_version)
        return (
            self.process,
            self.sick,
            self.life,
            self.attempt,
            self.membership,
            self.check_in_ends_at,
            self._said,
            known,
            paths,
            seen,
            self._asked,
            self.beats[-1:],
            (self.lies, self.peers.state() if self.peers is not None else None),
        )

    def successor(self) -> Agent:
        """The agent of the next pod of that name."""
        other = Agent(self.name, self.server, self.now, self.run_id, self.release, self._path)
        other.life = self.life
        return other

    # What its process does.

    def starts(self, pod_uid: str) -> None:
        """A new process."""
        self.life += 1
        self.pod_uid, self.process, self.paused = pod_uid, ASKS, False
        self._restart()
        self.sees()

    def dies(self) -> None:
        """Without a word; but the kernel of its machine closes its connections."""
        self._end_peers(CLOSED)
        self.process, self.membership, self.paused = OFF, None, False

    def loses_power(self) -> None:
        """With its whole machine: nothing closes its connections."""
        if self._path is not None:
            self._path.loses_power(self)
        self.participant.peers = None
        self.dies()

    def leaves(self, reason: LeaveReason) -> None:
        """It ends, and says so if its path is there."""
        with contextlib.suppress(ApiError):
            self.participant.leave(reason)
        self._end_peers(FAREWELL)
        self.dies()

    def fails(self, stores: Stores, *, timed_out: bool = False) -> None:
        """Its workers have failed, or its check-in."""
        seen = stores.seen_by(self, timed_out=timed_out) if self.checks_in else None
        reason = AttemptReason.CHECK_IN_FAILED if self.checks_in else AttemptReason.WORKER_FAILURE
        self.failures.add((self.incarnation, self.attempt, reason))
        self._begin(reason, seen)

    def sees(self) -> None:
        """One turn of the thread of its watch."""
        watch = self.watch
        try:
            if watch._resource_version:
                watch._watch()
            else:
                watch._list()
        except ExpiredError:
            watch._resource_version = ""
        except ApiError as error:
            watch._resource_version = ""
            watch._publish(replace(watch.state, error=error))

    @property
    def can_see(self) -> bool:
        """Whether its watch shows something new."""
        if not (self.alive and self.reads) or self.paused:
            return False
        version = self.watch._resource_version
        if not version or int(version) < self.server.compacted:
            return not self.pod_is_gone  # an open watch goes on, and no other one begins
        return self.server.after(names.RENDEZVOUS_KIND, int(version)) is not None

    def acts(self, stores: Stores) -> Callable[[], None] | None:
        """What its main thread does next; None: it waits."""
        if self.paused or not self.alive:
            return None
        known = self.watch.state.rendezvous
        if self.process == ASKS:
            return self._ask if known is not None and self.writes and not self.pod_is_gone else None
        if self.process == WAITS:
            return self._act_on_answer(known)
        if self.process == OUT:
            return None if self.sick else lambda: self._begin(self._reason)
        membership = self.membership
        assert membership is not None
        if self.process == STOPS:
            return lambda: self._begin(AttemptReason.MEMBERSHIP_CHANGE)
        if self.process == TRAINS:
            return self._stop if nodes_waiting(known, membership, self.participant.lost) > 0 else None
        if has_ended(known, membership) or self.participant.lost:
            return lambda: self.fails(stores)
        return self._train if stores.all_check_in(membership) else None

    def _act_on_answer(self, known: Rendezvous | None) -> Callable[[], None] | None:
        if self.participant.taken is not None:
            return lambda: self.leaves(LeaveReason.FAILED)
        decided = self.answer()
        if known is None or self.participant.gone or isinstance(decided, Replaced):
            return lambda: self._begin(self._reason)
        if self.sick and isinstance(decided, (Membership, Waiting)):
            return lambda: self._begin(self._reason)
        if isinstance(decided, Membership):
            return lambda: self._check_in(decided)
        if isinstance(decided, Refusal) and decided.reason is RefusalReason.JOIN_ANEW:
            return lambda: self._begin(self._reason)
        if isinstance(decided, Refusal):
            done = decided.reason is RefusalReason.RUN_SUCCEEDED
            return lambda: self.leaves(LeaveReason.SUCCEEDED if done else LeaveReason.FAILED)
        return None

    def answer(self) -> Answer | None:
        """The handler's reading of the status."""
        state, spec = self.watch.state, self.participant.spec
        if self._answered[:2] != (state, spec) or self._answered[0] is not state:
            found = None
            if state.rendezvous is not None and spec is not None:
                found = answer(state.rendezvous, Attempt(self.name, spec))
            self._answered = (state, spec, found)
        return self._answered[2]

    def _end_peers(self, last_words: str) -> None:
        for _ in self.peers.ends(last_words) if self.peers is not None else ():
            pass
        self.participant.peers = None

    def _begin(self, reason: AttemptReason, seen: Seen | None = None) -> None:
        """``next_rendezvous`` is called, or begins again; what was seen is that of a check-in that has failed."""
        self._end_peers(FAREWELL)
        self._said = None
        if self.membership is not None and self.release != "older":
            self._said = as_check_in(self.membership, self._members, seen)
        if self.process != OFF:
            self.process = ASKS
        self._reason, self.membership, self._asked = reason, None, None
        self.participant.reported = (0, None)
        self.wait = wait_of(self, f"ns/{NAME}")

    def _ask(self) -> None:
        known = self.watch.state.rendezvous
        assert known is not None
        if self._asked is None:
            self.attempt += 1
            self._asked = ParticipantSpec(
                rendezvous_name=NAME,
                rendezvous_uid=known.metadata.uid,
                node_id=self.name,
                incarnation=self.incarnation,
                attempt=self.attempt,
                attempt_reason=self._reason,
                address="h",
                store_port=1,
                state=ParticipantState.JOINED,
                run_id=self.run_id,
                pod_name=self.name,
                pod_uid=self.pod_uid,
                node_name=self.name,
                check_in=self._said,
            )
        if self.sick and self._asked.state is ParticipantState.JOINED:
            left = {"state": ParticipantState.LEFT, "leave_reason": LeaveReason.TERMINATED}
            self._asked = replace(self._asked, unhealthy="gpus: one is missing", **left)  # type: ignore[arg-type]
            self.stayed_out.add((self.incarnation, self.attempt))
        self._keep_interval(known)
        try:
            self.participant.join(self._asked)
        except NameTakenError:
            self.dies()
        except ApiError:
            return
        else:
            self.process = WAITS if self._asked.unhealthy is None else OUT
            self.heartbeats.answered()

    def _check_in(self, membership: Membership) -> None:
        self.membership, self.process = membership, CHECKS_IN
        self._members = self.watch.state.members
        longer = 0.0 if membership.rank else LONGER_AT_HOST_SECONDS
        self.check_in_ends_at = self.now() + CHECK_IN_SECONDS + longer
        self.participant.last_run_id = membership.run_id

    def _train(self) -> None:
        assert self.membership is not None
        self.process = TRAINS
        self.participant.reported = (self.membership.round, self.membership.rank)
        self.participant.peers = cast(Any, self._path.begins(self) if self._path is not None else None)
        self.heartbeats.hasten(0.0)

    def _stop(self) -> None:
        self.process = STOPS
        if self.has_peers:
            self.heartbeats.hasten(1.0)

    # Time.

    @property
    def peers(self) -> Host | Member | None:
        """Its end of the second path."""
        return cast("Host | Member | None", self.participant.peers)

    @property
    def has_peers(self) -> bool:
        """Whether its release has the second path."""
        return self._path is not None and self.release != "older"

    @property
    def confirm_seconds(self) -> float:
        """So long the operator waits for a heartbeat if it is accused."""
        known = self.watch.state.rendezvous
        return known.spec.timeouts.confirm_seconds if known is not None else 10

    def time_passes(self) -> bool:
        """Its heartbeat and its join clock, once a second. Returns whether the join timeout has passed."""
        if self.paused or not self.alive:
            return False
        if self.participant.peers_interval_seconds is not None and self._rare_seconds() is None:
            self.heartbeats.hasten(self.heartbeats.base)
        if self.heartbeats.is_due:
            self._beat()
        if not self.reads and self.now() - self.unread_since > DEAD_WATCH_SECONDS:
            self.sees()
        if self.process not in (WAITS, CHECKS_IN):
            return False
        if (known := self.watch.state.rendezvous) is not None:
            self.wait.follow(known)
        decided = self.answer()
        self.wait.tick(decided if isinstance(decided, Waiting) else None)
        return self.process == WAITS and isinstance(decided, Waiting) and self.wait.expired

    def gives_up(self) -> bool:
        """The join timeout has passed: it reads once more, and leaves if there is no answer."""
        spec = self.participant.spec
        try:
            found, _ = self.client.list_rendezvous("ns", NAME, 1.0)
        except ApiError:
            return False
        if spec is None or found is None:
            return False
        decided = answer(decode(Rendezvous, found), Attempt(self.name, spec))
        if not isinstance(decided, Waiting) or decided.spare or decided.gathered or decided.held_out is not None:
            return False
        self.leaves(LeaveReason.TIMED_OUT)
        return True

    def _keep_interval(self, known: Rendezvous) -> None:
        if self.release != "older":
            self.participant.interval_seconds = self.heartbeats.base = known.heartbeat_seconds
            self.participant.peers_interval_seconds = self._rare_seconds()
            self.heartbeats.interval = self.participant.peers_interval_seconds or known.heartbeat_seconds

    def _rare_seconds(self) -> int | None:
        if self.peers is None:
            return None
        return rare_seconds(self.watch.state.rendezvous, self.participant.reported[0], heard=self.peers.heard)

    def _beat(self) -> None:
        if (known := self.watch.state.rendezvous) is not None:
            self._keep_interval(known)
        try:
            self.participant.beat()
        except ApiError:
            self.heartbeats.failed()
        else:
            self.heartbeats.answered()
