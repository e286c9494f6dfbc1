"""One member of a self-test, from its start to its end: the product's own join, with plain TCP in place of a store."""

from __future__ import annotations

import contextlib
import logging
from typing import NoReturn

from rendezvous_api.api_errors import ApiError, UnreachableError
from rendezvous_api.reasons import AttemptReason, LeaveReason
from rendezvous_api.rendezvous import Rendezvous
from rendezvous_handler.agent.agent import Agent
from rendezvous_handler.agent.request_thread import NotDoneError
from rendezvous_handler.agent.store_port import StorePort
from rendezvous_handler.join.answer import Membership, Waiting
from rendezvous_handler.join.errors import ConnectError, StateError, TimedOutError
from rendezvous_handler.join.join import Join
from rendezvous_handler.join.wait import JoinWait
from rendezvous_handler.kube.client import Client
from rendezvous_handler.kube.errors import advise
from rendezvous_handler.selftest.meeting import TcpMeeting
from rendezvous_handler.settings import Settings

_logger = logging.getLogger(__name__)

_LEAVE_SECONDS = 5.0


class SelfTestError(Exception):
    """The members have not met; the message says why."""


def runs_without(rendezvous: Rendezvous, name: str) -> bool:
    """Whether a round runs of which this participant is no member: to join would make its members restart."""
    status = rendezvous.status
    return status.running and all(member.name != name for member in status.participants)


class SelfTest:
    """One member."""

    def __init__(self, settings: Settings, client: Client):
        """Begin to watch the Rendezvous.

        Args:
            settings: those of an agent; everything together may take its join timeout.
            client: of the API server.
        """
        self._agent = Agent(settings, client)
        self._wait = _Wait(self._agent)

    def run(self) -> Membership:
        """Meet the other members in a round, send a heartbeat, and leave.

        Raises:
            SelfTestError: it cannot take part.
            JoinError: see `Join.run`; TimedOutError after the given time, which says why.
            ApiError: the API server refuses what an agent needs.
        """
        agent = self._agent
        _logger.info(
            "%s asks the API server at %s for the Rendezvous %s",
            agent.identity.name,
            agent.client.url,
            agent.reference,
        )
        try:
            met = Join(agent, AttemptReason.START, self._meeting, wait=self._wait, check=self._check).run().membership
            self._wait.check_rights()
            agent.report_round(met.round, met.rank, met.nodes)
            # An agent tolerates heartbeats that fail for a while; here they are what is tested.
            agent.call(agent.participant.beat)
            _logger.info("the API server has accepted the heartbeat")
            agent.leave(LeaveReason.SUCCEEDED, _LEAVE_SECONDS)
            _logger.info("left %s (%s)", agent.reference, LeaveReason.SUCCEEDED)
        except NotDoneError as error:
            raise SelfTestError(f"the API server is slow: {error}") from None
        finally:
            with contextlib.suppress(ApiError, NotDoneError):
                agent.leave(LeaveReason.FAILED, _LEAVE_SECONDS)  # unless it has left
            agent.stop()
        return met

    def _meeting(self, membership: Membership, port: StorePort) -> TcpMeeting:
        store = membership.store
        _logger.info(
            "round %d: rank %d of %d; all meet at %s:%d",
            membership.round,
            membership.rank,
            membership.nodes,
            store.host,
            store.port,
        )
        self._wait.meeting = TcpMeeting(membership, port, self._agent.watch.notify)
        return self._wait.meeting

    def _check(self, rendezvous: Rendezvous) -> None:
        self._wait.meeting = None
        self._agent.address()  # an agent waits until its address can be found out; a self-test ends with the error
        if runs_without(rendezvous, self._agent.identity.name):
            raise SelfTestError(
                f"round {rendezvous.status.round} of {self._agent.reference} runs, and this member would make it "
                "restart; take a Rendezvous that no training uses"
            )


class _Wait(JoinWait):
    """The waiting of a self-test: it ends after a fixed time, and at the first right that is missing."""

    def __init__(self, agent: Agent):
        super().__init__(agent)
        self.meeting: TcpMeeting | None = None
        """The last that was begun."""

    def follow(self, rendezvous: Rendezvous) -> None:
        """Do nothing: the time of the self-test holds, whatever the Rendezvous says."""

    def tick(self, waiting: Waiting | None = None) -> None:
        super().tick(waiting)
        self.check_rights()
        if self.clock.elapsed > self.limit:
            self.give_up(self._what_is_known())

    def refused(self, error: ApiError) -> None:
        raise ConnectError(advise(error))

    def absent(self, why: str, explanation: str) -> None:
        raise StateError(explanation)

    def check_rights(self) -> None:
        """Raise what an agent would wait for: that the API server refuses to show the Rendezvous.

        Raises:
            ApiError: it does.
        """
        error = self._agent.watch.state.error
        if error is not None and not isinstance(error, UnreachableError):
            raise error

    def give_up(self, explanation: str) -> NoReturn:
        self.leave()
        raise TimedOutError(
            f"{self._agent.reference}: not done within {self.limit:.0f} s (--timeout-seconds). {explanation}"
        )

    def _what_is_known(self) -> str:
        contact, state = self._agent.client.contact, self._agent.watch.state
        if contact.failing:
            return f"The API server at {self._agent.client.url} {contact.state}: {contact.cause}"
        if state.error is not None:
            return advise(state.error)
        if state.rendezvous is None:
            return "There is no such Rendezvous"
        return self.meeting.progress if self.meeting is not None else self.reporter.summary(state.rendezvous)
