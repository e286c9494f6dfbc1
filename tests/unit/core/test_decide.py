"""The decision as a whole."""

from dataclasses import fields, replace
from types import MappingProxyType

from tests.unit.core.builders import now
from tests.unit.core.started import three

from rendezvous_api.reasons import AttemptReason
from rendezvous_operator.core.decide import decide
from rendezvous_operator.core.timers import Timer
from rendezvous_operator.core.world import Decision, Evidence, Memory

WORKER_FAILURE = AttemptReason.WORKER_FAILURE


def test_nothing_is_decided_before_everything_is_listed() -> None:
    scenario = three()
    scenario.complete = False
    scenario.gone("c")
    assert not scenario.asks
    scenario.complete = True
    scenario.settle()
    assert scenario.asks


def test_a_decision_follows_from_the_memory_and_does_not_write_it() -> None:
    scenario = three(reentry_seconds=330)
    scenario.reenter("a", "b", reason=WORKER_FAILURE)
    memory = replace(scenario.memory, since=MappingProxyType(dict(scenario.memory.since)))
    since = dict(memory.since)
    scenario.after(329)
    scenario.clock += 1
    scenario.complete = False  # so that nothing is decided yet
    scenario.beat("a")
    late, world = now(scenario.clock), replace(scenario.world(), complete=True)
    with_memory, without = decide(late, world, memory), decide(late, world, Memory())
    assert isinstance(with_memory, Decision)
    assert isinstance(without, Decision)
    assert (with_memory.status.round, without.status.round) == (2, 1)
    assert memory.since == since
    assert decide(late, world, memory) == with_memory, "what was decided in between has left no trace"


def test_nothing_but_what_is_to_be_read_follows_from_evidence() -> None:
    assert [field.name for field in fields(Evidence)] == ["targets"]
    scenario = three()
    scenario.reenter("a", reason=WORKER_FAILURE)
    remembered = scenario.memory
    scenario.clock += 10
    del scenario.seen["c"]  # a watch lags behind
    evidence = scenario.look()
    assert isinstance(evidence, Evidence)
    assert scenario.memory is remembered
    scenario.absent |= evidence.targets
    decision = scenario.decide()
    assert decision.memory.since[Timer.ASKED, 1] == remembered.since[Timer.ASKED, 1] < scenario.clock


def test_what_is_not_complete_leaves_the_memory_as_it_is() -> None:
    scenario = three()
    scenario.complete = False
    scenario.leave("c")
    decision = scenario.decide()
    assert decision.status == scenario.status
    assert decision.memory is scenario.memory
    assert decision.wake_at is None
    assert decision.deletions == ()


def test_a_memory_of_something_else_is_no_harm() -> None:
    """An empty one only makes every node wait once more, and what it says of other rounds means nothing."""
    scenario = three()
    strange = Memory({(Timer.ASKED, 9): 0.0, (Timer.UNLISTED, ("z", "first")): 0.0})
    decision = decide(now(scenario.clock), scenario.world(), strange)
    assert isinstance(decision, Decision)
    assert decision.status == scenario.decide().status
    assert decision.memory == scenario.decide().memory
