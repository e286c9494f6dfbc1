"""Whether this node takes part, by its own health checks (rule "health")."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.joins import SPEC, Place, refused, rendezvous, round_of

from rendezvous_api import names
from rendezvous_api.codec import decode
from rendezvous_api.reasons import AttemptReason, LeaveReason, ParticipantState, RefusalReason
from rendezvous_api.rendezvous import ClosedRun, Rendezvous, RendezvousStatus, RoundRecord
from rendezvous_api.rendezvous_spec import RendezvousSpec
from rendezvous_handler.join.errors import NODE_IS_UNHEALTHY, ClosedError, SucceededError, UnhealthyError
from rendezvous_handler.join.health import AGAIN_SECONDS, Health

BROKEN = "gpus: 7 of 8 GPUs are there"


class Run:
    """A run of the checks that ends when the test says so."""

    def __init__(self, found: str | None = None, over: bool = True) -> None:
        self.over = over
        self.found = found
        self.running = "gpus"
        self.stopped = False

    def stop(self) -> None:
        """End it."""
        self.stopped = True

    def ends(self, found: str | None = None) -> None:
        """It has ended, and has found this."""
        self.over, self.found = True, found


class Checked(Place):
    """An agent with health checks. Each run of them is the next one that the test gives; all others find nothing."""

    def __init__(self, *runs: Run, reason: AttemptReason = AttemptReason.START, **how: Any) -> None:
        self.runs: list[Run] = []
        self.planned = [*runs]
        super().__init__(
            reason=reason, health=lambda place: Health(("gpus",), 60, begin=self._begin, now=lambda: place.now, **how)
        )

    def _begin(self, checks: Sequence[str], seconds: float, notify: Callable[[], None]) -> Run:
        assert (checks, seconds) == (("gpus",), 60)
        self.runs.append(self.planned.pop(0) if self.planned else Run())
        return self.runs[-1]

    def joins(self, *happens: Callable[[], object]) -> None:
        """The join succeeds after these steps."""
        self.happens = iter(happens)
        assert self.join.run() is self.point

    @property
    def said(self) -> list[tuple[int, str, str | None]]:
        """What was written: attempt, state, what was found."""
        return [(spec.attempt, str(spec.state), spec.unhealthy) for spec in self.written]


def runs_without_me(number: int = 1, **status: Any) -> Rendezvous:
    """That round runs, and the agent is a spare."""
    record = RoundRecord(number, "run", 1, formed="2030-01-01T00:00:00.000000Z")
    return rendezvous(round=number, history=(record,), spares=("train.a",), **status)


def forms_the_next(number: int = 1, **status: Any) -> Rendezvous:
    """That round was asked to end."""
    record = RoundRecord(number, "run", 1, formed="2030-01-01T00:00:00.000000Z", reason="MemberLost")
    return rendezvous(round=number, history=(record,), spares=("train.a",), waiting_nodes=1, **status)


def test_a_healthy_node_joins() -> None:
    place = Checked()
    place.joins(lambda: place.shows(round_of(1)), place.checks_in)
    assert place.said == [(1, "Joined", None)]
    assert len(place.runs) == 1, "that run covers the first round"


def test_nothing_is_written_before_the_checks_have_ended() -> None:
    place = Checked(Run(over=False))
    place.joins(
        lambda: place.passes(20),
        lambda: place.runs[0].ends() if not place.written else None,
        lambda: place.shows(round_of(1)),
        place.checks_in,
    )
    assert place.said == [(1, "Joined", None)]


def test_an_unhealthy_node_says_so_and_joins_when_it_is_healthy() -> None:
    place = Checked(Run(BROKEN), Run(BROKEN))
    place.joins(
        lambda: place.passes(5),
        lambda: place.passes(10),
        lambda: place.shows(round_of(3)),
        place.checks_in,
    )
    assert place.said == [(1, "Left", BROKEN), (2, "Left", BROKEN), (3, "Joined", None)]
    assert place.written[0].leave_reason is LeaveReason.TERMINATED, "an operator of any release takes it for no failure"
    assert place.written[2].state is ParticipantState.JOINED
    assert place.written[2].leave_reason is None


def test_the_pause_grows_with_each_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda least, most: most)
    place = Checked(*(Run(BROKEN) for _ in range(4)))
    seconds: list[float] = []

    def second() -> None:
        place.passes(1)
        if place.said[-1][1] == "Joined":
            place.shows(round_of(place.said[-1][0]))
            place.happens = iter([place.checks_in])

    place.joins(*(second for _ in range(200)))
    begins = [spec.attempt for spec in place.written]
    assert begins == [1, 2, 3, 4, 5]
    seconds.append(place.now - 100)
    assert seconds == [5 + 10 + 20 + 40 + 1]


def test_it_gives_up_after_the_join_timeout() -> None:
    place = Checked(*(Run(BROKEN) for _ in range(100)))
    place.happens = iter([lambda: place.passes(30)] * 100)
    with pytest.raises(
        UnhealthyError, match=r"^this node is unhealthy: gpus: 7 of 8 .* have failed for 6\d\d s"
    ) as ended:
        place.join.run()
    assert ended.value.exit_code == NODE_IS_UNHEALTHY == 95
    assert 700 <= place.now < 800


@pytest.mark.parametrize(("limit", "attempts"), [(0, 1), (4, 2)])
def test_it_gives_up_sooner_if_the_user_has_said_so(limit: int, attempts: int) -> None:
    place = Checked(*(Run(BROKEN) for _ in range(9)), retry_seconds=limit)
    place.happens = iter([lambda: place.passes(limit)])
    with pytest.raises(UnhealthyError, match=f"have failed for {limit} s"):
        place.join.run()
    assert place.said == [(number, "Left", BROKEN) for number in range(1, attempts + 1)]


def test_the_join_timeout_begins_again_when_it_is_healthy() -> None:
    place = Checked(*(Run(BROKEN) for _ in range(2)))
    place.joins(
        lambda: place.passes(590),
        lambda: place.passes(9),
        lambda: place.passes(500),
        lambda: place.is_read(rendezvous()),
        lambda: place.shows(round_of(3)),
        place.checks_in,
    )


def test_a_person_may_have_it_tried_again_at_once() -> None:
    found = rendezvous()
    asked = replace(found, metadata=replace(found.metadata, annotations={names.ANNOTATION_RETRY_AT: "now"}))
    place = Checked(Run(BROKEN))
    place.joins(lambda: place.shows(asked), lambda: place.shows(round_of(2)), place.checks_in)
    assert place.said == [(1, "Left", BROKEN), (2, "Joined", None)]


def test_a_spare_is_checked_again_when_the_next_round_is_formed() -> None:
    place = Checked(Run(), Run(over=False))
    place.joins(
        lambda: place.shows(runs_without_me()),
        lambda: place.passes(AGAIN_SECONDS),
        lambda: place.shows(forms_the_next()),
        lambda: place.runs[1].ends(),
        lambda: place.shows(round_of(1, 2)),
        place.checks_in,
    )
    assert len(place.runs) == 2
    assert place.said == [(1, "Joined", None)]


def test_a_spare_that_is_found_unhealthy_stays_out() -> None:
    place = Checked(Run(), Run(BROKEN))
    place.joins(
        lambda: place.shows(runs_without_me()),
        lambda: place.shows(forms_the_next()),
        lambda: place.shows(runs_without_me(2)),
        lambda: place.passes(5),
        lambda: place.shows(round_of(3, 3)),
        place.checks_in,
    )
    assert place.said == [(1, "Joined", None), (2, "Left", BROKEN), (3, "Joined", None)]


def test_a_spare_that_waits_for_long_is_checked_now_and_then() -> None:
    place = Checked(Run(), Run(), Run(BROKEN))
    place.joins(
        lambda: place.shows(runs_without_me()),
        lambda: place.passes(AGAIN_SECONDS + 1),
        lambda: place.passes(1),
        lambda: place.passes(AGAIN_SECONDS),
        lambda: place.passes(5),
        lambda: place.shows(round_of(3, 2)),
        place.checks_in,
    )
    assert [state for _, state, _ in place.said] == ["Joined", "Left", "Joined"]


@pytest.mark.parametrize("found", [None, BROKEN])
def test_who_becomes_a_member_while_its_checks_run_waits_for_them(found: str | None) -> None:
    """The other members would fail with it."""
    place = Checked(Run(), Run(over=False))
    last = 1 if found is None else 3
    place.joins(
        lambda: place.shows(runs_without_me()),
        lambda: place.shows(forms_the_next()),
        lambda: place.shows(round_of(1, 2)),
        lambda: place.runs[1].ends(found),
        *([] if found is None else [lambda: place.passes(5), lambda: place.shows(round_of(3, 3))]),
        place.checks_in,
    )
    assert place.said[-1] == (last, "Joined", None)
    assert ((2, "Left", BROKEN) in place.said) == (found is not None)


def test_who_becomes_a_member_without_having_seen_that_a_round_is_formed_is_checked_first() -> None:
    """Its watch has shown only the last of several changes."""
    place = Checked(Run(), Run(BROKEN))
    place.joins(
        lambda: place.shows(runs_without_me()),
        lambda: place.shows(round_of(1, 2)),
        lambda: place.passes(5),
        lambda: place.shows(round_of(3, 3)),
        place.checks_in,
    )
    assert place.said == [(1, "Joined", None), (2, "Left", BROKEN), (3, "Joined", None)]


def test_before_each_attempt_it_is_checked_again() -> None:
    place = Checked()
    place.joins(
        lambda: place.shows(refused(RefusalReason.JOIN_ANEW)),
        lambda: place.shows(round_of(2)),
        place.checks_in,
    )
    assert len(place.runs) == 2


def over(closed: bool) -> Rendezvous:
    """The run has ended with success, or a person has closed the Rendezvous."""
    found = rendezvous(closed_runs=() if closed else (ClosedRun("run", "RunSucceeded"),))  # type: ignore[arg-type]
    spec = decode(RendezvousSpec, {"minNodes": 1, "maxNodes": 4, "closed": True})
    return replace(found, spec=spec) if closed else found


@pytest.mark.parametrize("closed", [False, True])
def test_an_unhealthy_node_of_a_run_that_is_over_asks_for_its_answer(closed: bool) -> None:
    place = Checked(Run(BROKEN), Run(BROKEN))
    place.join._finder.find = lambda: place.watch.state.rendezvous  # type: ignore[method-assign]
    answer = refused(RefusalReason.RUN_CLOSED if closed else RefusalReason.RUN_SUCCEEDED, "ClosedBySpec", attempt=2)
    place.happens = iter([lambda: place.shows(over(closed)), lambda: place.shows(answer)])
    with pytest.raises(ClosedError if closed else SucceededError):
        place.join.run()
    assert place.said == [(1, "Left", BROKEN), (2, "Joined", None)]
    assert len(place.runs) == 1


def test_the_end_of_an_earlier_run_is_none_of_this_one() -> None:
    place = Checked(Run(BROKEN), Run(BROKEN))
    ended = (ClosedRun("run", "RunSucceeded"),)  # type: ignore[arg-type]
    found = Rendezvous(rendezvous().metadata, SPEC, RendezvousStatus(run=rendezvous().status.run, closed_runs=ended))
    place.join._finder.find = lambda: found  # type: ignore[method-assign]
    place.shows(found)
    place.joins(lambda: place.passes(5), lambda: place.passes(10), lambda: place.shows(round_of(3)), place.checks_in)
    assert [state for _, state, _ in place.said] == ["Left", "Left", "Joined"]


def test_checks_end_with_the_join() -> None:
    place = Checked(Run(over=False))

    def interrupts() -> None:
        raise KeyboardInterrupt

    place.happens = iter([interrupts])
    with pytest.raises(KeyboardInterrupt):
        place.join.run()
    assert place.runs[0].stopped


def test_a_check_that_takes_long_is_named(caplog: pytest.LogCaptureFixture) -> None:
    place = Checked(Run(over=False))
    place.joins(
        lambda: place.passes(11),
        lambda: place.runs[0].ends(),
        lambda: place.shows(round_of(1)),
        place.checks_in,
    )
    assert "waiting for the health check gpus of this node; all checks end after at most 60 s" in caplog.text


def test_failures_long_ago_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first pause after a long training is a short one again."""
    monkeypatch.setattr("random.uniform", lambda least, most: most)
    pauses = []
    place = Checked(Run(BROKEN), Run(), Run(BROKEN), Run(), Run(BROKEN), Run())
    health = place.join._health
    wait = place.join._wait
    for gap in (0, 100, 700):
        place.passes(gap)
        wait.restart()  # each join has a wait of its own
        found = health.before_join(rendezvous(), wait)
        assert found is not None
        before = wait.clock.elapsed
        place.happens = iter([lambda: place.passes(1)] * 60)
        health.stay_out(rendezvous(), found, wait, lambda: None)
        pauses.append(round(wait.clock.elapsed - before))
        assert health.before_join(rendezvous(), wait) is None
    assert pauses[0] < pauses[1]
    assert pauses[2] == pauses[0]


def test_an_agent_without_checks_runs_none() -> None:
    place = Place()
    place.happens = iter([lambda: place.shows(forms_the_next()), lambda: place.shows(round_of(1, 2)), place.checks_in])
    place.join.run()
    assert [str(spec.state) for spec in place.written] == ["Joined"]
