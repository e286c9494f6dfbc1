"""One way of an agent into a round: find the Rendezvous, ask for a place, meet the other members; again if need be."""

from __future__ import annotations

import contextlib
import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Generic, NoReturn, Protocol, TypeVar

from rendezvous_api import names
from rendezvous_api.api_errors import ApiError, ConflictError, InvalidError, UnreachableError
from rendezvous_api.backoff import Backoff, Failures
from rendezvous_api.participant import CheckIn, ParticipantSpec
from rendezvous_api.reasons import (
    AttemptReason,
    ClosedReason,
    ConditionReason,
    LeaveReason,
    ParticipantState,
    RefusalReason,
)
from rendezvous_api.rendezvous import Refusal, Rendezvous
from rendezvous_handler.agent.agent import Agent
from rendezvous_handler.agent.participant import NameTakenError
from rendezvous_handler.agent.store_port import StorePort, StorePortError
from rendezvous_handler.join.answer import Attempt, Membership, Replaced, answer, fence_of, has_ended
from rendezvous_handler.join.errors import (
    BUDGET_IS_SPENT,
    DO_NOT_START_AGAIN,
    ClosedError,
    ConnectError,
    StateError,
    SucceededError,
)
from rendezvous_handler.join.find import Finder
from rendezvous_handler.join.health import Health, Unhealthy
from rendezvous_handler.join.wait import JoinWait
from rendezvous_handler.kube.errors import advise, may_pass

_logger = logging.getLogger(__name__)

RETRY_SECONDS = (0.2, 1.2)
"""Between two tries to write an attempt: evenly spread between the two."""
_USUAL_SECONDS = 1.0
"""For so long priority and fairness asks everybody not to come again, which these are for. More is waited for, too."""
_AFTER_CHECK_IN = Backoff(first=1.0, longest=30.0)
"""After a check-in that has failed at this node."""
_AFTER_DROP = Backoff(first=0.1, longest=30.0)
"""After an attempt that the operator has dropped."""
_SLOW_CHECK_IN_SECONDS = 10.0
_LAST_WORDS_SECONDS = 5.0


@dataclass(frozen=True)
class Seen:
    """What a member has seen of a check-in that has failed."""

    reached: bool
    """It could talk to the store."""
    missing: tuple[int, ...] = ()
    """The ranks that had not come, as far as it knows."""


class MeetingPoint(Protocol):
    """Where all members of a round check in, at the address of rank 0, before the round counts for any of them."""

    complete: bool
    """All members have checked in."""
    error: Exception | None
    """Why the check-in failed; None while it has not."""

    @property
    def membership(self) -> Membership:
        """The round."""

    @property
    def progress(self) -> str:
        """What this member waits for."""

    @property
    def seen(self) -> Seen | None:
        """For a check-in that has failed or was given up; None if there was no time to see anything."""

    def ends_within(self, seconds: float) -> bool:
        """Whether the check-in will have succeeded or failed by then."""

    def start_check_in(self) -> None:
        """Begin, in another thread, which notifies the agent's watch when it ends."""

    def close(self) -> None:
        """Free the port. A check-in that still runs fails."""


M = TypeVar("M", bound=MeetingPoint)


class Join(Generic[M]):
    """One join of one agent. Everything here runs in the main thread and can be interrupted."""

    def __init__(
        self,
        agent: Agent,
        reason: AttemptReason,
        meeting_point: Callable[[Membership, StorePort], M],
        previous: M | None = None,
        wait: JoinWait | None = None,
        check: Callable[[Rendezvous], None] = lambda rendezvous: None,
        health: Health | None = None,
    ):
        """Do nothing yet.

        Args:
            agent: the agent that joins.
            reason: why it joins.
            meeting_point: makes the meeting point of a round from the bound port of this node, which it owns then.
            previous: that of the round that the agent comes from; it is closed once the agent is in another round.
            wait: counts the time, and ends the join when there was too much of it.
            check: raises if the agent must not join the Rendezvous that was found.
            health: the health checks of the agent; None: it has none.
        """
        self._agent = agent
        self._reason = reason
        self._meeting_point = meeting_point
        self._previous = previous
        self._wait = wait or JoinWait(agent)
        self._check = check
        self._health = health or Health()
        self._finder = Finder(agent, self._wait)
        self._failed_check_in: CheckIn | None = None

    def run(self) -> M:
        """Return the meeting point of a round of which this agent is a member and at which all have checked in.

        Raises:
            ClosedError: the run is closed.
            SucceededError: it is, because it has succeeded.
            ConnectError: the API server cannot be reached, or refuses what an agent needs, for the join timeout.
            StateError: another run holds the Rendezvous, another agent has this one's name, or it cannot be read.
            TimedOutError: no round within the join timeout.
            UnhealthyError: the health checks of this node have failed for too long.
        """
        try:
            return self._run()
        finally:
            self._health.stop()

    def _run(self) -> M:
        check_ins, drops = Failures(_AFTER_CHECK_IN), Failures(_AFTER_DROP)
        while True:
            with contextlib.ExitStack() as on_failure:
                rendezvous = self._finder.find()
                self._check(rendezvous)
                port = self._bind()
                on_failure.callback(port.close)
                membership = self._health.before_join(rendezvous, self._wait) or self._ask(rendezvous, port)
                if isinstance(membership, Unhealthy):
                    self._stay_out(rendezvous, port, membership)
                    continue
                if membership is None:
                    continue
                if isinstance(membership, Refusal):
                    self._prepare_anew(membership, drops.pause())
                    continue
                drops.reset()
                members = self._names(membership)
                self._agent.participant.last_run_id = membership.run_id
                self._close_previous()
                point = self._meeting_point(membership, port)
                on_failure.callback(point.close)
                if self._all_check_in(point, members):
                    on_failure.pop_all()
                    return point
                self._reason = AttemptReason.CHECK_IN_FAILED
                self._failed_check_in = as_check_in(membership, members, point.seen)
            if point.error is not None:
                # A round that the operator has ended needs no pause: the operator decides when the next one comes.
                self._wait.pause_for(check_ins.pause())
            self._wait.restart()

    def _ask(self, rendezvous: Rendezvous, port: StorePort) -> Membership | Refusal | Unhealthy | None:
        """Ask for a place in a round, and wait for the answer; see `_await_membership`."""
        attempt = self._next_attempt(rendezvous, port)
        self._write(rendezvous, attempt)
        self._say_that_it_has_joined(rendezvous, attempt)
        membership = self._await_membership(attempt)
        self._failed_check_in = None
        return membership

    def _next_attempt(self, rendezvous: Rendezvous, port: StorePort) -> ParticipantSpec:
        return self._agent.next_attempt(rendezvous, self._reason, port.address, port.port, self._failed_check_in)

    def _stay_out(self, rendezvous: Rendezvous, port: StorePort, unhealthy: Unhealthy) -> None:
        """Say that this node takes no part and why, and wait until its checks are to be run again.

        The reason is one that every operator takes for no failure, also if it does not know of health checks.
        """
        attempt = replace(
            self._next_attempt(rendezvous, port),
            state=ParticipantState.LEFT,
            leave_reason=LeaveReason.TERMINATED,
            unhealthy=unhealthy.found,
        )
        self._write(rendezvous, attempt)
        self._wait.follow(rendezvous)
        self._health.stay_out(rendezvous, unhealthy, self._wait, lambda: self._agent.watch.state.rendezvous)

    def _close_previous(self) -> None:
        if self._previous is not None:
            self._previous.close()
            self._previous = None

    def _names(self, membership: Membership) -> Mapping[int, str]:
        """The names of the members by rank, as far as they are known."""
        state = self._agent.watch.state
        if state.rendezvous is None:
            return {}
        shown = (state.rendezvous.metadata.uid, state.rendezvous.status.round)
        return state.members if shown == (membership.uid, membership.round) else {}

    def _prepare_anew(self, refusal: Refusal, pause: float) -> None:
        """Get ready for a new attempt: the last one was a member of a round, which this agent has not noticed.

        Args:
            refusal: the operator's answer, `RefusalReason.JOIN_ANEW`.
            pause: seconds to wait before that.
        """
        _logger.warning("%s has dropped this attempt, joining again: %s", self._agent.reference, refusal.message)
        self._wait.pause_for(pause)
        self._wait.restart()

    def _bind(self) -> StorePort:
        settings = self._agent.settings
        if self._previous is not None and settings.store_ports[0] and len(settings.store_ports) == 1:
            self._close_previous()  # the one port that is allowed is needed again
        while True:
            try:
                return StorePort(self._agent.address(), settings.store_ports)
            except StorePortError as error:
                raise ConnectError(str(error)) from None
            except OSError as error:
                self._wait.reporter.problem(f"the address of this node cannot be found out: {error}")
                if self._wait.expired:
                    raise ConnectError(f"the address of this node cannot be found out: {error}") from None
            self._wait.tick()
            self._wait.pause()

    def _write(self, rendezvous: Rendezvous, attempt: ParticipantSpec) -> None:
        """Write the attempt; waits as long as the API server does not answer."""
        agent, reporter = self._agent, self._wait.reporter
        while True:
            try:
                agent.join(attempt, rendezvous)
                break
            except (UnreachableError, ConflictError) as error:
                reporter.outage(agent.client.contact)
                asked_for = error.retry_after
            except NameTakenError as error:
                raise StateError(str(error)) from None
            except InvalidError as error:
                raise StateError(f"the API server refuses {agent.participant.name}: {error}") from None
            except ApiError as error:
                if not may_pass(error):
                    raise ConnectError(advise(error)) from None
                self._wait.refused(error)
                self._wait.pause()
                continue
            # Priority and fairness of the API server lets some hundred requests of one service account wait and refuses
            # the others (HTTP 429): they must neither wait for long nor come again together.
            self._wait.pause_for(random.uniform(*RETRY_SECONDS) + max(0.0, asked_for - _USUAL_SECONDS))

    def _say_that_it_has_joined(self, rendezvous: Rendezvous, attempt: ParticipantSpec) -> None:
        agent = self._agent
        _logger.info(
            "joined %s as %s (incarnation %s, attempt %d, %s); store address, should this be rank 0: %s:%d",
            agent.reference,
            agent.participant.name,
            attempt.incarnation,
            attempt.attempt,
            attempt.attempt_reason,
            attempt.address,
            attempt.store_port,
        )
        self._wait.reporter.joined(rendezvous, must_change=not agent.participant.took_over)

    def _await_membership(self, spec: ParticipantSpec) -> Membership | Refusal | Unhealthy | None:
        """The round that has the attempt as a member.

        Returns a refusal that asks for another attempt; None when a deleted object makes one necessary; what a health
        check has found that was run since.
        """
        agent = self._agent
        attempt = Attempt(agent.participant.name, spec)
        last_look: int | None = None
        while True:
            if agent.participant.taken is not None:
                raise StateError(str(agent.participant.taken))
            listed = agent.watch.listed  # before the state, which may have come with a later list
            state = agent.watch.state
            if state.rendezvous is None or agent.participant.gone:
                _logger.warning("%s was deleted while this node waited; joining again", self._what_is_gone())
                return None
            decided = answer(state.rendezvous, attempt)
            if isinstance(decided, Membership):
                unhealthy = self._health.before_round(decided.round, self._wait)
                return unhealthy or replace(decided, fence=fence_of(state.rendezvous, state.members_digest))
            if isinstance(decided, Refusal):
                if decided.reason is RefusalReason.JOIN_ANEW:
                    return decided
                self._refused(decided)
            if isinstance(decided, Replaced):
                _logger.warning("%s was deleted and recreated; joining the new one", agent.reference)
                return None
            unhealthy = self._health.while_waiting(state.rendezvous)
            if unhealthy is not None:
                return unhealthy
            self._wait.follow(state.rendezvous)
            self._wait.tick(decided)
            if not self._wait.expired:
                last_look = None
            elif last_look is None:
                # A watch that has died without a word is noticed only after a while; so read before giving up.
                last_look = agent.watch.list_again()
            elif listed >= last_look:
                self._wait.give_up(self._wait.reporter.summary(state.rendezvous))
            if state.error is not None and not isinstance(state.error, UnreachableError):
                self._wait.reporter.problem(advise(state.error))
            else:
                reporter = self._wait.reporter
                reporter.waiting(state.rendezvous, agent.client.contact, decided, self._wait.held_out)
            self._wait.pause()

    def _what_is_gone(self) -> str:
        if self._agent.participant.gone:
            return f"the RendezvousParticipant {self._agent.participant.name}"
        return f"the Rendezvous {self._agent.reference}"

    def _refused(self, refusal: Refusal) -> NoReturn:
        message = f"{self._agent.reference} does not accept this node: {refusal.message}"
        if refusal.reason is RefusalReason.RUN_SUCCEEDED:
            raise SucceededError(message)
        if refusal.reason is RefusalReason.RUN_CLOSED:
            raise ClosedError(message, self._exit_code(refusal.closed_reason))
        raise StateError(message)

    def _exit_code(self, closed: str | None) -> int:
        if closed == ClosedReason.RESTART_BUDGET_EXHAUSTED:
            return BUDGET_IS_SPENT
        by_a_person = closed in (ClosedReason.CLOSE_REQUESTED, ConditionReason.CLOSED_BY_SPEC)
        late = closed is not None and self._reason is AttemptReason.START
        return DO_NOT_START_AGAIN if by_a_person or late else 1

    def _all_check_in(self, point: M, members: Mapping[int, str]) -> bool:
        """Whether all members have come to the meeting point before the round ended or the check-in failed."""
        agent, membership = self._agent, point.membership
        round_name = f"round {membership.round} of {agent.reference}"
        where = f"{membership.store.host}:{membership.store.port}"
        point.start_check_in()
        start = time.monotonic()
        ended = False
        while True:
            ended = ended or has_ended(agent.watch.state.rendezvous, membership) or agent.participant.lost
            # One member says first that the check-in has failed. Who is about to see that, too, still says what it saw.
            if point.error is not None:
                missing = ", ".join(members.get(rank, f"rank {rank}") for rank in _missing(point)[: names.MAX_MISSING])
                _logger.warning(
                    "check-in at %s (store %s) failed, joining again: %s%s",
                    round_name,
                    where,
                    point.error,
                    f"; missing: {missing}" if missing else "",
                )
                return False
            if ended and (point.complete or not point.ends_within(_LAST_WORDS_SECONDS)):
                _logger.info("%s ended before all members had checked in", round_name)
                return False
            if point.complete:
                return True
            if time.monotonic() - start > _SLOW_CHECK_IN_SECONDS:
                self._wait.reporter.problem(f"{round_name}: {point.progress}")
            self._wait.tick()
            self._wait.pause()


def _missing(point: MeetingPoint) -> tuple[int, ...]:
    return point.seen.missing if point.seen is not None else ()


def as_check_in(membership: Membership, members: Mapping[int, str], seen: Seen | None) -> CheckIn | None:
    """What the participant says of a check-in that has failed; None: nothing."""
    if seen is None:
        return None
    missing = [members[rank] for rank in seen.missing if rank in members]
    return CheckIn(membership.round, seen.reached, tuple(missing[: names.MAX_MISSING]))
