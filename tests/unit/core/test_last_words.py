"""What an agent said last is read before the end of its pod counts: two watches are not in step with each other."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest
from tests.unit.core.worlds import Scenario

from rendezvous_api.reasons import LeaveReason, ParticipantState
from rendezvous_operator.core.world import Evidence, Target

WORD = Target("RendezvousParticipant", "a")
ENDS: dict[str, Callable[[Scenario], None]] = {
    "succeeds": lambda scenario: scenario.pod("a", phase="Succeeded"),
    "fails": lambda scenario: scenario.pod("a", phase="Failed"),
    "is gone": lambda scenario: scenario.pod_gone("a"),
    "is shown no more, and gone": lambda scenario: scenario.pod_vanishes("a", runs_on=False),
}
each_end = pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)


class Late(Scenario):
    """The watch of the participants is late: only a read shows the last word of `a`."""

    word: LeaveReason | None = None

    def _read(self, targets: Iterable[Target]) -> None:
        super()._read(targets)
        if WORD in targets and self.word is not None:
            seen = self.seen["a"]
            spec = replace(seen.object.spec, state=ParticipantState.LEFT, leave_reason=self.word)
            self.seen["a"] = replace(seen, object=replace(seen.object, spec=spec))


def of_pods() -> Late:
    """A round of `a` and `b`, in pods, which began a while ago."""
    scenario = Late(2, 2)
    scenario.pod("a", "b")
    scenario.join_from_pods("a", "b", run="job")
    scenario.after(100)
    scenario.reads.clear()
    assert scenario.group == ["a", "b"]
    return scenario


@each_end
@pytest.mark.parametrize(
    ("reason", "closed", "ended"),
    [
        (LeaveReason.SUCCEEDED, {"job": "RunSucceeded"}, "RunSucceeded"),
        (LeaveReason.FAILED, {}, "MemberFailed"),
        (LeaveReason.TERMINATED, {}, "MemberTerminated"),
    ],
)
def test_a_last_word_that_no_watch_has_shown_counts(
    end: Callable[[Scenario], None], reason: LeaveReason, closed: dict[str, str], ended: str
) -> None:
    scenario = of_pods()
    scenario.word = reason
    end(scenario)
    assert scenario.closed_runs == closed
    assert scenario.ended_because == ended


@each_end
def test_a_read_from_before_the_end_does_not_count(end: Callable[[Scenario], None]) -> None:
    scenario = of_pods()
    scenario.seen["a"] = replace(scenario.seen["a"], read_at=scenario.clock - 1)
    end(scenario)
    assert scenario.reads.count(WORD) == 1


@each_end
def test_who_has_said_nothing_is_read_once(end: Callable[[Scenario], None]) -> None:
    scenario = of_pods()
    end(scenario)
    assert scenario.ended_because == ("RunSucceeded" if end is ENDS["succeeds"] else "MemberLost")
    scenario.pod("c")
    assert scenario.reads.count(WORD) == 1


@each_end
def test_who_has_left_already_is_not_read(end: Callable[[Scenario], None]) -> None:
    scenario = of_pods()
    scenario.leave("a")
    end(scenario)
    assert WORD not in scenario.reads


def test_of_a_node_that_is_no_member_no_word_is_needed() -> None:
    scenario = of_pods()
    scenario.pod("s")
    scenario.join_from_pods("s", run=None)
    scenario.pod("s", phase="Failed")
    assert not isinstance(scenario.look(), Evidence)
    assert scenario.reads == []
