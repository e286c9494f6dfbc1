"""One member of a Rendezvous without torch: tests the rights, the operator and the network that a torchrun agent needs.

Each member joins as an agent does, with the same requests, waits for a round, meets all others at the address that
rank 0 has advertised, sends a heartbeat, and leaves. Start as many as the Rendezvous has nodes. Take a Rendezvous of
its own, not that of a training.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import math
import socket
import sys
import time
from collections.abc import Sequence
from types import SimpleNamespace
from typing import NoReturn

from rendezvous_api import names
from rendezvous_api.participant import ParticipantSpec
from rendezvous_api.reasons import AttemptReason, LeaveReason
from rendezvous_api.rendezvous import Refusal, Rendezvous
from rendezvous_handler.admission import Admission, Claim, Replaced, answer, is_over
from rendezvous_handler.agent import Agent
from rendezvous_handler.agent_thread import NotDoneError
from rendezvous_handler.client import Cluster
from rendezvous_handler.configuration import connect
from rendezvous_handler.errors import ApiError, NoConfigurationError, UnreachableError
from rendezvous_handler.finding import Finder
from rendezvous_handler.logs import show_messages
from rendezvous_handler.meeting import Meeting, spelled, unless
from rendezvous_handler.participant import NameTakenError
from rendezvous_handler.settings import Settings, read_settings
from rendezvous_handler.store_port import StorePort, StorePortError
from rendezvous_handler.torch_errors import RendezvousError, RendezvousTimeoutError
from rendezvous_handler.waiting import JoinWait

_logger = logging.getLogger(__name__)

_PROGRAM = "kube-rendezvous-selftest"
_LEAVE_SECONDS = 5.0
_SLOW_MEETING_SECONDS = 5.0


class SelfTestError(Exception):
    """The members have not met; the message says why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of ``kube-rendezvous-selftest``; returns the exit code: 0 met, 1 not, 2 wrong usage."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        settings = _settings(options)
    except ValueError as error:
        parser.error(_as_flags(str(error)))
    show_messages()
    try:
        met = SelfTest(settings, connect(), options.timeout_seconds).run()
    except ApiError as error:
        return _failed(error.explain())
    except (SelfTestError, RendezvousError, NoConfigurationError, NameTakenError, StorePortError) as error:
        return _failed(str(error))
    except (OSError, ValueError) as error:
        return _failed(f"this member cannot take part: {error}")
    except KeyboardInterrupt:
        return _failed("interrupted")
    print(f"all {met.nodes} members of round {met.round} have met; this was rank {met.rank}", flush=True)
    return 0


def _failed(why: str) -> int:
    print(f"{_PROGRAM}: error: {_as_flags(why)}", file=sys.stderr, flush=True)
    return 1


def _as_flags(text: str) -> str:
    """What is said of torchrun's flags, said of this program's."""
    for theirs, ours in (("--rdzv-endpoint", "--rendezvous"), ("--rdzv-id", "--run-id")):
        text = text.replace(theirs, ours)
    return text.replace("--rdzv-conf store_port=", "--store-port ")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=_PROGRAM, description=__doc__)
    parser.add_argument("--rendezvous", required=True, metavar="[NAMESPACE/]NAME", help="the Rendezvous to join")
    parser.add_argument("--timeout-seconds", type=_positive, default=120, metavar="N", help="default: %(default)s")
    parser.add_argument(
        "--nodes", type=_positive, metavar="N", help="create the Rendezvous, for exactly N members, if it is not there"
    )
    parser.add_argument("--run-id", default=names.UNNAMED_RUN, metavar="ID", help="as --rdzv-id of torchrun")
    parser.add_argument("--local-addr", metavar="ADDRESS", help="as of torchrun: where the others reach this member")
    parser.add_argument(
        "--store-port", metavar="PORT[-PORT]", help="as store_port of --rdzv-conf: where rank 0 may listen"
    )
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number <= 0:
        raise argparse.ArgumentTypeError(f"{text} must be at least 1")
    return number


def _settings(options: argparse.Namespace) -> Settings:
    """The settings of an agent that was started with the same in torchrun's flags.

    Raises:
        ValueError: a flag is wrong.
    """
    nodes = options.nodes or 1  # which is what torchrun passes when --nnodes is not given
    config = {
        "create": options.nodes is not None,
        "join_timeout": options.timeout_seconds,
        "store_port": options.store_port,
    }
    return read_settings(
        SimpleNamespace(
            backend="kubernetes",
            endpoint=options.rendezvous,
            run_id=options.run_id,
            min_nodes=nodes,
            max_nodes=nodes,
            local_addr=options.local_addr,
            config=config,
        )
    )


def runs_without(rendezvous: Rendezvous, name: str) -> bool:
    """Whether a round runs that this participant has no part in: to join would make its members restart."""
    status = rendezvous.status
    return status.running and all(member.name != name for member in status.participants)


class _Wait(JoinWait):
    """The waiting of a self-test: however it is held up, it ends after so many seconds."""

    def __init__(self, agent: Agent, seconds: int):
        super().__init__(agent)
        self._member = agent
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds

    @property
    def seconds_left(self) -> float:
        return self._deadline - time.monotonic()

    def tick(self, spare: bool = False) -> None:
        super().tick(spare)
        if self.seconds_left <= 0:
            self.give_up(self._what_is_known())

    def give_up(self, explanation: str) -> NoReturn:
        with contextlib.suppress(ApiError, NotDoneError):
            self._member.leave(LeaveReason.TIMED_OUT, _LEAVE_SECONDS)
        raise RendezvousTimeoutError(
            f"{self._member.reference}: not done within {self._seconds} s (--timeout-seconds). {explanation}"
        )

    def _what_is_known(self) -> str:
        contact, state = self._member.cluster.contact, self._member.view.state
        if contact.failing:
            return f"The API server at {self._member.cluster.url} does not answer: {contact.cause}"
        if state.error is not None:
            return state.error.explain()
        if state.rendezvous is None:
            return "There is no such Rendezvous"
        return self.reporter.summary(state.rendezvous)


class SelfTest:
    """The way of one member from its start to its end."""

    def __init__(self, settings: Settings, cluster: Cluster, seconds: int):
        """Begin to watch the Rendezvous.

        Args:
            settings: those of an agent.
            cluster: the API server.
            seconds: that everything together may take.
        """
        self._agent = Agent(settings, cluster)
        self._wait = _Wait(self._agent, seconds)
        self._finder = Finder(self._agent, self._wait)
        self._reason = AttemptReason.START

    def run(self) -> Admission:
        """Meet the other members in a round, send a heartbeat, and leave.

        Raises:
            SelfTestError: it cannot take part, or was refused.
            RendezvousError: see `Finder.find`; RendezvousTimeoutError after the given time, which says why.
            ApiError: the API server refuses what an agent needs.
        """
        agent = self._agent
        _logger.info(
            "%s asks the API server at %s for the Rendezvous %s",
            agent.identity.name,
            agent.cluster.url,
            agent.reference,
        )
        try:
            admission = self._meet_in_a_round()
            agent.take_seat(admission)
            # Heartbeats that fail are not worth a word to an agent for a while; here they are what is tested.
            agent.call(agent.participant.beat)
            _logger.info("the API server has taken the heartbeat")
            agent.leave(LeaveReason.SUCCEEDED, _LEAVE_SECONDS)
            _logger.info("left %s (%s)", agent.reference, LeaveReason.SUCCEEDED)
        except NotDoneError as error:
            raise SelfTestError(f"the API server is slow: {error}") from None
        finally:
            with contextlib.suppress(ApiError, NotDoneError):
                agent.leave(LeaveReason.FAILED, _LEAVE_SECONDS)  # unless it has left
            agent.stop()
        return admission

    def _meet_in_a_round(self) -> Admission:
        agent = self._agent
        while True:
            rendezvous = self._find()
            with contextlib.closing(StorePort(agent.address(), agent.settings.store_ports)) as port:
                attempt = agent.next_attempt(rendezvous, self._reason, port.address, port.port)
                self._wait.until_joined(rendezvous, attempt)
                admission = self._await_admission(attempt)
                if admission is None:
                    continue
                if self._meet(admission, port):
                    return admission
            _logger.warning("round %d ended before all had met; joining again", admission.round)
            self._reason = AttemptReason.CHECK_IN_FAILED

    def _find(self) -> Rendezvous:
        agent = self._agent
        self._await_first_answer()
        if agent.view.state.error is None and agent.view.state.rendezvous is None and not agent.settings.create:
            raise SelfTestError(f"there is no Rendezvous {agent.reference}; --nodes N creates one")
        rendezvous = self._finder.find()
        if runs_without(rendezvous, agent.identity.name):
            raise SelfTestError(
                f"round {rendezvous.status.round} of {agent.reference} runs, and this member would make it restart; "
                "take a Rendezvous that no training uses"
            )
        return rendezvous

    def _await_first_answer(self) -> None:
        view = self._agent.view
        while not view.state.read and (view.state.error is None or isinstance(view.state.error, UnreachableError)):
            self._wait.reporter.first_contact(self._agent.cluster.contact, math.ceil(self._wait.seconds_left))
            self._wait.tick()
            self._wait.pause()

    def _await_admission(self, attempt: ParticipantSpec) -> Admission | None:
        """The round that admits the attempt; None when the Rendezvous or the own object was deleted meanwhile."""
        agent = self._agent
        claim = Claim(agent.participant.name, attempt)
        while True:
            if agent.participant.taken is not None:
                raise agent.participant.taken
            state = agent.view.state
            if state.rendezvous is None or agent.participant.gone:
                _logger.warning("%s or %s was deleted; joining anew", agent.reference, agent.participant.name)
                return None
            decided = answer(state.rendezvous, claim)
            if isinstance(decided, Admission):
                return decided
            if isinstance(decided, Refusal):
                self._refused(decided)
            if isinstance(decided, Replaced):
                _logger.warning("%s was deleted and created anew; joining the new one", agent.reference)
                return None
            if state.error is not None and not isinstance(state.error, UnreachableError):
                raise state.error
            self._wait.tick(decided.spare)
            self._wait.reporter.waiting(state.rendezvous, agent.cluster.contact, decided.spare)
            self._wait.pause()

    def _refused(self, refusal: Refusal) -> NoReturn:
        raise SelfTestError(f"{self._agent.reference} does not take this member: {refusal.message}")

    def _meet(self, admission: Admission, port: StorePort) -> bool:
        """Whether all members have met before the round was ended."""
        return asyncio.run(self._meeting(admission, port))

    async def _meeting(self, admission: Admission, port: StorePort) -> bool:
        agent, rank, store = self._agent, admission.rank, admission.store
        where = f"{store.host}:{store.port}"
        meeting = Meeting(admission.round, rank, admission.nodes)
        _logger.info("round %d: rank %d of %d; all meet at %s", admission.round, rank, admission.nodes, where)

        start = time.monotonic()

        def stop() -> bool:
            if self._wait.seconds_left <= 0:
                self._wait.give_up(_not_met(meeting, rank, where))
            if time.monotonic() - start > _SLOW_MEETING_SECONDS:
                self._wait.reporter.problem(_not_met(meeting, rank, where))
            return is_over(agent.view.state.rendezvous, admission) or agent.participant.lost

        if rank == 0:
            return await unless(stop, meeting.serve(socket.socket(fileno=port.detach())))
        port.close()
        return await unless(stop, meeting.visit(store.host, store.port))


def _not_met(meeting: Meeting, rank: int, where: str) -> str:
    if rank == 0:
        return (
            f"The round was published, but {spelled(meeting.missing)} did not come to this member, rank 0, at {where}. "
            "Look at their logs: either they cannot reach this address, or they have ended"
        )
    return (
        f"The round was published, but the meeting at rank 0, {where}, did not come about: {meeting.problem}. If this "
        "address cannot be reached, a NetworkPolicy or a firewall may stand between the pods (--store-port limits the "
        "ports)"
    )


if __name__ == "__main__":
    sys.exit(main())
