"""No status that breaks a rule is written, whichever rule is wrong."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.unit.core.builders import now
from tests.unit.core.started import three
from tests.unit.core.worlds import Scenario

from rendezvous_api import names
from rendezvous_api.reasons import AttemptReason, HeldOutReason, PassedOverReason, RefusalReason
from rendezvous_api.rendezvous import Domain, HeldOut, Member, PassedOver, Refusal, RendezvousStatus, Store, Topology
from rendezvous_operator.core import invariants
from rendezvous_operator.core.facts import tick
from rendezvous_operator.core.invariants import InvariantError
from rendezvous_operator.core.observe import observe
from rendezvous_operator.core.situation import Situation
from rendezvous_operator.core.start import rules as start_rules
from rendezvous_operator.core.verdict import Met

WORKER_FAILURE = AttemptReason.WORKER_FAILURE
Tamper = Callable[[RendezvousStatus], RendezvousStatus]


def check(scenario: Scenario, after: RendezvousStatus) -> None:
    """As `build` does before a status is written."""
    s = observe(now(scenario.clock), scenario.world(), scenario.memory)
    assert isinstance(s, Situation)
    invariants.check(s, tick(s, scenario.memory), after)


def before_the_second_round(*who: str) -> Scenario:
    """Members of a, b and c ask to join again, as the operator sees it at its next look."""
    scenario = three()
    scenario.complete = False
    scenario.reenter(*who, reason=WORKER_FAILURE)
    scenario.complete = True
    return scenario


def with_members(status: RendezvousStatus, *members: Member) -> RendezvousStatus:
    ranked = tuple(replace(member, rank=rank) for rank, member in enumerate(members))
    return replace(status, participants=ranked, nodes=len(ranked))


def refusal(name: str) -> Refusal:
    return Refusal(name, "first", 1, RefusalReason.RUN_CLOSED, "")


ALWAYS: dict[str, Tamper] = {
    "`nodes` is not the number of members": lambda status: replace(status, nodes=2),
    "too many are refused": lambda status: replace(
        status, refused=tuple(refusal(f"n{number}") for number in range(names.MAX_REFUSED + 1))
    ),
    "too many are held out": lambda status: replace(
        status,
        held_out=tuple(
            HeldOut(f"n{number}", HeldOutReason.CRASH_LOOP, "", "2030-01-01T00:00:00Z", 1)
            for number in range(names.MAX_HELD_OUT + 1)
        ),
    ),
    "too many are passed over": lambda status: replace(
        status,
        passed_over=tuple(
            PassedOver(f"n{number}", PassedOverReason.CORDONED, "") for number in range(names.MAX_PASSED_OVER + 1)
        ),
    ),
    "a former round runs": lambda status: replace(status, history=(status.history[-1], status.history[-1])),
}
WHILE_A_ROUND_IS: dict[str, Tamper] = {
    "other members": lambda status: with_members(status, *status.participants[:2]),
    "other ranks": lambda status: replace(status, participants=status.participants[::-1]),
    "another place": lambda status: replace(status, topology=Topology(("rack",), (Domain(("a",), 3),))),
    "another store": lambda status: replace(status, store=Store("b.local", 1)),
}
A_NEW_ROUND: dict[str, tuple[str, Tamper]] = {
    "a round is left out": ("round 3 follows round 1", lambda status: replace(status, round=3)),
    "the round falls": ("round 0 follows round 1", lambda status: replace(status, round=0)),
    "no store": ("no store or no run", lambda status: replace(status, store=None)),
    "no run": ("no store or no run", lambda status: replace(status, run=None)),
    "too small": ("a round has 1 nodes", lambda status: with_members(status, status.participants[0])),
    "too large": (
        "a round has 4 nodes",
        lambda status: with_members(status, *status.participants, replace(status.participants[0], name="d")),
    ),
    "ranks in another order": (
        "ranks are not 0 to n-1 in order",
        lambda status: replace(status, participants=status.participants[::-1]),
    ),
    "a node twice": (
        "a node is listed twice",
        lambda status: with_members(status, *status.participants[:2], status.participants[0]),
    ),
    "a refused member": ("a refused node is a member", lambda status: replace(status, refused=(refusal("b"),))),
    "a member in no domain": (
        "a member is in no domain",
        lambda status: replace(status, topology=Topology(("rack",), (Domain(("a",), 2),))),
    ),
    "a domain in two places": (
        "the ranks of a domain by rack do not follow each other",
        lambda status: replace(status, topology=Topology(("rack",), tuple(Domain((rack,), 1) for rack in "aba"))),
    ),
    "a spare member": ("a spare is a member", lambda status: replace(status, spares=("b",))),
    "a stranger": (
        "d has not asked for this round",
        lambda status: with_members(status, *status.participants[:2], replace(status.participants[2], name="d")),
    ),
    "an old attempt": (
        "c has not asked for this round",
        lambda status: with_members(status, *status.participants[:2], replace(status.participants[2], attempt=1)),
    ),
    "another incarnation": (
        "c has not asked for this round",
        lambda status: with_members(
            status, *status.participants[:2], replace(status.participants[2], incarnation="second")
        ),
    ),
}


@pytest.mark.parametrize("what", ALWAYS)
def test_of_any_status(what: str) -> None:
    scenario = three()
    check(scenario, scenario.status)
    with pytest.raises(InvariantError, match=what):
        check(scenario, ALWAYS[what](scenario.status))


@pytest.mark.parametrize("what", WHILE_A_ROUND_IS)
def test_a_published_round_does_not_change(what: str) -> None:
    scenario = three()
    with pytest.raises(InvariantError, match="a published round has changed"):
        check(scenario, WHILE_A_ROUND_IS[what](scenario.status))


@pytest.mark.parametrize("what", A_NEW_ROUND)
def test_of_a_new_round(what: str) -> None:
    scenario = before_the_second_round("a", "b", "c")
    good = scenario.decide().status
    assert good.round == 2
    check(scenario, good)
    message, tamper = A_NEW_ROUND[what]
    with pytest.raises(InvariantError, match=message):
        check(scenario, tamper(good))


def without_c(scenario: Scenario) -> RendezvousStatus:
    """A second round of a and b, no matter which nodes wait."""
    good = before_the_second_round("a", "b", "c").decide().status
    assert good.history[0].round == scenario.status.round
    return with_members(good, *good.participants[:2])


def test_no_round_beside_a_member_that_is_heard() -> None:
    scenario = before_the_second_round("a", "b")
    with pytest.raises(InvariantError, match="c may still train beside it"):
        check(scenario, without_c(scenario))


def test_a_member_that_was_asked_for_too_long_is_beside_nothing() -> None:
    scenario = three(reentry_seconds=330)
    scenario.reenter("a", "b", reason=WORKER_FAILURE)
    after = without_c(scenario)
    scenario.after(329)
    with pytest.raises(InvariantError, match="c may still train beside it"):
        check(scenario, after)
    scenario.clock += 1
    scenario._beat()
    check(scenario, after)


def test_no_round_beside_an_agent_that_says_that_it_runs_an_older_one() -> None:
    scenario = three()
    scenario.silent("c")
    scenario.reenter("a", "b", reason=WORKER_FAILURE)
    scenario.after(16)
    assert scenario.group == ["a", "b"]
    scenario.beat("c")
    scenario.complete = False
    scenario.reenter("a", "b", reason=WORKER_FAILURE)
    members = tuple(replace(member, attempt=3) for member in scenario.status.participants)
    after = replace(scenario.status, round=3, participants=members)
    with pytest.raises(InvariantError, match="c may still train beside it"):
        check(scenario, after)
    scenario.gone("c")
    check(scenario, after)


def test_what_a_wrong_rule_decides_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = before_the_second_round("a", "b")
    assert scenario.decide().status.round == 1
    monkeypatch.setattr(start_rules, "START_RULES", (lambda *_: Met(),))
    with pytest.raises(InvariantError, match="c may still train beside it"):
        scenario.decide()


def test_no_member_is_held_out() -> None:
    scenario = before_the_second_round("a", "b", "c")
    good = scenario.decide().status
    until = now(scenario.clock + 30).timestamp
    scenario.status = replace(scenario.status, held_out=(HeldOut("c", HeldOutReason.CRASH_LOOP, "", until, 1),))
    with pytest.raises(InvariantError, match="a node that is held out is a member"):
        check(scenario, good)


def test_no_member_is_kept_out(monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = before_the_second_round("a", "b", "c")
    good = scenario.decide().status
    monkeypatch.setattr(Situation, "kept_out", frozenset({"c"}))
    with pytest.raises(InvariantError, match="a node that a mark keeps out is a member"):
        check(scenario, good)
