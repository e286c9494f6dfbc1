"""The states of a Rendezvous, and which one follows which: every state of some small worlds is visited.

Scenarios of the core's own tests are played. In each state everything happens that may happen there, and each change of
the state is noted with what led to it.
"""

import copy
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from hack import generated
from tests.unit.core.builders import now
from tests.unit.core.healths import stays_out
from tests.unit.core.worlds import Scenario

from rendezvous_api.reasons import (
    AttemptReason,
    ClosedReason,
    FormationReason,
    LeaveReason,
    ParticipantState,
    RoundEndReason,
    State,
)
from rendezvous_api.rendezvous import RendezvousStatus
from rendezvous_operator.core.decide import decide
from rendezvous_operator.core.world import Decision, Evidence

Transitions = dict[tuple[str, str], set[str]]
"""From which state to which, and what led there."""

FORMING, RUNS, CLOSED = "A round is formed", "A round runs", "No node may join"
GROUPS = {
    FORMING: [str(reason) for reason in FormationReason if reason is not FormationReason.GATHERING],
    RUNS: [str(State.RUNNING), str(FormationReason.GATHERING), str(State.DEGRADED)],
    CLOSED: [str(state) for state in (State.COMPLETE, State.FAILED, State.CLOSED)],
}
"""Every state of the summary, and Gathering: a round runs, and new nodes wait."""
GROUP_OF = {state: group for group, states in GROUPS.items() for state in states}

PUBLISHED = "the round is published"
CLAIMED = "a run claims the Rendezvous"
JOINS, JOINS_AGAIN, LOST, TIME = "a node joins", "a member joins again", "a node is lost", "time passes"
SILENT, BEATS = "heartbeats stop", "heartbeats arrive again"
LEAVES, SUCCEEDS, ASKS_TO_CLOSE = "a node leaves", "a member succeeds", "an agent closes its run"
YOU_ASK, CLOSES, OPENS = "you ask for a new round", "spec.closed is true", "spec.closed is false again"
SUSPENDS, RESUMES = "spec.suspend is true", "spec.suspend is false again"
OPENS_AND_PUBLISHED, RESUMES_AND_PUBLISHED = f"{OPENS}, and {PUBLISHED}", f"{RESUMES}, and {PUBLISHED}"
"""All that the next round waits for is there already."""
_AT_ONCE = {OPENS: OPENS_AND_PUBLISHED, RESUMES: RESUMES_AND_PUBLISHED}
ORDER = [
    *(PUBLISHED, CLAIMED, JOINS, JOINS_AGAIN, BEATS, LEAVES, SUCCEEDS, LOST, SILENT, TIME),
    *(ASKS_TO_CLOSE, YOU_ASK, CLOSES, OPENS, OPENS_AND_PUBLISHED, SUSPENDS, RESUMES, RESUMES_AND_PUBLISHED),
    *map(str, (*RoundEndReason, *ClosedReason)),
]
"""Everything that can lead from one state to another, in the order in which it is listed."""


def state_of(status: RendezvousStatus) -> str:
    """The state of the summary; Gathering while a round runs and new nodes wait."""
    assert status.summary is not None
    gathers = status.formation is not None and status.formation.reason is FormationReason.GATHERING
    if gathers and status.summary.state is State.RUNNING:
        return str(FormationReason.GATHERING)
    return str(status.summary.state)


class Observed(Scenario):
    """A scenario that notes each change of its state, with what led to it."""

    transitions: Transitions
    answer: Decision | Evidence
    happens = "start"

    def __init__(self, transitions: Transitions, *limits: int, **spec: Any) -> None:
        # With fewer heartbeats, fewer decisions are made while time passes.
        super().__init__(*limits, heartbeat_interval_seconds=20, scale_up_interval_seconds=90, **spec)
        self.transitions = transitions

    def written(self, before: RendezvousStatus) -> None:
        """Note the transition."""
        if before.conditions:
            self._note(before, self.status)

    def look(self) -> Decision | Evidence:
        """One decision; that it is pure is for the tests."""
        self.answer = decide(now(self.clock), self.world(), self.memory)
        return self.answer

    def decide(self) -> Decision:
        """What `look` has answered last."""
        assert isinstance(self.answer, Decision)
        return self.answer

    def settle(self) -> None:
        """One run may lose the Rendezvous and the next one claim it: each is a write of its own."""
        while self._turn():
            pass
        self._beat()

    def _note(self, before: RendezvousStatus, after: RendezvousStatus) -> None:
        states = (state_of(before), state_of(after))
        published = after.round > before.round
        if states[0] != states[1] or published:
            self.transitions.setdefault(states, set()).add(self._cause(before, after, published=published))

    def _cause(self, before: RendezvousStatus, after: RendezvousStatus, *, published: bool) -> str:
        if published:
            return _AT_ONCE.get(self.happens, PUBLISHED)
        if before.run_id is not None and after.run_id != before.run_id:
            return CLAIMED
        if after.history and before.history and after.history[-1].reason != before.history[-1].reason:
            return str(after.history[-1].reason)
        return self.happens


Happening = tuple[str, Callable[[Observed], None]]


@dataclass(frozen=True)
class Setup:
    """A small world whose states are all visited."""

    limits: tuple[int, int]
    nodes: str
    """A letter for each; those of a second run are capital letters."""
    happenings: Callable[["Setup", Observed], Iterator[Happening]]
    spec: dict[str, Any] = field(default_factory=dict)


@cache
def observed() -> Transitions:
    """All transitions of all setups."""
    transitions: Transitions = {}
    for setup in SETUPS:
        _visit(setup, transitions)
    return transitions


def _visit(setup: Setup, transitions: Transitions) -> None:
    first = Observed(transitions, *setup.limits, **setup.spec)
    first.settle()
    found, todo = {_key(setup, first)}, deque([first])
    while todo:
        scenario = todo.popleft()
        for happens, act in setup.happenings(setup, scenario):
            after = _clone(scenario)
            after.happens = happens
            act(after)
            key = _key(setup, after)
            if key not in found:
                found.add(key)
                todo.append(after)


def _clone(scenario: Observed) -> Observed:
    other = copy.copy(scenario)
    for name in ("seen", "pods", "unlabelled", "absent", "cut_off"):
        setattr(other, name, copy.copy(getattr(scenario, name)))
    other.events, other.reads, other.deletions = [], [], []
    return other


def _key(setup: Setup, scenario: Observed) -> tuple[object, ...]:
    """What makes two states differ. The nodes of one run are alike, and times are left out."""
    return (
        state_of(scenario.status),
        scenario.asks,
        scenario.spec,
        tuple(sorted(_node(scenario, name) for name in setup.nodes)),
        scenario.status.run_id,
        frozenset(scenario.closed_runs),
    )


def _node(scenario: Observed, name: str) -> tuple[object, ...]:
    seen = scenario.seen.get(name)
    pod = scenario.pods.get(f"uid-of-{name}")
    return (
        name.isupper(),
        "" if seen is None else str(seen.object.spec.state),
        name in scenario.group,
        scenario._runs(name),
        name in scenario.cut_off,
        name in scenario.refused,
        pod is not None,
    )


# ---- what may happen


def _call(method: Callable[..., None], *arguments: Any, **options: Any) -> Callable[[Observed], None]:
    return lambda scenario: method(scenario, *arguments, **options)


def _joins(setup: Setup, scenario: Observed) -> Iterator[Happening]:
    for name in setup.nodes:
        if name not in scenario.seen:
            run = "second" if name.isupper() else "first"
            yield JOINS, _call(Scenario.join_from_pods, name, run=run)
    for name in _present(setup, scenario):
        if scenario.asks and scenario._runs(name):
            yield JOINS_AGAIN, _call(Scenario.reenter, name)
    yield TIME, _let_time_pass


def _present(setup: Setup, scenario: Observed) -> list[str]:
    there = [name for name in setup.nodes if name in scenario.seen and name not in scenario.cut_off]
    return [name for name in there if scenario.seen[name].object.spec.state is ParticipantState.JOINED]


def _let_time_pass(scenario: Observed) -> None:
    """Until something is written, for at most 20 minutes."""
    writes, end = scenario.writes, scenario.clock + 1200
    while scenario.writes == writes and scenario.wake_at is not None and scenario.wake_at < end:
        scenario.after(scenario.wake_at - scenario.clock + 0.01)


def losses(setup: Setup, scenario: Observed) -> Iterator[Happening]:
    """Nodes come and go, and paths to the API server break and heal."""
    yield from _joins(setup, scenario)
    for name in _present(setup, scenario):
        yield LOST, _call(Scenario.gone, name)
        yield SILENT, _call(Scenario.silent, name)
    for name in sorted(scenario.cut_off & {*scenario.seen}):
        yield BEATS, _call(Scenario.beat, name)


def ends(setup: Setup, scenario: Observed) -> Iterator[Happening]:
    """Agents end, with success or without, or close their run."""
    yield from _joins(setup, scenario)
    for name in _present(setup, scenario):
        yield LEAVES, _call(Scenario.leave, name)
        if scenario._runs(name):
            yield SUCCEEDS, _call(Scenario.leave, name, reason=LeaveReason.SUCCEEDED)
        if not scenario.seen[name].object.spec.close_requested:
            yield ASKS_TO_CLOSE, _call(Scenario.request_close, name)


def failures(setup: Setup, scenario: Observed) -> Iterator[Happening]:
    """All that ends a round and is not a loss."""
    yield from _joins(setup, scenario)
    running = [name for name in _present(setup, scenario) if scenario._runs(name)]
    for name in running:
        for reason in (AttemptReason.WORKER_FAILURE, AttemptReason.CHECK_IN_FAILED, AttemptReason.MEMBERSHIP_CHANGE):
            yield JOINS_AGAIN, _call(Scenario.reenter, name, reason=reason)
        yield LOST, _call(Scenario.pod, name, workload="first", leaving="its pod is being evicted")
        yield LEAVES, _call(Scenario.leave, name, reason=LeaveReason.TERMINATED)
        yield LEAVES, _call(stays_out, name)
    if running and not scenario.asks:
        yield YOU_ASK, _call(Scenario.request_restart, f"at {scenario.status.round}")
        yield YOU_ASK, _call(Scenario.edit, max_nodes=scenario.spec.min_nodes)


def closing(setup: Setup, scenario: Observed) -> Iterator[Happening]:
    """The user closes the Rendezvous and opens it again."""
    yield from losses(setup, scenario)
    yield OPENS if scenario.spec.closed else CLOSES, _call(Scenario.edit, closed=not scenario.spec.closed)


def suspending(setup: Setup, scenario: Observed) -> Iterator[Happening]:
    """The user suspends the Rendezvous and takes it back."""
    yield from _joins(setup, scenario)
    for name in _present(setup, scenario):
        yield LEAVES, _call(Scenario.leave, name)
        if scenario._runs(name):
            yield SUCCEEDS, _call(Scenario.leave, name, reason=LeaveReason.SUCCEEDED)
            yield LOST, _call(Scenario.gone, name)
    suspended = scenario.spec.suspend
    yield RESUMES if suspended else SUSPENDS, _call(Scenario.edit, suspend=not suspended)
    yield OPENS if scenario.spec.closed else CLOSES, _call(Scenario.edit, closed=not scenario.spec.closed)


SETUPS = [
    Setup((1, 3), "ab", losses),
    Setup((2, 3), "abc", losses),
    Setup((1, 2), "ab", suspending),
    Setup((2, 2), "ab", ends),
    Setup((1, 2), "aX", ends),
    Setup((1, 2), "ab", failures),
    Setup((2, 2), "ab", failures, {"max_restarts": 0}),
    Setup((2, 3), "ab", closing),
]


# ---- the picture


def picture(transitions: Transitions) -> Iterator[str]:
    """A state diagram. Between two groups of states one arrow stands for all transitions between them."""
    yield "stateDiagram-v2"
    yield f"    [*] --> {_NAMES[0]}"
    for name, (group, states) in zip(_NAMES, GROUPS.items(), strict=True):
        yield f'    state "{group}" as {name} {{'
        inside = [(pair, causes) for pair, causes in transitions.items() if {*pair} <= {*states}]
        for (source, target), causes in sorted(inside, key=lambda each: [states.index(state) for state in each[0]]):
            if source != target:
                yield f"        {source} --> {target}: {_label(causes)}"
        connected = {state for pair, _ in inside for state in pair}
        yield from (f"        {state}" for state in states if state not in connected)
        yield "    }"
    for source, one in zip(_NAMES, GROUPS, strict=True):
        for target, other in zip(_NAMES, GROUPS, strict=True):
            causes = _between(transitions, one, other)
            if one != other and causes:
                yield f"    {source} --> {target}: {_label(causes)}"


_NAMES = ("roundForms", "roundRuns", "noneMayJoin")


def _between(transitions: Transitions, source: str, target: str) -> set[str]:
    pairs = [pair for pair in transitions if (GROUP_OF[pair[0]], GROUP_OF[pair[1]]) == (source, target)]
    return set().union(*(transitions[pair] for pair in pairs))


def _label(causes: set[str]) -> str:
    """One line for each cause."""
    return "<br/>".join(_in_order(causes))


def _in_order(causes: set[str]) -> list[str]:
    return sorted(causes, key=ORDER.index)


def table(transitions: Transitions) -> str:
    """A row for each transition."""
    rows = []
    states = [*GROUP_OF]
    for source, target in sorted(transitions, key=lambda pair: [states.index(state) for state in pair]):
        causes = _in_order(transitions[source, target])
        shown = ", ".join(f"`{cause}`" if cause[0].isupper() else cause for cause in causes)
        rows.append((f"`{source}`", f"`{target}`", shown))
    return generated.table(("From", "To", "What leads there"), rows)
