"""One call of ``next_rendezvous``: join the Rendezvous, wait for a round, check in at its store; again if need be."""

from __future__ import annotations

import contextlib
import logging
import random
import time
from typing import NoReturn

from torch.distributed.elastic.rendezvous import (
    RendezvousClosedError,
    RendezvousConnectionError,
    RendezvousStateError,
)

from rendezvous_api import codec
from rendezvous_api.participant import ParticipantSpec
from rendezvous_api.reasons import AttemptReason, RefusalReason
from rendezvous_api.rendezvous import Refusal, Rendezvous
from rendezvous_handler.admission import Admission, Answer, Claim, Replaced, Waiting, answer, is_over
from rendezvous_handler.agent import Agent
from rendezvous_handler.errors import ApiError, InvalidError, UnreachableError
from rendezvous_handler.finding import Finder
from rendezvous_handler.participant import NameTakenError
from rendezvous_handler.store import RoundStore
from rendezvous_handler.store_port import StorePort, StorePortError
from rendezvous_handler.torch_compat import exit_without_training
from rendezvous_handler.waiting import JoinWait

_logger = logging.getLogger(__name__)

_FIRST_BACK_OFF = 1.0
_LONGEST_BACK_OFF = 30.0
_SLOW_CHECK_IN_SECONDS = 10.0


class Join:
    """The way of one agent into its next round. Everything here runs in the main thread and can be interrupted."""

    def __init__(self, agent: Agent, reason: AttemptReason, previous: RoundStore | None, shared_store: bool):
        """Do nothing yet.

        Args:
            agent: who joins.
            reason: why.
            previous: the store of the round that the agent comes from; it is closed once there is a new one.
            shared_store: see `RoundStore`.
        """
        self._agent = agent
        self._reason = reason
        self._previous = previous
        self._shared_store = shared_store
        self._wait = JoinWait(agent)
        self._finder = Finder(agent, self._wait)

    def run(self) -> RoundStore:
        """Return the store of a round in which this agent has its place, and at which all members have checked in.

        Raises:
            RendezvousClosedError: the run takes no one any more.
            RendezvousConnectionError: the API server cannot be reached, or refuses what an agent needs.
            RendezvousStateError: another run is active, another agent has this one's name, or there is no Rendezvous.
            RendezvousTimeoutError: no round within the join timeout.
            SystemExit: with code 0: the run has succeeded without this node (RendezvousGracefulExitError outside
                torchrun).
        """
        back_off = _FIRST_BACK_OFF
        while True:
            with contextlib.ExitStack() as on_failure:
                rendezvous = self._finder.find()
                port = self._bind()
                on_failure.callback(port.close)
                attempt = self._ask(rendezvous, port)
                admission = self._await_admission(attempt)
                if admission is None:
                    continue
                if self._previous is not None:
                    self._previous.close()
                    self._previous = None
                store = RoundStore(
                    admission, port, self._agent.settings.read_timeout, self._shared_store, self._agent.view.ring
                )
                on_failure.callback(store.close)
                if self._all_check_in(store):
                    on_failure.pop_all()
                    return store
            self._reason = AttemptReason.CHECK_IN_FAILED
            if store.error is not None:
                # A round that the operator has ended needs no pause: the operator decides when the next one comes.
                self._wait.pause_for(back_off * random.uniform(0.5, 1.0))
                back_off = min(2 * back_off, _LONGEST_BACK_OFF)

    def _bind(self) -> StorePort:
        settings = self._agent.settings
        if self._previous is not None and settings.store_ports[0] and len(settings.store_ports) == 1:
            # The one port that is allowed is needed again.
            self._previous.close()
        while True:
            try:
                return StorePort(self._agent.address(), settings.store_ports)
            except StorePortError as error:
                raise RendezvousConnectionError(str(error)) from None
            except OSError as error:
                self._wait.reporter.problem(f"the address of this node cannot be found out: {error}")
                if self._wait.clock.elapsed > self._wait.limit:
                    raise RendezvousConnectionError(f"the address of this node cannot be found out: {error}") from None
            self._wait.tick()
            self._wait.pause()

    def _ask(self, rendezvous: Rendezvous, port: StorePort) -> ParticipantSpec:
        """Write an attempt to join; waits as long as the API server does not answer."""
        attempt = self._agent.next_attempt(rendezvous, self._reason, port.address, port.port)
        try:
            self._wait.until_joined(rendezvous, attempt)
        except NameTakenError as error:
            raise RendezvousStateError(str(error)) from None
        except InvalidError as error:
            name = self._agent.participant.name
            raise RendezvousStateError(f"the API server refuses {name}: {error}") from None
        except ApiError as error:
            raise RendezvousConnectionError(error.explain()) from None
        return attempt

    def _await_admission(self, attempt: ParticipantSpec) -> Admission | None:
        """The round that admits the attempt; None when another attempt has to be made, at another or a new object."""
        agent = self._agent
        claim = Claim(agent.participant.name, attempt)
        while True:
            if agent.participant.taken is not None:
                raise RendezvousStateError(str(agent.participant.taken))
            state = agent.view.state
            if state.rendezvous is None or agent.participant.gone:
                _logger.warning("%s was deleted while this node waited; joining anew", self._what_is_gone())
                return None
            decided = answer(state.rendezvous, claim)
            if isinstance(decided, Waiting) and self._wait.over:
                # A watch that has died without a word is noticed only after a while; so look before giving up.
                decided = self._look_again(claim) or decided
            if isinstance(decided, Admission):
                return decided
            if isinstance(decided, Refusal):
                self._refused(decided)
            if isinstance(decided, Replaced):
                _logger.warning("%s was deleted and created anew; joining the new one", agent.reference)
                return None
            self._wait.limit = float(state.rendezvous.spec.join_timeout_seconds)
            self._wait.tick(decided.spare)
            if state.error is not None and not isinstance(state.error, UnreachableError):
                self._wait.reporter.problem(state.error.explain())
            else:
                self._wait.reporter.waiting(state.rendezvous, agent.cluster.contact, decided.spare)
            self._wait.pause()

    def _look_again(self, claim: Claim) -> Answer | None:
        """Read the Rendezvous directly; give up when it holds no answer, wait on when it cannot be read."""
        agent = self._agent
        try:
            found, _ = agent.call(
                lambda: agent.cluster.list_rendezvous(agent.namespace, agent.settings.name, agent.request_seconds)
            )
        except ApiError as error:
            _logger.debug("the join timeout is over, but: %s", error.explain())
            return None
        if found is None:
            return None
        rendezvous = codec.decode(Rendezvous, found)
        decided = answer(rendezvous, claim)
        if decided == Waiting(spare=False):
            self._wait.give_up(self._wait.reporter.summary(rendezvous))
        return decided

    def _what_is_gone(self) -> str:
        if self._agent.participant.gone:
            return f"the RendezvousParticipant {self._agent.participant.name}"
        return f"the Rendezvous {self._agent.reference}"

    def _refused(self, refusal: Refusal) -> NoReturn:
        message = f"{self._agent.reference} does not take this node: {refusal.message}"
        if refusal.reason is RefusalReason.RUN_SUCCEEDED:
            exit_without_training(message)
        if refusal.reason is RefusalReason.RUN_CLOSED:
            raise RendezvousClosedError(message)
        raise RendezvousStateError(message)

    def _all_check_in(self, store: RoundStore) -> bool:
        """Whether all members have come to the store before something else happened."""
        agent, admission = self._agent, store.admission
        store.start_check_in()
        start = time.monotonic()
        while True:
            if is_over(agent.view.state.rendezvous, admission) or agent.participant.lost:
                _logger.info("round %d of %s ended before all had checked in", admission.round, agent.reference)
                return False
            if store.complete:
                return True
            if store.error is not None:
                _logger.warning(
                    "check-in at round %d of %s (store %s:%d) failed, joining again: %s",
                    admission.round,
                    agent.reference,
                    admission.store.host,
                    admission.store.port,
                    store.error,
                )
                return False
            if time.monotonic() - start > _SLOW_CHECK_IN_SECONDS:
                where = f"{admission.store.host}:{admission.store.port}"
                self._wait.reporter.problem(
                    f"round {admission.round} of {agent.reference}: waiting for all {admission.nodes} members to "
                    f"come to the store at {where}, for at most {agent.settings.read_timeout} s (read_timeout)"
                )
            self._wait.tick()
            self._wait.pause()
