"""How long an agent waits, and what it says meanwhile."""

import logging
from dataclasses import replace
from typing import Any, cast

import pytest
from tests.support.specs import spec_of

from rendezvous_api.api_errors import ForbiddenError, UnreachableError
from rendezvous_api.meta import Condition, ObjectMeta
from rendezvous_api.reasons import AttemptReason, HeldOutReason, PassedOverReason
from rendezvous_api.rendezvous import HeldOut, PassedOver, Rendezvous, RendezvousStatus
from rendezvous_api.rendezvous_spec import NodePolicies, RendezvousSpec
from rendezvous_handler.agent.agent import Agent
from rendezvous_handler.join.answer import Waiting
from rendezvous_handler.join.clock import HoldOutClock, JoinClock, Unchanged
from rendezvous_handler.join.errors import ClosedError, ConnectError
from rendezvous_handler.join.join import Join
from rendezvous_handler.join.report import Reporter
from rendezvous_handler.join.wait import JoinWait
from rendezvous_handler.kube.contact import Contact


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_clock_counts_only_what_counts() -> None:
    time = Time()
    clock = JoinClock(time)
    time.now += 5
    clock.tick(counts=True)
    assert clock.used == 5
    time.now += 100
    clock.tick(counts=False)
    assert clock.used == 5
    time.now += 1
    clock.tick(counts=True)
    assert (clock.used, clock.elapsed) == (6, 106)


def test_a_spare_gets_a_fresh_term() -> None:
    time = Time()
    clock = JoinClock(time)
    time.now += 5
    clock.tick(counts=True)
    time.now += 1000
    clock.tick(counts=True, aside=True)
    time.now += 1000
    clock.tick(counts=True, aside=True)
    time.now += 1
    clock.tick(counts=True)
    assert clock.used == 0
    time.now += 2
    clock.tick(counts=True)
    assert clock.used == 2


class Nothing:
    """An agent whose API server answers, and that asks for nothing else."""

    stopped = False

    def notice_pause(self) -> None:
        """It was not paused."""

    def __getattr__(self, name: str) -> Any:
        return {"join_timeout": 600, "failing": False, "error": None, "reference": "", "url": ""}.get(name, self)


def test_no_time_counts_while_the_rendezvous_is_suspended() -> None:
    time = Time()
    wait = JoinWait(cast(Agent, Nothing()))
    wait.clock = JoinClock(time)
    for suspend, used in ((False, 5), (True, 5), (True, 5), (False, 10)):
        wait.follow(Rendezvous(ObjectMeta("train"), RendezvousSpec(1, 2, suspend=suspend)))
        time.now += 5
        wait.tick()
        assert wait.clock.used == used


PASSED_OVER = PassedOver("train.a", PassedOverReason.CORDONED, "its machine gpu-7 is cordoned", "gpu-7")
HELD_OUT = HeldOut("train.a", HeldOutReason.STORE_NOT_REACHED, "no store in round 3", "2030-01-01T00:00:30Z", 2)


def rendezvous(message: str | None = None, changed: str = "") -> Rendezvous:
    running = Condition("Running", "False", "WaitingForNodes", message or "", last_transition_time=changed)
    conditions = () if message is None else (running,)
    return Rendezvous(ObjectMeta("train"), RendezvousSpec(1, 2), RendezvousStatus(conditions=conditions))


def waits_for(seconds: float, *waiting: Waiting, noticed: bool = True) -> float:
    """What the join clock says after that time, in two steps, of each of these."""
    time = Time()
    wait = JoinWait(cast(Agent, Nothing()))
    wait.clock, wait.reporter.noticed = JoinClock(time), noticed
    wait.follow(Rendezvous(ObjectMeta("train"), RendezvousSpec(1, 2)))
    for each in waiting:
        for _ in range(2):
            time.now += seconds / 2
            wait.tick(each)
    return wait.clock.used


def test_no_time_counts_for_an_agent_that_waits_beside_a_round() -> None:
    assert waits_for(3600, Waiting(spare=True)) == 0
    assert waits_for(60, Waiting(gathered=True)) == 0
    assert waits_for(59, Waiting(held_out=HELD_OUT)) == 0
    assert waits_for(3600, Waiting(passed_over=PASSED_OVER)) == 0
    assert waits_for(500, Waiting()) == 500
    # It has its whole time again after that, up to the moment at which it is seen.
    assert waits_for(60, Waiting(), Waiting(gathered=True), Waiting()) == 30


def test_a_round_that_gathers_says_nothing_while_no_operator_has_noticed_the_node() -> None:
    assert waits_for(3600, Waiting(gathered=True), noticed=False) == 3600


def test_a_round_that_gathers_for_longer_than_it_may_does_not_stop_the_clock_for_ever() -> None:
    """The operator, which has noticed the node, has gone since."""
    times = [Waiting(gathered=True)] * 10
    assert waits_for(100, *times) == 850, "all but the first 60 s, up to the moment at which that is seen"
    assert waits_for(60, Waiting(gathered=True), Waiting(), Waiting(gathered=True)) == 0, "each time anew"


def test_an_entry_of_a_node_that_may_take_part_again_does_not_stop_the_clock() -> None:
    """It stays in the status for a while, and its time is by the clock of another machine."""
    assert HELD_OUT.seconds == 60
    times = [Waiting(held_out=HELD_OUT)] * 10
    assert waits_for(20, *times) == 130, "all but the first 60 s, up to the moment at which that is seen"


def test_another_hold_out_counts_for_its_own_time() -> None:
    later = replace(HELD_OUT, until="2030-01-01T00:12:00Z", times=3)
    first, second = Waiting(held_out=HELD_OUT), Waiting(held_out=later)
    assert waits_for(100, first, first) > 0
    assert waits_for(100, first, first, second) == 0


@pytest.mark.parametrize(("changed", "counts"), [("2030-01-01T00:00:29Z", True), ("2030-01-01T00:00:30Z", False)])
def test_a_hold_out_is_over_when_the_operator_has_said_something_after_it(changed: str, counts: bool) -> None:
    clock = HoldOutClock(Time())
    assert clock.counts(HELD_OUT, rendezvous("x", changed).status) is counts


def test_log_and_join_timeout_have_one_meaning_of_a_hold_out(caplog: pytest.LogCaptureFixture) -> None:
    """Else a node would log that it was held out, and not count its time, or the other way round."""
    caplog.set_level(logging.INFO, "rendezvous_handler")
    time = Time()
    wait = JoinWait(cast(Agent, Nothing()))
    wait.clock = JoinClock(time)
    wait.reporter = Reporter("team/train", "https://192.0.2.1", time)
    seen, waiting = rendezvous("x"), Waiting(held_out=HELD_OUT)
    found = []
    for seconds in (0, 59, 1, 1, 600, 1):
        time.now += seconds
        wait.follow(seen)
        wait.tick(waiting)
        wait.reporter.waiting(seen, Contact(time), waiting, wait.held_out)
        found.append((caplog.messages[-1].split(" held out")[0].rpartition(" ")[2], wait.clock.used))
    assert found == [("is", 0), ("is", 0), ("is", 0), ("was", 0), ("was", 600), ("was", 601)], "60 s"


def test_how_long_something_is_the_same() -> None:
    time = Time()
    same = Unchanged(time)
    for value, passes, seconds in (("a", 5, 0), ("a", 3, 5), ("b", 2, 0), ("b", 1, 2), (None, 0, 0)):
        assert same.seconds(value) == seconds
        time.now += passes


def test_a_round_that_has_admitted_a_node_gives_it_its_whole_time_again() -> None:
    time = Time()
    wait = JoinWait(cast(Agent, Nothing()))
    wait.clock = JoinClock(time)
    time.now += 700
    wait.tick()
    assert wait.expired
    time.now += 5
    wait.restart()
    time.now += 7
    wait.tick()
    assert wait.clock.used == 7


class NewAgent(Nothing):
    """One that was in no round yet."""

    last_run_id = None


def test_time_that_does_not_count_ends_no_wait_for_rights() -> None:
    """Such as that of a spare, and of an outage."""
    time = Time()
    wait = JoinWait(cast(Agent, NewAgent()))
    wait.clock = JoinClock(time)
    time.now += 7200
    wait.tick(Waiting(spare=True))
    refused = ForbiddenError("Forbidden", "patch", "rendezvousparticipants", "team")
    wait.refused(refused)
    time.now += 599
    wait.refused(refused)
    time.now += 2
    with pytest.raises(ConnectError, match="waited 600 s"):
        wait.refused(refused)


class Homeless(Nothing):
    """One whose name cannot be resolved, on a clock that its waiting moves on."""

    def __init__(self, time: Time) -> None:
        self._time = time

    def address(self) -> str:
        self._time.now += 100
        raise OSError("unknown host")


def test_time_that_does_not_count_ends_no_wait_for_an_address() -> None:
    time = Time()
    agent = cast(Agent, Homeless(time))
    wait = JoinWait(agent)
    wait.clock, wait.pause = JoinClock(time), lambda seconds=0.0: None  # type: ignore[method-assign]
    time.now += 7200
    wait.tick(Waiting(spare=True))
    began = time.now
    join: Join[Any] = Join(agent, AttemptReason.START, cast(Any, None), wait=wait)
    with pytest.raises(ConnectError, match="unknown host"):
        join._bind()
    assert time.now - began > 600


class Logged:
    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO, "rendezvous_handler")
        self._caplog = caplog
        self.time = Time()
        self.contact = Contact(self.time)
        self.reporter = Reporter("team/train", "https://192.0.2.1", self.time)

    def waiting(self, seen: Rendezvous, is_held_out: bool = False, after: float = 0.0, **aside: Any) -> list[str]:
        self.time.now += after
        self._caplog.clear()
        self.reporter.waiting(seen, self.contact, Waiting(**aside), is_held_out)
        return [f"{record.levelname[0]} {record.getMessage()}" for record in self._caplog.records]


def test_the_explanation_is_logged_when_it_changes_and_every_30_s(caplog: pytest.LogCaptureFixture) -> None:
    logged = Logged(caplog)
    logged.reporter.joined(rendezvous(), must_change=True)
    first = rendezvous("1 of at least 2 nodes")
    assert logged.waiting(first) == ["I waiting for team/train: WaitingForNodes: 1 of at least 2 nodes"]
    assert logged.waiting(first, after=29) == []
    assert len(logged.waiting(first, after=1)) == 1
    assert len(logged.waiting(rendezvous("other"))) == 1
    assert logged.waiting(rendezvous("other")) == []


def test_an_operator_that_does_nothing_is_logged_after_10_s(caplog: pytest.LogCaptureFixture) -> None:
    logged = Logged(caplog)
    logged.reporter.joined(rendezvous(), must_change=True)
    assert logged.waiting(rendezvous(), after=9) == []
    (warning,) = logged.waiting(rendezvous(), after=2)
    assert warning.startswith("W The operator has not reacted to this node since it joined team/train")
    assert "kubectl get pods -A -l app.kubernetes.io/part-of=kube-rendezvous" in warning
    assert "has not reacted" in logged.reporter.summary(rendezvous())
    # Once it has, it is not asked for more.
    assert logged.waiting(rendezvous("x"))[0].startswith("I ")
    assert "has not reacted" not in logged.reporter.summary(rendezvous("x"))


def test_an_operator_that_died_before_the_join_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    logged = Logged(caplog)
    logged.reporter.joined(rendezvous("old"), must_change=True)
    assert logged.waiting(rendezvous("old")) == [], "that is what an earlier run has waited for, or how it ended"
    assert logged.waiting(rendezvous("old"), after=11)[0].startswith("W The operator")


def test_taking_over_a_place_need_not_change_anything(caplog: pytest.LogCaptureFixture) -> None:
    logged = Logged(caplog)
    logged.reporter.joined(rendezvous("old"), must_change=False)
    assert logged.waiting(rendezvous("old"), after=11)[0].startswith("I waiting")


def test_an_outage_is_logged_once_per_30_s_whatever_its_causes(caplog: pytest.LogCaptureFixture) -> None:
    logged = Logged(caplog)
    logged.reporter.joined(rendezvous(), must_change=True)
    logged.contact.failed("connection refused")
    assert logged.waiting(rendezvous(), after=4) == []
    (warning,) = logged.waiting(rendezvous(), after=2)
    assert warning.startswith("W the API server at https://192.0.2.1 does not answer")
    assert "connection refused" in warning
    logged.contact.failed("timed out")
    assert logged.waiting(rendezvous(), after=29) == []
    assert len(logged.waiting(rendezvous(), after=2)) == 1
    logged.contact.answered()
    assert logged.waiting(rendezvous("x"))[0].startswith("I ")


def test_the_first_contact_is_logged_at_once(caplog: pytest.LogCaptureFixture) -> None:
    logged = Logged(caplog)
    logged.reporter.first_contact(logged.contact, 600)
    assert caplog.messages == []
    logged.contact.failed("connection refused")
    logged.reporter.first_contact(logged.contact, 600)
    logged.reporter.first_contact(logged.contact, 600)
    (warning,) = caplog.messages
    assert "https://192.0.2.1 does not answer; retrying for at most 600 s. connection refused" in warning


def test_a_spare_is_logged_so(caplog: pytest.LogCaptureFixture) -> None:
    logged = Logged(caplog)
    logged.reporter.joined(rendezvous("x"), must_change=True)
    assert "this node is a spare" in logged.waiting(rendezvous("x"), spare=True)[0]


def test_a_spare_of_replacement_groups_is_logged_so(caplog: pytest.LogCaptureFixture) -> None:
    logged = Logged(caplog)
    plain = rendezvous("x")
    grouped = replace(plain, spec=replace(plain.spec, nodes=NodePolicies("rack", 2)))
    logged.reporter.joined(grouped, must_change=True)
    (said,) = logged.waiting(grouped, spare=True)
    assert "this node is a spare: the round is full, or its replacement group is not whole. " in said


def test_a_node_that_is_held_out_is_logged_so(caplog: pytest.LogCaptureFixture) -> None:
    logged = Logged(caplog)
    logged.reporter.joined(rendezvous("x"), must_change=True)
    said = "this node is held out until 2030-01-01T00:00:30Z (2 in a row): no store in round 3. WaitingForNodes: x"
    assert logged.waiting(rendezvous("x"), True, held_out=HELD_OUT) == [f"I waiting for team/train: {said}"]
    was = said.replace("is held out", "was held out")
    assert logged.waiting(rendezvous("x"), held_out=HELD_OUT) == [f"I waiting for team/train: {was}"]


def test_a_node_that_is_passed_over_is_logged_so(caplog: pytest.LogCaptureFixture) -> None:
    logged = Logged(caplog)
    logged.reporter.joined(rendezvous("x"), must_change=True)
    said = "this node is passed over: its machine gpu-7 is cordoned. WaitingForNodes: x"
    assert logged.waiting(rendezvous("x"), passed_over=PASSED_OVER) == [f"I waiting for team/train: {said}"]


class Troubled(Nothing):
    """An agent of which a test says what is wrong."""

    def __init__(self, last_run_id: str | None = "run") -> None:
        self.last_run_id = last_run_id
        self.failing = False
        self.error: Exception | None = None


FORBIDDEN = ForbiddenError("Forbidden", "list", "rendezvous", "team")
UNREACHABLE = UnreachableError("no answer", "list", "rendezvous", "team")


@pytest.mark.parametrize(
    ("trouble", "member", "counts"),
    [
        pytest.param({}, True, True, id="nothing is wrong"),
        pytest.param({"failing": True}, True, False, id="the API server does not answer"),
        pytest.param({"error": UNREACHABLE}, True, False, id="it does, and what the outage has hidden is not read yet"),
        pytest.param({"error": FORBIDDEN}, True, False, id="a member is refused for a while"),
        pytest.param({"error": FORBIDDEN}, False, True, id="an agent that was in no round is refused"),
    ],
)
def test_time_counts_only_while_the_agent_could_learn_of_its_round(
    trouble: dict[str, Any], member: bool, counts: bool
) -> None:
    time, agent = Time(), Troubled("run" if member else None)
    wait = JoinWait(cast(Agent, agent))
    wait.clock = JoinClock(time)
    for name, value in trouble.items():
        setattr(agent, name, value)
    time.now += 60
    wait.tick()
    assert wait.clock.used == (60 if counts else 0)


def test_the_join_timeout_is_that_of_the_rendezvous() -> None:
    wait = JoinWait(cast(Agent, Nothing()))
    assert wait.limit == 600
    wait.follow(Rendezvous(ObjectMeta("train"), spec_of(1, 2, join_seconds=120)))
    assert wait.limit == 120


def test_a_join_ends_when_its_handler_is_shut_down() -> None:
    agent = Nothing()
    wait = JoinWait(cast(Agent, agent))
    wait.tick()
    agent.stopped = True
    with pytest.raises(ClosedError, match="was shut down"):
        wait.tick()
