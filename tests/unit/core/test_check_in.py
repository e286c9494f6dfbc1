"""Rule "hold-outs": which words about a failed check-in count, and what they say together."""

from dataclasses import replace

import pytest
from tests.unit.core.builders import now
from tests.unit.core.started import together
from tests.unit.core.worlds import Scenario

from rendezvous_api.participant import CheckIn, ParticipantSpec
from rendezvous_api.reasons import AttemptReason
from rendezvous_operator.core import check_in
from rendezvous_operator.core.check_in import FailedCheckIn
from rendezvous_operator.core.observe import observe
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.world import Memory

CHECK_IN_FAILED = AttemptReason.CHECK_IN_FAILED


def group(*who: str) -> Scenario:
    """A round of these nodes was published; from now on nothing is decided."""
    scenario = together(Scenario(1, len(who)), *who)
    scenario.complete = False
    return scenario


def says(scenario: Scenario, name: str, *missing: str, reached: bool = True, number: int = 1) -> None:
    """A member of the round joins again, and says what it saw."""
    word = CheckIn(number, reached, missing)
    scenario.reenter(name, reason=CHECK_IN_FAILED, check_ins={name: word})


def situation(scenario: Scenario) -> Situation:
    scenario.complete = True
    seen = observe(now(scenario.clock), scenario.world(), Memory())
    assert isinstance(seen, Situation)
    return seen


def said_by(scenario: Scenario, name: str) -> CheckIn | None:
    s = situation(scenario)
    return check_in.said_by(s, s.nodes.get(name))


def change(scenario: Scenario, name: str, **fields: object) -> None:
    """What a participant says is something else."""
    seen = scenario.seen[name]
    spec: ParticipantSpec = replace(seen.object.spec, **fields)  # type: ignore[arg-type]
    scenario.seen[name] = replace(seen, object=replace(seen.object, spec=spec))


def test_a_member_says_what_it_saw() -> None:
    scenario = group("a", "b")
    says(scenario, "b", "a")
    assert said_by(scenario, "b") == CheckIn(1, True, ("a",))
    assert said_by(scenario, "a") is None


@pytest.mark.parametrize(
    "fields",
    [
        {"rendezvous_uid": "uid-of-a-deleted-one"},
        {"attempt_reason": AttemptReason.WORKER_FAILURE},
        {"check_in": CheckIn(7, True)},
        {"check_in": None},
    ],
)
def test_no_other_word_counts(fields: dict[str, object]) -> None:
    scenario = group("a", "b")
    says(scenario, "b")
    change(scenario, "b", **fields)
    assert said_by(scenario, "b") is None


def test_what_cannot_be_understood_says_nothing() -> None:
    scenario = group("a", "b")
    says(scenario, "b")
    scenario.seen["b"] = replace(scenario.seen["b"], understood=False)
    assert said_by(scenario, "b") is None


def test_who_is_no_member_says_nothing() -> None:
    scenario = group("a", "b")
    scenario.join("x")
    change(scenario, "x", attempt_reason=CHECK_IN_FAILED, check_in=CheckIn(1, True))
    assert said_by(scenario, "x") is None


def test_the_others_are_all_but_the_host() -> None:
    scenario = group("a", "b", "c")
    says(scenario, "a", "b", "c")
    says(scenario, "b", reached=False)
    assert check_in.seen_together(situation(scenario)) == FailedCheckIn(2, 0, ("b",), ("b",))


def test_one_half_is_not_most() -> None:
    assert not FailedCheckIn(2, 1, ("b",), ()).most_reached
    assert FailedCheckIn(3, 2, ("b",), ()).most_reached


def test_a_member_is_believed_about_itself() -> None:
    scenario = group("a", "b", "c", "d")
    says(scenario, "b", "d")
    says(scenario, "c", "d")
    says(scenario, "d")
    assert check_in.seen_together(situation(scenario)).missing == ()


@pytest.mark.parametrize(("words", "missing"), [((("d",), ()), ()), ((("d",), ("d",)), ("d",)), ((("d", "d"), ()), ())])
def test_one_that_says_nothing_is_missing_if_more_than_half_say_so(
    words: tuple[tuple[str, ...], tuple[str, ...]], missing: tuple[str, ...]
) -> None:
    scenario = group("a", "b", "c", "d")
    for name, named in zip("bc", words, strict=True):
        says(scenario, name, *named)
    assert check_in.seen_together(situation(scenario)).missing == missing
