"""Visits every state of a `small_world`, and follows a fair schedule from each one to its end."""

from collections import deque
from collections.abc import Hashable, Iterator
from typing import NamedTuple

from tests.unit.core.small_world import (
    CHECKS_IN,
    JOINED,
    NEW,
    OVER,
    SILENT,
    STOPS,
    TRAINS,
    UNHEARD,
    WAITS,
    Node,
    Shared,
    Surroundings,
    all_checked_in,
    assignments,
    start,
    steps,
    tidied,
    window_passes,
)
from tests.unit.core.small_world_core import SecondLooks, Watch, check_exclusive, decided
from tests.unit.core.small_world_peers import forget_vouching, steps_of_peers
from tests.unit.core.small_world_schedule import DECIDES, DIES, HEALS, closed_for_good, is_good, takes_nodes_of
from tests.unit.core.small_world_setup import Setup

from rendezvous_operator.core.invariants import InvariantError
from rendezvous_operator.core.timers import Timer

Code = tuple[int, ...]
"""A state: the number of what is shared, then those of the nodes in ascending order."""


class Step(NamedTuple):
    """Something that can happen in a state."""

    label: str
    after: Code


class Search:
    """All states that can be reached from the start. Equal parts of states are kept once and go by a number."""

    def __init__(self, setup: Setup, watch: Watch | None = None) -> None:
        """``watch`` is called with each world that is decided on, and with the decision."""
        self.setup = setup
        self._watch = watch
        self._looks = SecondLooks()
        self.transitions = 0
        self._nodes: list[Node] = []
        self._numbers: dict[Node, int] = {}
        self._shared: list[Shared] = []
        self._closed: list[frozenset[str]] = []
        self._flags: list[int] = []
        """Of each node, what decides about the surroundings of all: see `_flags_of`."""
        self._tidy: dict[Surroundings, dict[int, int]] = {}
        self._shared_numbers: dict[Shared, int] = {}
        self._steps: dict[tuple[int, bool], list[tuple[str, int, bool]]] = {}
        self._decisions: dict[tuple[Shared, tuple[Node, ...]], tuple[Shared, tuple[Node, ...]]] = {}
        self.found: dict[Code, int] = {}
        """Every state, in the order in which they were found."""
        self._came_by: list[tuple[Code | None, str]] = []
        self.schedules: tuple[list[Code | None], ...] = ([], [])
        """Next states in a fair schedule: where silent agents send heartbeats again, and where they die."""

    @property
    def decisions(self) -> int:
        """How many different worlds were decided on."""
        return len(self._decisions)

    def run(self) -> None:
        """Visit every state, and check in each what every decision must keep to."""
        first = self._code(*start(self.setup))
        self.found[first] = 0
        self._came_by.append((None, "start"))
        queue = deque([first])
        while queue:
            code = queue.popleft()
            try:
                found = list(self._next(code))
            except (AssertionError, InvariantError) as failure:
                raise AssertionError(f"{failure}\n{self.describe(code)}") from failure
            for step in found:
                self.transitions += 1
                if step.after not in self.found:
                    self.found[step.after] = len(self.found)
                    self._came_by.append((code, step.label))
                    queue.append(step.after)
            for heals, schedule in zip((True, False), self.schedules, strict=True):
                schedule.append(self._fair(code, found, heals=heals))

    def check_liveness(self) -> int:
        """Every state ends in a good one if all act and time passes. Returns the greatest number of steps there."""
        return max(self._longest(schedule) for schedule in self.schedules)

    def describe(self, code: Code) -> str:
        """The state, and the shortest way to it."""
        shared, nodes = self._state(code)
        way: list[str] = []
        step: Code | None = code
        while step is not None:
            before, label = self._came_by[self.found[step]]
            way.append(label)
            step = before
        return "\n".join([f"after {', '.join(reversed(way))}:", str(shared), *(f"  {node}" for node in nodes)])

    # What can happen.

    def _next(self, code: Code) -> Iterator[Step]:
        shared, nodes = self._state(code)
        for position, number in enumerate(code[1:], start=1):
            for label, after, checks_in in self._steps_of(number, waiting=shared.waiting):
                if checks_in:
                    changed = (*nodes[: position - 1], self._nodes[after], *nodes[position:])
                    yield Step(label, self._code(shared, all_checked_in(changed)))
                else:
                    yield Step(label, self._tidied(code[0], (*code[1:position], after, *code[position + 1 :])))
        yield from self._time_passes(shared, nodes)
        if self.setup.peers:
            for label, changed in (*steps_of_peers(nodes, self.setup.peers), *forget_vouching(nodes)):
                yield Step(label, self._code(shared, changed))
        yield from self._others_act(shared, nodes)
        for order in assignments(self.setup, shared, nodes):
            answer = self._decided(shared, order)
            if answer != (shared, order):
                yield Step(DECIDES, self._code(*answer))

    def _steps_of(self, number: int, *, waiting: bool) -> list[tuple[str, int, bool]]:
        known = self._steps.get((number, waiting))
        if known is None:
            before = self._nodes[number]
            known = [
                (label, self._number(after), before.process == WAITS and after.process == CHECKS_IN)
                for label, after in steps(before, Shared(waiting=waiting), self.setup)
            ]
            self._steps[number, waiting] = known
        return known

    def _time_passes(self, shared: Shared, nodes: tuple[Node, ...]) -> Iterator[Step]:
        """Any timer may pass its limit; the long ones only when nothing else would happen for so long."""
        long = all(_is_known_for_long(node) for node in nodes)
        for i, (fact, age) in enumerate(shared.facts):
            if age == NEW and fact[0] != Timer.ALL_SILENT.value and (long or fact[0] not in _LONG):
                facts = (*shared.facts[:i], (fact, OVER), *shared.facts[i + 1 :])
                yield Step(f"time passes: {fact[0]}", self._code(shared._replace(facts=facts), nodes))
        if self.setup.window and any(1 in node.failures for node in nodes):
            yield Step("time passes: the window", self._code(shared, window_passes(nodes)))
        for timer in {fact for node in nodes for fact, age in node.ages if age == NEW}:
            if long or timer[0] not in _LONG:
                yield from self._time_of_agents_passes(shared, nodes, timer)

    def _time_of_agents_passes(
        self, shared: Shared, nodes: tuple[Node, ...], timer: tuple[Hashable, ...]
    ) -> Iterator[Step]:
        """A timer that is about all who wait passes its limit for all of them at once, any other for each by itself."""
        label = f"time passes: {timer[0]}"
        if len(timer) == 1:
            yield Step(label, self._code(shared, tuple(_passed(node, timer) for node in nodes)))
            return
        for i, node in enumerate(nodes):
            if (timer, NEW) in node.ages:
                yield Step(label, self._code(shared, (*nodes[:i], _passed(node, timer), *nodes[i + 1 :])))

    def _others_act(self, shared: Shared, nodes: tuple[Node, ...]) -> Iterator[Step]:
        if self.setup.spec_closed:
            yield Step(
                "the user closes or opens", self._code(shared._replace(spec_closed=not shared.spec_closed), nodes)
            )
        if self.setup.suspends:
            yield Step(
                "the user suspends or resumes", self._code(shared._replace(suspended=not shared.suspended), nodes)
            )
        if self.setup.requests and not shared.requested:
            yield Step("the user asks for a round", self._code(shared._replace(requested=True), nodes))
        for number in range(len(self.setup.limits)):
            if number != shared.limits:
                yield Step("the user edits", self._code(shared._replace(limits=number), nodes))
        if self.setup.leaders:
            forgotten = tuple(
                node._replace(ages=(), behind=False, silence=(UNHEARD if node.process else 0) if node.silence else 0)
                for node in nodes
            )
            yield Step("another leader", self._code(shared._replace(facts=()), forgotten))

    def _decided(self, shared: Shared, nodes: tuple[Node, ...]) -> tuple[Shared, tuple[Node, ...]]:
        """One reconcile of the operator. It sees only objects, so worlds that differ in processes are decided once."""
        seen = tuple(
            node._replace(
                process="",
                asked=False,
                checked_in=False,
                silence=0 if node.silence == UNHEARD else node.silence,
                behind=node.behind and node.silence in SILENT,
                second=node.second._replace(apart=False, farewell=False),
            )
            for node in nodes
        )
        answer = self._decisions.get((shared, seen))
        if answer is None:
            answer = self._decisions[shared, seen] = decided(self.setup, shared, seen, self._looks, self._watch)
        after, changed = answer
        published = any(
            (before.member, before.entry) != (now.member, now.entry)
            for before, now in zip(seen, changed, strict=True)
            if now.object or not before.object  # else it was deleted
        )
        result = tuple(
            now._replace(
                process=node.process,
                asked=node.asked,
                checked_in=node.checked_in and not published,
                silence=node.silence if now.silence == known.silence else (UNHEARD if node.process else 0),
                behind=node.behind or now.behind,
                second=now.second
                if published
                else now.second._replace(apart=node.second.apart, farewell=node.second.farewell),
            )
            for node, known, now in zip(nodes, seen, changed, strict=True)
        )
        if published:
            check_exclusive(nodes, result, shared)
        return after, result

    # The fair schedule.

    def _fair(self, code: Code, found: list[Step], *, heals: bool) -> Code | None:
        shared, nodes = self._state(code)
        if is_good(self.setup, shared, nodes):
            return None
        order = HEALS if heals else DIES
        # Whoever would only be refused need not start for the others to get on.
        places = {step: order.get(step.label) for step in found}
        for run in self.setup.runs:
            if not takes_nodes_of(run, shared):
                places |= {step: None for step in found if step.label == f"{run} starts"}
        leading_on = [step for step in found if places[step] is not None]
        best = min(leading_on, key=lambda step: places[step] or 0, default=None)
        assert best is not None, f"nothing leads on from here:\n{self.describe(code)}"
        return best.after

    def _longest(self, schedule: list[Code | None]) -> int:
        length: dict[int, int] = {}
        for number, code in enumerate(self.found):
            way: list[int] = []
            here: int | None = number
            while here is not None and here not in length:
                length[here] = -1
                way.append(here)
                after = schedule[here]
                here = self.found[after] if after is not None else None
            steps_left = length[here] if here is not None else -1
            assert here is None or steps_left >= 0, f"it goes round in circles:\n{self._circle(schedule, here, code)}"
            for position, passed in enumerate(reversed(way), start=1):
                length[passed] = steps_left + position
        return max(length.values())

    def _circle(self, schedule: list[Code | None], number: int, code: Code) -> str:
        codes = list(self.found)
        lines = [self.describe(code), "goes round in:"]
        here = number
        for _ in range(12):
            lines.append(self.describe(codes[here]).split("\n", 1)[1])
            after = schedule[here]
            assert after is not None
            here = self.found[after]
        return "\n".join(lines)

    # Numbers.

    def _state(self, code: Code) -> tuple[Shared, tuple[Node, ...]]:
        return self._shared[code[0]], tuple(self._nodes[number] for number in code[1:])

    def _code(self, shared: Shared, nodes: tuple[Node, ...]) -> Code:
        number = self._shared_numbers.get(shared)
        if number is None:
            number = self._shared_numbers[shared] = len(self._shared)
            self._shared.append(shared)
            self._closed.append(frozenset(closed_for_good(shared)))
        return self._tidied(number, tuple(self._number(node) for node in nodes))

    def _tidied(self, shared: int, nodes: Code) -> Code:
        flags = 0
        for number in nodes:
            flags |= self._flags[number]
        goes_on = flags & (_CHECKED_IN | _TO_COME | _CANNOT_COME) == _CHECKED_IN | _TO_COME
        around = Surroundings(self._shared[shared].waiting, self._closed[shared], goes_on, bool(flags & _HOST))
        tidy = self._tidy.setdefault(around, {})
        numbers = []
        for number in nodes:
            after = tidy.get(number)
            if after is None:
                after = tidy[number] = self._number(tidied(self._nodes[number], around))
            numbers.append(after)
        return (shared, *sorted(numbers))

    def _number(self, node: Node) -> int:
        number = self._numbers.get(node)
        if number is None:
            number = self._numbers[node] = len(self._nodes)
            self._nodes.append(node)
            self._flags.append(_flags_of(node))
        return number


_CHECKED_IN, _TO_COME, _CANNOT_COME, _HOST = 1, 2, 4, 8


def _flags_of(node: Node) -> int:
    """Whether it can still be that all members check in follows from those of all nodes; so does who is the host."""
    flags = _CHECKED_IN if node.checked_in else 0
    if node.member and not node.checked_in:
        flags |= _TO_COME
        if not (node.current and node.process in (WAITS, CHECKS_IN)):
            flags |= _CANNOT_COME
    if node.host and node.current:
        flags |= _HOST
    return flags


def _is_known_for_long(node: Node) -> bool:
    """Whether nothing would happen to an agent by itself within some minutes, other than stopping its workers."""
    if node.object != JOINED:
        return True
    if node.silence or not node.process:
        return node.silence in SILENT
    return node.reports if node.process in (TRAINS, STOPS) else node.process == WAITS and not node.current


def _passed(node: Node, timer: tuple[Hashable, ...]) -> Node:
    """The node when a timer of it has passed its limit."""
    return node._replace(ages=tuple((fact, OVER if fact == timer else age) for fact, age in node.ages))


_LONG = frozenset(timer.value for timer in (Timer.ASKED, Timer.UNLISTED, Timer.LEFT, Timer.EMPTY))
"""Timers whose limit is minutes or more."""
